"""From accounts and what they hold to moves between them. Pure: no database, no clock.

What leaves one account enters another, so the desk's net position in a symbol stays what it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import ROUND_FLOOR, Decimal
from importlib import import_module
from itertools import chain

from orders.rebalancing.edges import Edge, Ways, ways_between
from orders.rebalancing.words import ZERO, Book, Move, Moves, Place, Problem
from tradingdesk.fields import plain

_CENT = Decimal("0.01")
# scipy takes a second and some hundred megabytes: only a process that plans loads it.
SOLVER = "orders.rebalancing.solver"


def plan_moves(books: Sequence[Book], places: Iterable[Place], *, room: Decimal | None = None) -> Moves:
    """Bring every account into its range, or as near as can be, with the least turnover and cost.

    `room` is what gross exposure of the whole desk may grow by, None without a limit. What stays outside its range is
    named in `problems` with what stands in the way.

    Raises:
        NotSolved: the solver found no answer in its time.
    """
    places = list(places)
    ways = ways_between(books, places)
    lots = import_module(SOLVER).lots(ways.edges, books, room=room)
    taken = list(zip(ways.edges, lots, strict=True))
    answer = Moves(gross_after=_gross_after(books, taken))
    answer.moves = [move for edge, number in taken if number for move in _moves(edge, number)]
    answer.problems = list(_problems(books, places, ways, answer, taken))
    return answer


def _gross_after(books: Iterable[Book], taken: Iterable[tuple[Edge, int]]) -> dict[str, Decimal]:
    gross = {book.broker_name: book.gross for book in books}
    for edge, number in taken:
        gross[edge.giver.broker_name] -= number * edge.given
        gross[edge.taker.broker_name] += number * edge.taken
    return gross


def _moves(edge: Edge, number: int) -> Iterator[Move]:
    """One move, or several where an order may not be that large."""
    largest = min((place.max_qty for place in (edge.giver, edge.taker) if place.max_qty is not None), default=None)
    at_once = number if largest is None else int((largest / edge.step).to_integral_value(ROUND_FLOOR))
    parts = -(-number // max(at_once, 1))
    for part in range(parts):
        size = number // parts + (part < number % parts)
        giver, taker = edge.giver.broker_name, edge.taker.broker_name
        yield Move(edge.giver.symbol, giver, taker, size * edge.step, edge.giver.closing_side)


def _problems(
    books: Iterable[Book], places: Sequence[Place], ways: Ways, answer: Moves, lots: Iterable[tuple[Edge, int]]
) -> Iterator[Problem]:
    """What stays outside its range, and why."""
    by_name, taken = {book.broker_name: book for book in books}, _Taken(lots)
    found = [_of_account(book, by_name, places, ways, answer, taken) for book in by_name.values()]
    yield from dict.fromkeys(chain.from_iterable(found))


class _Taken:
    """What the answer takes: the lots of each way by what gives, and what is entered at each account."""

    def __init__(self, taken: Iterable[tuple[Edge, int]]):
        self.ways: dict[tuple[str, str], list[tuple[Edge, int]]] = defaultdict(list)
        self.entered: dict[str, Decimal] = defaultdict(Decimal)
        for edge, number in taken:
            self.ways[edge.giver.broker_name, edge.giver.symbol].append((edge, number))
            self.entered[edge.taker.broker_name] += number * edge.taken


def _of_account(
    book: Book,
    books: Mapping[str, Book],
    places: Sequence[Place],
    ways: Ways,
    answer: Moves,
    taken: _Taken,
) -> Iterator[Problem]:
    name, after = book.broker_name, answer.gross_after[book.broker_name]
    if after < book.least:
        detail = f"gross exposure at {name} stays {_money(after)}, wanted at least {_money(book.least)}"
        yield Problem("STAYS_UNDER", detail, name)
    if after <= book.most:
        return
    yield Problem(
        "STAYS_OVER", f"gross exposure at {name} stays {_money(after)}, wanted at most {_money(book.most)}", name
    )
    if book.cannot_give:
        yield book.cannot_give
    in_orders = book.gross - sum((abs(one.qty) * one.mid_px for one in places if one.broker_name == name), ZERO)
    if in_orders > _CENT:
        yield Problem("ORDERS_WORKING", f"{_money(in_orders)} of it at {name} is in working orders", name)
    for (giver, symbol), obstacles in ways.obstacles.items():
        if giver == name:
            yield from obstacles
            yield from _full(giver, symbol, books, answer, taken)


def _full(giver: str, symbol: str, books: Mapping[str, Book], answer: Moves, taken: _Taken) -> Iterator[Problem]:
    """Why a possible way takes no more."""
    for edge, number in taken.ways[giver, symbol]:
        if number == edge.most_lots:
            continue
        name = edge.taker.broker_name
        if books[name].most - answer.gross_after[name] < edge.least_lots * edge.taken + _CENT:
            yield Problem("NO_ROOM", f"{name} may hold no more: at most {_money(books[name].most)}", name)
        elif books[name].buying_power < taken.entered[name] + edge.least_lots * edge.taken + _CENT:
            yield Problem("NO_BUYING_POWER", f"{name} has buying power of {_money(books[name].buying_power)}", name)


def _money(value: Decimal) -> str:
    return plain(value.quantize(_CENT))
