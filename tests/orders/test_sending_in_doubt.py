"""Requests without an answer: asked about before they are sent again, never sent twice in doubt."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from brokers import lease
from brokers.messages import OutcomeUnknown, TryLater
from orders import sending, wakeups
from orders.models import OrderRequest
from risk.halts import halt
from tests.orders.desk import Counterparty
from tests.orders.invariants import assert_books_balance
from tests.orders.outbox import LOST, left_by_a_dead_worker, pause_is_over, request_of, send
from tests.orders.scripted_gateway import taken
from tradingdesk.fix import RequestState

pytestmark = pytest.mark.django_db


def test_redelivered_request_of_a_dead_worker_is_asked_about_before_anything_else(order, gateway):
    left_by_a_dead_worker(order)
    gateway.will("find_order", taken(sending.new_order_message(sending.request_to_send(request_of(order).pk))))

    request = send(order)

    assert gateway.asked == [("find_order", "X")]
    assert (request.state, order.status, order.broker_order_id) == (RequestState.ACCEPTED, "new", "B-X")
    assert_books_balance()


def test_request_the_broker_does_not_know_is_sent_again_with_the_same_id(order, gateway):
    left_by_a_dead_worker(order)

    request = send(order)

    assert gateway.calls == ["find_order", "submit"]
    assert gateway.asked[1][1].client_order_id == "X"
    assert (request.state, request.attempts, order.status) == (RequestState.ACCEPTED, 2, "new")


def test_request_the_broker_does_not_know_stays_unknown_where_ids_are_not_unique(order, gateway):
    gateway.unique_client_order_ids = False
    left_by_a_dead_worker(order)

    request = send(order)

    assert gateway.calls == ["find_order"]
    assert (request.state, order.outcome_unknown, order.reserved_qty) == (RequestState.UNKNOWN, True, 100)


def test_request_is_sent_again_where_ids_are_not_unique_once_its_connection_is_closed(order, gateway):
    gateway.unique_client_order_ids = False
    gateway.will("submit", OutcomeUnknown("no answer within 8 s"))
    lease.take("alpaca")

    unknown = send(order)
    pause_is_over(order)
    waiting = send(order)
    gateway.has_reconnected = True
    pause_is_over(order)
    taken = send(order)

    assert [one.state for one in (unknown, waiting)] == [RequestState.UNKNOWN] * 2
    assert (taken.state, order.status) == (RequestState.ACCEPTED, "new")
    assert gateway.calls == ["submit", "find_order", "find_order", "submit"]


def test_try_that_was_not_made_leaves_the_earlier_one_in_doubt(order, gateway):
    """Otherwise the request would seem to have been sent on the connection that is open, and wait for its end."""
    gateway.unique_client_order_ids = False
    gateway.will("submit", TryLater("order id 24 can be used no more", retry_after=0.0))
    lease.take("alpaca")
    left_by_a_dead_worker(order)

    unknown = send(order)
    pause_is_over(order)
    taken = send(order)

    assert (unknown.state, unknown.holder) == (RequestState.UNKNOWN, "host:1:gone")
    assert (taken.state, order.status) == (RequestState.ACCEPTED, "new")
    assert gateway.calls == ["find_order", "submit", "find_order", "submit"]


def test_own_claim_older_than_any_call_is_asked_about(order, gateway):
    long_ago = timezone.now() - sending.CALL_TIMEOUT - timedelta(seconds=1)
    OrderRequest.objects.update(state=RequestState.SENDING, holder=sending.this_process(), sent_at=long_ago)

    send(order)

    assert gateway.calls[0] == "find_order"


def test_unknown_outcome_is_neither_rejected_nor_resent_and_keeps_its_reservation(
    order, gateway, wakings, django_capture_on_commit_callbacks
):
    gateway.will("submit", LOST)

    with django_capture_on_commit_callbacks(execute=True):
        request = send(order)

    assert (request.state, request.text) == (RequestState.UNKNOWN, "timed out")
    assert (order.status, order.outcome_unknown, order.reserved_qty) == ("pending", True, 100)
    assert wakings.of(wakeups.SEND_REQUEST) == [(request.pk, "broker.alpaca")]
    send(order)
    assert gateway.calls == ["submit"]  # not before its pause is over
    assert_books_balance()


def test_unknown_outcome_that_the_broker_can_tell_is_settled_by_asking(order, gateway):
    gateway.will("submit", LOST)
    gateway.will("find_order", LOST, taken(sending.new_order_message(sending.request_to_send(request_of(order).pk))))
    send(order)

    for _ in range(2):
        pause_is_over(order)
        request = send(order)

    assert gateway.calls == ["submit", "find_order", "find_order"]
    assert (request.state, order.status, order.outcome_unknown) == (RequestState.ACCEPTED, "new", False)


def test_answer_that_does_not_name_the_order_is_no_answer(order, gateway):
    gateway.will("submit", lambda message: replace(taken(message), client_order_id="", broker_order_id="B-9"))
    gateway.will("find_order", lambda client_order_id: taken(order))

    unknown = send(order)
    pause_is_over(order)
    settled = send(order)

    assert (unknown.state, order.status) == (RequestState.UNKNOWN, "new")
    assert (settled.state, gateway.calls) == (RequestState.ACCEPTED, ["submit", "find_order"])
    assert_books_balance()


def test_pause_before_the_next_question_grows(order, gateway):
    gateway.will("submit", *[LOST] * 9)
    pauses = []
    for _ in range(4):
        before = timezone.now()
        request = send(order)
        pauses.append((request.not_before - before).total_seconds())
        pause_is_over(order)

    assert pauses == sorted(pauses)
    assert pauses[-1] > 2 * pauses[0]


def test_answer_that_came_by_another_way_is_not_forgotten_by_a_late_time_out(order, gateway):
    """The report arrived by the account's reading while the send still waited for its answer."""

    def answered_meanwhile(message):
        Counterparty(order).acknowledge()
        raise LOST

    gateway.will("submit", answered_meanwhile)

    request = send(order)

    assert (request.state, order.status, order.outcome_unknown) == (RequestState.ACCEPTED, "new", False)


