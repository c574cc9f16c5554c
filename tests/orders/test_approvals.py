"""Orders that soft limits hold back: nothing is sent or reserved before another person has approved them."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from orders import tasks
from orders.approvals import SamePerson, approve_order, expire_approvals, refuse_order
from orders.basket import parse_basket, submit_basket
from orders.changes import request_cancel
from orders.intake import preview_order, submit_order
from orders.models import Approval, Order, OrderRequest, RiskDecision, RoutingDecision
from orders.restore.life import begin_new_life
from orders.ticket import parse_ticket
from risk.models import Control, Scope
from tests.factories import member_of
from tests.orders.desk import LIMIT_BUY, submit
from tests.orders.soft import (
    approve,
    as_stored,
    assert_nothing_goes_out,
    held_order,
    limit,
    soft_limit,
    time_passes,
    trail_of,
)
from tradingdesk.errors import Conflict, InvalidInput
from tradingdesk.fix import OrdStatus

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def soft(desk, wakings):
    soft_limit()


def test_order_over_a_soft_limit_waits_and_neither_reserves_nor_is_sent(wakings):
    order = held_order()
    assert (order.account_id, order.reserved_qty, order.closed_at, order.is_open) == (None, 0, None, True)
    assert [(one["code"], one["control"], one["limit"]) for one in order.denials] == [
        ("QUANTITY_EXCEEDS_MAXIMUM", "max_order_qty", "50")
    ]
    approval = order.approval
    assert (approval.state, approval.asked_by, approval.breaks) == ("waiting", "ann", order.denials)
    assert approval.expires_at - approval.asked_at == timedelta(minutes=15)
    assert_nothing_goes_out(order)
    assert wakings.sent == []
    assert [event[0] for event in trail_of(order)] == ["order.new", "order.held"]
    decision = RiskDecision.objects.get(order=order)
    assert decision.warnings == order.denials
    assert not RoutingDecision.objects.filter(order=order).exists()


def test_order_within_the_soft_limit_goes_at_once():
    assert submit(order_qty="50").status == "pending"
    assert not Approval.objects.exists()


def test_order_over_a_hard_limit_is_denied_and_never_waits():
    order = submit(order_qty="1001")
    assert order.status == "denied"
    assert not Approval.objects.exists()


def test_order_between_the_soft_and_the_hard_limit_of_one_scope_waits_and_beyond_both_is_denied():
    limit(Control.MAX_ORDER_QTY, 80, Scope.SYMBOL, "IBM")  # soft at 50
    assert [submit(order_qty=qty).status for qty in ("50", "51", "80", "81")] == [
        "pending",
        "pending_approval",
        "pending_approval",
        "denied",
    ]
    denied = Order.objects.get(order_qty=81)
    assert {(one["limit"], one["scope"]) for one in denied.denials} == {("80", "symbol IBM")}


def test_limit_that_only_warns_by_nature_holds_nothing_back():
    limit(Control.MIN_BROKER_DIVERSIFICATION, 5, hard=False)
    order = submit(order_qty="10")
    assert order.status == "pending"
    assert RiskDecision.objects.get(order=order).warnings[0]["code"] == "TOO_FEW_BROKERS"


def test_same_body_again_is_the_order_that_waits():
    first = held_order(client_order_id="twice")
    again = submit_order(ticket=parse_ticket(LIMIT_BUY | {"client_order_id": "twice"}), actor="ann")
    assert (again.order.pk, again.created, Approval.objects.count()) == (first.pk, False, 1)


def test_sweeper_and_router_leave_an_order_that_waits_alone(wakings, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        order = held_order()
        Order.objects.update(created_at=timezone.now() - timedelta(hours=1))
        assert tasks.sweep() == 0
        tasks.route_order(order.pk)
    assert (as_stored(order).status, wakings.sent) == ("pending_approval", [])
    assert_nothing_goes_out(order)


@pytest.mark.parametrize("by_name_alone", [True, False])
def test_deferred_order_waits_for_anybody_but_who_asked_for_it(by_name_alone):
    ann = {"actor": "ann"} if by_name_alone else {"actor": "ann", "user": get_user_model().objects.create_user("ann")}
    order = submit_order(ticket=parse_ticket(LIMIT_BUY | {"defer": True}), **ann).order
    tasks.route_order(order.pk)

    assert as_stored(order).status == "pending_approval"
    assert Approval.objects.get(order=order).asked_by == "ann"
    with pytest.raises(SamePerson):
        approve(as_stored(order), by="Ann")
    assert approve(as_stored(order), by="rita").status == "pending"


@pytest.mark.parametrize("by", ["ann", "Ann"])
def test_who_entered_an_order_never_approves_it(by):
    order = held_order(by="ann")
    with pytest.raises(SamePerson) as refused:
        approve(order, by=by)
    assert (refused.value.code, refused.value.http_status) == ("SAME_PERSON", 403)
    assert as_stored(order).status == "pending_approval"
    assert_nothing_goes_out(order)


def test_user_who_submitted_by_another_name_never_approves_it():
    user = member_of("trader")
    order = submit_order(ticket=parse_ticket(LIMIT_BUY), actor="strategy.pairs", user=user).order
    with pytest.raises(SamePerson):
        approve(order, by=user.username)


@pytest.mark.parametrize("stage", [approve_order, refuse_order])
@pytest.mark.parametrize("reason", ["", "  "])
def test_a_decision_needs_a_reason(stage, reason):
    order = held_order()
    with pytest.raises(InvalidInput) as refused:
        stage(order=order, actor="rita", reason=reason)
    assert refused.value.field == "reason"
    assert Approval.objects.get().is_waiting


def test_refused_order_is_denied_with_who_and_why():
    order = refuse_order(order=held_order(), actor="rita", reason="too large")
    assert (order.status, order.denials[0]["code"]) == ("denied", "APPROVAL_REFUSED")
    assert order.text == "refused by rita: too large"
    assert as_stored(order).closed_at is not None
    assert (Approval.objects.get().state, trail_of(order)[-1]) == ("refused", ("order.denied", "rita", "too large"))
    assert_nothing_goes_out(order)


def test_order_that_nobody_approves_in_time_expires():
    order, young = held_order(), held_order(order_qty="60")
    time_passes(order)
    assert expire_approvals() == 1
    assert (as_stored(order).status, as_stored(young).status) == ("expired", "pending_approval")
    assert as_stored(order).text == "APPROVAL_EXPIRED: nobody approved it in time"
    assert trail_of(order)[-1][:2] == ("order.expired", "system:approvals")
    assert order.approval.__class__.objects.get(order=order).state == "expired"
    assert (expire_approvals(), tasks.expire_approvals()) == (0, 0)
    assert_nothing_goes_out(order)


@pytest.mark.parametrize("stage", [approve_order, refuse_order])
def test_decision_after_its_time_finds_the_order_expired_though_no_sweep_came(stage):
    order = held_order()
    time_passes(order)
    with pytest.raises(Conflict) as refused:
        stage(order=order, actor="rita", reason="late")
    assert refused.value.code == "APPROVAL_EXPIRED"
    assert (as_stored(order).status, Approval.objects.get().state) == ("expired", "expired")
    assert_nothing_goes_out(order)


def test_wait_is_as_long_as_the_limits_say():
    limit(Control.MAX_APPROVAL_WAIT, 60, Scope.SYMBOL, "IBM")
    approval = held_order().approval
    assert approval.expires_at - approval.asked_at == timedelta(seconds=60)


@pytest.mark.parametrize("stage", [approve_order, refuse_order])
def test_decided_order_is_decided_once(stage):
    order = approve(held_order())
    with pytest.raises(Conflict) as refused:
        stage(order=order, actor="bob", reason="again")
    assert refused.value.code == "APPROVAL_DECIDED"
    assert OrderRequest.objects.filter(order=order).count() == 1


def test_order_that_never_waited_cannot_be_approved():
    with pytest.raises(Conflict) as refused:
        approve(submit(order_qty="10"))
    assert refused.value.code == "NOT_WAITING"


def test_cancelled_order_waits_no_more():
    order = held_order()
    assert request_cancel(order=order, actor="ann", reason="changed my mind") is None
    assert (as_stored(order).status, Approval.objects.get().state) == ("canceled", "withdrawn")
    with pytest.raises(Conflict):
        approve(order)
    assert_nothing_goes_out(order)


def test_restore_from_a_backup_cancels_what_waits():
    order = held_order()
    begin_new_life(actor="ann", origin="backup", facts={})
    assert (as_stored(order).status, Approval.objects.get().state) == ("canceled", "withdrawn")


def test_deferred_order_waits_with_the_name_of_who_entered_it():
    user = member_of("trader")
    order = submit_order(ticket=parse_ticket(LIMIT_BUY | {"defer": True}), actor=user.username, user=user).order
    tasks.route_order(order.pk)
    assert as_stored(order).status == "pending_approval"
    assert Approval.objects.get().asked_by == user.username
    with pytest.raises(SamePerson):
        approve(order, by=user.username)


def test_basket_waits_for_nobody():
    tickets = parse_basket({"orders": [LIMIT_BUY | {"order_qty": "10"}, LIMIT_BUY]})
    basket = submit_basket(tickets=tickets, actor="ann")
    assert [order.status for order in basket.orders] == ["denied", "denied"]
    assert basket.denials[0]["code"] == "QUANTITY_EXCEEDS_MAXIMUM"
    assert "an order of its own" in basket.denials[0]["passes"]
    assert not Approval.objects.exists()


def test_preview_says_that_it_would_wait():
    preview = preview_order(ticket=parse_ticket(LIMIT_BUY), actor="ann")
    assert (preview.allowed, preview.needs_approval) == (True, True)
    assert [one["code"] for one in preview.warnings] == ["QUANTITY_EXCEEDS_MAXIMUM"]
    small = preview_order(ticket=parse_ticket(LIMIT_BUY | {"order_qty": "50"}), actor="ann")
    assert (small.allowed, small.needs_approval) == (True, False)


def test_status_is_in_the_groups_that_people_look_for():
    order = held_order()
    assert order in Order.objects.open()
    assert order in Order.objects.unrouted()
    assert order not in Order.objects.in_flight()
    assert OrdStatus(order.status) == OrdStatus.PENDING_APPROVAL
