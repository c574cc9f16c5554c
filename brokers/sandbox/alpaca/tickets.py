"""From the body of a request to a ticket or a change, with Alpaca's rules on the way.

Numbers may come as JSON strings or numbers; both become exact decimals.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeVar

from brokers.sandbox.accounts import Asset
from brokers.sandbox.alpaca.errors import error, forbidden, invalid, unprocessable
from brokers.sandbox.alpaca.numbers import check_tick, read_decimal
from brokers.sandbox.alpaca.ticket_legs import with_legs
from brokers.sandbox.book import NEVER_RESTING, STOP_TYPES, Order, Ticket
from brokers.sandbox.venue import Venue
from tradingdesk.fix import OrdType, Side, TimeInForce

MAX_CLIENT_ORDER_ID = 128
NEEDS_LIMIT = frozenset({OrdType.LIMIT, OrdType.STOP_LIMIT})
NEEDS_STOP = frozenset({OrdType.STOP, OrdType.STOP_LIMIT})
E = TypeVar("E", OrdType, Side, TimeInForce)


def read_ticket(body: Mapping[str, Any], venue: Venue) -> Ticket:
    """A new order from its request. Raises AlpacaError."""
    asset = _asset(body, venue)
    ticket = Ticket(
        symbol=asset.symbol,
        side=_word(body, "side", Side),
        ord_type=_word(body, "type", OrdType),
        time_in_force=_word(body, "time_in_force", TimeInForce),
        order_qty=read_decimal(body, "qty"),
        notional=read_decimal(body, "notional"),
        price=read_decimal(body, "limit_price"),
        stop_px=read_decimal(body, "stop_price"),
        trail_price=read_decimal(body, "trail_price"),
        trail_percent=read_decimal(body, "trail_percent"),
        extended_hours=_flag(body, "extended_hours"),
        client_order_id=read_client_order_id(body),
    )
    ticket = with_legs(ticket, body)
    _check_size(ticket, asset)
    _check_prices(ticket)
    _check_time_in_force(ticket)
    return ticket


def read_changes(body: Mapping[str, Any], order: Order) -> dict[str, Any]:
    """What a PATCH changes, as fields of the engine's order. Raises AlpacaError."""
    if order.notional is not None or read_decimal(body, "notional") is not None:
        raise unprocessable("notional orders cannot be replaced")
    changes = {"order_qty": _whole(read_decimal(body, "qty"), order)}
    changes |= {"price": read_decimal(body, "limit_price"), "stop_px": read_decimal(body, "stop_price")}
    changes |= {_trail_field(order): read_decimal(body, "trail")}
    if body.get("time_in_force") is not None:
        changes["time_in_force"] = _word(body, "time_in_force", TimeInForce)
    changes = {name: value for name, value in changes.items() if value is not None}
    if not changes and not body.get("client_order_id"):
        raise unprocessable("order parameters are not changed")
    _check_change(changes, order)
    return changes


def read_client_order_id(body: Mapping[str, Any]) -> str:
    """The client's id, empty when none is given. Raises AlpacaError."""
    given = body.get("client_order_id")
    if given is None:
        return ""
    if not isinstance(given, str) or len(given) > MAX_CLIENT_ORDER_ID:
        raise invalid(f"client_order_id must be no more than {MAX_CLIENT_ORDER_ID} characters")
    return given


def _asset(body: Mapping[str, Any], venue: Venue) -> Asset:
    symbol = body.get("symbol")
    if not isinstance(symbol, str) or not symbol:
        raise invalid("symbol is required")
    asset = venue.asset(symbol)
    if asset is None:
        raise unprocessable(f'asset "{symbol}" not found')
    if not asset.about.tradable:
        raise unprocessable(f'asset "{asset.symbol}" is not tradable')
    return asset


