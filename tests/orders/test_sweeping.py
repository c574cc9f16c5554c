"""What no wake-up reached, and what a dead worker left, is found again."""

from datetime import timedelta

import pytest
from django.utils import timezone

from orders import sending, serving, tasks, wakeups
from orders.models import Order, OrderRequest
from tests.orders.desk import submit
from tests.orders.outbox import left_by_a_dead_worker, request_of, send
from tradingdesk.fix import RequestState

pytestmark = pytest.mark.django_db


def test_sweeper_wakes_for_what_no_wake_up_reached(order, gateway, wakings, django_capture_on_commit_callbacks):
    old = timezone.now() - timedelta(minutes=1)
    OrderRequest.objects.update(queued_at=old)
    young, deferred = submit(), submit(defer=True)
    Order.objects.filter(pk=deferred.pk).update(created_at=old)
    wakings.sent.clear()

    with django_capture_on_commit_callbacks(execute=True):
        found = tasks.sweep()

    assert found == 2
    assert wakings.of(wakeups.SEND_REQUEST) == [(request_of(order).pk, "broker.alpaca")]
    assert wakings.of(wakeups.ROUTE_ORDER) == [(deferred.pk, "desk")]
    assert young.requests.get().state == RequestState.QUEUED


def test_sweeper_leaves_the_line_of_a_busy_account_alone_until_it_is_long(order, gateway):
    request = request_of(submit())
    send(order)
    queued = OrderRequest.objects.filter(pk=request.pk)

    queued.update(queued_at=timezone.now() - tasks.SWEEP_AFTER * 2)
    assert tasks.sweep() == 0

    queued.update(queued_at=timezone.now() - tasks.SWEEP_BUSY_AFTER)
    assert tasks.sweep() == 1


@pytest.mark.parametrize(
    ("values", "swept"),
    [
        ({"state": RequestState.SENDING, "sent_at": timedelta(seconds=1)}, False),
        ({"state": RequestState.SENDING, "sent_at": sending.CALL_TIMEOUT + timedelta(seconds=1)}, True),
        ({"state": RequestState.UNKNOWN, "not_before": timedelta(seconds=10)}, True),
        ({"state": RequestState.UNKNOWN, "not_before": -timedelta(seconds=10)}, False),
        ({"state": RequestState.ACCEPTED, "queued_at": timedelta(days=1)}, False),
        ({"state": RequestState.REFUSED, "queued_at": timedelta(days=1)}, False),
    ],
)
def test_sweeper_finds_claims_left_behind_and_doubts_whose_pause_is_over(order, values, swept):
    now = timezone.now()
    moved = {name: now - value if isinstance(value, timedelta) else value for name, value in values.items()}
    OrderRequest.objects.update(**moved)

    assert tasks.sweep() == (1 if swept else 0)


def test_worker_that_starts_takes_over_what_its_brokers_have_unanswered(
    order, wakings, django_capture_on_commit_callbacks
):
    left_by_a_dead_worker(order)

    with django_capture_on_commit_callbacks(execute=True):
        serving.take_over(["alpaca"])
        serving.take_over(["other"])

    assert wakings.of(wakeups.SEND_REQUEST) == [(request_of(order).pk, "broker.alpaca")]
