"""The outbox's other end: claimed before the socket, asked about before it is sent again, never sent twice in doubt."""

from dataclasses import replace
from datetime import timedelta
from threading import Thread

import pytest
from django.db import connection
from django.utils import timezone

from brokers import lease
from brokers.messages import ExecutionReport, NotSupported, OrderRefused, OutcomeUnknown, TryLater
from orders import sending, serving, sync, tasks, wakeups
from orders.changes import parse_changes, request_cancel, request_replace
from orders.models import Order, OrderRequest
from risk.halts import halt, halts_in_force, resume
from risk.models import ExposureTotal
from tests.orders.desk import Counterparty, roomy_desk, submit
from tests.orders.facts import at
from tests.orders.invariants import assert_books_balance
from tests.orders.scripted_gateway import ScriptedGateway, taken
from tradingdesk.fix import ExecType, OrdStatus, RequestKind, RequestState

pytestmark = pytest.mark.django_db

LOST = OutcomeUnknown("timed out")


@pytest.fixture
def gateway(monkeypatch):
    """The only way to the broker."""
    scripted = ScriptedGateway()
    monkeypatch.setattr(sending, "gateway_for", lambda account: scripted)
    return scripted


@pytest.fixture
def order(db, wakings):
    """A limit order to buy 100 IBM that waits in the outbox."""
    roomy_desk("alpaca")
    return submit(client_order_id="X")


def request_of(order: Order, kind=RequestKind.NEW) -> OrderRequest:
    return order.requests.filter(kind=kind).latest("id")


def send(order: Order, kind=RequestKind.NEW) -> OrderRequest:
    """Wake the worker for the order's request; the request as it is then."""
    sending.send_request(request_of(order, kind).pk)
    order.refresh_from_db()
    return request_of(order, kind)


def pause_is_over(order: Order, kind=RequestKind.NEW) -> None:
    OrderRequest.objects.filter(pk=request_of(order, kind).pk).update(not_before=timezone.now())


def left_by_a_dead_worker(order: Order, kind=RequestKind.NEW) -> None:
    """The request as a worker that was killed while it sent leaves it."""
    values = {"state": RequestState.SENDING, "holder": "host:1:gone", "sent_at": timezone.now(), "attempts": 1}
    OrderRequest.objects.filter(pk=request_of(order, kind).pk).update(**values)


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
    first = OrderRequest.objects.select_related("order__account", "order__instrument").get(order=order)
    second = OrderRequest.objects.select_related("order__account", "order__instrument").get(order=order)

    sending._send(first)
    sending._send(second)

    assert gateway.calls == ["submit"]


def test_redelivered_request_of_a_dead_worker_is_asked_about_before_anything_else(order, gateway):
    left_by_a_dead_worker(order)
    gateway.will("find_order", taken(sending.new_order_message(request_of(order))))

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


def test_request_that_another_thread_of_this_process_is_sending_is_left_alone(order, gateway):
    values = {"state": RequestState.SENDING, "holder": sending.this_process(), "sent_at": timezone.now()}
    OrderRequest.objects.update(**values)

    send(order)

    assert gateway.calls == []


def test_own_claim_older_than_any_call_is_asked_about(order, gateway):
    long_ago = timezone.now() - sending.CALL_TIMEOUT - timedelta(seconds=1)
    OrderRequest.objects.update(state=RequestState.SENDING, holder=sending.this_process(), sent_at=long_ago)

    send(order)

    assert gateway.calls[0] == "find_order"


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
    gateway.will("find_order", LOST, taken(sending.new_order_message(request_of(order))))
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


def test_rate_limit_of_a_resend_leaves_it_in_doubt(order, gateway):
    """The first send may still arrive: what is put back as never sent could be closed as never sent."""
    gateway.will("submit", LOST, TryLater("slow down", retry_after=3))
    send(order)
    pause_is_over(order)

    request = send(order)

    assert gateway.calls == ["submit", "find_order", "submit"]
    assert (request.state, order.outcome_unknown) == (RequestState.UNKNOWN, True)


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


def test_halt_keeps_a_queued_order_from_being_sent_until_it_is_lifted(order, gateway):
    halt(scope="firm", reason="drill", actor="ann")
    send(order)
    assert (gateway.calls, request_of(order).state) == ([], RequestState.QUEUED)

    resume(halt=halts_in_force()[0], reason="over", actor="ann")

    assert send(order).state == RequestState.ACCEPTED


