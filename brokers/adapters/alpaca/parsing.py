"""Alpaca's words to ours: pure functions over the JSON that alpaca-py gives back in raw mode.

A field that is missing or malformed raises KeyError, ValueError or TypeError: the adapter then calls the outcome
unknown. A word that Alpaca may add some day does not: see `status_of`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from brokers.messages import (
    AccountState,
    BarState,
    ClockState,
    ExecutionReport,
    InstrumentInfo,
    NewLeg,
    NewOrder,
    PositionState,
    QuoteState,
    ReplaceOrder,
)
from tradingdesk.fix import AssetClass, ExecType, LegRole, OrderClass, OrdStatus, OrdType, Side, TimeInForce

NEW_YORK = ZoneInfo("America/New_York")
STATUS = {
    "pending_new": OrdStatus.PENDING,
    "pending_review": OrdStatus.PENDING,
    "new": OrdStatus.NEW,
    "accepted": OrdStatus.NEW,
    "held": OrdStatus.NEW,
    "accepted_for_bidding": OrdStatus.NEW,
    "stopped": OrdStatus.NEW,
    "partially_filled": OrdStatus.PARTIALLY_FILLED,
    "filled": OrdStatus.FILLED,
    "done_for_day": OrdStatus.DONE_FOR_DAY,
    "calculated": OrdStatus.DONE_FOR_DAY,
    "suspended": OrdStatus.SUSPENDED,
    "pending_cancel": OrdStatus.PENDING_CANCEL,
    "pending_replace": OrdStatus.PENDING_REPLACE,
    "canceled": OrdStatus.CANCELED,
    "expired": OrdStatus.EXPIRED,
    "replaced": OrdStatus.REPLACED,
    "rejected": OrdStatus.REJECTED,
}
# The first answer to an order: fills are not told by it but by the activities, so a filled order was first "new".
FIRST_ANSWER = {
    OrdStatus.PENDING: ExecType.PENDING_NEW,
    OrdStatus.NEW: ExecType.NEW,
    OrdStatus.PARTIALLY_FILLED: ExecType.NEW,
    OrdStatus.FILLED: ExecType.NEW,
    OrdStatus.DONE_FOR_DAY: ExecType.DONE_FOR_DAY,
    OrdStatus.SUSPENDED: ExecType.SUSPENDED,
    OrdStatus.PENDING_CANCEL: ExecType.PENDING_CANCEL,
    OrdStatus.PENDING_REPLACE: ExecType.PENDING_REPLACE,
    OrdStatus.CANCELED: ExecType.CANCELED,
    OrdStatus.EXPIRED: ExecType.EXPIRED,
    OrdStatus.REPLACED: ExecType.REPLACED,
    OrdStatus.REJECTED: ExecType.REJECTED,
}
# Activities say sell_short, orders say sell: https://github.com/alpacahq/user-docs/pull/139
SIDE = {"buy": Side.BUY, "sell": Side.SELL, "sell_short": Side.SELL}
ORD_TYPE = {
    "market": OrdType.MARKET,
    "limit": OrdType.LIMIT,
    "stop": OrdType.STOP,
    "stop_limit": OrdType.STOP_LIMIT,
    "trailing_stop": OrdType.TRAILING_STOP,
}
TIME_IN_FORCE = {
    "day": TimeInForce.DAY,
    "gtc": TimeInForce.GTC,
    "ioc": TimeInForce.IOC,
    "fok": TimeInForce.FOK,
    "opg": TimeInForce.OPG,
    "cls": TimeInForce.CLS,
}
ASSET_CLASS = {
    "us_equity": AssetClass.US_EQUITY,
    "crypto": AssetClass.CRYPTO,
    "us_option": AssetClass.OPTION,
}
ORDER_CLASS = {"bracket": OrderClass.BRACKET, "oco": OrderClass.OCO, "oto": OrderClass.OTO}
LEG_ROLE = {"entry": LegRole.ENTRY, "take_profit": LegRole.TAKE_PROFIT, "stop_loss": LegRole.STOP_LOSS}
POSITION_SIGN = {"long": 1, "short": -1}
ACCOUNT_BLOCKS = ("trading_blocked", "account_blocked", "trade_suspended_by_user")


def order_request(order: NewOrder) -> dict[str, Any]:
    """Write an order as Alpaca's contract has it: every number an exact string."""
    return _without_none(
        client_order_id=order.client_order_id,
        symbol=order.symbol,
        side=order.side.value,
        type=order.ord_type.value,
        time_in_force=order.time_in_force.value,
        qty=exact(order.order_qty),
        notional=exact(order.notional),
        limit_price=exact(order.price),
        stop_price=exact(order.stop_px),
        trail_price=exact(order.trail_price),
        trail_percent=exact(order.trail_percent),
        extended_hours=order.extended_hours or None,
        **_exits(order),
    )


