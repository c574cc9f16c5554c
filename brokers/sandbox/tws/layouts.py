"""The three long messages about orders, field by field, with what the real Gateway sends where nothing is set.

Taken from recorded messages, brought to server version 176. A field stands as `name=default`; `MAX` is the largest
double, with which TWS says "unset".
"""

from __future__ import annotations

from typing import Any

MAX = "1.7976931348623157E308"
NO_INT = "2147483647"
NO_LONG = "9223372036854775807"


class Layout:
    """The order of a message's fields."""

    def __init__(self, message_id: int, fields: str):
        known = {
            "MAX": MAX,
            "NO_INT": NO_INT,
            "NO_LONG": NO_LONG,
            "NO_HOLDER": "Not an insider or substantial shareholder",
        }
        pairs = [field.partition("=") for field in fields.split()]
        self.message_id = message_id
        self.defaults = {name: known.get(default, default) for name, _, default in pairs}

    def fields(self, **values: Any) -> list[Any]:
        """The message with these values; a name that it does not have is a KeyError."""
        unknown = values.keys() - self.defaults.keys()
        if unknown:
            raise KeyError(f"no such fields: {sorted(unknown)}")
        return [self.message_id, *(self.defaults | values).values()]


_CONTRACT = """con_id symbol sec_type=STK expiry strike=0 right=? multiplier exchange=SMART currency=USD local_symbol
trading_class=NMS action total_quantity order_type lmt_price=0.0 aux_price=0.0 tif oca_group account open_close origin=0
order_ref"""

_TERMS = """model_code good_till_date rule_80a percent_offset settling_firm short_sale_slot=0 designated_location
exempt_code=-1"""

_PRICES = "starting_price stock_ref_price delta stock_range_lower stock_range_upper display_size=NO_INT"

_LEGS = """combo_legs_descrip combo_legs=0 order_combo_legs=0 smart_combo_params=0 scale_init=NO_INT scale_subs=NO_INT
scale_increment hedge_type"""

_PEG_BEST = "min_trade_qty min_compete_size compete_against_best_offset mid_offset_at_whole mid_offset_at_half"

OPEN_ORDER = Layout(
    5,
    f"""order_id {_CONTRACT} client_id perm_id outside_rth=0 hidden=0 discretionary_amt=0 good_after_time
shares_allocation fa_group fa_method fa_percentage fa_profile {_TERMS} auction_strategy=0 {_PRICES} block_order=0
sweep_to_fill=0 all_or_none=0 min_qty oca_type=3 etrade_only=0 firm_quote_only=0 nbbo_price_cap parent_id=0
trigger_method=0 volatility volatility_type=0 delta_neutral_order_type=None delta_neutral_aux_price
delta_neutral_con_id=0 delta_neutral_settling_firm delta_neutral_clearing_account delta_neutral_clearing_intent
delta_neutral_open_close=? delta_neutral_short_sale=0 delta_neutral_short_sale_slot=0 delta_neutral_location
continuous_update=0 reference_price_type=0 trail_stop_price trailing_percent basis_points basis_points_type {_LEGS}
opt_out_smart_routing=0 clearing_account clearing_intent=IB not_held=0 delta_neutral_contract=0 algo_strategy
solicited=0 what_if=0 status init_margin_before=MAX maint_margin_before=MAX equity_with_loan_before=MAX
init_margin_change=MAX maint_margin_change=MAX equity_with_loan_change=MAX init_margin_after=MAX maint_margin_after=MAX
equity_with_loan_after=MAX commission min_commission max_commission commission_currency warning_text randomize_size=0
randomize_price=0 conditions=0 adjusted_order_type=None trigger_price=MAX adjusted_trail_stop_price=MAX
lmt_price_offset=MAX adjusted_stop_price=MAX adjusted_stop_limit_price=MAX adjusted_trailing_amount=MAX
adjustable_trailing_unit=0 soft_dollar_name soft_dollar_value soft_dollar_display_name cash_qty=0
dont_use_auto_price_for_hedge=1 is_oms_container=0 discretionary_up_to_limit_price=0 use_price_mgmt_algo=0 duration
post_to_ats auto_cancel_parent=0 {_PEG_BEST}""",
)

COMPLETED_ORDER = Layout(
    101,
    f"""{_CONTRACT} perm_id outside_rth=0 hidden=0 discretionary_amt=0 good_after_time fa_group fa_method fa_percentage
fa_profile {_TERMS} {_PRICES} sweep_to_fill=0 all_or_none=0 min_qty oca_type=3 trigger_method=0 volatility
volatility_type=0 delta_neutral_order_type=None delta_neutral_aux_price delta_neutral_con_id=0
delta_neutral_short_sale=0 delta_neutral_short_sale_slot=0 delta_neutral_location continuous_update=0
reference_price_type=0 trail_stop_price trailing_percent {_LEGS} clearing_account clearing_intent=IB not_held=0
delta_neutral_contract=0 algo_strategy solicited=0 status randomize_size=0 randomize_price=0 conditions=0
adjusted_trail_stop_price=MAX lmt_price_offset=MAX cash_qty=0 dont_use_auto_price_for_hedge=1 is_oms_container=0
auto_cancel_date filled_quantity ref_futures_con_id=NO_INT auto_cancel_parent=0 shareholder=NO_HOLDER imbalance_only=0
route_marketable_to_bbo=0 parent_perm_id=NO_LONG completed_time completed_status {_PEG_BEST}""",
)

CONTRACT_DETAILS = Layout(
    10,
    """request_id symbol sec_type=STK expiry strike=0 right exchange=SMART currency=USD local_symbol market_name=NMS
trading_class=NMS con_id min_tick=0.01 multiplier order_types valid_exchanges price_magnifier=1 under_con_id=0 long_name
primary_exchange contract_month industry category subcategory time_zone_id trading_hours liquid_hours ev_rule
ev_multiplier=0 sec_ids=0 agg_group=1 under_symbol under_sec_type market_rule_ids=26 real_expiration_date
stock_type=COMMON min_size=1 size_increment=1 suggested_size_increment=100""",
)
