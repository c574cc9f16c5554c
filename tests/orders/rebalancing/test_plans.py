"""A plan's life: who may propose and approve it, and when it ends or is refused."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from orders.models import Order, RebalancePlan
from orders.rebalancing import plans
from orders.tasks import advance_rebalancing, propose_rebalancing
from risk.models import Control
from tests.orders.rebalancing.desk import allow, lopsided_desk, placed, proposed
from tradingdesk.audit.models import AuditEvent
from tradingdesk.errors import Conflict, InvalidInput

pytestmark = pytest.mark.django_db
State = RebalancePlan.State


def test_one_plan_is_open_for_a_cause_until_it_expires():
    lopsided_desk(450)
    plan = proposed()
    assert plans.propose_where_due() == []
    RebalancePlan.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(Conflict) as refused:
        plans.approve(plan=plan, actor="officer", reason="late")
    assert refused.value.code == "PLAN_EXPIRED"
    again = proposed()
    plan.refresh_from_db()
    assert (plan.state, again.state) == (State.EXPIRED, State.PROPOSED)
    assert AuditEvent.objects.filter(kind="rebalance.expired", entity_key=str(plan.pk)).count() == 1


def test_whoever_proposed_a_plan_does_not_approve_it():
    lopsided_desk(450)
    plan = plans.propose(actor="trader", reason="too much in one place")
    with pytest.raises(Conflict) as refused:
        plans.approve(plan=plan, actor="trader", reason="mine")
    assert refused.value.code == "OWN_PLAN"
    assert plans.approve(plan=plan, actor="officer", reason="fine").state == State.PLACING


@pytest.mark.parametrize("stage", [plans.approve, plans.reject, plans.stop])
def test_decision_without_a_reason_is_refused(stage):
    lopsided_desk(450)
    plan = proposed()
    with pytest.raises(InvalidInput):
        stage(plan=plan, actor="officer", reason=" ")
    plan.refresh_from_db()
    assert plan.state == State.PROPOSED


def test_rejected_plan_places_nothing_and_stays_rejected():
    lopsided_desk(450)
    plan = plans.reject(plan=proposed(), actor="officer", reason="not now")
    assert placed(plan) == []
    with pytest.raises(Conflict) as refused:
        plans.approve(plan=plan, actor="officer", reason="after all")
    assert refused.value.code == "PLAN_NOT_OPEN"


def test_orders_of_one_plan_are_under_way_at_a_time_and_older_plans_are_stale():
    lopsided_desk(450)
    first = proposed()
    second = plans.propose(actor="trader", reason="twice is better")
    plans.approve(plan=first, actor="officer", reason="fine")
    with pytest.raises(Conflict) as refused:
        plans.approve(plan=second, actor="officer", reason="fine, too")
    assert refused.value.code == "PLAN_IS_STALE"
    with pytest.raises(Conflict) as refused:
        plans.propose(actor="trader", reason="a third")
    assert refused.value.code == "PLAN_IS_PLACED"
    assert plans.propose_where_due() == []


def test_desk_that_is_set_to_places_its_own_plan_up_to_a_cost(configured):
    lopsided_desk(450)
    configured.update(place=True, max_cost=Decimal("0.01"))
    assert proposed().state == State.PROPOSED
    RebalancePlan.objects.all().delete()
    configured.update(max_cost=Decimal(100))
    plan = proposed()
    assert (plan.state, plan.decided_by) == (State.PLACING, plans.SYSTEM)
    assert len(placed(plan)) == 1


def test_plan_with_an_order_that_would_be_denied_waits_for_a_person(configured):
    lopsided_desk(450)
    configured.update(place=True)
    allow(Control.MAX_SYMBOL_EXPOSURE, 80_000)
    plan = proposed()
    assert (plan.state, [problem["code"] for problem in plan.problems]) == (State.PROPOSED, ["WOULD_BE_DENIED"])
    assert plan.legs.count() == 2


def test_desk_that_is_set_not_to_propose_does_not(configured):
    lopsided_desk(450)
    configured.update(propose=False)
    assert plans.propose_where_due() == []


def test_tasks_of_the_schedule_propose_and_place():
    lopsided_desk(450)
    assert propose_rebalancing() == 1
    assert propose_rebalancing() == 0
    plans.approve(plan=RebalancePlan.objects.get(), actor="officer", reason="fine")
    advance_rebalancing()
    advance_rebalancing(RebalancePlan.objects.get().pk)
    assert Order.objects.filter(strategy="rebalancing").count() == 1


def test_plan_that_was_asked_for_is_refused_when_nothing_is_to_do():
    lopsided_desk(100)
    with pytest.raises(Conflict) as refused:
        plans.propose(actor="trader", reason="let us see")
    assert refused.value.code == "NOTHING_TO_REBALANCE"
    assert plans.preview().legs == []
    assert not RebalancePlan.objects.exists()
