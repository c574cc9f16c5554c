"""Wake-ups as Celery tasks. Each calls one stage function; the rows say what there is to do."""

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from celery import shared_task
from celery.signals import worker_ready, worker_shutdown, worker_shutting_down
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from brokers.models import BrokerAccount
from orders import approvals, halting, rerouting, sending, sync, triggers, wakeups
from orders.changes import ticket_of
from orders.intake import decide_and_store, known_market, with_prices
from orders.models import Order, OrderRequest
from orders.rebalancing import placing, plans
from orders.reconcile import run as reconcile
from orders.serving import Service
from orders.streaming import stop_streams
from orders.unprotected import cancel_unprotected
from tradingdesk.fix import OrdStatus, RequestState

log = logging.getLogger(__name__)

SWEEP_AFTER = timedelta(seconds=2)
SWEEP_BUSY_AFTER = timedelta(seconds=10)
SWEEP_AT_MOST = 500
# Shorter than the wait after a connect: however often a stream flaps, a comparison begins after its last connect.
RECONCILE_AT_MOST_EVERY = timedelta(seconds=wakeups.RECONCILE_AFTER_CONNECT - 1)


@shared_task(name=wakeups.SEND_REQUEST)
def send_request(request_pk: int) -> None:
    """Bring one request of the outbox forward."""
    sending.send_request(request_pk)


@shared_task(name=wakeups.ROUTE_ORDER)
def route_order(order_pk: int) -> None:
    """Judge and route an order that was taken with `defer`; does nothing once it is routed, closed or held back."""
    order = Order.objects.select_related("instrument", "submitted_by").get(pk=order_pk)
    ticket = ticket_of(order)
    market = with_prices(known_market(ticket), ticket)
    with transaction.atomic():
        order = Order.objects.locked().get(pk=order_pk)
        if order.account_id is None and order.status == OrdStatus.PENDING:
            decide_and_store(order, ticket, market, actor="system:router")


@shared_task(name=wakeups.REROUTE_ORDER)
def reroute_order(order_pk: int) -> None:
    """Send an order that was never sent elsewhere, as its account is down."""
    rerouting.reroute_order(order_pk)


@shared_task(name=wakeups.SYNC_ACCOUNT)
def sync_account(broker_name: str, reads: Sequence[str] = ()) -> None:
    """Read what is due at one account, and these reads whether due or not."""
    sync.sync_account(broker_name, reads=reads)


@shared_task(name="orders.tasks.dispatch_syncs")
def dispatch_syncs() -> None:
    """Have every enabled account read by its own worker."""
    for broker_name in BrokerAccount.objects.filter(enabled=True).values_list("pk", flat=True):
        wakeups.sync_due(broker_name)


@shared_task(name=wakeups.RECONCILE_ACCOUNT)
def reconcile_account(broker_name: str) -> None:
    """Compare the desk with one account's broker, unless that has just been done."""
    if not reconcile.was_compared_since(broker_name, timezone.now() - RECONCILE_AT_MOST_EVERY):
        reconcile.reconcile_account(broker_name)
        cancel_unprotected(BrokerAccount.objects.get(pk=broker_name))


@shared_task(name="orders.tasks.dispatch_reconciliations")
def dispatch_reconciliations() -> None:
    """Have every enabled account compared with its broker by its own worker."""
    for broker_name in BrokerAccount.objects.filter(enabled=True).values_list("pk", flat=True):
        wakeups.reconcile_soon(broker_name)


@shared_task(name="orders.tasks.propose_rebalancing")
def propose_rebalancing() -> int:
    """Propose plans where a limit, drift or a failed broker calls for one; how many."""
    return len(plans.propose_where_due())


@shared_task(name=wakeups.ADVANCE_REBALANCING)
def advance_rebalancing(plan_pk: int | None = None) -> None:
    """Place and watch the orders of one plan, or of every plan that is under way."""
    placing.advance_running() if plan_pk is None else placing.advance(plan_pk)


@shared_task(name="orders.tasks.expire_approvals")
def expire_approvals() -> int:
    """Close the orders that nobody has approved in time."""
    return approvals.expire_approvals()


@shared_task(name="orders.tasks.sweep")
def sweep() -> int:
    """Wake workers for what no wake-up reached: requests never sent, claims left behind, orders never routed."""
    now = timezone.now()
    before = now - SWEEP_AFTER
    waiting = Q(state=RequestState.QUEUED, queued_at__lt=before) & (Q(not_before=None) | Q(not_before__lt=before))
    abandoned = Q(state=RequestState.SENDING, sent_at__lt=now - sending.CALL_TIMEOUT)
    doubtful = Q(state=RequestState.UNKNOWN) & (Q(not_before=None) | Q(not_before__lt=before))
    requests = OrderRequest.objects.filter(waiting | abandoned | doubtful).order_by("id")[:SWEEP_AT_MOST]
    found = [wakeups.send_soon(request) for request in _not_about_to_be_sent(requests, now)]
    unrouted = Order.objects.in_flight().filter(account=None, created_at__lt=before).order_by("id")[:SWEEP_AT_MOST]
    found += [wakeups.route_soon(order) for order in unrouted]
    stranded = rerouting.waiting_at_accounts_that_are_down(now).filter(queued_at__lt=before)
    found += [wakeups.reroute_soon(pk) for pk in stranded.values_list("order_id", flat=True)[:SWEEP_AT_MOST]]
    return len(found)


def _not_about_to_be_sent(requests: Iterable[OrderRequest], now: datetime) -> list[OrderRequest]:
    """Leave out what stands in line at an account that is being sent to: more wake-ups would only slow it down."""
    requests = list(requests)
    lately = Order.objects.filter(acknowledged_at__gte=now - SWEEP_AFTER).order_by()
    busy = {name for name in {request.broker_name for request in requests} if lately.filter(account=name).exists()}
    young = now - SWEEP_BUSY_AFTER
    in_line = {one.pk for one in requests if one.state == RequestState.QUEUED and one.queued_at > young}
    return [one for one in requests if one.broker_name not in busy or one.pk not in in_line]


@shared_task(name="orders.tasks.watch_halts")
def watch_halts() -> None:
    """Go on with what halts want cancelled and closed, and trip those that the triggers call for."""
    halting.carry_out_all()
    for halt in triggers.watch():
        halting.carry_out(halt)


_services: list[Service] = []


@worker_ready.connect
def serve_accounts(sender, **kwargs) -> None:
    """A brokers' worker begins with what the one before it left behind, and with its accounts' streams."""
    service = Service(sender)
    if service.is_needed:
        _services.append(service)
        service.start()


@worker_shutting_down.connect
def fall_silent(**kwargs) -> None:
    """What comes now waits for the next worker."""
    for service in _services:
        service.fall_silent()


@worker_shutdown.connect
def let_go_at_the_end(sender, **kwargs) -> None:
    """Once the last task is done, close the streams and give the accounts back."""
    while _services:
        _services.pop().stop()
    stop_streams()
