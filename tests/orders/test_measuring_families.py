"""What the gate is told of an order's parent and its strategy, and of who asked."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from orders.changes import Changes, ReplaceDenied, request_cancel, request_replace
from orders.intake import preview_order, submit_order
from orders.models import Order, OrderRequest
from orders.ticket import parse_ticket
from risk.limits import LimitValue, set_limits
from risk.models import Control, Limit, Scope
from tests.orders.desk import LIMIT_BUY, Counterparty, submit
from tests.orders.limited import codes, limit, refusal, working
from tradingdesk.fix import ExecType, OrdStatus, RequestKind, RequestState

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("traded")]


def test_children_of_a_parent_count_however_they_ended_and_denied_ones_do_not():
    limit(Control.MAX_CHILDREN_PER_PARENT, 3)
    request_cancel(order=submit(list_id="P-1"), actor="ann")
    submit(list_id="P-1", order_qty="100000")  # denied
    submit(list_id="P-1"), submit(list_id="P-2")

    assert codes(submit(list_id="P-1")) == set()
    assert codes(submit(list_id="P-1")) == {"TOO_MANY_CHILDREN"}
    assert codes(submit(list_id="P-2")) == set()
    assert codes(submit()) == set()


def test_notional_of_a_parent_is_what_its_orders_traded_and_may_still_trade():
    limit(Control.MAX_NOTIONAL_PER_PARENT, 30_000)
    traded = Counterparty(submit(list_id="P-1", broker_name="alpaca", price="100"))
    traded.acknowledge()
    traded.fill("e1", 40, 50)
    request_cancel(order=submit(list_id="P-1", price="100"), actor="ann")  # never sent: holds nothing

    assert codes(submit(list_id="P-1", order_qty="220.01", price="100")) == {"PARENT_NOTIONAL_EXCEEDS_MAXIMUM"}
    assert codes(submit(list_id="P-1", order_qty="220", price="100")) == set()  # 40 at 50, 60 at 100, 220 at 100


def test_replace_counts_against_its_parent_without_itself():
    order = working(list_id="P-1", price="100")
    submit(list_id="P-1", price="100")
    limit(Control.MAX_CHILDREN_PER_PARENT, 2)
    limit(Control.MAX_NOTIONAL_PER_PARENT, 25_000)

    assert refusal(order, order_qty=Decimal("150.01")) == {"PARENT_NOTIONAL_EXCEEDS_MAXIMUM"}
    assert refusal(order, order_qty=Decimal(150)) == set()


def test_strategy_that_trades_too_often_is_switched_off_until_somebody_switches_it_on(wakings):
    limit(Control.MAX_REPEATED_EXECUTIONS, 2)
    for number in range(2):
        broker = Counterparty(submit(broker_name="alpaca", strategy="momentum"))
        broker.acknowledge()
        broker.fill(f"e{number}", 1, 182)

    other_side = submit(strategy="momentum", side="sell")
    tripping = submit(strategy="momentum")
    after = submit(strategy="momentum", symbol="BAC")

    assert codes(other_side) == set()
    assert codes(tripping) == {"REPEATED_EXECUTIONS"}
    assert codes(after) == {"RESTRICTED"}
    assert codes(submit(strategy="calm")) == set()
    row = Limit.objects.get(control=Control.RESTRICTED, scope=Scope.STRATEGY, scope_key="momentum")
    assert (row.set_by, row.reason) == (
        "system:throttle",
        "REPEATED_EXECUTIONS: IBM executed orders in an hour=3, max=2",
    )
    set_limits([LimitValue(Control.RESTRICTED, None, Scope.STRATEGY, "momentum")], actor="rita", reason="looked at it")
    Order.objects.update(created_at=timezone.now() - timedelta(minutes=61))
    assert codes(submit(strategy="momentum")) == set()


def replaced(broker: Counterparty, price) -> set[str]:
    """Ask for another price, which the broker takes; why it is denied, if it is."""
    denied = refusal(broker.order, price=Decimal(price))
    if not denied:
        broker.tell(ExecType.REPLACED, price=price, client_order_id=broker.order.requests.latest("pk").client_order_id)
    return denied


def test_replaces_of_an_order_that_has_traded_count_as_executions_and_switch_its_strategy_off():
    limit(Control.MAX_REPEATED_EXECUTIONS, 2)
    broker = Counterparty(submit(broker_name="alpaca", strategy="momentum"))
    broker.acknowledge()
    assert [replaced(broker, price) for price in (181, 180, 179)] == [set()] * 3  # nothing has traded yet
    broker.fill("e1", 1, 179)
    Order.objects.filter(pk=broker.pk).update(created_at=timezone.now() - timedelta(minutes=50))

    assert replaced(broker, 178) == set()
    assert replaced(broker, 177) == {"REPEATED_EXECUTIONS"}

    assert Limit.objects.filter(control=Control.RESTRICTED, scope_key="momentum").exists()
    assert broker.order.requests.filter(kind=RequestKind.REPLACE).count() == 4
    assert broker.order.risk_decisions.latest("pk").denials[0]["found"] == "3"


def test_replaces_of_an_old_order_that_still_works_count_as_executions_and_old_or_refused_ones_do_not():
    broker = Counterparty(submit(broker_name="alpaca", strategy="momentum"))
    broker.acknowledge()
    broker.fill("e1", 1, 182)
    replaced(broker, 181), replaced(broker, 180)
    Order.objects.update(created_at=timezone.now() - timedelta(minutes=61))
    limit(Control.MAX_REPEATED_EXECUTIONS, 2)

    assert codes(submit(strategy="momentum", side="sell")) == set()
    assert replaced(broker, 179) == {"REPEATED_EXECUTIONS"}
    set_limits([LimitValue(Control.RESTRICTED, None, Scope.STRATEGY, "momentum")], actor="rita", reason="looked at it")
    first, second = broker.order.requests.filter(kind=RequestKind.REPLACE)
    OrderRequest.objects.filter(pk=first.pk).update(queued_at=timezone.now() - timedelta(minutes=61))
    assert codes(submit(strategy="momentum")) == set()
    OrderRequest.objects.filter(pk=second.pk).update(state=RequestState.REFUSED)
    assert replaced(broker, 179) == set()


def test_replaces_and_cancels_count_for_who_asked_for_them():
    ann, _ = (get_user_model().objects.create_user(name) for name in ("ann", "bob"))
    ticket = parse_ticket(LIMIT_BUY | {"broker_name": "alpaca"})
    order = Counterparty(submit_order(ticket=ticket, actor="ann", user=ann).order).acknowledge()
    limit(Control.MAX_MESSAGES_PER_MINUTE, 2, Scope.USER, "ann")
    limit(Control.MAX_MESSAGES_PER_MINUTE, 1, Scope.USER, "bob")

    request = request_replace(order=order, changes=Changes(price=Decimal(90)), actor="bob")
    Counterparty(order).refuse(request)
    with pytest.raises(ReplaceDenied) as denied:
        request_replace(order=order, changes=Changes(price=Decimal(91)), actor="bob")

    assert {one["scope"] for one in denied.value.denials} == {"user bob"}
    assert codes(submit_order(ticket=ticket, actor="ann", user=ann).order) == set()
    assert codes(submit_order(ticket=ticket, actor="ann", user=ann).order) == {"MESSAGE_RATE_EXCEEDS_MAXIMUM"}


def test_soft_throttle_switches_nothing_off():
    limit(Control.MAX_REPEATED_EXECUTIONS, 0, hard=False)

    assert submit(strategy="momentum").status == OrdStatus.PENDING_APPROVAL
    assert not Limit.objects.filter(control=Control.RESTRICTED).exists()


def test_preview_of_a_tripping_order_switches_nothing_off():
    limit(Control.MAX_REPEATED_EXECUTIONS, 0)

    preview = preview_order(ticket=parse_ticket(LIMIT_BUY | {"strategy": "momentum"}), actor="ann")

    assert [denial["code"] for denial in preview.denials] == ["REPEATED_EXECUTIONS"]
    assert not Limit.objects.filter(control=Control.RESTRICTED).exists()
