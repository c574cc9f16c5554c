"""The desk and the sandbox's TWS: from the ticket to the booked fill, and what a person does at TWS meanwhile."""

from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest
from django.db import connection

from brokers.models import BrokerAccount
from orders import sending, sync
from orders.changes import parse_changes, request_cancel, request_replace
from orders.models import Execution, Order
from orders.reconcile.run import reconcile_account
from risk.rulebook import forget
from tests.factories import trading_desk
from tests.orders.at_brokers import AT_TWS, held_at_tws, send
from tests.orders.desk import submit
from tests.orders.invariants import assert_books_balance
from tests.waiting import eventually
from tradingdesk.fix import OrdStatus, RequestState

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture
def account(sandbox, wakings) -> Iterator[BrokerAccount]:
    """The desk's account at TWS, held by this process and listened to."""
    forget()
    (account,) = trading_desk(AT_TWS)
    sandbox.admin.clear()
    sandbox.admin.push_quote("IBM", "182.44", "182.46")
    with held_at_tws(account, sandbox, client_id=501):
        yield account
    forget()


def is_(order: Order, status: OrdStatus) -> Callable[[], bool]:
    return lambda: Order.objects.get(pk=order.pk).status == status


def test_order_fills_and_its_fill_is_booked_once_with_its_commission(account):
    order = send(submit(order_qty="100", ord_type="market", price=None))
    eventually(is_(order, OrdStatus.FILLED))
    sync.sync_executions(account)
    sync.sync_executions(account)
    executions = Execution.objects.filter(order=order)
    assert order.requests.get().wire_ref.startswith("501:")
    assert [(one.last_qty, one.last_px) for one in executions if not one.exec_ref_id] == [(100, Decimal("182.46"))]
    assert sorted(one.commission for one in executions if one.commission is not None)[-1] == 1
    assert Order.objects.get(pk=order.pk).cum_qty == 100
    reconcile_account(AT_TWS)
    run = reconcile_account(AT_TWS)
    assert (run.complete, run.differences) == (True, 0)
    assert_books_balance()


def test_order_is_changed_and_cancelled(account):
    order = send(submit(order_qty="10", price="150.00"))
    eventually(is_(order, OrdStatus.NEW))
    request_replace(order=order, changes=parse_changes({"price": "151.00", "order_qty": "20"}), actor="tester")
    send(order)
    eventually(lambda: Order.objects.get(pk=order.pk).order_qty == 20)
    order.refresh_from_db()
    assert (order.price, order.status) == (Decimal(151), OrdStatus.NEW)
    request_cancel(order=order, actor="tester")
    send(order)
    eventually(is_(order, OrdStatus.CANCELED))
    assert_books_balance()


def test_what_a_person_does_at_tws_is_here(account, sandbox):
    tws = sandbox.admin.tws()
    ours = send(submit(order_qty="10", price="150.00"))
    eventually(is_(ours, OrdStatus.NEW))
    tws.cancel(int(ours.broker_order_id))
    eventually(is_(ours, OrdStatus.CANCELED))
    theirs = tws.place("IBM", "BUY", 3, order_type="LMT", lmt_price="100", tif="GTC")
    sync.sync_orders(account)
    adopted = Order.objects.get(broker_order_id=str(theirs["perm_id"]))
    assert (adopted.source, adopted.order_qty, adopted.status) == ("external", 3, OrdStatus.NEW)
    tws.fill(theirs["perm_id"], 3, "100")
    sync.sync_executions(account)
    assert Order.objects.get(pk=adopted.pk).status == OrdStatus.FILLED
    assert_books_balance()


def test_answer_that_got_lost_leaves_one_order_there_and_here(account, sandbox):
    sandbox.admin.fault("drop", operation="new_order", account=AT_TWS, when="after")
    order = send(submit(order_qty="10", price="150.00"))
    eventually(lambda: _resolved(order))
    assert order.requests.get().state == RequestState.ACCEPTED
    there = [one for one in sandbox.admin.tws().orders() if one["order_ref"] == order.client_order_id]
    assert len(there) == 1
    assert is_(order, OrdStatus.NEW)()
    connection.close()


def _resolved(order: Order) -> bool:
    """Ask again as the worker would, without its pauses."""
    order.requests.update(not_before=None)
    request = order.requests.get()
    if request.state in (RequestState.SENDING, RequestState.UNKNOWN):
        sending.send_request(request.pk)
    request.refresh_from_db()
    return request.state == RequestState.ACCEPTED
