"""Closing orders that no broker has: refused, too old to be sent, or cancelled while they waited."""

from django.db import transaction
from django.utils import timezone

from orders.legs import close_legs
from orders.models import Order, OrderRequest
from orders.moving import lock_order, record_change, settle_reservation, state_of
from orders.waiting import withdraw_approval
from risk import exposure
from tradingdesk.fix import ClosedAs, RequestKind, RequestState
from tradingdesk.statements import update


def settle_refused(request: OrderRequest, text: str, *, expired: bool = False) -> None:
    """Close an order that no broker took: rejected by the broker's word, or expired because it never got there.

    Gives its reservation back. Does nothing when a report has proved meanwhile that it was taken.
    """
    with transaction.atomic():
        order = lock_order.first(order=request.order_id)
        now = timezone.now()
        values = {"state": RequestState.REFUSED, "text": text, "answered_at": now}
        if not OrderRequest.objects.filter(pk=request.pk).unanswered().update(**values):
            return
        before = state_of(order)
        order.closed_as = ClosedAs.EXPIRED if expired else ClosedAs.REJECTED
        order.text, order.outcome_unknown_since = text, None
        order.sent_at = order.sent_at or request.sent_at
        order.refresh_status()
        shifts = settle_reservation(order)
        update(order)
        record_change("order.expired" if expired else "order.rejected", order, before, text)
        close_legs(order, order.closed_as, text)
        exposure.move_all(request.broker_name, shifts)


def settle_canceled_unsent(order: Order, *, actor: str, reason: str) -> bool:
    """Cancel an order that was never sent, here and now; False when it was, or may have been.

    Takes its request out of the outbox under the same locks as a report, so no worker can claim it meanwhile.
    """
    with transaction.atomic():
        order = lock_order.first(order=order.pk)
        queued = order.requests.filter(kind=RequestKind.NEW, state=RequestState.QUEUED)
        withdrawn = queued.update(
            state=RequestState.REFUSED, text="cancelled before it was sent", answered_at=timezone.now()
        )
        unrouted = order.account_id is None and order.closed_as is None
        if not withdrawn and not unrouted:
            return False
        before = state_of(order)
        order.closed_as, order.text = ClosedAs.CANCELED, reason or "cancelled before it was sent"
        withdraw_approval(order, actor=actor, reason=order.text, now=timezone.now())
        order.refresh_status()
        shifts = settle_reservation(order)
        update(order)
        record_change("order.cancelled", order, before, order.text, actor=actor)
        close_legs(order, order.closed_as, order.text, actor=actor)
        exposure.move_all(order.account_id, shifts)
        return True
