"""Whether a desk's books and the venues' own records say the same; functions of values, for any desk.

What an order is called tells who wanted it: a client id up to its `~`. The desk sends one id an order; a client that
makes up another for its next try is seen to have the order twice.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

Fills = Counter  # of (side, quantity, price)
NEVER_TAKEN = {"rejected", "expired", "canceled"}
OUR_WORD = {"pending_new": "pending", "accepted": "new", "calculated": "done_for_day", "stopped": "new", "held": "new"}


@dataclass(frozen=True, slots=True)
class BookedOrder:
    """An order as the desk has it; `fills` are those that count, as last corrected."""

    client_order_id: str
    broker_name: str
    broker_order_id: str | None
    status: str
    cum_qty: Decimal
    order_qty: Decimal | None = None
    price: Decimal | None = None
    fills: Fills = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Books:
    """What a desk says of one or more accounts; `asked` are all client ids that it ever used there."""

    orders: tuple[BookedOrder, ...]
    asked: frozenset[str]
    positions: Mapping[str, Mapping[str, Decimal]] | None = None
    cash: Mapping[str, Decimal] | None = None


@dataclass(slots=True)
class VenueOrder:
    """An order at the venue with its replacements, oldest first."""

    chain: list[dict[str, Any]]
    fills: Fills = field(default_factory=Counter)

    @property
    def client_order_id(self) -> str:
        """The id that it was placed under."""
        return self.chain[0]["client_order_id"]

    @property
    def now(self) -> dict[str, Any]:
        """The order as it stands."""
        return self.chain[-1]


def disagreements(books: Books, records: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Everything that the books and the records tell differently, one line each."""
    for account, record in records.items():
        there = venue_orders(record)
        here = [order for order in books.orders if order.broker_name == account]
        yield from _told_twice(account, record, there)
        yield from _unknown_here(account, there, here, books.asked)
        yield from _different(account, there, here)
        yield from _holdings(account, record, books)
    sent = {raw["client_order_id"] for record in records.values() for raw in record["orders"]}
    for order in books.orders:
        if order.status == "denied" and order.client_order_id in sent:
            yield f"{order.client_order_id} was denied, and is at the venue"


def venue_orders(record: Mapping[str, Any]) -> list[VenueOrder]:
    """The venue's orders, replacements put to what they replace, with the trades that stand."""
    by_id = {raw["id"]: raw for raw in record["orders"]}
    found = {raw["id"]: VenueOrder(_chain(raw, by_id)) for raw in record["orders"] if not raw["replaces"]}
    for trade in record["trades"]:
        raw = by_id[trade["order_id"]]
        while raw["replaces"]:
            raw = by_id[raw["replaces"]]
        found[raw["id"]].fills[trade["side"], Decimal(trade["qty"]), Decimal(trade["px"])] += 1
    return list(found.values())


def _chain(raw: dict[str, Any], by_id: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    chain = [raw]
    while chain[-1]["replaced_by"]:
        chain.append(by_id[chain[-1]["replaced_by"]])
    return chain


def _told_twice(account: str, record: Mapping[str, Any], there: list[VenueOrder]) -> Iterator[str]:
    ids = Counter(raw["client_order_id"] for raw in record["orders"] if raw["client_order_id"])
    yield from (f"{account}: {name} is at the venue {n} times" for name, n in ids.items() if n > 1)
    wanted = Counter(order.client_order_id.partition("~")[0] for order in there if order.client_order_id)
    yield from (f"{account}: {name} was wanted once and placed {n} times" for name, n in wanted.items() if n > 1)


def _unknown_here(
    account: str, there: list[VenueOrder], here: list[BookedOrder], asked: frozenset[str]
) -> Iterator[str]:
    known = {order.client_order_id for order in here}
    known_there = {order.broker_order_id for order in here if order.broker_order_id}
    for order in there:
        if order.client_order_id not in known and known_there.isdisjoint(raw["id"] for raw in order.chain):
            yield f"{account}: {order.client_order_id} is at the venue ({order.now['status']}) and unknown here"
        for raw in order.chain[1:]:
            if raw["client_order_id"] not in asked:
                yield f"{account}: nobody here asked for the replacement {raw['client_order_id']}"


def _different(account: str, there: list[VenueOrder], here: list[BookedOrder]) -> Iterator[str]:
    by_name = {order.client_order_id: order for order in there if order.client_order_id}
    by_id = {raw["id"]: order for order in there for raw in order.chain}
    for order in here:
        found = by_name.get(order.client_order_id) or by_id.get(order.broker_order_id)
        if found is not None:
            yield from _differences(account, order, found)
        elif order.broker_order_id or order.status not in NEVER_TAKEN:
            yield f"{account}: {order.client_order_id} is {order.status} here and unknown at the venue"
        elif order.fills:
            yield f"{account}: {order.client_order_id} has fills here and is unknown at the venue"


def _differences(account: str, order: BookedOrder, found: VenueOrder) -> Iterator[str]:
    raw, name = found.now, f"{account}: {order.client_order_id}"
    shown_as = raw.get("shown_as") or (OUR_WORD.get(raw["status"], raw["status"]),)
    pairs = {
        "broker_order_id": (order.broker_order_id, raw["id"]),
        "status": (order.status, order.status if order.status in shown_as else shown_as[0]),
        "cum_qty": (order.cum_qty, Decimal(raw["filled_qty"])),
        "price": (order.price, _decimal(raw["limit_price"])),
        "order_qty": (order.order_qty, _decimal(raw["qty"]) if order.order_qty is not None else None),
    }
    for what, (here, there) in pairs.items():
        if here != there:
            yield f"{name}: {what} is {here} here and {there} at the venue"
    for fill, n in (order.fills - found.fills).items():
        yield f"{name}: fill {_words(fill)} is booked {n} times more than it happened"
    for fill, n in (found.fills - order.fills).items():
        yield f"{name}: fill {_words(fill)} is booked {n} times less than it happened"


def _holdings(account: str, record: Mapping[str, Any], books: Books) -> Iterator[str]:
    if books.positions is not None:
        here = books.positions.get(account, {})
        there = {symbol: Decimal(qty) for symbol, qty in record["positions"].items() if Decimal(qty)}
        for symbol in sorted({*here, *there}):
            if here.get(symbol, 0) != there.get(symbol, 0):
                yield f"{account}: position in {symbol} is {here.get(symbol)} here, {there.get(symbol)} at the venue"
    if books.cash is not None and abs(books.cash[account] - Decimal(record["cash"])) >= Decimal("0.01"):
        yield f"{account}: cash is {books.cash[account]} here and {record['cash']} at the venue"


def counts(books: Books, records: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """How much there was to compare."""
    statuses: dict[str, int] = defaultdict(int)
    for order in books.orders:
        statuses[order.status] += 1
    there = [order for record in records.values() for order in venue_orders(record)]
    return {
        "orders_here": len(books.orders),
        "orders_there": len(there),
        "replacements": sum(len(order.chain) - 1 for order in there),
        "fills_here": sum(sum(order.fills.values()) for order in books.orders),
        "fills_there": sum(sum(order.fills.values()) for order in there),
        "statuses": dict(sorted(statuses.items())),
    }


def _words(fill: tuple[str, Decimal, Decimal]) -> str:
    side, qty, px = fill
    return f"{side} {qty:f} at {px:f}"


def _decimal(raw: str | None) -> Decimal | None:
    return None if raw is None else Decimal(raw)
