"""The exits of a bracket, "oco" or "oto" order as asked for, checked for form.

A bracket is an entry with a take-profit and a stop-loss, an "oto" an entry with one of them. An "oco" closes what is
held: the order itself is the limit that takes the profit, beside a stop-loss.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from orders.numerals import read_decimal
from tradingdesk.errors import InvalidInput
from tradingdesk.fields import plain
from tradingdesk.fix import OrderClass, OrdType, Side, TimeInForce

_LASTING = (TimeInForce.DAY, TimeInForce.GTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeProfit:
    """A limit order that closes with a profit."""

    limit_price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class StopLoss:
    """A stop, or a stop-limit, that closes with a loss."""

    stop_price: Decimal
    limit_price: Decimal | None = None


class Ticket(Protocol):
    """What is read of an order here; `orders.ticket.OrderTicket` is one."""

    side: Side
    order_qty: Decimal | None
    notional: Decimal | None
    price: Decimal | None
    stop_px: Decimal | None
    time_in_force: TimeInForce
    order_class: OrderClass
    take_profit: TakeProfit | None
    stop_loss: StopLoss | None


def read_take_profit(name: str, value: Any) -> TakeProfit:
    """Read `{"limit_price": …}`. Raises InvalidInput, which names the part."""
    return TakeProfit(**_read_prices(name, value, needed=("limit_price",)))


def read_stop_loss(name: str, value: Any) -> StopLoss:
    """Read `{"stop_price": …}`, with `limit_price` for a stop-limit. Raises InvalidInput, which names the part."""
    return StopLoss(**_read_prices(name, value, needed=("stop_price",), optional=("limit_price",)))


def as_profit_taker(values: Mapping[str, Any]) -> dict[str, Any]:
    """Make an "oco" order's own type and price those of its take-profit.

    Raises:
        InvalidInput: they were given, too, and are others.
    """
    if values.get("ord_type", OrdType.LIMIT) != OrdType.LIMIT:
        raise InvalidInput("INVALID_CHOICE", "an oco order is itself the limit that takes the profit", "ord_type")
    profit = values.get("take_profit")
    if profit is None:
        raise InvalidInput("MISSING_FIELD", "take_profit is required for oco orders", "take_profit")
    if values.get("price", profit.limit_price) != profit.limit_price:
        raise InvalidInput("FIELD_NOT_ALLOWED", "price differs from take_profit.limit_price: give one of them", "price")
    return {**values, "ord_type": OrdType.LIMIT, "price": profit.limit_price}


def check_exits(ticket: Ticket) -> None:
    """Check which exits an order has, and where their prices lie. Raises InvalidInput."""
    _check_presence(ticket)
    if ticket.order_class != OrderClass.SIMPLE:
        _check_terms(ticket)
        _check_sides(ticket)


def closing_side(ticket: Ticket) -> Side:
    """The side of an order's exits."""
    return ticket.side if ticket.order_class == OrderClass.OCO else ticket.side.opposite


def exit_prices(ticket: Ticket) -> dict[str, Decimal | None]:
    """The prices of an order's exits, by the names that a body has for them."""
    profit, loss = ticket.take_profit, ticket.stop_loss
    stop = {"stop_loss.stop_price": loss.stop_price, "stop_loss.limit_price": loss.limit_price} if loss else {}
    return ({"take_profit.limit_price": profit.limit_price} if profit else {}) | stop


def _read_prices(name: str, value: Any, *, needed: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict:
    if not isinstance(value, Mapping):
        raise InvalidInput("INVALID_EXIT", f"{name}: give an object with {', '.join(needed)}", name)
    for part in value:
        if part not in needed + optional:
            raise InvalidInput("UNKNOWN_FIELD", f"{str(part)[:40]!r} is not a field of {name}", name)
    for part in needed:
        if value.get(part) is None:
            raise InvalidInput("MISSING_FIELD", f"{name}.{part} is required", f"{name}.{part}")
    given = {part: f"{name}.{part}" for part in needed + optional if value.get(part) is not None}
    return {part: read_decimal(whole, value[part]) for part, whole in given.items()}


def _check_presence(ticket: Ticket) -> None:
    name, given = ticket.order_class, {"take_profit": ticket.take_profit, "stop_loss": ticket.stop_loss}
    present = [exit_name for exit_name, value in given.items() if value is not None]
    if name == OrderClass.SIMPLE and present:
        raise InvalidInput("FIELD_NOT_ALLOWED", f"{present[0]} does not go with simple orders", present[0])
    if name == OrderClass.OTO and len(present) != 1:
        code = "FIELD_NOT_ALLOWED" if present else "MISSING_FIELD"
        raise InvalidInput(code, "give either take_profit or stop_loss with oto orders", "stop_loss")
    if name in (OrderClass.BRACKET, OrderClass.OCO):
        for missing in [exit_name for exit_name in given if exit_name not in present]:
            raise InvalidInput("MISSING_FIELD", f"{missing} is required for {name} orders", missing)


def _check_terms(ticket: Ticket) -> None:
    name = ticket.order_class
    if ticket.notional is not None:
        raise InvalidInput("INVALID_SIZE", f"notional does not go with {name} orders", "notional")
    if ticket.order_qty % 1:
        detail = f"order_qty={plain(ticket.order_qty)}: give whole units with {name} orders"
        raise InvalidInput("INVALID_SIZE", detail, "order_qty")
    if ticket.time_in_force not in _LASTING:
        raise InvalidInput("INVALID_CHOICE", f"give day or gtc with {name} orders", "time_in_force")


def _check_sides(ticket: Ticket) -> None:
    """A profit lies beyond the entry on the one side, a loss on the other; a stop's limit is no better."""
    up = -closing_side(ticket).sign  # an exit that sells takes its profit above, its loss below
    profit = ticket.take_profit.limit_price if ticket.take_profit else None
    stop, limit = (ticket.stop_loss.stop_price, ticket.stop_loss.limit_price) if ticket.stop_loss else (None, None)
    entry = None if ticket.order_class == OrderClass.OCO else ticket.price or ticket.stop_px
    _insist_beyond("take_profit.limit_price", profit, "the entry", entry, up)
    _insist_beyond("stop_loss.stop_price", stop, "the entry", entry, -up)
    _insist_beyond("stop_loss.stop_price", stop, "take_profit.limit_price", profit, -up)
    if limit is not None and (limit - stop) * up > 0:
        detail = f"{plain(limit)} is better than stop_price ({plain(stop)}): it would not protect"
        raise InvalidInput("PRICE_ON_WRONG_SIDE", detail, "stop_loss.limit_price")


def _insist_beyond(name: str, price: Decimal | None, what: str, other: Decimal | None, sign: int) -> None:
    if price is None or other is None or (price - other) * sign > 0:
        return
    where = "above" if sign > 0 else "below"
    raise InvalidInput("PRICE_ON_WRONG_SIDE", f"{plain(price)} is not {where} {what} ({plain(other)})", name)
