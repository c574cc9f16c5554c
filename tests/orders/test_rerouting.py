"""Orders that wait at an account that went down: what goes elsewhere, what stays, and that nothing is sent twice."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from brokers.models import AccountHealth
from orders import sending, tasks, wakeups
from orders.changes import request_cancel
from orders.models import Order, OrderRequest, RoutingDecision
from orders.rerouting import reroute_order
from risk import exposure
from risk.limits import LimitValue, set_limits
from risk.models import Control, ExposureTotal, Scope
from tests.orders.desk import Counterparty, submission, submit
from tests.orders.invariants import assert_books_balance
from tests.orders.scripted_gateway import ScriptedGateway
from tradingdesk.audit.models import AuditEvent
from tradingdesk.fix import OrdStatus, RequestState

pytestmark = pytest.mark.django_db


def goes_down(broker_name: str) -> None:
    AccountHealth.objects.update_or_create(account_id=broker_name, defaults={"healthy": False})


@pytest.fixture
def stranded(desk, wakings) -> Order:
    """An order that names no broker, queued at an account that has gone down since."""
    order = submit(client_order_id="mine-1")
    goes_down(order.account_id)
    return order


def other(broker_name: str) -> str:
    return "alpaca" if broker_name == "alpaca_margin" else "alpaca_margin"


def test_order_that_was_never_sent_goes_to_the_other_account_under_a_new_id(
    stranded, wakings, django_capture_on_commit_callbacks
):
    left, there = stranded.account_id, other(stranded.account_id)

    with django_capture_on_commit_callbacks(execute=True):
        assert reroute_order(stranded.pk)

    order = Order.objects.get(pk=stranded.pk)
    assert (order.account_id, order.status, order.reserved_qty) == (there, OrdStatus.PENDING, 100)
    withdrawn, queued = order.requests.order_by("id")
    assert (withdrawn.broker_name, withdrawn.state) == (left, RequestState.REFUSED)
    assert (queued.broker_name, queued.state, queued.client_order_id) == (there, RequestState.QUEUED, "mine-1-N2")
    assert queued.send_before == order.send_before
    assert wakings.of(wakeups.SEND_REQUEST)[-1] == (queued.pk, f"broker.{there}")
    assert RoutingDecision.objects.filter(order=order).latest("id").chosen == there
    event = AuditEvent.objects.get(kind="order.rerouted")
    assert (event.before, event.after) == ({"broker_name": left}, {"broker_name": there})
    assert ExposureTotal.objects.get(key=f"1:{left}").gross == 0
    assert_books_balance()


def test_order_stays_where_who_asked_for_it_may_not_trade_at_the_other_account(desk, wakings):
    get_user_model().objects.create_user("ann")
    order = submission(actor="ann").order
    goes_down(order.account_id)
    zero = LimitValue(Control.MAX_ORDER_QTY, Decimal(0), Scope.USER_ACCOUNT, f"ann {other(order.account_id)}")
    set_limits([zero], actor="rita", reason="not there")

    assert not reroute_order(order.pk)
    assert Order.objects.get(pk=order.pk).account_id == order.account_id


def test_second_time_does_nothing(stranded):
    assert reroute_order(stranded.pk)
    assert not reroute_order(stranded.pk)
    assert stranded.requests.count() == 2


def test_rerouted_order_is_sent_once_and_known_by_its_new_id(stranded, monkeypatch):
    gateway = ScriptedGateway()
    monkeypatch.setattr(sending, "gateway_for", lambda account: gateway)
    reroute_order(stranded.pk)
    for request in stranded.requests.all():
        sending.send_request(request.pk)

    assert [order.client_order_id for call, order in gateway.asked if call == "submit"] == ["mine-1-N2"]
    order = Order.objects.get(pk=stranded.pk)
    assert order.status == OrdStatus.NEW
    broker = Counterparty(order, order.broker_order_id)
    broker.fill("e1", 40, 182)
    assert request_cancel(order=order, actor="ann").orig_client_order_id == "mine-1-N2"
    assert_books_balance()


@pytest.mark.parametrize(
    "change",
    [
        {"state": RequestState.SENDING, "attempts": 1},
        {"state": RequestState.UNKNOWN, "attempts": 1},
        {"attempts": 1},
        {"send_before": timezone.now() - timedelta(seconds=1)},
    ],
    ids=["being sent", "in doubt", "told once", "too old"],
)
def test_what_may_have_been_sent_or_is_too_old_stays(stranded, change):
    OrderRequest.objects.filter(order=stranded).update(**change)
    _stays(stranded)


def test_order_that_names_its_broker_stays(desk, wakings):
    order = submit(broker_name="alpaca")
    goes_down("alpaca")
    _stays(order)


def test_order_stays_at_an_account_that_answers(desk, wakings):
    _stays(submit())


def test_order_stays_when_nobody_else_may_take_it(stranded):
    exposure.note_unreconciled(other(stranded.account_id), "cash")
    _stays(stranded)


def _stays(order: Order) -> None:
    before = OrderRequest.objects.filter(order=order).values().get()
    totals = list(ExposureTotal.objects.order_by("key").values("key", "gross", "open_buy_qty"))
    assert not reroute_order(order.pk)
    assert OrderRequest.objects.filter(order=order).values().get() == before
    assert Order.objects.get(pk=order.pk).account_id == order.account_id
    changed = ExposureTotal.objects.filter(key__in=[row["key"] for row in totals]).order_by("key")
    assert list(changed.values("key", "gross", "open_buy_qty")) == totals
    assert not AuditEvent.objects.filter(kind="order.rerouted").exists()


def test_sweeper_finds_the_stranded_and_the_task_moves_it(stranded, wakings):
    OrderRequest.objects.update(queued_at=timezone.now() - timedelta(seconds=5))
    tasks.sweep()
    assert wakings.of(wakeups.REROUTE_ORDER) == [(stranded.pk, "desk")]
    tasks.reroute_order(stranded.pk)
    assert Order.objects.get(pk=stranded.pk).account_id == other(stranded.account_id)
