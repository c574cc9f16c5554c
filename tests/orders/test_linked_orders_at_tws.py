"""Brackets and "oto" orders at the sandbox's TWS: from the ticket to a flat position, through ib_async."""

import time
from collections.abc import Iterator
from decimal import Decimal

import pytest
from django.utils import timezone

from brokers.models import AccountHealth, BrokerAccount
from orders import sync
from orders.changes import request_cancel
from orders.models import Execution, Order, OrderRequest, Position
from orders.reconcile.run import reconcile_account
from orders.sending import LATE_ARRIVAL
from orders.unprotected import cancel_unprotected
from orders.wakeups import MOVED
from risk.models import ExposureTotal
from risk.rulebook import forget
from tests.orders.at_brokers import AT_TWS, FAR, NOW, held_at_tws, place, send, statuses
from tests.orders.desk import roomy_desk, submit
from tests.orders.invariants import assert_books_balance
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture
def account(sandbox, wakings) -> Iterator[BrokerAccount]:
    """The desk's account at TWS, held by this process and listened to; flat, and nothing works there."""
    forget()
    (account,) = roomy_desk(AT_TWS)
    sandbox.admin.clear()
    sandbox.admin.push_quote("IBM", "181.90", "182.00", 100_000, 100_000)
    with held_at_tws(account, sandbox, client_id=601):
        before = held()
        yield account
        flat = held() == before
    forget()
    assert flat


def held() -> Decimal:
    return sum(Position.objects.filter(account=AT_TWS, closed_at=None).values_list("qty", flat=True), Decimal(0))


def stand(order: Order, *wanted: str) -> None:
    deadline = time.monotonic() + 20
    while statuses(order) != list(wanted):
        assert time.monotonic() < deadline, f"{statuses(order)}, wanted {wanted} {order.denials}"
        time.sleep(0.02)
        sync.sync_account(AT_TWS, reads=MOVED)


def is_over(order: Order) -> bool:
    """Is all of it rejected or canceled? Which of them it is depends on which of TWS's words came first."""
    sync.sync_account(AT_TWS, reads=MOVED)
    return set(statuses(order)) <= {"rejected", "canceled"}


def agree() -> None:
    reconcile_account(AT_TWS)
    run = reconcile_account(AT_TWS)
    assert (run.complete, run.differences) == (True, 0)
    assert not Order.objects.filter(source=Order.Source.EXTERNAL, parent__isnull=False).exists()
    assert_books_balance()


def open_sells() -> Decimal:
    return ExposureTotal.objects.get(key=f"2:{AT_TWS}:IBM").open_sell_qty


def at_tws(sandbox, order: Order) -> list[dict]:
    labels = {order.client_order_id, *order.legs.values_list("client_order_id", flat=True)}
    return [one for one in sandbox.admin.tws().orders() if one["order_ref"] in labels]


def test_bracket_whose_profit_fills_leaves_no_stop_and_no_position(account, sandbox):
    order = place(**FAR)
    stand(order, "new", "new", "new")
    assert len(at_tws(sandbox, order)) == 3
    assert open_sells() == 0

    sandbox.admin.push_quote("IBM", "174.90", "175.00", 100_000, 100_000)
    stand(order, "filled", "new", "new")
    assert (held(), open_sells()) == (100, 100)

    sandbox.admin.push_quote("IBM", "190.00", "190.10", 100_000, 100_000)
    stand(order, "filled", "filled", "canceled")
    eventually(lambda: held() == 0)
    assert (open_sells(), Execution.objects.filter(exec_type="trade").count()) == (0, 2)
    agree()


def test_bracket_whose_stop_fills_cancels_the_profit(account, sandbox):
    order = place(**NOW)
    stand(order, "filled", "new", "new")
    sandbox.admin.push_quote("IBM", "169.90", "170.00", 100_000, 100_000)
    stand(order, "filled", "canceled", "filled")
    eventually(lambda: held() == 0)
    agree()


def test_oto_places_its_one_exit_when_it_fills(account, sandbox):
    order = place("oto", take_profit=None, **NOW)
    stand(order, "filled", "new")
    sandbox.admin.push_quote("IBM", "169.90", "170.00", 100_000, 100_000)
    stand(order, "filled", "filled")
    eventually(lambda: held() == 0)
    agree()


def test_cancelled_bracket_takes_its_legs_along(account):
    order = place(**FAR)
    stand(order, "new", "new", "new")
    request_cancel(order=order, actor="tester")
    send(order)
    stand(order, "canceled", "canceled", "canceled")
    agree()


