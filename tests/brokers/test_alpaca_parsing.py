"""Alpaca's words to the desk's: tables and Alpaca's own examples."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from brokers.adapters.alpaca import parsing
from brokers.messages import NewLeg, ReplaceOrder
from tests.brokers.alpaca_samples import ORDER_ID, market_order, new_order, raw_fill, raw_order
from tradingdesk.fix import AssetClass, ExecType, LegRole, OrderClass, OrdStatus, OrdType, Side, TimeInForce

EXITS = (
    NewLeg("desk-1-L1", LegRole.TAKE_PROFIT, price=Decimal("190.50")),
    NewLeg("desk-1-L2", LegRole.STOP_LOSS, price=Decimal("169.5"), stop_px=Decimal(170)),
)

CONTRACT_STATUSES = {
    "new": ("new", "new"),
    "partially_filled": ("partially_filled", "new"),
    "filled": ("filled", "new"),
    "done_for_day": ("done_for_day", "done_for_day"),
    "canceled": ("canceled", "canceled"),
    "expired": ("expired", "expired"),
    "replaced": ("replaced", "replaced"),
    "pending_cancel": ("pending_cancel", "pending_cancel"),
    "pending_replace": ("pending_replace", "pending_replace"),
    "accepted": ("new", "new"),
    "pending_new": ("pending", "pending_new"),
    "accepted_for_bidding": ("new", "new"),
    "stopped": ("new", "new"),
    "rejected": ("rejected", "rejected"),
    "suspended": ("suspended", "suspended"),
    "calculated": ("done_for_day", "done_for_day"),
    "held": ("new", "new"),
}


@pytest.fixture(scope="module")
def contract(shared) -> dict:
    path = shared / "contracts" / "alpaca" / "trading-api.json"
    if not path.is_file():
        pytest.skip(f"no published contract at {path}")
    return json.loads(path.read_text())["components"]


@pytest.mark.parametrize(("word", "ours"), CONTRACT_STATUSES.items())
def test_each_status_has_its_word_and_its_first_answer(word, ours):
    report = parsing.first_report(raw_order(status=word))
    assert (report.status, report.exec_type, report.text) == (*ours, "")
    assert parsing.order_report(raw_order(status=word)).exec_type == ExecType.ORDER_STATUS


def test_every_status_of_the_published_contract_is_in_the_table(contract):
    assert set(contract["schemas"]["OrderStatus"]["enum"]) == set(CONTRACT_STATUSES)


def test_unknown_status_is_taken_for_a_working_order_and_its_word_is_kept():
    report = parsing.first_report(raw_order(status="pondering"))
    assert (report.status, report.exec_type, report.text) == (OrdStatus.NEW, ExecType.NEW, "status pondering")
    assert report.leaves_qty == 10


def test_order_is_read_with_exact_numbers_and_its_last_change():
    raw = raw_order(status="partially_filled", qty="10.123456789", filled_qty="3.1", filled_avg_price="181.249999999")
    report = parsing.order_report(raw)
    assert report.broker_order_id == ORDER_ID
    assert report.client_order_id == "desk-1"
    assert report.transact_time == datetime(2025, 12, 12, 22, 31, 24, 668464, tzinfo=UTC)
    assert (report.side, report.ord_type, report.time_in_force) == (Side.BUY, OrdType.LIMIT, TimeInForce.DAY)
    assert (report.order_qty, report.cum_qty, report.leaves_qty) == (
        Decimal("10.123456789"),
        Decimal("3.1"),
        Decimal("7.023456789"),
    )
    assert (report.avg_px, report.price, report.stop_px) == (Decimal("181.249999999"), Decimal("181.25"), None)
    assert report.exec_id is None
    assert report.raw is raw


@pytest.mark.parametrize("status", ["filled", "canceled", "expired", "replaced", "rejected"])
def test_order_that_has_ended_leaves_nothing(status):
    assert parsing.order_report(raw_order(status=status, filled_qty="4")).leaves_qty == 0


def test_notional_order_has_no_quantity():
    report = parsing.order_report(raw_order(qty=None, notional="500.75", type="market", limit_price=None))
    assert (report.order_qty, report.notional, report.leaves_qty) == (None, Decimal("500.75"), None)


def test_published_order_examples_are_read(contract):
    read = [parsing.order_report(example) for example in _order_examples(contract)]
    assert len(read) >= 3
    assert all(report.transact_time.tzinfo is UTC and report.status for report in read)


def _order_examples(contract: dict) -> list[dict]:
    found = [example["value"] for name, example in contract["examples"].items() if name.endswith("OrderResponse")]
    return [example for example in found if isinstance(example, dict)]


def test_published_fill_examples_are_read(contract):
    for example in contract["schemas"]["TradingActivities"]["examples"]:
        report = parsing.fill_report(example)
        assert (report.exec_type, report.exec_id) == (ExecType.TRADE, example["id"])
        assert (report.last_qty, report.last_px) == (Decimal(example["qty"]), Decimal(example["price"]))


def test_published_account_position_asset_and_clock_examples_are_read(contract):
    schemas = contract["schemas"]
    account = parsing.account_state(schemas["Account"]["examples"][0], as_of=datetime.now(UTC))
    assert (account.account_id, account.cash, account.trading_blocked) == ("010203ABCD", Decimal("-23140.2"), False)
    assert [parsing.position_state(raw).qty for raw in schemas["Position"]["examples"]] == [5, 2]
    asset = parsing.instrument_info(schemas["Assets"]["examples"][0])
    assert (asset.symbol, asset.asset_class, asset.tradable) == ("AAPL", AssetClass.US_EQUITY, True)
    clock = parsing.clock_state(schemas["legacy_clock"]["example"])
    assert clock.next_close == datetime(2025, 6, 24, 20, tzinfo=UTC)


def test_fill_is_a_trade_known_by_its_activity():
    report = parsing.fill_report(raw_fill())
    assert (report.exec_type, report.exec_id, report.broker_order_id) == (ExecType.TRADE, raw_fill()["id"], ORDER_ID)
    assert report.transact_time == datetime(2025, 12, 12, 18, 30, 1, 981482, tzinfo=UTC)
    assert (report.last_qty, report.last_px, report.cum_qty, report.leaves_qty) == (2, Decimal("181.25"), 2, 8)
    assert (report.status, report.client_order_id) == (OrdStatus.PARTIALLY_FILLED, "")


def test_short_sale_is_a_sell():
    assert parsing.fill_report(raw_fill(side="sell_short")).side == Side.SELL


@pytest.mark.parametrize(("qty", "side", "signed"), [("5", "long", 5), ("5", "short", -5), ("-5", "short", -5)])
def test_side_decides_the_sign_of_a_position(qty, side, signed):
    raw = {"symbol": "IBM", "qty": qty, "side": side, "avg_entry_price": "181.2", "market_value": None}
    assert parsing.position_state(raw).qty == signed


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"trading_blocked": True}, "trading_blocked"),
        ({"account_blocked": True}, "account_blocked"),
        ({"trade_suspended_by_user": True}, "trade_suspended_by_user"),
        ({"status": "ONBOARDING"}, "status ONBOARDING"),
    ],
)
def test_account_that_may_not_trade_says_why(changes, text):
    raw = {"id": "x", "status": "ACTIVE", "cash": "1", "equity": "2", "buying_power": "3"} | changes
    state = parsing.account_state(raw, as_of=datetime.now(UTC))
    assert (state.trading_blocked, state.text, state.portfolio_value) == (True, text, 2)


def test_inactive_asset_is_not_tradable_and_foreign_classes_are_left_out():
    raw = {"id": "x", "symbol": "OLD", "class": "us_equity", "status": "inactive", "tradable": True}
    assert parsing.instrument_info(raw).tradable is False
    assert parsing.instrument_info(raw | {"class": "crypto_perp"}) is None


def test_quote_without_an_ask_has_an_empty_side():
    raw = {"bp": Decimal("181.2"), "bs": 300, "ap": 0, "as": 100, "t": "2025-12-12T18:30:01.123456789Z"}
    quote = parsing.quote_state("IBM", raw, feed="iex")
    assert (quote.bid_px, quote.bid_size, quote.ask_px, quote.ask_size) == (Decimal("181.2"), 300, 0, 0)
    assert quote.quote_time.microsecond == 123456


@pytest.mark.parametrize("bad", ["", "abc", "NaN", "Infinity", None])
def test_malformed_number_is_refused(bad):
    with pytest.raises(ValueError, match="not a"):
        parsing.number(bad)


@pytest.mark.parametrize("bad", ["2025-12-12T18:30:01", "yesterday", ""])
def test_time_without_offset_or_sense_is_refused(bad):
    with pytest.raises(ValueError):
        parsing.moment(bad)


@given(st.decimals(min_value=0, max_value=10**15, places=9, allow_nan=False))
def test_numbers_go_out_exact_and_plain(value):
    text = parsing.exact(value)
    assert Decimal(text) == value
    assert "E" not in text.upper()


@pytest.mark.parametrize(
    ("value", "text"),
    [("10.000000000", "10"), ("1E+3", "1000"), ("0.100", "0.1"), ("100", "100"), ("1E-9", "0.000000001")],
)
def test_numbers_go_out_without_exponent_or_idle_zeros(value, text):
    assert parsing.exact(Decimal(value)) == text


def test_order_request_holds_strings_only_and_always_the_client_id():
    request = parsing.order_request(new_order(price=Decimal("181.250000000")))
    assert request == {
        "client_order_id": "desk-1",
        "symbol": "IBM",
        "side": "buy",
        "type": "limit",
        "time_in_force": "day",
        "qty": "10",
        "limit_price": "181.25",
    }
    assert all(type(value) is str for value in request.values())


@pytest.mark.parametrize(
    "order",
    [
        new_order(),
        market_order(order_qty=Decimal("0.123456789")),
        market_order(order_qty=None, notional=Decimal("500.75")),
        new_order(ord_type=OrdType.STOP_LIMIT, stop_px=Decimal(180), side=Side.SELL),
        market_order(ord_type=OrdType.STOP, stop_px=Decimal(180), time_in_force=TimeInForce.GTC),
        market_order(ord_type=OrdType.TRAILING_STOP, trail_percent=Decimal("1.5")),
        market_order(ord_type=OrdType.TRAILING_STOP, trail_price=Decimal(1), time_in_force=TimeInForce.IOC),
        new_order(order_class=OrderClass.BRACKET, legs=EXITS),
        new_order(order_class=OrderClass.OTO, legs=EXITS[:1]),
        new_order(side=Side.SELL, order_class=OrderClass.OCO, legs=EXITS[1:]),
    ],
)
def test_order_request_keeps_to_the_published_contract(contract, order):
    assert _faults(contract, "CreateOrderRequest", parsing.order_request(order)) == []


def test_replace_request_keeps_to_the_published_contract(contract):
    request = ReplaceOrder("desk-1-R2", "desk-1", ORDER_ID, order_qty=Decimal(4), price=Decimal(155))
    trailing = ReplaceOrder("desk-1-R2", "desk-1", ORDER_ID, trail_price=Decimal(1), time_in_force=TimeInForce.GTC)
    for wanted in (request, trailing):
        assert _faults(contract, "PatchOrderRequest", parsing.replace_request(wanted)) == []


def _faults(contract: dict, schema: str, request: dict) -> list[str]:
    """What the schema finds wrong; fields that it does not name count too."""
    checker = Draft202012Validator({"$ref": f"#/components/schemas/{schema}", "components": contract})
    unknown = set(request) - set(contract["schemas"][schema]["properties"])
    return [*(error.message for error in checker.iter_errors(request)), *sorted(unknown)]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=3,
)
TIMES_AND_NUMBERS = st.sampled_from(["0001-01-01T00:00:00+23:00", "1e999999999", "-1e-999999999", "sNaN", "9" * 400])
UNREADABLE = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError)


@given(st.data())
def test_order_with_any_field_gone_wrong_is_read_or_refused_as_unreadable(data):
    field = data.draw(st.sampled_from(sorted(raw_order())))
    raw = raw_order(**{field: data.draw(JSON_VALUES | TIMES_AND_NUMBERS)})
    try:
        report = parsing.first_report(raw)
    except UNREADABLE:
        return
    assert report.broker_order_id
    assert report.transact_time.tzinfo is UTC
    assert report.status in OrdStatus


@given(st.data())
def test_fill_with_any_field_gone_wrong_is_read_or_refused_as_unreadable(data):
    field = data.draw(st.sampled_from(sorted(raw_fill())))
    raw = raw_fill(**{field: data.draw(JSON_VALUES | TIMES_AND_NUMBERS)})
    try:
        report = parsing.fill_report(raw)
    except UNREADABLE:
        return
    assert report.exec_id
    assert report.broker_order_id
    assert report.last_qty.is_finite()
    assert report.last_px.is_finite()


def test_bracket_is_written_with_its_exits_and_read_with_its_legs():
    body = parsing.order_request(new_order(order_class=OrderClass.BRACKET, legs=EXITS))
    assert body["order_class"] == "bracket"
    assert body["take_profit"] == {"limit_price": "190.5"}
    assert body["stop_loss"] == {"stop_price": "170", "limit_price": "169.5"}

    group = {"order_class": "bracket", "group_id": "3f1c2b7e-8d4a-4c6e-9f2a-5b7d1e0c9a84"}
    profit = raw_order(id="p", status="held", group_role="take_profit", **group)
    loss = raw_order(id="l", status="held", type="stop", limit_price=None, stop_price="170", **group)
    gone = raw_order(id="g", status="replaced", group_role="take_profit", **group)
    report = parsing.order_report(raw_order(legs=[profit, loss, gone], group_role="entry", **group))
    assert (report.order_class, report.leg_role) == (OrderClass.BRACKET, None)
    assert [(leg.broker_order_id, leg.leg_role, leg.status) for leg in report.legs] == [
        ("p", LegRole.TAKE_PROFIT, OrdStatus.NEW),
        ("l", LegRole.STOP_LOSS, OrdStatus.NEW),
    ]


def test_oco_takes_the_profit_itself_and_its_leg_is_the_stop():
    leg = NewLeg("desk-1-L1", LegRole.STOP_LOSS, stop_px=Decimal(170))
    body = parsing.order_request(new_order(side=Side.SELL, price=Decimal(190), order_class=OrderClass.OCO, legs=(leg,)))
    assert (body["limit_price"], body["take_profit"], body["stop_loss"]) == (
        "190",
        {"limit_price": "190"},
        {"stop_price": "170"},
    )
    roles = {
        role: parsing.leg_role({"order_class": "oco", "group_role": role}) for role in ("take_profit", "stop_loss")
    }
    assert roles == {"take_profit": None, "stop_loss": LegRole.STOP_LOSS}
