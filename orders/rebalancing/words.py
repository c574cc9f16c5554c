"""What a plan is made from and of. Quantities in units, money in the base currency; `broker_name` is an account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from tradingdesk.fix import Side

ZERO = Decimal(0)


class NotSolved(Exception):
    """The solver found no answer in its time."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What cannot be done, and why; it may be about an account, a symbol, or a symbol at an account."""

    code: str
    detail: str
    broker_name: str = ""
    symbol: str = ""

    def as_dict(self) -> dict[str, str]:
        """For JSON columns and answers."""
        return {name: getattr(self, name) for name in ("code", "detail", "broker_name", "symbol")}


@dataclass(frozen=True, slots=True)
class Book:
    """An account before the plan: its gross exposure, held and entered, and the range that this shall come into.

    `gross` is never above what `most` says afterwards, nor below `least`, as far as that can be had.
    """

    broker_name: str
    gross: Decimal
    most: Decimal
    least: Decimal = ZERO
    buying_power: Decimal = ZERO
    cannot_give: Problem | None = None
    cannot_take: Problem | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A symbol at an account that lists it. `qty` is signed; `free` of it is covered by no working order.

    A quantity of an order is a multiple of `step` and at least `min_qty`, at most `max_qty`. `sell_rate` and
    `buy_rate` are what fees take of a unit, `fee_least` what an order costs at least.
    """

    broker_name: str
    symbol: str
    bid_px: Decimal
    ask_px: Decimal
    qty: Decimal = ZERO
    free: Decimal = ZERO
    step: Decimal = Decimal(1)
    min_qty: Decimal = ZERO
    max_qty: Decimal | None = None
    can_short: bool = False
    sell_rate: Decimal = ZERO
    buy_rate: Decimal = ZERO
    fee_least: Decimal = ZERO
    cannot_give: Problem | None = None
    cannot_take: Problem | None = None

    @property
    def mid_px(self) -> Decimal:
        """Middle of bid and offer."""
        return (self.bid_px + self.ask_px) / 2

    @property
    def closing_side(self) -> Side:
        """The side that brings what is held nearer to nothing."""
        return Side.SELL if self.qty > 0 else Side.BUY

    def far_px(self, side: Side) -> Decimal:
        """The price that an order of this side meets."""
        return self.ask_px if side is Side.BUY else self.bid_px

    def fee_rate(self, side: Side) -> Decimal:
        """What fees take of a unit."""
        return self.buy_rate if side is Side.BUY else self.sell_rate


@dataclass(frozen=True, slots=True)
class Move:
    """So much of a symbol leaves one account, by an order of `side`, for another, by an order of the other side."""

    symbol: str
    giver: str
    taker: str
    qty: Decimal
    side: Side

    @property
    def opening_side(self) -> Side:
        """The side of the order at the taker."""
        return self.side.opposite


@dataclass(slots=True)
class Moves:
    """The planner's answer: the moves, each account's gross exposure afterwards, and what stays undone and why."""

    moves: list[Move] = field(default_factory=list)
    gross_after: Mapping[str, Decimal] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether every account comes into its range."""
        return not self.problems
