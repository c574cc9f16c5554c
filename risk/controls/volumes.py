"""How large an order may be against what trades, and against what is shown."""

from collections.abc import Iterable
from decimal import Decimal

from risk.controls.control import ANYWHERE, Case, ControlSpec, Unit, Unmeasured
from risk.models import Control
from risk.rules import Bound, Denial, qty_at_most
from tradingdesk.fields import plain
from tradingdesk.fix import Side

VOLUME = "average daily volume"


def _of_volume(case: Case, bound: Bound) -> Iterable[Denial]:
    volume = case.fact(VOLUME).get(case.account.broker_name)
    if not volume:
        raise Unmeasured(f"no daily bars of {case.order.symbol} with a volume are known here")
    yield from _above_part(bound, "VOLUME_SHARE_EXCEEDS_MAXIMUM", VOLUME, case.verdict.reserve_qty, volume)


def _of_displayed(case: Case, bound: Bound) -> Iterable[Denial]:
    size = case.account.ask_size if case.order.side is Side.BUY else case.account.bid_size
    if not size:
        raise Unmeasured(f"no displayed size of {case.order.symbol} is known here")
    yield from _above_part(bound, "DISPLAYED_SIZE_EXCEEDS_MAXIMUM", "displayed size", case.verdict.reserve_qty, size)


def _above_part(bound: Bound, code: str, name: str, qty: Decimal, whole: Decimal) -> Iterable[Denial]:
    """Deny more units than the limit's part of a whole; quantities are compared, so that nothing is rounded."""
    most = bound.value * whole
    if qty > most:
        detail = f"order_qty={plain(qty)}, {name}={plain(round(whole, 2))}, max={plain(bound.value)} of it"
        passes = qty_at_most(most, Decimal(1))
        yield bound.denial(code, detail, field="order_qty", found=plain(qty), passes=passes)


MAX_ADV_SHARE = ControlSpec(
    Control.MAX_ADV_SHARE,
    "units in one order ÷ average daily volume of the last 30 days, as the account's daily bars have it",
    Unit.RATIO,
    ANYWHERE,
    _of_volume,
    needs=frozenset({VOLUME}),
)
MAX_DISPLAYED_RATIO = ControlSpec(
    Control.MAX_DISPLAYED_RATIO,
    "units in one order ÷ units that the account's quote shows on the far side",
    Unit.RATIO,
    ANYWHERE,
    _of_displayed,
)
