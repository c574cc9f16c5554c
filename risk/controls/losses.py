"""How much may be lost. `risk.losses` measures it between orders and halts; these deny what comes before the halt."""

from collections.abc import Iterable

from risk.controls.control import Case, ControlSpec, Unit, Unmeasured, above
from risk.models import Control, Scope
from risk.rules import Bound, Denial

LOSSES = "losses"


def _lost(case: Case, bound: Bound) -> Iterable[Denial]:
    if not case.raises_exposure:
        return
    mark = case.fact(LOSSES).get((bound.scope, bound.scope_key))
    if mark is None:
        raise Unmeasured(f"the equity of {bound.where} was not measured lately")
    passes = "orders that close a position; others once a person has cleared the halt"
    yield from above(bound, "LOSS_EXCEEDS_LIMIT", bound.control, mark.lost(bound.control), field="", passes=passes)


MAX_DAILY_LOSS = ControlSpec(
    Control.MAX_DAILY_LOSS,
    "equity lost since the end of the day before",
    Unit.MONEY,
    (Scope.FIRM, Scope.ACCOUNT),
    _lost,
    may_warn=False,
    each=True,
    needs=frozenset({LOSSES}),
)
MAX_DRAWDOWN = ControlSpec(
    Control.MAX_DRAWDOWN,
    "equity lost since its highest ÷ that highest",
    Unit.SHARE,
    (Scope.FIRM, Scope.ACCOUNT),
    _lost,
    may_warn=False,
    each=True,
    needs=frozenset({LOSSES}),
)
