"""Which moves are possible at all, and what stands against the others. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from orders.rebalancing.words import Book, Place, Problem
from tradingdesk.fields import plain
from tradingdesk.fix import Side


@dataclass(frozen=True, slots=True)
class Edge:
    """A way for a symbol from one account to another; quantities in lots of `step`."""

    giver: Place
    taker: Place
    step: Decimal
    least_lots: int
    most_lots: int

    @property
    def opening_side(self) -> Side:
        """The side of the order at the taker."""
        return self.giver.closing_side.opposite

    @property
    def given(self) -> Decimal:
        """Gross exposure that a lot takes off the giver."""
        return self.step * self.giver.mid_px

    @property
    def taken(self) -> Decimal:
        """Gross exposure that a lot adds at the taker: at the worse of what it is entered and what it is valued at."""
        return self.step * max(self.taker.far_px(self.opening_side), self.taker.mid_px)

    @property
    def half_spreads(self) -> Decimal:
        """What a lot loses against the middle, at both accounts."""
        return self.step * sum(((one.ask_px - one.bid_px) / 2 for one in (self.giver, self.taker)), Decimal(0))


@dataclass(frozen=True, slots=True)
class Ways:
    """Every possible move, and what stands against others, by the giver's account and symbol."""

    edges: list[Edge]
    obstacles: Mapping[tuple[str, str], list[Problem]]


def ways_between(books: Iterable[Book], places: Iterable[Place]) -> Ways:
    """Look at each holding and each other account."""
    by_name, by_symbol = {book.broker_name: book for book in books}, defaultdict(list)
    for place in places:
        by_symbol[place.symbol].append(place)
    edges, obstacles = [], {}
    for symbol, listed in by_symbol.items():
        for giver in (place for place in listed if place.qty):
            found = list(_ways_of(giver, [place for place in listed if place is not giver], by_name))
            edges += [one for one in found if isinstance(one, Edge)]
            obstacles[giver.broker_name, symbol] = [one for one in found if isinstance(one, Problem)]
    return Ways(edges, obstacles)


def _ways_of(giver: Place, others: Sequence[Place], books: Mapping[str, Book]) -> Iterator[Edge | Problem]:
    standing = books[giver.broker_name].cannot_give or giver.cannot_give
    if standing:
        yield standing
        return
    if giver.free <= 0:
        yield _problem("IN_WORKING_ORDERS", giver, "working orders cover all that is held")
        return
    if not others:
        yield _problem("NOT_LISTED_ELSEWHERE", giver, "no other account lists it")
    for taker in others:
        yield _against(giver, taker, books[taker.broker_name]) or _edge(giver, taker)


def _against(giver: Place, taker: Place, book: Book) -> Problem | None:
    """What keeps the taker from holding more of it."""
    if book.cannot_take or taker.cannot_take:
        return book.cannot_take or taker.cannot_take
    if giver.qty * taker.qty < 0:
        return _problem("HOLDS_THE_OTHER_SIDE", taker, f"holds {plain(taker.qty)}: the two would trade with each other")
    if giver.qty < 0 and not taker.can_short:
        return _problem("SHORT_SALE_NOT_ALLOWED", taker, "cannot be sold short here")
    return None


def _edge(giver: Place, taker: Place) -> Edge | Problem:
    step = max(giver.step, taker.step)
    most = int((giver.free / step).to_integral_value(ROUND_FLOOR))
    least = int((max(giver.min_qty, taker.min_qty) / step).to_integral_value(ROUND_CEILING))
    if most < max(least, 1):
        needed = plain(max(least, 1) * step)
        return _problem("TOO_SMALL", giver, f"free={plain(giver.free)}, least for {taker.broker_name}={needed}")
    return Edge(giver, taker, step, max(least, 1), most)


def _problem(code: str, place: Place, detail: str) -> Problem:
    return Problem(code, f"{place.symbol} at {place.broker_name}: {detail}", place.broker_name, place.symbol)
