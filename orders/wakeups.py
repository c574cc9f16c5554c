"""Waking workers up once what they should see is committed. A lost wake-up costs time only: the sweeper finds the row."""

from functools import partial

from django.db import transaction
from kombu.exceptions import OperationalError

from orders.models import Order, OrderRequest
from tradingdesk.celery import app
from tradingdesk.queues import DESK_QUEUE, broker_queue

SEND_REQUEST = "orders.tasks.send_request"
ROUTE_ORDER = "orders.tasks.route_order"
SYNC_ACCOUNT = "orders.tasks.sync_account"


def send_soon(request: OrderRequest, *, countdown: float = 0) -> None:
    """Wake the broker's worker for a request, after the commit at hand."""
    transaction.on_commit(
        partial(wake, SEND_REQUEST, request.pk, queue=broker_queue(request.broker_name), countdown=countdown)
    )


def route_soon(order: Order) -> None:
    """Have a deferred order routed, after the commit at hand."""
    transaction.on_commit(partial(wake, ROUTE_ORDER, order.pk, queue=DESK_QUEUE))


def sync_soon(broker_name: str, *, countdown: float = 0) -> None:
    """Have an account's reports read."""
    wake(SYNC_ACCOUNT, broker_name, queue=broker_queue(broker_name), countdown=countdown, expires=countdown + 10)


def wake(task: str, argument, *, queue: str, countdown: float = 0, expires: float | None = None) -> None:
    """Send one wake-up; a queue that cannot be reached is the sweeper's business."""
    try:
        app.send_task(task, args=[argument], queue=queue, countdown=countdown or None, expires=expires, retry=False)
    except (OperationalError, OSError):
        return
