"""What may not be traded at all."""

from collections.abc import Iterable

from risk.controls.control import Case, ControlSpec, Stage, Unit
from risk.models import Control, Scope
from risk.rules import Bound, Denial


def _restricted(case: Case, bound: Bound) -> Iterable[Denial]:
    symbol = case.order.symbol
    detail = f"symbol={symbol} is restricted"
    yield bound.denial("RESTRICTED_SYMBOL", detail, field="symbol", found=symbol, passes="another symbol")


RESTRICTED = ControlSpec(
    Control.RESTRICTED,
    "nobody may trade it",
    Unit.FLAG,
    (Scope.SYMBOL,),
    _restricted,
    stage=Stage.ORDER,
)
