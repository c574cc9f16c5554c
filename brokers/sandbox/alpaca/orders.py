"""/v2/orders: place, list, find, replace, cancel."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from brokers.sandbox.alpaca.errors import in_alpacas_words, invalid, unprocessable
from brokers.sandbox.alpaca.gate import ACCOUNT, BODY, FRONT, answer
from brokers.sandbox.alpaca.tickets import read_changes, read_client_order_id, read_ticket
from brokers.sandbox.alpaca.words import order_words
from brokers.sandbox.book import Order, Refused
from brokers.sandbox.venue import Venue
from tradingdesk.fix import Side

DEFAULT_LIMIT, MAX_LIMIT = 50, 500


async def new_order(request: web.Request) -> web.Response:
    """POST /v2/orders: the order as it was taken, before anything happened to it."""
    front, account = request.app[FRONT], request[ACCOUNT]
    ticket = read_ticket(request[BODY], front.venue)
    if ticket.side is Side.SELL and not front.venue.asset(ticket.symbol).about.shortable:
        _refuse_short_of(ticket.symbol, account, front.venue)
    order = front.venue.submit(account, ticket)
    return answer(order_words(order, front.venue.engine.legs_of(order)))


async def list_orders(request: web.Request) -> web.Response:
    """GET /v2/orders with status, limit, after, until, direction, symbols, side, nested."""
    venue, query = request.app[FRONT].venue, request.query
    limit = read_limit(query.get("limit"), DEFAULT_LIMIT, MAX_LIMIT)
    rising = read_direction(query.get("direction"))
    chosen = _filtered(_candidates(venue, request[ACCOUNT], query.get("status", "open"), rising), query)
    if is_nested(query):
        chosen = (order for order in chosen if not order.parent_id)
    return answer([_shown(request, order) for order, _ in zip(chosen, range(limit), strict=False)])


async def get_order(request: web.Request) -> web.Response:
    """GET /v2/orders/{order_id}."""
    return answer(_shown(request, _order_of(request)))


async def find_order(request: web.Request) -> web.Response:
    """GET /v2/orders:by_client_order_id."""
    wanted = request.query.get("client_order_id", "")
    if not wanted:
        raise invalid("client_order_id is required")
    return answer(order_words(request.app[FRONT].venue.engine.find_client(request[ACCOUNT], wanted)))


async def replace_order(request: web.Request) -> web.Response:
    """PATCH /v2/orders/{order_id}: the new order; that it takes the old one's place is not yet certain."""
    order, body = _order_of(request), request[BODY]
    changes = read_changes(body, order)
    client_order_id = read_client_order_id(body)
    venue = request.app[FRONT].venue
    new = venue.replace(request[ACCOUNT], order.order_id, client_order_id=client_order_id, **changes)
    return answer(order_words(new, venue.engine.legs_of(new)))


async def cancel_order(request: web.Request) -> web.Response:
    """DELETE /v2/orders/{order_id}: 204 says that the cancel was taken, not that it is done."""
    request.app[FRONT].venue.cancel(request[ACCOUNT], _order_of(request).order_id)
    return web.Response(status=204)


async def cancel_all_orders(request: web.Request) -> web.Response:
    """DELETE /v2/orders: how each open order's cancel was taken."""
    venue, account = request.app[FRONT].venue, request[ACCOUNT]
    return answer([cancel_words(venue, account, o) for o in list(venue.engine.open[account].values())], 207)


def cancel_words(venue: Venue, account: str, order: Order) -> dict:
    """Cancel one of several orders: its id and the status that a request of its own would have had."""
    try:
        venue.cancel(account, order.order_id)
    except Refused as refused:
        return {"id": order.order_id, "status": 500, "body": in_alpacas_words(refused).body}
    return {"id": order.order_id, "status": 200}


def read_limit(raw: str | None, default: int, largest: int) -> int:
    """A page size within its bounds. Raises AlpacaError."""
    if not raw:
        return default
    if not (raw.isascii() and raw.isdecimal()) or not 1 <= int(raw) <= largest:
        raise invalid(f"limit must be between 1 and {largest}")
    return int(raw)


def read_direction(raw: str | None) -> bool:
    """Whether the oldest come first. Raises AlpacaError."""
    if raw not in (None, "", "asc", "desc"):
        raise invalid("direction must be asc or desc")
    return raw == "asc"


def read_time(raw: str | None, field: str) -> datetime | None:
    """A time of a query, a plain date being its beginning in UTC. Raises AlpacaError."""
    if not raw:
        return None
    try:
        at = datetime.fromisoformat(raw.replace(" ", "+"))
    except (ValueError, OverflowError):
        raise invalid(f"{field} must be RFC 3339 or YYYY-MM-DD") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def is_nested(query: Mapping[str, str]) -> bool:
    """Whether legs are to be shown inside the orders that they were sent with. Raises AlpacaError."""
    asked = query.get("nested", "false").lower()  # alpaca-py writes True
    if asked not in ("true", "false"):
        raise invalid("nested must be true or false")
    return asked == "true"


def _shown(request: web.Request, order: Order) -> dict[str, Any]:
    return order_words(order, request.app[FRONT].venue.engine.legs_of(order) if is_nested(request.query) else ())


def _order_of(request: web.Request) -> Order:
    wanted = request.match_info["order_id"]
    try:
        uuid.UUID(wanted)
    except ValueError:
        raise invalid("order_id is invalid") from None
    return request.app[FRONT].venue.engine.find(request[ACCOUNT], wanted)


def _candidates(venue: Venue, account: str, status: str, rising: bool) -> Iterator[Order]:
    if status not in ("open", "closed", "all"):
        raise invalid("status must be open, closed or all")
    if status == "open":
        orders = list(venue.engine.open[account].values())
        yield from orders if rising else reversed(orders)
        return
    ids = venue.engine.of_account[account]
    for order in ids if rising else reversed(ids):
        if status == "all" or not order.is_open:
            yield order


def _filtered(orders: Iterator[Order], query) -> Iterator[Order]:
    tests: list[Callable[[Order], bool]] = []
    after, until = read_time(query.get("after"), "after"), read_time(query.get("until"), "until")
    if after:
        tests.append(lambda order: order.created_at > after)
    if until:
        tests.append(lambda order: order.created_at < until)
    if query.get("symbols"):
        symbols = {symbol.strip() for symbol in query["symbols"].split(",")}
        tests.append(lambda order: order.symbol in symbols)
    if query.get("side"):
        tests.append(lambda order: order.side.value == query["side"])
    return (order for order in orders if all(test(order) for test in tests))


def _refuse_short_of(symbol: str, account: str, venue: Venue) -> None:
    if venue.engine.accounts[account].position(symbol) <= 0:
        raise unprocessable(f'asset "{symbol}" cannot be sold short')
