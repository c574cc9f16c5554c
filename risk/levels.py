"""What each level of a halt stops, as functions of values: no database, no clock."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from risk.models import Level, Operation
from tradingdesk.fields import plain
from tradingdesk.fix import OrdType, Side

STOPS_EVERYTHING = frozenset({Level.FREEZE, Level.CANCEL_ALL})


@dataclass(frozen=True, slots=True)
class HaltInForce:
    """A halt as the gate sees it. `operation` is set where `level` rejects one operation."""

    scope: str
    scope_key: str
    level: str
    operation: str
    reason: str

    def __str__(self) -> str:
        where = f"{self.scope} {self.scope_key}".strip()
        what = f" ({self.meaning})" if self.level != Level.FREEZE else ""
        return f"{where}: {self.reason}{what}"

    @property
    def meaning(self) -> str:
        """The level in words, with the operation that it rejects."""
        return f"no {Operation(self.operation).label}" if self.operation else Level(self.level).label


class Asked(Protocol):
    """What the levels read of an order; `risk.rules.ProposedOrder` is one.

    `replaces` tells of a change of a working order; `reopens` that its exits would trade the other way again.
    """

    side: Side
    ord_type: OrdType
    order_qty: Decimal | None
    replaces: bool
    reopens: bool


class Held(Protocol):
    """What one account holds and has entered of the symbol, in units; `risk.rules.Holding` is one."""

    position_qty: Decimal
    open_buy_qty: Decimal
    open_sell_qty: Decimal


def refuses(halt: HaltInForce, order: Asked) -> bool:
    """Whether a halt stops this order whatever it would do to what is held."""
    if halt.level == Level.REJECT:
        return halt.operation in _operations(order)
    return halt.level in STOPS_EVERYTHING or (halt.level == Level.DRAIN and not order.replaces)


def wants_less(halt: HaltInForce, order: Asked) -> bool:
    """Whether a halt lets this order pass only as far as it closes what is held."""
    if halt.level == Level.REJECT:
        return halt.operation == Operation.SHORT_SALE and order.side == Side.SELL
    return halt.level in (Level.REDUCE_ONLY, Level.DRAIN)


def closable(held: Held, side: Side) -> Decimal:
    """Units that may trade on `side` and close only what is held, once everything entered there has traded.

    Below zero where what is entered already opens a position.
    """
    if side == Side.SELL:
        return held.position_qty - held.open_sell_qty
    return -held.position_qty - held.open_buy_qty


def adds_exposure(halt: HaltInForce, order: Asked, held: Held, *, qty: Decimal, notional: Decimal) -> bool:
    """Whether so much more on the order's side is more than what closes; `qty` in units, `notional` its worst value.

    Both are what the order adds to what is entered: zero for a replace that makes it smaller or cheaper. How many
    units an order by notional trades is not known before.
    """
    may_be_more = order.reopens or order.order_qty is None
    if may_be_more and halt.level != Level.REJECT:
        return True
    return (qty > 0 or notional > 0) and qty > closable(held, order.side)


def holds_back(halts: Iterable[HaltInForce], order: Asked, held: Held) -> bool:
    """Whether an order that was accepted before these halts may not be sent now; `held` counts it as entered.

    Draining lets what was accepted go out.
    """
    for halt in halts:
        if halt.level == Level.DRAIN:
            continue
        if refuses(halt, order):
            return True
        if wants_less(halt, order) and (order.reopens or closable(held, order.side) < 0):
            return True
    return False


def words_of(halt: HaltInForce, order: Asked, qty: Decimal, free: Decimal) -> str:
    """Say what a halt has against an order that would do more than close; `free` units would pass."""
    if order.reopens or order.order_qty is None:
        what = "has exits that trade the other way" if order.reopens else "is by notional"
        return f"halted for {halt}: the order {what}; a simple one of order_qty={plain(free)} would pass"
    return f"halted for {halt}: order_qty={plain(qty)}, would pass={plain(free)}"


def _operations(order: Asked) -> set[str]:
    found = {Operation.REPLACE if order.replaces else Operation.NEW}
    return found | {Operation.MARKET} if order.ord_type == OrdType.MARKET else found
