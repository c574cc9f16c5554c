"""A plan's life: what calls for one, who may approve it, and the orders that carry it out, through intake and gate."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from brokers.models import AccountHealth, BrokerAccount, Listing, Quote
from orders.models import Order, RebalanceLeg, RebalancePlan, ReconciliationBreak
from orders.rebalancing import placing, plans
from orders.tasks import advance_rebalancing, propose_rebalancing
from risk.exposure import note_unreconciled
from risk.models import Control
from tests.orders.desk import submit
from tests.orders.rebalancing.desk import allow, buy, close, fill, held, lopsided_desk, placed
from tradingdesk.audit.models import AuditEvent
from tradingdesk.errors import Conflict, InvalidInput

pytestmark = pytest.mark.django_db
State, Leg = RebalancePlan.State, RebalanceLeg.State


def proposed() -> RebalancePlan:
    (plan,) = plans.propose_where_due()
    return plan


def approved() -> RebalancePlan:
    return plans.approve(plan=proposed(), actor="officer", reason="as planned")


def test_desk_within_its_limits_proposes_nothing():
    lopsided_desk(400)
    assert plans.propose_where_due() == []


def test_share_over_its_limit_is_answered_with_a_plan_and_its_costs():
    lopsided_desk(450)
    plan = proposed()
    assert (plan.cause, plan.state, plan.proposed_by) == ("over_limit", State.PROPOSED, plans.SYSTEM)
    assert plan.reason == "alpaca: broker_share=0.821, max=0.8"
    sell, bought = plan.legs.all()
    assert (sell.role, sell.side, sell.account_id, sell.symbol) == ("close", "sell", "alpaca", "IBM")
    assert (bought.role, bought.side, bought.account_id) == ("open", "buy", "alpaca_margin")
    assert sell.order_qty == bought.order_qty
    assert sell.share_before == Decimal("0.821025")
    assert Decimal("0.779") < sell.share_after <= Decimal("0.78")
    assert bought.share_before == 0
    assert sell.half_spread == (sell.order_qty * Decimal("0.01")).quantize(Decimal("0.000001"))
    assert sell.fees > bought.fees > 0
    assert plan.cost == sum(leg.cost for leg in plan.legs.all())
    assert plan.problems == []
    assert not Order.objects.filter(strategy=placing.STRATEGY).exists()
    event = AuditEvent.objects.get(kind="rebalance.proposed")
    assert (event.entity_key, event.actor) == (str(plan.pk), plans.SYSTEM)


def test_limit_on_drift_above_the_share_of_capital_calls_for_a_plan_too():
    lopsided_desk(400)
    allow(Control.MAX_ALLOCATION_DRIFT, "0.2")
    plan = proposed()
    assert (plan.cause, plan.reason) == ("over_limit", "alpaca: broker_share=0.7298, max=0.7")
    assert plan.accounts[0]["limit"] == "0.7"
    assert Decimal("0.679") < plan.legs.first().share_after <= Decimal("0.68")


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


def test_denied_purchase_is_tried_again_and_then_told_as_missing():
    lopsided_desk(450)
    plan = approved()
    (sale,) = placed(plan)
    fill(sale)
    allow(Control.MAX_ORDER_QTY, 1)
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
    lopsided_desk(450)
    plan = approved()
    (sale,) = placed(plan)
    fill(sale)
    allow(Control.MAX_ORDER_QTY, 1)
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


def test_desk_that_is_set_not_to_propose_does_not(configured):
    lopsided_desk(450)
    configured.update(propose=False)
    assert plans.propose_where_due() == []


def down(name: str, since: timedelta) -> None:
    AccountHealth.objects.update_or_create(
        account_id=name, defaults={"healthy": False, "breaker_state": "open", "opened_at": timezone.now() - since}
    )


def test_broker_that_is_down_for_long_is_answered_with_what_cannot_be_done():
    lopsided_desk(450)
    down("alpaca", timedelta(seconds=200))
    assert [plan.cause for plan in plans.propose_where_due()] == ["over_limit"]
    RebalancePlan.objects.all().delete()
    down("alpaca", timedelta(seconds=400))
    plan = plans.propose_where_due()[0]
    assert plan.cause == "broker_failed:alpaca"
    assert [problem["code"] for problem in plan.problems] == ["STAYS_OVER", "BROKER_DOWN"]
    assert not plan.legs.exists()
    with pytest.raises(Conflict) as refused:
        plans.approve(plan=plan, actor="officer", reason="try")
    assert refused.value.code == "NOTHING_TO_PLACE"


def test_other_accounts_are_brought_back_while_one_is_down():
    lopsided_desk(450, "alpaca", "alpaca_margin", "interactive_brokers", limit="0.8")
    allow(Control.MAX_BROKER_ALLOCATION, 1)
    buy(100, "alpaca_margin")
    allow(Control.MAX_BROKER_ALLOCATION, "0.15")
    down("alpaca", timedelta(seconds=400))
    plan = plans.propose_where_due()[0]
    assert plan.cause == "broker_failed:alpaca"
    ways = {(leg.account_id, leg.side) for leg in plan.legs.all()}
    assert ways == {("alpaca_margin", "sell"), ("interactive_brokers", "buy")}
    assert "BROKER_DOWN" in {problem["code"] for problem in plan.problems}


def test_unreconciled_account_takes_nothing():
    lopsided_desk(450)
    note_unreconciled("alpaca_margin", "cash: desk=1, broker=2")
    plan = proposed()
    assert not plan.legs.exists()
    assert "ACCOUNT_NOT_RECONCILED" in {problem["code"] for problem in plan.problems}


def unreconcile(name: str, *, symbol: str = "") -> None:
    """Let desk and broker not have agreed for a while, on cash or on a symbol."""
    kind, key = ("position", symbol) if symbol else ("cash", "cash")
    since = timezone.now() - timedelta(seconds=400)
    ReconciliationBreak.objects.create(account_id=name, kind=kind, key=key, symbol=symbol, opened_at=since)
    BrokerAccount.objects.filter(pk=name).update(unreconciled=f"{kind}: desk=1, broker=2")
    note_unreconciled(name, f"{kind}: desk=1, broker=2")


def test_account_that_is_not_reconciled_is_left_where_the_desk_is_set_to(configured):
    lopsided_desk(300)
    unreconcile("alpaca")
    plan = proposed()
    assert plan.cause == "broker_failed:alpaca"
    assert "alpaca may add nothing" in plan.reason
    assert not plan.legs.exists()
    RebalancePlan.objects.all().delete()
    configured.update(leave_unreconciled=True)
    assert [(leg.side, leg.order_qty) for leg in proposed().legs.all()] == [("sell", 300), ("buy", 300)]


def test_symbol_on_which_desk_and_broker_do_not_agree_is_not_sold(configured):
    lopsided_desk(300)
    configured.update(leave_unreconciled=True)
    unreconcile("alpaca", symbol="IBM")
    plan = proposed()
    assert not plan.legs.exists()
    assert [problem["code"] for problem in plan.problems] == ["STAYS_OVER", "POSITION_IN_DOUBT"]


def test_tasks_of_the_schedule_propose_and_place():
    lopsided_desk(450)
    assert propose_rebalancing() == 1
    assert propose_rebalancing() == 0
    plans.approve(plan=RebalancePlan.objects.get(), actor="officer", reason="fine")
    advance_rebalancing()
    advance_rebalancing(RebalancePlan.objects.get().pk)
    assert Order.objects.filter(strategy="rebalancing").count() == 1


def test_drift_from_the_shares_of_capital_is_watched_where_it_is_set(configured):
    lopsided_desk(300)
    assert plans.propose_where_due() == []
    configured.update(max_drift=Decimal("0.3"))
    plan = proposed()
    assert plan.cause == "drift"
    assert "alpaca: 0.5 above its share of the exposure, max=0.3" in plan.reason
    after = {row["broker_name"]: Decimal(row["share_after"]) for row in plan.accounts}
    whole = sum(after.values())
    assert abs(after["alpaca"] / whole - Decimal("0.78")) < Decimal("0.005")


def test_symbol_without_a_usable_price_is_named_and_not_moved():
    lopsided_desk(450)
    Quote.objects.filter(listing__account="alpaca_margin").update(bid_px=0)
    plan = proposed()
    assert not plan.legs.exists()
    assert {"UNSOUND_PRICE"} < {problem["code"] for problem in plan.problems}


def test_order_in_parts_of_a_unit_goes_only_where_both_take_it():
    lopsided_desk(450)
    assert proposed().legs.first().order_qty % 1 != 0
    RebalancePlan.objects.all().delete()
    Listing.objects.filter(account="alpaca_margin").update(fractionable=False)
    assert proposed().legs.first().order_qty % 1 == 0


def test_plan_that_was_asked_for_is_refused_when_nothing_is_to_do():
    lopsided_desk(100)
    with pytest.raises(Conflict) as refused:
        plans.propose(actor="trader", reason="let us see")
    assert refused.value.code == "NOTHING_TO_REBALANCE"
    assert plans.preview().legs == []
    assert not RebalancePlan.objects.exists()
