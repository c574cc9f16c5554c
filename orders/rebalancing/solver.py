"""How many lots go each way: a mixed-integer program, solved by HiGHS through scipy. Pure.

Two stages: first every account as near to its range as can be, then with the least turnover and cost.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import ROUND_FLOOR, Decimal

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, OptimizeResult, milp
from scipy.sparse import csr_array

from orders.rebalancing.edges import Edge
from orders.rebalancing.words import ZERO, Book, NotSolved
from tradingdesk.fix import Side

SECONDS_AT_MOST = 10
# What the solver's tolerances may cost, in money and in parts of its unit: ranges are held so much tighter.
_MARGIN, _MARGIN_OF_UNIT = Decimal("0.01"), Decimal("0.0001")
_SMALLEST_GAP = 1e-6


def lots(edges: Sequence[Edge], books: Sequence[Book], *, room: Decimal | None = None) -> list[int]:
    """The lots that each edge takes; `room` is what gross exposure of the whole desk may grow by.

    Raises:
        NotSolved: there was no answer in time.
    """
    if not edges:
        return []
    program = _Program(edges, books, room)
    nearest = program.solve(program.distance)
    program.stay_as_near_as(float(program.distance @ nearest))
    return program.lots_of(program.solve(program.spending))


class _Program:
    """Columns: lots of each edge, whether it is used, fees of its two orders, and what each account is over and under.

    Money is in ten-thousandths of all gross exposure, so that the solver's tolerances mean the same to every desk.
    Rows are kept as what they have at few of the columns: a desk of ten thousand positions has forty thousand of each.
    """

    def __init__(self, edges: Sequence[Edge], books: Sequence[Book], room: Decimal | None):
        self.edges, self.count, self.accounts = edges, len(edges), len(books)
        self.unit = max(sum((book.gross for book in books), ZERO) / 10_000, Decimal("0.01"))
        self.margin = max(_MARGIN, self.unit * _MARGIN_OF_UNIT)
        self.used, self.fees = self.count, 2 * self.count
        self.over = self.fees + 2 * self.count
        self.under = self.over + self.accounts
        self.width = self.under + self.accounts
        self._rows: list[tuple[Mapping[int, float], float]] = []  # each is at most so much
        self._top = np.full(self.width, np.inf)
        self._top[: self.count] = [edge.most_lots for edge in edges]
        self._top[self.used : self.fees] = 1
        self._index = {book.broker_name: number for number, book in enumerate(books)}
        self._hold_ranges(books)
        self._hold_holdings()
        self._tie_use_and_fees()
        if room is not None:
            self._limit({number: edge.taken - edge.given for number, edge in enumerate(edges)}, max(room, ZERO))
        self.distance = np.zeros(self.width)
        self.distance[self.over :] = 1
        self.spending = self._spending()

    def solve(self, costs: np.ndarray) -> np.ndarray:
        """The columns that cost least.

        Raises NotSolved as `lots` does.
        """
        integrality = np.zeros(self.width)
        integrality[: self.fees] = 1
        found: OptimizeResult = milp(
            costs,
            integrality=integrality,
            bounds=Bounds(np.zeros(self.width), self._top),
            constraints=LinearConstraint(self._matrix(), ub=[most for _, most in self._rows]),
            options={"time_limit": SECONDS_AT_MOST, "mip_rel_gap": _SMALLEST_GAP},
        )
        if found.x is None:
            raise NotSolved(found.message)
        return found.x

    def stay_as_near_as(self, distance: float) -> None:
        """From now on, let the accounts be no farther from their ranges than this."""
        row = {int(column): float(self.distance[column]) for column in np.flatnonzero(self.distance)}
        self._rows.append((row, distance + _SMALLEST_GAP))

    def lots_of(self, columns: np.ndarray) -> list[int]:
        """Whole lots by edge."""
        return [round(value) for value in columns[: self.count]]

    def _matrix(self) -> csr_array:
        places = [(number, column) for number, (row, _) in enumerate(self._rows) for column in row]
        values = [value for row, _ in self._rows for value in row.values()]
        return csr_array((values, tuple(zip(*places, strict=True))), shape=(len(self._rows), self.width))

    def _hold_ranges(self, books: Sequence[Book]) -> None:
        """Gross exposure into its range, or as near as `over` and `under` tell, never farther; and buying power."""
        for number, book in enumerate(books):
            change = self._changes(book.broker_name)
            ends = [(self.over, 1, book.most)]
            ends += [(self.under, -1, book.least)] if book.least > 0 else []  # nothing gives more than it has
            for column, sign, bound in ends:
                allowed = self._money(self._tightened(sign * (bound - book.gross)))
                row = {at: sign * value for at, value in change.items()} | {column + number: -1}
                self._rows.append((row, allowed))
                self._top[column + number] = max(-allowed, 0)
            self._limit(self._powers(book.broker_name), max(book.buying_power - self.margin, ZERO))

    def _tightened(self, room: Decimal) -> Decimal:
        """An account that is in its range, however near to the end of it, is not moved for the margin alone."""
        return room - self.margin if room < 0 else max(room - self.margin, ZERO)

    def _changes(self, broker_name: str) -> dict[int, float]:
        row = {}
        for number, edge in enumerate(self.edges):
            if edge.taker.broker_name == broker_name:
                row[number] = self._money(edge.taken)
            elif edge.giver.broker_name == broker_name:
                row[number] = -self._money(edge.given)
        return row

    def _powers(self, broker_name: str) -> Mapping[int, Decimal]:
        """Buying power that a lot takes of an account: of the taker, and of a giver that buys back."""
        taken = {}
        for number, edge in enumerate(self.edges):
            if edge.taker.broker_name == broker_name:
                taken[number] = edge.step * edge.taker.far_px(edge.opening_side)
            elif edge.giver.broker_name == broker_name and edge.opening_side is Side.SELL:
                taken[number] = edge.step * edge.giver.ask_px
        return taken

    def _hold_holdings(self) -> None:
        """No more leaves a place than is free there; in whole lots, as a rounded bound would cost one of them."""
        givers, ways = {}, defaultdict(dict)
        for number, edge in enumerate(self.edges):
            givers[id(edge.giver)] = edge.giver
            ways[id(edge.giver)][number] = edge.step
        for key, place in givers.items():
            lot = min(ways[key].values())
            self._limit(ways[key], (place.free / lot).to_integral_value(ROUND_FLOOR) * lot, unit=lot)

    def _tie_use_and_fees(self) -> None:
        """Make an edge that is used carry its least quantity, and both orders of it their fees: at least the least."""
        for number, edge in enumerate(self.edges):
            for lots_at, sign in ((edge.most_lots, 1), (edge.least_lots, -1)):
                self._rows.append(({number: sign, self.used + number: -sign * lots_at}, 0))
            sides = ((edge.giver, edge.giver.closing_side), (edge.taker, edge.opening_side))
            for order, (place, side) in enumerate(sides):
                column = self.fees + 2 * number + order
                for at, cost in ((number, edge.step * place.fee_rate(side)), (self.used + number, place.fee_least)):
                    self._rows.append(({at: self._money(cost), column: -1}, 0))

    def _spending(self) -> np.ndarray:
        """Turnover, half the spread of both orders, and fees."""
        costs = np.zeros(self.width)
        costs[: self.count] = [self._money(edge.given + edge.half_spreads) for edge in self.edges]
        costs[self.fees : self.over] = 1
        return costs

    def _limit(self, columns: Mapping[int, Decimal], bound: Decimal, unit: Decimal | None = None) -> None:
        unit = unit or self.unit
        row = {number: float(value / unit) for number, value in columns.items()}
        self._rows.append((row, float(bound / unit)))

    def _money(self, amount: Decimal) -> float:
        return float(amount / self.unit)