def test_lost_answer_ends_in_one_bracket_with_its_legs(account, sandbox):
    sandbox.admin.fault("drop", when="after", operation="new_order", client_order_id="lost-1-L2")
    order = place(client_order_id="lost-1", **FAR)
    OrderRequest.objects.update(not_before=None)
    stand(order, "new", "new", "new")
    assert len(at_tws(sandbox, order)) == 3
    request_cancel(order=order, actor="tester")
    send(order)
    stand(order, "canceled", "canceled", "canceled")
    agree()


def test_bracket_one_of_whose_legs_is_refused_is_not_placed(account, sandbox):
    sandbox.admin.fault(
        "error", when="before", operation="new_order", client_order_id="half-1-L1", status=201, body="no such exits"
    )
    order = place(client_order_id="half-1", **FAR)
    eventually(lambda: is_over(order))
    assert {one["status"] for one in at_tws(sandbox, order)} == {"Cancelled"}
    agree()


def buy_100(account) -> None:
    order = send(submit(broker_name=AT_TWS, **NOW))
    stand(order, "filled")
    eventually(lambda: held() == 100)


OCO = {"side": "sell", "ord_type": None, "price": None, "time_in_force": "gtc"}


def test_oco_is_two_exits_of_one_group_and_the_fill_of_one_cancels_the_other(account, sandbox):
    buy_100(account)
    order = place("oco", **OCO)
    stand(order, "new", "new")
    assert {one["order_type"] for one in at_tws(sandbox, order)} == {"LMT", "STP"}
    assert open_sells() == 100

    sandbox.admin.push_quote("IBM", "169.90", "170.00", 100_000, 100_000)
    stand(order, "canceled", "filled")
    eventually(lambda: held() == 0)
    assert open_sells() == 0
    agree()


def test_part_fill_of_one_exit_is_taken_from_the_other(account, sandbox):
    buy_100(account)
    order = place("oco", **OCO)
    stand(order, "new", "new")
    sandbox.admin.push_quote("IBM", "190.00", "190.10", 40, 100_000)
    stand(order, "partially_filled", "new")
    eventually(lambda: {one["quantity"] for one in at_tws(sandbox, order)} == {"100", "60"})
    sandbox.admin.push_quote("IBM", "190.00", "190.10", 100_000, 100_000)
    stand(order, "filled", "canceled")
    eventually(lambda: held() == 0)
    agree()


def test_cancelled_oco_takes_its_stop_along(account):
    buy_100(account)
    order = place("oco", **OCO)
    stand(order, "new", "new")
    request_cancel(order=order, actor="tester")
    send(order)
    stand(order, "canceled", "canceled")
    agree()
    sell_out()


def is_well() -> bool:
    """Are orders routed there? After a lost connection not before some calls were answered, once it is back."""
    sync.sync_account(AT_TWS, reads=MOVED)
    return AccountHealth.objects.get(account=AT_TWS).healthy


def sell_out() -> None:
    eventually(is_well)
    order = send(submit(side="sell", broker_name=AT_TWS, **NOW))
    stand(order, "filled")
    eventually(lambda: held() == 0)


@pytest.mark.parametrize("refused", ["-L1", ""])
def test_oco_one_of_whose_exits_is_refused_leaves_neither(account, sandbox, refused):
    buy_100(account)
    name = f"refused{refused}-oco"
    sandbox.admin.fault(
        "error", when="before", operation="new_order", client_order_id=f"{name}{refused}", status=201, body="no"
    )
    order = place("oco", client_order_id=name, **OCO)
    eventually(lambda: is_over(order))
    assert {one["status"] for one in at_tws(sandbox, order)} <= {"Cancelled"}
    agree()
    sell_out()


def test_oco_whose_stop_never_reached_tws_is_cancelled_once_it_cannot_come_any_more(account, sandbox):
    buy_100(account)
    sandbox.admin.fault("drop", when="before", operation="new_order", client_order_id="alone-1-L1")
    order = place("oco", client_order_id="alone-1", **OCO)
    OrderRequest.objects.update(not_before=None)
    stand(order, "new", "pending")
    assert cancel_unprotected(account) == []

    Order.objects.filter(pk=order.pk).update(sent_at=timezone.now() - LATE_ARRIVAL * 2)
    eventually(lambda: cancel_unprotected(account) == [order])  # the connection comes back first
    send(order)
    stand(order, "canceled", "canceled")
    assert [one["status"] for one in at_tws(sandbox, order)] == ["Cancelled"]
    agree()
    sell_out()


def test_lost_answer_ends_in_one_oco_with_its_stop(account, sandbox):
    buy_100(account)
    sandbox.admin.fault("drop", when="after", operation="new_order", client_order_id="lost-2-L1")
    order = place("oco", client_order_id="lost-2", **OCO)
    OrderRequest.objects.update(not_before=None)
    stand(order, "new", "new")
    assert len(at_tws(sandbox, order)) == 2
    request_cancel(order=order, actor="tester")
    send(order)
    stand(order, "canceled", "canceled")
    agree()
    sell_out()