def _word(body: Mapping[str, Any], field: str, kind: type[E]) -> E:
    raw = body.get(field)
    if raw is None:
        raise invalid(f"{field} is required")
    if not isinstance(raw, str) or raw not in kind.values:
        raise invalid(f"invalid {field}")
    return kind(raw)


def _flag(body: Mapping[str, Any], field: str) -> bool:
    raw = body.get(field)
    if raw is not None and not isinstance(raw, bool):
        raise error(400, 40010000, "request body format is invalid")
    return bool(raw)


def _check_size(ticket: Ticket, asset: Asset) -> None:
    if ticket.order_qty is None and ticket.notional is None:
        raise invalid("qty or notional is required")
    if ticket.order_qty is not None and ticket.notional is not None:
        raise invalid("only one of qty or notional is accepted")
    if ticket.notional is not None and ticket.ord_type is not OrdType.MARKET:
        raise unprocessable("notional orders must be market orders")
    if ticket.notional is None and not ticket.order_qty % 1:
        return
    if not asset.about.fractionable:
        raise forbidden(f'asset "{asset.symbol}" is not fractionable')
    if ticket.time_in_force is not TimeInForce.DAY:
        raise unprocessable("fractional orders must be DAY orders")
    if ticket.ord_type is OrdType.TRAILING_STOP:
        raise unprocessable("fractional orders cannot be trailing stop orders")


def _check_prices(ticket: Ticket) -> None:
    kind = ticket.ord_type
    _presence("limit price", ticket.price, kind in NEEDS_LIMIT, kind)
    _presence("stop price", ticket.stop_px, kind in NEEDS_STOP, kind)
    trails = [t for t in (ticket.trail_price, ticket.trail_percent) if t is not None]
    if kind is OrdType.TRAILING_STOP and len(trails) != 1:
        raise invalid("trailing stop orders must specify one of trail_price or trail_percent")
    if kind is not OrdType.TRAILING_STOP and trails:
        raise invalid(f"{kind.value} orders must not have a trail")
    check_tick("limit_price", ticket.price)
    check_tick("stop_price", ticket.stop_px)


def _presence(what: str, value: Decimal | None, wanted: bool, kind: OrdType) -> None:
    if wanted and value is None:
        raise invalid(f"{kind.value} orders require a {what}")
    if not wanted and value is not None:
        raise invalid(f"{kind.value} orders must not have a {what}")


def _check_time_in_force(ticket: Ticket) -> None:
    if ticket.time_in_force in NEVER_RESTING and ticket.ord_type in STOP_TYPES:
        raise unprocessable(f"invalid time_in_force {ticket.time_in_force.value} for {ticket.ord_type.value} orders")
    if ticket.extended_hours and (ticket.ord_type is not OrdType.LIMIT or ticket.time_in_force in NEVER_RESTING):
        raise unprocessable("extended hours order must be DAY or GTC limit orders")


def _whole(qty: Decimal | None, order: Order) -> Decimal | None:
    if qty is not None and qty % 1:
        raise unprocessable("qty must be a whole number: fractional quantities cannot be replaced")
    return qty


def _trail_field(order: Order) -> str:
    return "trail_percent" if order.trail_percent is not None else "trail_price"


def _check_change(changes: Mapping[str, Any], order: Order) -> None:
    for field, wire, kinds in (("price", "limit_price", NEEDS_LIMIT), ("stop_px", "stop_price", NEEDS_STOP)):
        if field in changes and order.ord_type not in kinds:
            raise unprocessable(f"{wire} cannot be set on a {order.ord_type.value} order")
        check_tick(wire, changes.get(field))
    if _trail_field(order) in changes and order.ord_type is not OrdType.TRAILING_STOP:
        raise unprocessable(f"trail cannot be set on a {order.ord_type.value} order")
    if changes.get("time_in_force", TimeInForce.DAY) not in (TimeInForce.DAY, TimeInForce.GTC):
        raise unprocessable("time_in_force can be changed to day or gtc only")
