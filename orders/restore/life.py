"""A database that comes from the past begins a new life: what was sent since is known to the brokers alone."""

from datetime import datetime
from typing import Any

from django.utils import timezone

from brokers.messages import CancelRejected
from brokers.models import AccountLease, BrokerAccount
from orders.executions import apply_cancel_rejected
from orders.ids import begin_epoch
from orders.models import Order, OrderRequest
from orders.reconcile.after_restore import stop_until_compared
from orders.unsent import settle_canceled_unsent
from tradingdesk.audit import trail
from tradingdesk.fix import RequestKind, RequestState

BEFORE = "before the restore"
NOT_SENT = "restored from the past: not sent any more"


def begin_new_life(*, actor: str, origin: str, facts: dict[str, Any]) -> int:
    """Make a database from the past safe to trade on; part of the caller's transaction. The epoch of its new ids.

    No account takes an order until it was compared with its broker; what waited to be sent is never sent. `origin`
    says for people where the database comes from.
    """
    now = timezone.now()
    epoch = begin_epoch()
    for account in BrokerAccount.objects.order_by("pk"):
        stop_until_compared(account, origin=origin)
    settled = _settle_orders(now) | {"replaces": _refuse_replaces(now), "unrouted": _cancel_unrouted(actor)}
    AccountLease.objects.update(holder="", expires_at=None)
    after = {"restore_epoch": epoch, "settled": settled, **facts}
    trail.record(trail.event("desk.restored", actor=actor, entity="desk", after=after, reason=origin))
    return epoch


def _settle_orders(now: datetime) -> dict[str, int]:
    """Orders without an answer may have been sent since, and by an old process until just now.

    So their brokers are asked about them; one that no broker has is closed as expired, and never sent.
    """
    waiting = OrderRequest.objects.unanswered().filter(kind=RequestKind.NEW)
    orders = Order.objects.filter(pk__in=list(waiting.values_list("order_id", flat=True)))
    orders.filter(outcome_unknown_since=None).update(outcome_unknown_since=now)
    asked = waiting.update(
        state=RequestState.UNKNOWN, holder=BEFORE, sent_at=now, send_before=now, not_before=None, text=NOT_SENT
    )
    return {"orders": asked}


def _refuse_replaces(now: datetime) -> int:
    """Replaces without an answer are given up: one that was taken is told by the broker, and applied then."""
    waiting = OrderRequest.objects.unanswered().filter(kind=RequestKind.REPLACE).select_related("order__account")
    for request in waiting.order_by("id"):
        rejected = CancelRejected(
            response_to=RequestKind.REPLACE,
            broker_order_id=request.broker_order_id,
            transact_time=now,
            client_order_id=request.client_order_id,
            orig_client_order_id=request.orig_client_order_id,
            text=NOT_SENT,
        )
        apply_cancel_rejected(account=request.order.account, rejected=rejected)
    return len(waiting)


def _cancel_unrouted(actor: str) -> int:
    """Orders that were taken and not routed yet are cancelled, those that wait for approval too."""
    unrouted = list(Order.objects.unrouted())
    for order in unrouted:
        settle_canceled_unsent(order, actor=actor, reason=NOT_SENT)
    return len(unrouted)
