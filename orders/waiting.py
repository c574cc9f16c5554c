"""Orders that are held back until a second person approves them: the rows, without any decision."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from orders.models import Approval, Order
from risk.rules import Denial
from tradingdesk.fix import WorkingAs
from tradingdesk.statements import insert

WAITS = "waits for approval: "


def hold_back(order: Order, breaks: list[Denial]) -> None:
    """Have an order wait for approval, in memory; it goes to no account and reserves nothing."""
    order.working_as = WorkingAs.PENDING_APPROVAL
    order.denials = [one.as_dict() for one in breaks]
    order.text = WAITS + in_short(breaks)


def in_short(denials: Iterable[Denial]) -> str:
    """The first denials in a line."""
    return "; ".join(f"{one.code}: {one.detail}" for one in list(denials)[:3])


def ask_approval(order: Order, *, asked_by: str, asked_at: datetime, wait: timedelta) -> None:
    """Put a held order in the queue of approvals."""
    insert(
        Approval(order=order, breaks=order.denials, asked_by=asked_by, asked_at=asked_at, expires_at=asked_at + wait)
    )


def withdraw_approval(order: Order, *, actor: str, reason: str, now: datetime) -> None:
    """Take an order that is cancelled, and whose row is locked, out of the queue."""
    if order.working_as == WorkingAs.PENDING_APPROVAL:
        end_approval(order, Approval.State.WITHDRAWN, actor=actor, reason=reason, now=now)


def end_approval(order: Order, state: Approval.State, *, actor: str, reason: str, now: datetime) -> None:
    """Note how the wait of an order, whose row is locked, ended."""
    order.working_as = None
    waiting = Approval.objects.filter(order=order, state=Approval.State.WAITING)
    waiting.update(state=state, decided_by=actor, decided_at=now, reason=reason)


def not_approved(order: Order, breaks: Iterable[Denial]) -> list[Denial]:
    """The soft limits among these that nobody has let the order pass, or not as far."""
    of_order = Approval.objects.filter(order=order.parent_id or order.pk, state=Approval.State.APPROVED)
    approval = of_order.first() if breaks else None
    return [one for one in breaks if approval is None or not any(_covers(shown, one) for shown in approval.breaks)]


def is_the_same(shown: dict, found: Denial) -> bool:
    """Whether both are about one limit."""
    return (shown["code"], shown["control"], shown["scope"]) == (found.code, found.control, found.scope)


def _covers(shown: dict, found: Denial) -> bool:
    return is_the_same(shown, found) and Decimal(found.found) <= Decimal(shown["found"])