def test_halt_keeps_an_unknown_order_from_being_sent_again(order, gateway):
    gateway.will("submit", LOST)
    send(order)
    pause_is_over(order)
    halt(scope="account", scope_key="alpaca", reason="drill", actor="ann")

    request = send(order)

    assert gateway.calls == ["submit", "find_order"]
    assert (request.state, order.reserved_qty) == (RequestState.UNKNOWN, 100)


def test_cancel_goes_out_during_a_halt(order, gateway):
    send(order)
    halt(scope="firm", reason="drill", actor="ann")
    request_cancel(order=order, actor="ann")

    request = send(order, RequestKind.CANCEL)

    assert gateway.calls == ["submit", "cancel"]
    assert gateway.asked[1][1].broker_order_id == "B-X"
    assert (request.state, order.status) == (RequestState.ACCEPTED, "new")


def test_cancel_waits_until_the_broker_has_acknowledged_the_order(order, gateway):
    gateway.will("submit", LOST)
    send(order)
    request_cancel(order=order, actor="ann")

    request = send(order, RequestKind.CANCEL)
    assert (gateway.calls, request.state) == (["submit"], RequestState.QUEUED)

    Counterparty(order).acknowledge()
    pause_is_over(order, RequestKind.CANCEL)
    assert send(order, RequestKind.CANCEL).state == RequestState.ACCEPTED
    assert gateway.asked[-1][1].broker_order_id == "B-X"


def test_refused_cancel_leaves_the_order_working(order, gateway):
    send(order)
    request_cancel(order=order, actor="ann")
    gateway.will("cancel", OrderRefused("order is not cancelable"))

    request = send(order, RequestKind.CANCEL)

    assert (request.state, request.text) == (RequestState.REFUSED, "order is not cancelable")
    assert (order.status, order.reserved_qty) == ("new", 100)
    assert_books_balance()


def test_cancel_of_unknown_outcome_asks_how_the_order_stands_before_it_goes_out_again(order, gateway):
    send(order)
    request_cancel(order=order, actor="ann")
    gateway.will("cancel", LOST)
    send(order, RequestKind.CANCEL)
    pause_is_over(order, RequestKind.CANCEL)
    gateway.will("read_order", _order_status(OrdStatus.NEW))

    request = send(order, RequestKind.CANCEL)

    assert gateway.calls == ["submit", "cancel", "read_order", "cancel"]
    assert (request.state, order.outcome_unknown) == (RequestState.ACCEPTED, False)


def test_cancel_of_unknown_outcome_that_is_refused_at_last_leaves_no_doubt(order, gateway):
    send(order)
    request_cancel(order=order, actor="ann")
    gateway.will("cancel", LOST, OrderRefused("order is not cancelable"))
    gateway.will("read_order", _order_status(OrdStatus.NEW))
    send(order, RequestKind.CANCEL)
    pause_is_over(order, RequestKind.CANCEL)

    request = send(order, RequestKind.CANCEL)

    assert (request.state, order.status, order.outcome_unknown) == (RequestState.REFUSED, "new", False)


def test_cancel_of_unknown_outcome_is_settled_when_the_order_is_found_canceled(order, gateway):
    send(order)
    request_cancel(order=order, actor="ann")
    gateway.will("cancel", LOST)
    send(order, RequestKind.CANCEL)
    pause_is_over(order, RequestKind.CANCEL)
    gateway.will("read_order", _order_status(OrdStatus.CANCELED))

    request = send(order, RequestKind.CANCEL)

    assert gateway.calls == ["submit", "cancel", "read_order"]
    assert (request.state, order.status, order.reserved_qty) == (RequestState.ACCEPTED, "canceled", 0)
    assert_books_balance()


def _order_status(status: OrdStatus) -> ExecutionReport:
    return ExecutionReport(
        exec_type=ExecType.ORDER_STATUS,
        broker_order_id="B-X",
        transact_time=at(9),
        client_order_id="X",
        status=status,
    )