def test_rate_limit_of_a_resend_leaves_it_in_doubt(order, gateway):
    """The first send may still arrive: what is put back as never sent could be closed as never sent."""
    gateway.will("submit", LOST, TryLater("slow down", retry_after=3))
    send(order)
    pause_is_over(order)

    request = send(order)

    assert gateway.calls == ["submit", "find_order", "submit"]
    assert (request.state, order.outcome_unknown) == (RequestState.UNKNOWN, True)


def test_unknown_request_past_its_time_is_asked_about_and_not_sent_again(order, gateway):
    gateway.will("submit", LOST)
    send(order)
    OrderRequest.objects.update(send_before=timezone.now(), not_before=timezone.now())

    request = send(order)

    assert gateway.calls == ["submit", "find_order"]
    assert (request.state, order.status, order.reserved_qty) == (RequestState.UNKNOWN, "pending", 100)


def test_unknown_request_is_closed_once_it_cannot_arrive_any_more(order, gateway):
    gateway.will("submit", LOST)
    send(order)
    long_ago = timezone.now() - sending.LATE_ARRIVAL - timedelta(seconds=1)
    OrderRequest.objects.update(send_before=timezone.now(), not_before=timezone.now(), sent_at=long_ago)

    send(order)

    assert gateway.calls == ["submit", "find_order"]
    assert (order.status, order.outcome_unknown, order.reserved_qty) == ("expired", False, 0)
    assert_books_balance()


def test_no_answer_never_closes_an_order(order, gateway):
    gateway.will("submit", LOST)
    gateway.will("find_order", LOST)
    send(order)
    long_ago = timezone.now() - timedelta(days=1)
    OrderRequest.objects.update(send_before=long_ago, not_before=long_ago, sent_at=long_ago)

    request = send(order)

    assert (request.state, order.status, order.reserved_qty) == (RequestState.UNKNOWN, "pending", 100)


def test_halt_keeps_an_unknown_order_from_being_sent_again(order, gateway):
    gateway.will("submit", LOST)
    send(order)
    pause_is_over(order)
    halt(scope="account", scope_key="alpaca", reason="drill", actor="ann")

    request = send(order)

    assert gateway.calls == ["submit", "find_order"]
    assert (request.state, order.reserved_qty) == (RequestState.UNKNOWN, 100)
