"""Waking workers up once what they should see is committed; the sweeper finds what a lost wake-up left."""

import math
import threading
import time
from functools import partial

from django.db import transaction
from kombu.exceptions import OperationalError

from orders.models import Order, OrderRequest
from tradingdesk.celery import app
from tradingdesk.hails import hail
from tradingdesk.queues import DESK_QUEUE, broker_queue

SEND_REQUEST = "orders.tasks.send_request"
ROUTE_ORDER = "orders.tasks.route_order"
REROUTE_ORDER = "orders.tasks.reroute_order"
SYNC_ACCOUNT = "orders.tasks.sync_account"
RECONCILE_ACCOUNT = "orders.tasks.reconcile_account"
ADVANCE_REBALANCING = "orders.tasks.advance_rebalancing"

SYNC_SLOT = 0.2
RECONCILE_AFTER_CONNECT = 5.0

TRADED = ("executions",)
MOVED = ("executions", "orders")

_lock = threading.Lock()
_last_slot: dict[tuple[str, tuple[str, ...]], int] = {}


def send_soon(request: OrderRequest, *, countdown: float = 0) -> None:
    """Wake the broker's worker for a request, after the commit at hand: by a hail, else by a message."""
    queue = broker_queue(request.broker_name)

    def wake_up() -> None:
        if countdown or not hail(queue, str(request.pk)):
            wake(SEND_REQUEST, request.pk, queue=queue, countdown=countdown)

    transaction.on_commit(wake_up)


def route_soon(order: Order) -> None:
    """Have a deferred order routed, after the commit at hand."""
    transaction.on_commit(partial(wake, ROUTE_ORDER, order.pk, queue=DESK_QUEUE))


def reroute_soon(order_pk: int) -> None:
    """Have an order that waits at an account that is down routed again."""
    wake(REROUTE_ORDER, order_pk, queue=DESK_QUEUE, expires=10)


def sync_soon(broker_name: str, *, countdown: float = 0, reads: tuple[str, ...] = MOVED) -> None:
    """Have an account's orders and executions read (or what `reads` names), as its broker was just told something.

    Wake-ups of one process for the same slot of time are one: a burst of orders does not ask for a read each,
    and every call is answered by a read that begins after its countdown.
    """
    slot = math.ceil((time.monotonic() + countdown) / SYNC_SLOT)
    with _lock:
        if _last_slot.get((broker_name, reads), 0) >= slot:
            return
        _last_slot[broker_name, reads] = slot
    countdown = max(slot * SYNC_SLOT - time.monotonic(), 0.0)
    queue = broker_queue(broker_name)
    wake(SYNC_ACCOUNT, broker_name, reads, queue=queue, countdown=countdown, expires=countdown + 10)


def sync_due(broker_name: str) -> None:
    """Have what is due at an account read."""
    wake(SYNC_ACCOUNT, broker_name, queue=broker_queue(broker_name), expires=5)


def reconcile_soon(broker_name: str, *, countdown: float = 0) -> None:
    """Have an account compared with its broker: now and then, after a connect, and when something was found once."""
    queue = broker_queue(broker_name)
    wake(RECONCILE_ACCOUNT, broker_name, queue=queue, countdown=countdown, expires=countdown + 60)


def wake(task: str, *arguments, queue: str, countdown: float = 0, expires: float | None = None) -> None:
    """Send one wake-up; a queue that cannot be reached is the sweeper's business."""
    try:
        app.send_task(task, args=arguments, queue=queue, countdown=countdown or None, expires=expires, retry=False)
    except (OperationalError, OSError):
        return
