"""What the broker says of cancels, replaces and restatements, and what the order reserves then."""

import pytest

from orders.changes import parse_changes, request_cancel, request_replace
from orders.models import BrokerMessage, OrderRequest
from tests.orders.books import exposure, kinds
from tests.orders.desk import Counterparty, roomy_desk, submit
from tests.orders.facts import at
from tests.orders.invariants import assert_books_balance
from tradingdesk.audit.models import AuditEvent
from tradingdesk.fix import ExecType, OrdStatus, RequestKind, RequestState

pytestmark = pytest.mark.django_db


def test_pending_cancel_and_its_refusal_come_from_the_broker_and_leave_the_order_working(broker):
    broker.acknowledge()
    broker.tell(ExecType.PENDING_CANCEL, status=OrdStatus.PENDING_CANCEL)
    pending = broker.order.status
    broker.fill("e1", 10, 182, status=OrdStatus.PENDING_CANCEL)
    still_pending = broker.order.status

    broker.refuse(None, OrdStatus.PARTIALLY_FILLED, text="too late")

    assert (pending, still_pending, broker.order.status) == ("pending_cancel", "pending_cancel", "partially_filled")
    assert exposure().open_buy_qty == 90
    assert kinds()[-1] == "order.cancel_rejected"
    assert BrokerMessage.objects.order_by("id").last().kind == "cancel_rejected"
    assert_books_balance()


def test_pending_cancel_as_the_first_word_answers_both_requests(broker):
    request = request_cancel(order=broker.order, actor="ann")

    broker.tell(ExecType.PENDING_CANCEL, client_order_id=request.client_order_id)

    order = broker.order
    assert list(order.requests.values_list("state", flat=True)) == [RequestState.ACCEPTED, RequestState.ACCEPTED]
    assert (order.status, order.sent_at, order.broker_order_id) == ("pending_cancel", at(0), "B-X")


def test_refusal_of_a_replace_that_was_pending_goes_back_to_the_id_before_it(broker):
    broker.acknowledge()
    request = request_replace(order=broker.order, changes=parse_changes({"order_qty": "150"}), actor="ann")
    broker.tell(ExecType.PENDING_REPLACE, client_order_id=request.client_order_id)

    broker.refuse(request, OrdStatus.NEW, text="not now")

    request.refresh_from_db()
    following = request_replace(order=broker.order, changes=parse_changes({"order_qty": "160"}), actor="ann")
    assert (request.state, request.text, broker.order.status) == (RequestState.REFUSED, "not now", "new")
    assert (following.client_order_id, following.orig_client_order_id) == ("X-R2", "X")
    assert_books_balance()


def test_same_refusal_again_leaves_no_row(broker):
    broker.acknowledge()
    request = request_cancel(order=broker.order, actor="ann")
    broker.refuse(request, OrdStatus.NEW)
    messages, events = BrokerMessage.objects.count(), AuditEvent.objects.count()

    broker.refuse(request, OrdStatus.NEW)

    assert (BrokerMessage.objects.count(), AuditEvent.objects.count()) == (messages, events)


@pytest.mark.parametrize("exec_type", [ExecType.REPLACED, ExecType.RESTATED])
def test_unsolicited_change_of_the_quantity_moves_the_reservation_too(broker, exec_type):
    broker.acknowledge()
    broker.fill("e1", 10, 182)

    broker.tell(exec_type, status=OrdStatus.PARTIALLY_FILLED, order_qty=150)

    order = broker.order
    assert (order.order_qty, order.leaves_qty, order.reserved_qty) == (150, 140, 140)
    assert exposure().open_buy_qty == 140
    assert_books_balance()


@pytest.mark.parametrize("later", [ExecType.REPLACED, ExecType.RESTATED])
def test_change_that_a_later_one_superseded_does_not_come_back(broker, later):
    broker.acknowledge()
    first = broker.report(ExecType.REPLACED, order_qty=80, client_order_id="Y")
    broker.hear(first)
    late = broker.report(ExecType.REPLACED, order_qty=70, client_order_id="Z")
    broker.tell(later, order_qty=60, client_order_id="W")
    messages = BrokerMessage.objects.count()

    for old in (first, late):
        broker.hear(old)

    assert (broker.order.order_qty, broker.order.reserved_qty) == (60, 60)
    assert BrokerMessage.objects.count() == messages
    assert_books_balance()


def test_restatement_while_a_replace_is_on_its_way_reserves_the_worse(broker):
    broker.acknowledge()
    request_replace(order=broker.order, changes=parse_changes({"order_qty": "30"}), actor="ann")

    broker.tell(ExecType.RESTATED, order_qty=180)
    wider = broker.order.reserved_qty
    broker.tell(ExecType.RESTATED, order_qty=20)

    assert (wider, broker.order.leaves_qty, broker.order.reserved_qty) == (180, 20, 180)
    assert_books_balance()


def test_day_order_done_for_the_day_reserves_nothing_and_a_gtc_order_does():
    roomy_desk("alpaca")
    day, gtc = (Counterparty(submit(time_in_force=tif, client_order_id=tif)) for tif in ("day", "gtc"))
    for broker in (day, gtc):
        broker.acknowledge()
        broker.fill(f"e-{broker.client_order_id}", 30, 182)
        broker.tell(ExecType.DONE_FOR_DAY, status=OrdStatus.DONE_FOR_DAY)

    assert (day.order.status, day.order.leaves_qty, day.order.reserved_qty) == ("done_for_day", 0, 0)
    assert (gtc.order.status, gtc.order.leaves_qty, gtc.order.reserved_qty) == ("done_for_day", 70, 70)
    assert_books_balance()


@pytest.mark.parametrize("exec_type", [ExecType.RESTATED, ExecType.NEW, ExecType.ORDER_STATUS])
def test_order_that_works_again_after_the_day_was_done_takes_its_reservation_again(broker, exec_type):
    broker.acknowledge()
    broker.fill("e1", 30, 182)
    broker.tell(ExecType.DONE_FOR_DAY, status=OrdStatus.DONE_FOR_DAY)

    broker.tell(exec_type, status=OrdStatus.PARTIALLY_FILLED)

    assert (broker.order.status, broker.order.leaves_qty, broker.order.reserved_qty) == ("partially_filled", 70, 70)
    assert_books_balance()


def test_answered_cancel_request_is_told_by_its_own_id_only(broker):
    broker.acknowledge()
    request = OrderRequest.objects.create(
        order=broker.order,
        broker_name="alpaca",
        kind=RequestKind.CANCEL,
        client_order_id="Y",
        state=RequestState.SENDING,
    )
    broker.fill("e1", 10, 182)
    request.refresh_from_db()
    assert request.state == RequestState.SENDING

    broker.tell(ExecType.PENDING_CANCEL, status=OrdStatus.PENDING_CANCEL, client_order_id="Y")

    request.refresh_from_db()
    assert request.state == RequestState.ACCEPTED