def _exits(order: NewOrder) -> dict[str, Any]:
    """The class of an order and its exits; the take-profit of an "oco" order is its own price."""
    if order.order_class == OrderClass.SIMPLE:
        return {}
    exits = {leg.role.value: _exit(leg) for leg in order.legs}
    if order.order_class == OrderClass.OCO:
        exits["take_profit"] = {"limit_price": exact(order.price)}
    return {"order_class": order.order_class.value, **exits}


def _exit(leg: NewLeg) -> dict[str, str]:
    return _without_none(limit_price=exact(leg.price), stop_price=exact(leg.stop_px))


def replace_request(request: ReplaceOrder) -> dict[str, Any]:
    """Write the changes of an order; the replacement's own client id always goes along."""
    return _without_none(
        client_order_id=request.client_order_id,
        qty=exact(request.order_qty),
        limit_price=exact(request.price),
        stop_price=exact(request.stop_px),
        trail=exact(request.trail_price),
        time_in_force=request.time_in_force.value if request.time_in_force else None,
    )


def order_report(raw: Mapping[str, Any], exec_type: ExecType = ExecType.ORDER_STATUS) -> ExecutionReport:
    """Read an order. `transact_time` is its last change at the broker."""
    cum_qty, order_qty = quantity(raw, "filled_qty"), quantity(raw, "qty")
    status, text = status_of(str(raw["status"]))
    return ExecutionReport(
        exec_type=exec_type,
        broker_order_id=_text(raw, "id"),
        client_order_id=raw.get("client_order_id") or "",
        transact_time=moment(raw.get("updated_at") or raw.get("submitted_at") or raw["created_at"]),
        status=status,
        symbol=raw.get("symbol") or "",
        side=SIDE.get(raw.get("side")),
        ord_type=ORD_TYPE.get(raw.get("type") or raw.get("order_type")),
        time_in_force=TIME_IN_FORCE.get(raw.get("time_in_force")),
        order_qty=order_qty,
        notional=quantity(raw, "notional"),
        price=quantity(raw, "limit_price"),
        stop_px=quantity(raw, "stop_price"),
        cum_qty=cum_qty,
        leaves_qty=leaves(status, order_qty, cum_qty),
        avg_px=quantity(raw, "filled_avg_price"),
        replaces=raw.get("replaces"),
        replaced_by=raw.get("replaced_by"),
        order_class=ORDER_CLASS.get(raw.get("order_class")),
        leg_role=leg_role(raw),
        legs=tuple(_leg_report(leg) for leg in raw.get("legs") or () if leg["status"] != "replaced"),
        text=text,
        raw=raw,
    )


def leg_role(raw: Mapping[str, Any]) -> LegRole | None:
    """What a leg is for; None for an order that is none, as an "oco" order is that takes the profit beside its stop."""
    role = LEG_ROLE.get(raw.get("group_role"))
    takes_profit_itself = raw.get("order_class") == "oco" and role == LegRole.TAKE_PROFIT
    return None if role == LegRole.ENTRY or takes_profit_itself else role


def _leg_report(raw: Mapping[str, Any]) -> ExecutionReport:
    """Read a leg inside its order; before Alpaca had roles, a leg's type told what it is for."""
    report = order_report(raw)
    by_type = LegRole.TAKE_PROFIT if report.ord_type == OrdType.LIMIT else LegRole.STOP_LOSS
    return replace(report, leg_role=report.leg_role or by_type)


def first_report(raw: Mapping[str, Any]) -> ExecutionReport:
    """Read the order in a submit's answer; `exec_type` says what became of the request."""
    return order_report(raw, FIRST_ANSWER[status_of(str(raw["status"]))[0]])


def status_of(word: str) -> tuple[OrdStatus, str]:
    """Map Alpaca's status, with the text to show beside it.

    A word we do not know means working: an order that may live is never taken for dead, and the word is kept.
    """
    status = STATUS.get(word)
    return (status, "") if status else (OrdStatus.NEW, f"status {word}")


def leaves(status: OrdStatus, order_qty: Decimal | None, cum_qty: Decimal | None) -> Decimal | None:
    """Derive what is still working, which Alpaca's orders do not carry; None for a notional order."""
    if status in (OrdStatus.CANCELED, OrdStatus.EXPIRED, OrdStatus.REPLACED, OrdStatus.REJECTED, OrdStatus.FILLED):
        return Decimal(0)
    return None if order_qty is None or cum_qty is None else max(order_qty - cum_qty, Decimal(0))


def fill_report(raw: Mapping[str, Any]) -> ExecutionReport:
    """Read a FILL activity: a trade, known by the activity's id. It names its order by the broker's id only."""
    return ExecutionReport(
        exec_type=ExecType.TRADE,
        exec_id=_text(raw, "id"),
        broker_order_id=_text(raw, "order_id"),
        transact_time=moment(raw["transaction_time"]),
        status=STATUS.get(raw.get("order_status")),
        symbol=_text(raw, "symbol"),
        side=SIDE[raw["side"]],
        last_qty=number(raw["qty"]),
        last_px=number(raw["price"]),
        cum_qty=quantity(raw, "cum_qty"),
        leaves_qty=quantity(raw, "leaves_qty"),
        source="activities",
        raw=raw,
    )


