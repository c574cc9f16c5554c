"""Cancels and replaces on their way to the broker, and what its answers make of the order."""

import pytest

from brokers.messages import ExecutionReport, OrderRefused
from orders.changes import parse_changes, request_cancel, request_replace
from risk.halts import halt
from tests.orders.desk import Counterparty
from tests.orders.facts import at
from tests.orders.invariants import assert_books_balance
from tests.orders.outbox import LOST, pause_is_over, send
from tradingdesk.fix import ExecType, OrdStatus, RequestKind, RequestState

pytestmark = pytest.mark.django_db


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
