"""The orders that carry a plan out, through intake and gate: what leaves first, what enters after it."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.test import RequestFactory
from django.utils import timezone

from brokers.models import BrokerAccount
from orders.admin.waiting import approvals_to_decide
from orders.approvals import SamePerson, approve_order
from orders.models import Order, RebalanceLeg, RebalancePlan
from orders.rebalancing import placing, plans
from risk.limits import LimitValue, set_limits
from risk.models import Control
from tests.orders.desk import submit
from tests.orders.rebalancing.desk import allow, approved, close, fill, held, lopsided_desk, placed

pytestmark = pytest.mark.django_db
State, Leg = RebalancePlan.State, RebalanceLeg.State


def test_order_that_a_soft_limit_holds_back_is_not_approved_by_who_proposed_its_plan():
    lopsided_desk(450)
    plan = plans.propose(actor="ann", reason="too much at one broker")
    plans.approve(plan=plan, actor="rita", reason="as planned")
    set_limits([LimitValue(Control.MAX_ORDER_QTY, Decimal(1), hard=False)], actor="rita", reason="for a test")
    (sale,) = placed(plan)
    assert sale.status == "pending_approval"
    with pytest.raises(SamePerson):
        approve_order(order=sale, actor="Ann", reason="mine")
    placed(plan)
    assert (to_decide("ann"), to_decide("rita")) == (0, 1)
    assert approve_order(order=sale, actor="rita", reason="as planned").status == "pending"


def to_decide(name: str) -> int:
    """What the side bar says waits for this person."""
    request = RequestFactory().get("/")
    request.user = User.objects.create_superuser(name)
    return approvals_to_decide(request)


def test_purchase_is_placed_only_once_its_sale_is_filled():
    lopsided_desk(450)
    plan = approved()
    (sale,) = placed(plan)
    assert (sale.side, sale.account_id, sale.status, sale.source) == ("sell", "alpaca", "pending", "rebalancing")
    fill(sale, 5)
    assert placed(plan) == [sale]
    sale.refresh_from_db()
    fill(sale)
    sale, purchase = placed(plan)
    assert (purchase.side, purchase.account_id, purchase.order_qty) == ("buy", "alpaca_margin", sale.order_qty)
    fill(purchase)
    assert len(placed(plan)) == 2
    plan.refresh_from_db()
    assert (plan.state, plan.text) == (State.DONE, "every order was filled")
    assert sum(held().values()) == 450
    assert plans.propose_where_due() == []


def test_partly_filled_sale_is_followed_by_a_purchase_of_as_much():
    lopsided_desk(450)
    plan = approved()
    (sale,) = placed(plan)
    close(fill(sale, 7))
    _, purchase = placed(plan)
    assert purchase.order_qty == 7
    fill(purchase)
    placed(plan)
    plan.refresh_from_db()
    assert plan.state == State.INCOMPLETE
    assert plan.text.startswith(f"7 of {plan.legs.first().order_qty.normalize():f} IBM left alpaca")
    assert sum(held().values()) == 450


def test_sale_that_is_refused_is_followed_by_nothing():
    lopsided_desk(450)
    plan = approved()
    (sale,) = placed(plan)
    close(sale)
    assert placed(plan) == [sale]
    plan.refresh_from_db()
    assert plan.state == State.INCOMPLETE
    assert [leg.state for leg in plan.legs.all()] == [Leg.SHORT, Leg.LEFT_OUT]


def plan_without_its_purchase() -> tuple[RebalancePlan, Order]:
    """A plan whose sale is filled and whose purchase no account may take; with the sale."""
    lopsided_desk(450)
    plan = approved()
    (sale,) = placed(plan)
    fill(sale)
    allow(Control.MAX_ORDER_QTY, 1)
    return plan, sale


def test_denied_purchase_is_tried_again_and_then_told_as_missing():
    plan, sale = plan_without_its_purchase()
    for attempt in range(1, placing.ATTEMPTS + 1):
        orders = placed(plan)
        assert [order.status for order in orders[1:]] == ["denied"] * attempt
        assert len(placed(plan)) == attempt + 1
        plan.legs.update(not_before=None)
    placed(plan)
    plan.refresh_from_db()
    assert plan.state == State.INCOMPLETE
    assert plan.text.startswith(f"{sale.order_qty.normalize():f} IBM left alpaca and did not enter alpaca_margin")
    assert "QUANTITY_EXCEEDS_MAXIMUM" in plan.text


def test_purchase_that_is_denied_once_is_made_good():
    plan, _ = plan_without_its_purchase()
    placed(plan)
    allow(Control.MAX_ORDER_QTY, 1000)
    placed(plan)
    plan.legs.update(not_before=None)
    *_, purchase = placed(plan)
    assert purchase.client_order_id.endswith(".2")
    fill(purchase)
    placed(plan)
    plan.refresh_from_db()
    assert plan.state == State.DONE


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("moment", ["before", "after"])
def test_kill_around_intake_places_nothing_twice(monkeypatch, moment):
    lopsided_desk(450)
    plan = approved()
    through = placing.submit_order

    def killed(**given):
        if moment == "after":
            through(**given)
        raise Killed

    monkeypatch.setattr(placing, "submit_order", killed)
    with pytest.raises(Killed):
        placing.advance(plan.pk)
    assert Order.objects.filter(strategy=placing.STRATEGY).count() == (moment == "after")
    monkeypatch.setattr(placing, "submit_order", through)
    assert len(placed(plan)) == 1
    assert len(placed(plan)) == 1
    leg = plan.legs.first()
    assert (leg.attempt, leg.order.client_order_id) == (1, leg.client_order_id)


def test_position_that_was_sold_meanwhile_is_not_sold_again_into_a_short():
    lopsided_desk(450)
    plan = approved()
    BrokerAccount.objects.update(shorting_enabled=True)
    fill(submit(order_qty="445", side="sell", ord_type="market", price=None, broker_name="alpaca"))
    (sale,) = placed(plan)
    assert sale.order_qty == 5 < plan.legs.first().order_qty
    fill(sale)
    _, purchase = placed(plan)
    assert purchase.order_qty == 5


def in_parts() -> RebalancePlan:
    """An approved plan that takes one position away in several orders."""
    lopsided_desk(450)
    allow(Control.MAX_ORDER_QTY, 10)
    plan = approved()
    allow(Control.MAX_ORDER_QTY, 1_000)
    return plan


def test_sales_of_one_position_are_together_for_no_more_than_is_still_held():
    plan = in_parts()
    assert [leg.order_qty > 5 for leg in plan.legs.filter(role="close")] == [True, True, True]
    BrokerAccount.objects.update(shorting_enabled=True)
    fill(submit(order_qty="445", side="sell", ord_type="market", price=None, broker_name="alpaca"))
    assert [sale.order_qty for sale in placed(plan)] == [5]


def test_turn_takes_the_same_queries_for_any_number_of_legs(django_assert_num_queries):
    plan = in_parts()
    assert len(placed(plan)) == 3
    with django_assert_num_queries(14):
        placing.advance(plan.pk)


def test_stopped_plan_places_no_purchase_and_says_what_is_missing():
    lopsided_desk(450)
    plan = approved()
    (sale,) = placed(plan)
    fill(sale, 7)
    plans.stop(plan=plan, actor="officer", reason="the market moves")
    assert placed(plan) == [sale]
    assert sale.requests.filter(kind="cancel").count() == 1
    sale.refresh_from_db()
    close(sale)
    assert placed(plan) == [sale]
    plan.refresh_from_db()
    assert plan.state == State.STOPPED
    assert plan.text.startswith("7 IBM left alpaca and did not enter alpaca_margin")


def test_order_that_is_open_for_too_long_is_cancelled():
    lopsided_desk(450)
    plan = approved()
    (sale,) = placed(plan)
    fill(sale, 7)
    RebalanceLeg.objects.update(sent_at=timezone.now() - timedelta(seconds=plan.order_seconds + 1))
    placed(plan)
    assert sale.requests.filter(kind="cancel").count() == 1
