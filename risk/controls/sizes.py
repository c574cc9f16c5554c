"""How large one order may be."""

from collections.abc import Iterable

from risk.controls.control import ANYWHERE, Case, ControlSpec, Unit, above
from risk.models import Control
from risk.rules import Bound, Denial, qty_at_most
from tradingdesk.fields import MONEY_PLACES, fit


def _order_qty(case: Case, bound: Bound) -> Iterable[Denial]:
    yield from above(bound, "QUANTITY_EXCEEDS_MAXIMUM", "order_qty", case.verdict.reserve_qty)


def _order_notional(case: Case, bound: Bound) -> Iterable[Denial]:
    px = case.verdict.reserve_px * case.exposure.fx_rate
    value = fit(case.verdict.reserve_qty * px, MONEY_PLACES)
    passes = qty_at_most(bound.value, px)
    yield from above(bound, "NOTIONAL_EXCEEDS_MAXIMUM", "notional", value, passes=passes)


MAX_ORDER_QTY = ControlSpec(
    Control.MAX_ORDER_QTY,
    "units in one order",
    Unit.QUANTITY,
    ANYWHERE,
    _order_qty,
)
MAX_ORDER_NOTIONAL = ControlSpec(
    Control.MAX_ORDER_NOTIONAL,
    "value of one order at the worst price that it can trade at",
    Unit.MONEY,
    ANYWHERE,
    _order_notional,
    required=True,
)
