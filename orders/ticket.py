"""What someone asks the desk to trade, checked for form. What the desk knows of the world comes later, in intake."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from decimal import Decimal
from enum import Enum
from typing import Any

from orders.exits import StopLoss, TakeProfit, as_profit_taker, check_exits, read_stop_loss, read_take_profit
from orders.numerals import read_decimal
from tradingdesk.errors import InvalidInput
from tradingdesk.fields import MONEY_PLACES
from tradingdesk.fix import OrderClass, OrdType, Side, TimeInForce

_CLIENT_ORDER_ID = re.compile(r"[A-Za-z0-9._-]{1,40}")
_SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9./-]{0,31}")
_BROKER_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_PLAIN_TEXT = re.compile(r"[^\x00-\x1f\x7f]{0,64}")

_PRICE_FIELDS = ("price", "stop_px", "trail_price", "trail_percent")
_NEEDED = {
    OrdType.MARKET: (),
    OrdType.LIMIT: ("price",),
    OrdType.STOP: ("stop_px",),
    OrdType.STOP_LIMIT: ("price", "stop_px"),
    OrdType.TRAILING_STOP: (),
}
_ALLOWED = {**_NEEDED, OrdType.TRAILING_STOP: ("trail_price", "trail_percent")}


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderTicket:
    """An order as asked for. Exactly one of `order_qty` (units) and `notional` (quote currency) is set."""

    symbol: str
    side: Side
    order_qty: Decimal | None = None
    notional: Decimal | None = None
    ord_type: OrdType = OrdType.MARKET
    price: Decimal | None = None
    stop_px: Decimal | None = None
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.DAY
    extended_hours: bool = False
    order_class: OrderClass = OrderClass.SIMPLE
    take_profit: TakeProfit | None = None
    stop_loss: StopLoss | None = None
    broker_name: str = ""
    client_order_id: str = ""
    strategy: str = ""
    list_id: str = ""
    defer: bool = False

    def body_hash(self) -> str:
        """Fingerprint of everything but the id: two bodies with one id must agree on it."""
        values = {name: value for name, value in asdict(self).items() if name != "client_order_id"}
        # Orders that were taken before there were exits and lists keep their fingerprints.
        values = {name: value for name, value in values.items() if value or name not in _LATER}
        parts = [f"{name}={_canonical(value)}" for name, value in values.items()]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


TICKET_FIELDS = tuple(field.name for field in fields(OrderTicket))


def parse_ticket(body: Mapping[str, Any]) -> OrderTicket:
    """Read an order body.

    Raises:
        InvalidInput: a field is unknown, missing, of the wrong type or out of range, or two do not go together.
    """
    _refuse_unknown(body)
    values = {name: reader(name, body[name]) for name, reader in _READERS.items() if body.get(name) is not None}
    for name in ("symbol", "side"):
        if name not in values:
            raise InvalidInput("MISSING_FIELD", f"{name} is required", name)
    if values.get("order_class") == OrderClass.OCO:
        values = as_profit_taker(values)
    ticket = OrderTicket(**values)
    _check_size(ticket)
    _check_prices(ticket)
    check_exits(ticket)
    return ticket


def _read_quantity(name: str, value: Any) -> Decimal:
    return read_decimal(name, value)


def _read_money(name: str, value: Any) -> Decimal:
    return read_decimal(name, value, places=MONEY_PLACES)


def _read_bool(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidInput("INVALID_BOOLEAN", f"{name}={str(value)[:40]!r}: give true or false", name)
    return value


def _read_choice(kind: type[Enum]):
    def read(name: str, value: Any):
        try:
            return kind(value)
        except ValueError:
            allowed = ", ".join(choice.value for choice in kind)
            raise InvalidInput("INVALID_CHOICE", f"{name}={str(value)[:40]!r}: give one of {allowed}", name) from None

    return read


def _read_text(pattern: re.Pattern, form: str):
    def read(name: str, value: Any) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise InvalidInput("INVALID_TEXT", f"{name}={str(value)[:48]!r}: give {form}", name)
        return value

    return read


def _read_symbol(name: str, value: Any) -> str:
    upper = value.strip().upper() if isinstance(value, str) else value
    return _read_text(_SYMBOL, "a symbol such as IBM")(name, upper)


_READERS = {
    "symbol": _read_symbol,
    "side": _read_choice(Side),
    "order_qty": _read_quantity,
    "notional": _read_money,
    "ord_type": _read_choice(OrdType),
    **dict.fromkeys(_PRICE_FIELDS, _read_quantity),
    "time_in_force": _read_choice(TimeInForce),
    "extended_hours": _read_bool,
    "order_class": _read_choice(OrderClass),
    "take_profit": read_take_profit,
    "stop_loss": read_stop_loss,
    "broker_name": _read_text(_BROKER_NAME, "the name of a configured account"),
    "client_order_id": _read_text(_CLIENT_ORDER_ID, "1 to 40 of A-Z a-z 0-9 . _ -"),
    "strategy": _read_text(_PLAIN_TEXT, "at most 64 characters, none of them control characters"),
    "list_id": _read_text(_CLIENT_ORDER_ID, "1 to 40 of A-Z a-z 0-9 . _ -"),
    "defer": _read_bool,
}
_LATER = ("take_profit", "stop_loss", "list_id")


def _refuse_unknown(body: Mapping[str, Any]) -> None:
    if not isinstance(body, Mapping):
        raise InvalidInput("INVALID_BODY", "give one JSON object")
    for name in body:
        if name not in _READERS:
            raise InvalidInput("UNKNOWN_FIELD", f"{str(name)[:40]!r} is not a field of an order", str(name)[:40])


def _check_size(ticket: OrderTicket) -> None:
    if (ticket.order_qty is None) == (ticket.notional is None):
        raise InvalidInput("INVALID_SIZE", "give either order_qty or notional", "order_qty")
    if ticket.notional is not None and ticket.ord_type != OrdType.MARKET:
        raise InvalidInput("INVALID_SIZE", f"notional goes with market orders only, not {ticket.ord_type}", "notional")


def _check_prices(ticket: OrderTicket) -> None:
    for name in _NEEDED[ticket.ord_type]:
        if getattr(ticket, name) is None:
            raise InvalidInput("MISSING_FIELD", f"{name} is required for {ticket.ord_type} orders", name)
    for name in _PRICE_FIELDS:
        if getattr(ticket, name) is not None and name not in _ALLOWED[ticket.ord_type]:
            raise InvalidInput("FIELD_NOT_ALLOWED", f"{name} does not go with {ticket.ord_type} orders", name)
    if ticket.ord_type == OrdType.TRAILING_STOP and (ticket.trail_price is None) == (ticket.trail_percent is None):
        raise InvalidInput("MISSING_FIELD", "give either trail_price or trail_percent", "trail_price")
    if ticket.trail_percent is not None and ticket.trail_percent >= 100:
        raise InvalidInput(
            "TOO_LARGE", f"trail_percent={ticket.trail_percent}: give a percentage below 100", "trail_percent"
        )


def _canonical(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, dict):
        return " ".join(f"{name}:{_canonical(part)}" for name, part in value.items())
    return "" if value is None else str(value)
