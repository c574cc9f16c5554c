"""The outbox's other end: claimed before the socket, sent once, and what becomes of the broker's answer."""

from datetime import timedelta
from threading import Thread

import pytest
from django.db import connection
from django.utils import timezone

from brokers.messages import NotSupported, OrderRefused, TryLater
from orders import sending, sync, wakeups
from orders.models import Order, OrderRequest
from risk.halts import halt, halts_in_force, resume
from risk.models import ExposureTotal
from tests.orders.desk import roomy_desk, submit
from tests.orders.invariants import assert_books_balance
from tests.orders.outbox import pause_is_over, request_of, send
from tests.orders.scripted_gateway import taken
from tradingdesk.fix import RequestState

pytestmark = pytest.mark.django_db


def test_order_is_sent_once_and_acknowledged(order, gateway):
    request = send(order)

    [(call, message)] = gateway.asked
    assert (call, message.client_order_id, message.symbol, message.order_qty) == ("submit", "X", "IBM", 100)
    assert (request.state, request.attempts, request.broker_order_id) == (RequestState.ACCEPTED, 1, "B-X")
    assert (order.status, order.broker_order_id, order.sent_at) == ("new", "B-X", request.sent_at)
    assert_books_balance()


def test_answered_request_is_not_sent_again_however_often_the_worker_is_woken(order, gateway):
    send(order)

    for _ in range(3):
        send(order)

    assert gateway.calls == ["submit"]


@pytest.mark.django_db(transaction=True)
def test_claim_is_committed_and_no_transaction_is_open_when_the_socket_is_touched(wakings, gateway):
    roomy_desk("alpaca")
    order, seen = submit(client_order_id="X"), []

    def look(message):
        seen.append(connection.in_atomic_block)
        reader = Thread(target=lambda: seen.append(_state_seen_by_another_connection(order)))
        reader.start()
        reader.join(30)
        return taken(message)

    gateway.will("submit", look)
    send(order)

    assert seen == [False, (RequestState.SENDING, sending.this_process(), 1)]


def _state_seen_by_another_connection(order: Order) -> tuple:
    try:
        return OrderRequest.objects.values_list("state", "holder", "attempts").get(order=order)
    finally:
        connection.close()


def test_only_one_of_two_workers_that_saw_it_queued_sends(order, gateway):
    first, second = (sending.request_to_send(request_of(order).pk) for _ in range(2))

    sending._send(first)
    sending._send(second)

    assert gateway.calls == ["submit"]


def test_request_that_another_thread_of_this_process_is_sending_is_left_alone(order, gateway):
    values = {"state": RequestState.SENDING, "holder": sending.this_process(), "sent_at": timezone.now()}
    OrderRequest.objects.update(**values)

    send(order)

    assert gateway.calls == []


def test_refusal_rejects_the_order_and_frees_its_reservation(order, gateway):
    gateway.will("submit", OrderRefused("insufficient day trading buying power", code="40310000"))

    request = send(order)

    assert (request.state, request.text) == (RequestState.REFUSED, "insufficient day trading buying power")
    assert (order.status, order.text, order.reserved_qty) == ("rejected", "insufficient day trading buying power", 0)
    assert ExposureTotal.objects.get(key="2:alpaca:IBM").gross == 0
    assert_books_balance()


def test_what_the_adapter_cannot_say_rejects_the_order(order, gateway):
    gateway.will("submit", NotSupported("no such order type here"))

    send(order)

    assert (order.status, order.reserved_qty) == ("rejected", 0)


def test_rate_limit_puts_the_request_back_until_the_broker_said(order, gateway, wakings):
    gateway.will("submit", TryLater("slow down", retry_after=3))

    before = timezone.now()
    request = send(order)
    send(order)

    assert (request.state, request.holder, gateway.calls) == (RequestState.QUEUED, "", ["submit"])
    assert 2.5 < (request.not_before - before).total_seconds() < 60
    assert order.outcome_unknown is False

    pause_is_over(order)
    assert send(order).state == RequestState.ACCEPTED


def test_order_that_waited_past_its_time_is_closed_and_never_sent(order, gateway):
    OrderRequest.objects.update(send_before=timezone.now())

    request = send(order)

    assert gateway.calls == []
    assert (order.status, order.sent_at, order.reserved_qty) == ("expired", None, 0)
    assert order.text.startswith("NEVER_SENT_TOO_OLD")
    assert (request.state, request.sent_at) == (RequestState.REFUSED, None)
    assert_books_balance()


def test_market_orders_may_wait_half_a_minute_and_others_longer(order):
    market = submit(ord_type="market", price=None)

    assert market.send_before - market.created_at == timedelta(seconds=30)
    assert order.send_before - order.created_at > timedelta(seconds=30)


def test_halt_keeps_a_queued_order_from_being_sent_until_it_is_lifted(order, gateway):
    halt(scope="firm", reason="drill", actor="ann")
    send(order)
    assert (gateway.calls, request_of(order).state) == ([], RequestState.QUEUED)

    resume(halt=halts_in_force()[0], reason="over", actor="ann")

    assert send(order).state == RequestState.ACCEPTED


@pytest.mark.parametrize(("heard", "reads"), [(False, [("alpaca", wakeups.TRADED)]), (True, [])])
def test_fill_of_a_market_order_is_read_soon_unless_a_stream_tells_it(order, gateway, monkeypatch, heard, reads):
    asked = []
    monkeypatch.setattr(sync, "hears", lambda name: heard)
    monkeypatch.setattr(wakeups, "sync_soon", lambda name, *, countdown, reads: asked.append((name, reads)))

    send(submit(broker_name="alpaca", ord_type="market", price=None))

    assert asked == reads
