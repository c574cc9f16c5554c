"""How long an order that passes soft limits may wait for a second person; `orders.intake` reads it."""

from datetime import timedelta
from decimal import Decimal

from risk.controls.control import BEFORE_ACCOUNTS, ControlSpec, Unit
from risk.models import Control
from risk.rules import Place, Rulebook

UNLESS_SET = Decimal(15 * 60)

MAX_APPROVAL_WAIT = ControlSpec(
    Control.MAX_APPROVAL_WAIT,
    "seconds that an order may wait for a second person's approval; 900 unless set",
    Unit.SECONDS,
    BEFORE_ACCOUNTS,
    may_warn=False,
)


def approval_wait(book: Rulebook, place: Place) -> timedelta:
    """How long an order of this place may wait."""
    return timedelta(seconds=float(book.limit(Control.MAX_APPROVAL_WAIT, place) or UNLESS_SET))