def account_state(raw: Mapping[str, Any], *, as_of: datetime) -> AccountState:
    """Read the account's figures; Alpaca stamps them with no time, so `as_of` is when they came."""
    blocks = [name for name in ACCOUNT_BLOCKS if raw.get(name)]
    if raw["status"] != "ACTIVE":
        blocks.append(f"status {raw['status']}")
    return AccountState(
        account_id=raw.get("account_number") or _text(raw, "id"),
        currency=raw.get("currency") or "USD",
        cash=number(raw["cash"]),
        equity=number(raw["equity"]),
        portfolio_value=number(raw.get("portfolio_value") or raw["equity"]),
        buying_power=number(raw["buying_power"]),
        as_of=as_of,
        trading_blocked=bool(blocks),
        shorting_enabled=bool(raw.get("shorting_enabled", True)),
        initial_margin=quantity(raw, "initial_margin"),
        maintenance_margin=quantity(raw, "maintenance_margin"),
        text=", ".join(blocks),
        raw=raw,
    )


def position_state(raw: Mapping[str, Any]) -> PositionState:
    """Read a position. `side` decides the sign: whether Alpaca signs a short's quantity is not documented."""
    return PositionState(
        symbol=_text(raw, "symbol"),
        qty=abs(number(raw["qty"])) * POSITION_SIGN[raw["side"]],
        avg_px=number(raw["avg_entry_price"]),
        market_value=quantity(raw, "market_value"),
        raw=raw,
    )


def instrument_info(raw: Mapping[str, Any]) -> InstrumentInfo | None:
    """Read an asset; None for a class of asset that the desk does not trade."""
    asset_class = ASSET_CLASS.get(raw["class"])
    if asset_class is None:
        return None
    return InstrumentInfo(
        symbol=_text(raw, "symbol"),
        broker_instrument_id=_text(raw, "id"),
        asset_class=asset_class,
        currency="USD",
        name=raw.get("name") or "",
        exchange=raw.get("exchange") or "",
        tradable=bool(raw["tradable"]) and raw.get("status") == "active",
        fractionable=bool(raw.get("fractionable")),
        shortable=bool(raw.get("shortable")),
        marginable=bool(raw.get("marginable")),
        price_increment=quantity(raw, "price_increment"),
        min_order_qty=quantity(raw, "min_order_size"),
        raw=raw,
    )


def quote_state(symbol: str, raw: Mapping[str, Any], *, feed: str) -> QuoteState:
    """Read a latest quote; a price of 0 is an empty side, and so is its size then."""
    bid_px, ask_px = number(raw["bp"]), number(raw["ap"])
    return QuoteState(
        symbol=symbol,
        bid_px=bid_px,
        bid_size=number(raw["bs"]) if bid_px else Decimal(0),
        ask_px=ask_px,
        ask_size=number(raw["as"]) if ask_px else Decimal(0),
        quote_time=moment(raw["t"]),
        feed=feed,
    )


def bar_state(symbol: str, raw: Mapping[str, Any], *, feed: str) -> BarState:
    """Read a daily bar, which bears the time at which its day begins in New York."""
    return BarState(
        symbol=symbol,
        day=moment(raw["t"]).astimezone(NEW_YORK).date(),
        open_px=number(raw["o"]),
        high_px=number(raw["h"]),
        low_px=number(raw["l"]),
        close_px=number(raw["c"]),
        volume=number(raw["v"]),
        feed=feed,
    )


def clock_state(raw: Mapping[str, Any]) -> ClockState:
    """Read the market's clock; Alpaca gives New York's offset, we keep UTC."""
    return ClockState(
        timestamp=moment(raw["timestamp"]),
        is_open=bool(raw["is_open"]),
        next_open=moment(raw["next_open"]),
        next_close=moment(raw["next_close"]),
    )


def exact(value: Decimal | None) -> str | None:
    """Write a number without exponent and without the zeros that a database column adds."""
    if value is None:
        return None
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def number(value: Any) -> Decimal:
    """Read a number from a string, an integer or a Decimal.

    Raises:
        ValueError: it is no finite number.
    """
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"not a number: {value!r}") from None
    if not found.is_finite():
        raise ValueError(f"not a finite number: {value!r}")
    return found


def quantity(raw: Mapping[str, Any], name: str) -> Decimal | None:
    """Read a number that may be absent, null or empty."""
    value = raw.get(name)
    return None if value is None or value == "" else number(value)


def moment(text: str) -> datetime:
    """Read an RFC 3339 time as UTC; digits below the microsecond, which Alpaca sends, are cut off.

    Raises:
        ValueError: it is no such time, or it has no offset.
    """
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"a time without offset: {text!r}")
    return found.astimezone(UTC)


def _text(raw: Mapping[str, Any], name: str) -> str:
    value = raw[name]
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name}: {value!r}")
    return value


def _without_none(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