def test_replace_is_sent_with_the_brokers_id_and_an_id_of_its_own(order, gateway):
    send(order)
    request_replace(order=order, changes=parse_changes({"order_qty": "150", "price": "182.30"}), actor="ann")

    gateway.will("replace", lambda message: _replacement(message.client_order_id, OrdStatus.NEW))
    request = send(order, RequestKind.REPLACE)

    message = gateway.asked[-1][1]
    assert (message.client_order_id, message.orig_client_order_id, message.broker_order_id) == ("X-R1", "X", "B-X")
    assert (message.order_qty, str(message.price.normalize())) == (150, "182.3")
    assert (request.state, request.broker_order_id) == (RequestState.ACCEPTED, "B-X-R1")
    assert (order.order_qty, order.broker_order_id, order.reserved_qty) == (150, "B-X-R1", 150)
    assert_books_balance()


def _replacement(client_order_id: str, status: OrdStatus) -> ExecutionReport:
    return ExecutionReport(
        exec_type=ExecType.ORDER_STATUS,
        broker_order_id=f"B-{client_order_id}",
        transact_time=at(5),
        client_order_id=client_order_id,
        status=status,
        replaces="B-X",
    )


def test_report_about_the_order_that_was_replaced_does_not_bring_it_back(order, gateway):
    send(order)
    broker = Counterparty(order)
    for number in (1, 2):
        request_replace(order=order, changes=parse_changes({"order_qty": str(100 + number)}), actor="ann")
        gateway.will("replace", lambda message: _replacement(message.client_order_id, OrdStatus.NEW))
        send(order, RequestKind.REPLACE)

    for late in (_replacement("X-R1", OrdStatus.REPLACED), _replacement("X-R1", OrdStatus.NEW)):
        broker.hear(late)

    assert (broker.order.order_qty, broker.order.broker_order_id) == (102, "B-X-R2")
    assert_books_balance()


def test_fill_of_the_order_that_was_replaced_is_booked_on_the_one_row(order, gateway):
    send(order)
    request_replace(order=order, changes=parse_changes({"order_qty": "150"}), actor="ann")
    gateway.will("replace", lambda message: _replacement(message.client_order_id, OrdStatus.NEW))
    send(order, RequestKind.REPLACE)
    broker = Counterparty(order)

    broker.fill("e1", 30, 182, broker_order_id="B-X")
    broker.fill("e2", 120, 182, broker_order_id="B-X-R1", client_order_id="X-R1")

    assert (broker.order.status, broker.order.cum_qty) == ("filled", 150)
    assert_books_balance()


def test_replacement_that_the_broker_rejects_leaves_the_order_as_it_was(order, gateway):
    send(order)
    request_replace(order=order, changes=parse_changes({"order_qty": "150"}), actor="ann")
    gateway.will("replace", lambda message: _replacement(message.client_order_id, OrdStatus.PENDING))
    send(order, RequestKind.REPLACE)
    pending = (order.status, order.broker_order_id, order.reserved_qty)

    Counterparty(order).hear(_replacement("X-R1", OrdStatus.REJECTED))

    order.refresh_from_db()
    assert pending == ("pending_replace", "B-X", 150)
    assert (order.status, order.order_qty, order.broker_order_id, order.reserved_qty) == ("new", 100, "B-X", 100)
    assert_books_balance()


def test_refused_replace_goes_back_to_the_orders_own_reservation(order, gateway):
    send(order)
    request_replace(order=order, changes=parse_changes({"order_qty": "150"}), actor="ann")
    order.refresh_from_db()
    assert order.reserved_qty == 150
    gateway.will("replace", OrderRefused("cannot replace now"))

    request = send(order, RequestKind.REPLACE)

    assert (request.state, order.status, order.order_qty, order.reserved_qty) == (RequestState.REFUSED, "new", 100, 100)
    assert_books_balance()


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


@pytest.mark.parametrize(("heard", "reads"), [(False, [("alpaca", wakeups.TRADED)]), (True, [])])
def test_fill_of_a_market_order_is_read_soon_unless_a_stream_tells_it(order, gateway, monkeypatch, heard, reads):
    asked = []
    monkeypatch.setattr(sync, "hears", lambda name: heard)
    monkeypatch.setattr(wakeups, "sync_soon", lambda name, *, countdown, reads: asked.append((name, reads)))

    send(submit(broker_name="alpaca", ord_type="market", price=None))

    assert asked == reads


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
