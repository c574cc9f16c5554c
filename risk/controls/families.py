"""How much one parent order may become: the orders that name it with their `list_id`."""

from collections.abc import Iterable

from risk.controls.control import ANYWHERE, BEFORE_ACCOUNTS, Case, ControlSpec, Stage, Unit, above
from risk.models import Control
from risk.rules import Bound, Denial, qty_at_most
from tradingdesk.fields import MONEY_PLACES, fit

SIBLINGS = "orders of the same parent"


def _children(case: Case, bound: Bound) -> Iterable[Denial]:
    if case.order.list_id:
        found = case.fact(SIBLINGS).count + 1
        yield from above(bound, "TOO_MANY_CHILDREN", f"orders of {case.order.list_id}", found, field="list_id")


def _notional(case: Case, bound: Bound) -> Iterable[Denial]:
    """Count what the parent's orders have traded and may still trade, and this one at its worst price."""
    if not case.order.list_id:
        return
    others, px = case.fact(SIBLINGS).notional, case.verdict.reserve_px
    found = fit(others + case.verdict.reserve_qty * px, MONEY_PLACES)
    name, passes = f"notional of {case.order.list_id}", qty_at_most(bound.value - others, px)
    yield from above(bound, "PARENT_NOTIONAL_EXCEEDS_MAXIMUM", name, found, passes=passes)


MAX_CHILDREN_PER_PARENT = ControlSpec(
    Control.MAX_CHILDREN_PER_PARENT,
    "orders that name the same parent, however they ended",
    Unit.COUNT,
    BEFORE_ACCOUNTS,
    _children,
    stage=Stage.ORDER,
    needs=frozenset({SIBLINGS}),
)
MAX_NOTIONAL_PER_PARENT = ControlSpec(
    Control.MAX_NOTIONAL_PER_PARENT,
    "value of all that orders of the same parent have traded and may still trade",
    Unit.MONEY,
    ANYWHERE,
    _notional,
    needs=frozenset({SIBLINGS}),
)
