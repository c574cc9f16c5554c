"""What may not be traded at all."""

from collections.abc import Iterable

from risk.controls.control import Case, ControlSpec, Stage, Unit
from risk.models import Control, Scope
from risk.rules import Bound, Denial


def _restricted(case: Case, bound: Bound) -> Iterable[Denial]:
    code = "RESTRICTED_SYMBOL" if bound.scope == Scope.SYMBOL else "RESTRICTED"
    field = bound.scope if bound.scope in ("symbol", "strategy") else ""
    detail = f"{bound.scope}={bound.scope_key} is restricted"
    passes = f"an order of another {bound.scope}, or this one once the restriction is taken away"
    yield bound.denial(code, detail, field=field, found=bound.scope_key, passes=passes)


RESTRICTED = ControlSpec(
    Control.RESTRICTED,
    "nobody may trade it",
    Unit.FLAG,
    (Scope.SYMBOL, Scope.STRATEGY, Scope.ASSET_CLASS, Scope.USER),
    _restricted,
    stage=Stage.ORDER,
    each=True,
    may_warn=False,
)
