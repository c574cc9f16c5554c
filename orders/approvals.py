"""A second person's word on orders that soft limits stand against: approve, refuse, or let the time pass.

An order that waits (`orders.waiting`) is on no broker's way and reserves nothing, so it takes nothing from others; when
it is approved, the gate judges it as if it were entered now, with today's prices, limits and halts, under the locks of
intake. What was shown to the person is what is approved: where it passes other soft limits by then, it waits on.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from orders.changes import ticket_of
from orders.decision import Decision, Market, decide, lock_exposure, propose
from orders.intake import deny, enter, known_market, send_within, with_prices
from orders.legs import refuse_taken_ids
from orders.models import Approval, Order, RebalanceLeg
from orders.moving import record_change, state_of
from orders.ticket import OrderTicket
from orders.waiting import end_approval, in_short, is_the_same
from risk.exposure import Exposure
from risk.rules import Denial
from tradingdesk.errors import Conflict, DeskError, require_reason
from tradingdesk.fix import ClosedAs
from tradingdesk.statements import update

EXPIRED = "nobody approved it in time"
SYSTEM = "system:approvals"
AT_ONCE = 100


class SamePerson(DeskError):
    """Who entered an order, or proposed the plan that it is of, may not approve it."""

    http_status = 403


@dataclass(slots=True)
class _Held:
    """An order that waits, its row locked."""

    order: Order
    approval: Approval
    now: datetime


def approve_order(*, order: Order, actor: str, reason: str) -> Order:
    """Let a held order go, if the gate allows it now; the order as it stands then, `denied` if the gate does not.

    Locks the order's row, then the exposure rows. Prices are asked for before, where there is none that can be used.

    Raises:
        InvalidInput: no reason; or the order's broker is not enabled any more.
        SamePerson: `actor` entered the order, or proposed the plan that it is of.
        Conflict: it does not wait any more, or it passes soft limits that were not shown: look at it again.
    """
    require_reason(reason)
    _refuse_own(_waiting(order), order, actor)
    ticket = ticket_of(order)
    market = with_prices(known_market(ticket), ticket)
    with transaction.atomic():
        held = _locked(order)
        refusal = _approve(held, ticket, market, actor=actor, reason=reason)
    if refusal is not None:
        raise refusal
    return held.order


def refuse_order(*, order: Order, actor: str, reason: str) -> Order:
    """Close a held order as denied, by a person's word.

    Raises:
        InvalidInput: no reason.
        Conflict: it does not wait any more.
    """
    require_reason(reason)
    with transaction.atomic():
        held = _locked(order)
        if held.approval.expires_at <= held.now:
            refusal = _expire(held)
        else:
            refusal, text = None, f"refused by {actor}: {reason}"
            held.order.denials = [Denial("APPROVAL_REFUSED", text).as_dict(), *held.order.denials]
            _close(held, ClosedAs.DENIED, Approval.State.REFUSED, actor, reason, text)
    if refusal is not None:
        raise refusal
    return held.order


def is_own(approval: Approval, order: Order, actor: str) -> bool:
    """Whether this person entered the held order, or proposed the rebalancing plan that it is of."""
    entered_by = {approval.asked_by, order.submitted_by.get_username() if order.submitted_by_id else ""}
    if leg := RebalanceLeg.of_order(order):
        entered_by.add(leg.plan.proposed_by)
    return actor.casefold() in {name.casefold() for name in entered_by}


def expire_approvals(now: datetime | None = None) -> int:
    """Close the orders whose time for approval is over; how many."""
    due = Approval.objects.filter(state=Approval.State.WAITING, expires_at__lte=now or timezone.now())
    return sum(_expire_one(order) for order in Order.objects.filter(approval__in=due).order_by("pk")[:AT_ONCE])


def _expire_one(order: Order) -> bool:
    with transaction.atomic():
        try:
            held = _locked(order)
        except Conflict:
            return False  # someone was quicker
        _expire(held)
        return True


def _approve(held: _Held, ticket: OrderTicket, market: Market, *, actor: str, reason: str) -> DeskError | None:
    """Judge it again and act on that; why the person is to be told that it waits on, or waits no more."""
    order, approval = held.order, held.approval
    if approval.expires_at <= held.now:
        return _expire(held)
    refuse_taken_ids(order)
    proposed = propose(ticket, market, user=approval.asked_by, order_pk=order.pk)
    exposure = lock_exposure(market, proposed)
    decision = decide(ticket, market, exposure, proposed)
    if not decision.allowed:
        return _deny(held, decision, actor=actor, reason=reason)
    shown = approval.breaks
    if new := [one for one in decision.to_approve if not any(is_the_same(known, one) for known in shown)]:
        return _show_again(held, decision, new)
    _release(held, ticket, decision, exposure, actor=actor, reason=reason)
    return None


def _release(
    held: _Held, ticket: OrderTicket, decision: Decision, exposure: Exposure, *, actor: str, reason: str
) -> None:
    order, before = held.order, state_of(held.order)
    end_approval(order, Approval.State.APPROVED, actor=actor, reason=reason, now=held.now)
    order.denials, order.text, order.send_before = [], "", held.now + send_within(order.ord_type)
    enter(order, ticket, decision, exposure)
    record_change("order.approved", order, before, reason, actor=actor, breaks=held.approval.breaks)


def _deny(held: _Held, decision: Decision, *, actor: str, reason: str) -> None:
    order, before = held.order, state_of(held.order)
    end_approval(order, Approval.State.DENIED, actor=actor, reason=reason, now=held.now)
    deny(order, decision)
    record_change("order.denied", order, before, reason, actor=actor, denials=order.denials)


def _show_again(held: _Held, decision: Decision, new: list[Denial]) -> Conflict:
    order = held.order
    order.denials = held.approval.breaks = [one.as_dict() for one in decision.to_approve]
    update(order, "denials")
    update(held.approval, "breaks")
    text = f"it passes other soft limits by now, look at it again: {in_short(new)}"
    return Conflict("APPROVAL_CHANGED", text)


def _expire(held: _Held) -> Conflict:
    _close(held, ClosedAs.EXPIRED, Approval.State.EXPIRED, SYSTEM, EXPIRED, f"APPROVAL_EXPIRED: {EXPIRED}")
    return Conflict("APPROVAL_EXPIRED", f"{EXPIRED}: it was to be by {held.approval.expires_at.isoformat()}")


def _close(held: _Held, closed_as: ClosedAs, state: Approval.State, actor: str, reason: str, text: str) -> None:
    order, before = held.order, state_of(held.order)
    order.closed_as, order.text = closed_as, text
    end_approval(order, state, actor=actor, reason=reason, now=held.now)
    order.refresh_status()
    update(order)
    kind = "order.expired" if closed_as is ClosedAs.EXPIRED else "order.denied"
    record_change(kind, order, before, reason, actor=actor)


def _locked(order: Order) -> _Held:
    locked = Order.objects.locked().select_related("instrument", "submitted_by").get(pk=order.pk)
    return _Held(locked, _waiting(locked), timezone.now())


def _waiting(order: Order) -> Approval:
    approval = Approval.objects.filter(order=order).first()
    if approval is None:
        raise Conflict("NOT_WAITING", "the order waits for nobody's approval")
    if not approval.is_waiting:
        raise Conflict("APPROVAL_DECIDED", f"it waits no more: {approval.state}, {approval.decided_by}")
    return approval


def _refuse_own(approval: Approval, order: Order, actor: str) -> None:
    if is_own(approval, order, actor):
        raise SamePerson(
            "SAME_PERSON", f"{actor} entered this order, or proposed its plan: another person must approve it"
        )
