"""Short sales."""

from collections.abc import Iterable
from decimal import Decimal

from risk.controls.control import ANYWHERE, Case, ControlSpec, Unit
from risk.models import Control, Scope
from risk.rules import Bound, Denial, shorted_qty
from tradingdesk.fields import plain
from tradingdesk.fix import Side


def _short_sale(code: str, why: str):
    def check(case: Case, bound: Bound) -> Iterable[Denial]:
        """Deny to sell more than is held and not entered to be sold."""
        holding, more = case.exposure.holding(case.account.broker_name), case.more_qty
        if case.order.side is not Side.SELL or shorted_qty(holding, more) <= 0:
            return
        free = plain(max(holding.position_qty - holding.open_sell_qty, Decimal(0)))
        detail = f"order_qty={plain(more)}, free to sell={free}: {why}"
        passes = f"order_qty of at most {free}"
        yield bound.denial(code, detail, field="order_qty", found=plain(more), passes=passes)

    return check


NO_SHORT_SALES = ControlSpec(
    Control.NO_SHORT_SALES,
    "nothing is sold that is not held",
    Unit.FLAG,
    ANYWHERE,
    _short_sale("SHORT_SALE_NOT_ALLOWED", "no short sales"),
)
HARD_TO_BORROW = ControlSpec(
    Control.HARD_TO_BORROW,
    "on the list of what is hard to borrow: not sold short without a locate",
    Unit.FLAG,
    (Scope.SYMBOL,),
    _short_sale("HARD_TO_BORROW", "hard to borrow, no locate"),
)
