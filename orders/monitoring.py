"""What /readyz and /metrics tell about orders; each figure rests on an index over what is still open."""

from collections.abc import Iterator
from datetime import timedelta

from django.db.models import Count, Min
from django.utils import timezone
from prometheus_client.core import Metric

from orders.models import Order, OrderRequest, ReconciliationBreak
from tradingdesk.health import Check, gauge

# The sweeper looks every few seconds for what no worker took; what has waited this long is stuck.
STUCK_AFTER = timedelta(seconds=30)
RECENTLY = timedelta(seconds=60)


def requests_flow() -> Check:
    """Pass while nothing waits for a worker longer than the sweeper would let it."""
    lag = _lag_seconds()
    return Check(lag < STUCK_AFTER.total_seconds(), {"oldest_waiting_seconds": round(lag, 1)})


def gauges() -> Iterator[Metric]:
    """Open orders, orders in doubt, the outbox, breaks, and what came in during the last minute."""
    open_orders = Order.objects.open().order_by("status").values_list("status").annotate(Count("id"))
    yield gauge("desk_orders_open", "Open orders by status", ["status"], open_orders)
    recent = Order.objects.filter(created_at__gt=timezone.now() - RECENTLY)
    by_status = recent.order_by("status").values_list("status").annotate(Count("id"))
    yield gauge("desk_orders_last_minute", "Orders taken in the last minute by their status now", ["status"], by_status)
    yield gauge(
        "desk_orders_outcome_unknown", "Orders in doubt", [], [(Order.objects.open().outcome_unknown().count(),)]
    )
    waiting = OrderRequest.objects.unanswered().order_by("broker_name", "state").values_list("broker_name", "state")
    labels = ["broker_name", "state"]
    yield gauge(
        "desk_requests_unanswered", "Requests that no broker has answered", labels, waiting.annotate(Count("id"))
    )
    broken = ReconciliationBreak.objects.filter(state="open").order_by("account", "kind").values_list("account", "kind")
    labels = ["broker_name", "kind"]
    yield gauge("desk_reconciliation_breaks_open", "Breaks that wait", labels, broken.annotate(Count("id")))
    yield gauge(
        "desk_requests_lag_seconds", "Age of the oldest request or order that no worker took", [], [(_lag_seconds(),)]
    )


def _lag_seconds() -> float:
    """Age of the oldest request that is due, or deferred order that nobody routed."""
    now = timezone.now()
    due = OrderRequest.objects.due(now).aggregate(oldest=Min("queued_at"))["oldest"]
    unrouted = Order.objects.in_flight().filter(account=None).aggregate(oldest=Min("created_at"))["oldest"]
    return max(((now - since).total_seconds() for since in (due, unrouted) if since), default=0.0)
