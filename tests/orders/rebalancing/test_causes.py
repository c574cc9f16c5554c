"""What calls for a plan, what the plan says, and what it says that cannot be done."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from brokers.models import AccountHealth, BrokerAccount, Listing, Quote
from orders.models import Order, RebalancePlan, ReconciliationBreak
from orders.rebalancing import placing, plans
from risk.exposure import note_unreconciled
from risk.models import Control, ExchangeRate
from tests.orders.rebalancing.desk import allow, buy, lopsided_desk, proposed
from tradingdesk.audit.models import AuditEvent
from tradingdesk.errors import Conflict

pytestmark = pytest.mark.django_db
State = RebalancePlan.State


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


@pytest.fixture
def in_pounds() -> None:
    """A desk over its limit, with half of its value at an account in pounds, at 2 dollars."""
    lopsided_desk(450)
    BrokerAccount.objects.filter(pk="alpaca_margin").update(currency="GBP", portfolio_value=25_000, buying_power=1_000)
    told = {"base_currency": "USD", "told_at": timezone.now(), "source": "test"}
    ExchangeRate.objects.create(currency="GBP", rate=Decimal(2), **told)


@pytest.mark.usefixtures("in_pounds")
def test_account_in_another_currency_counts_at_its_rate_with_its_value_and_its_buying_power():
    plan = proposed()
    assert (plan.total_value, plan.reason) == (100_000, "alpaca: broker_share=0.821, max=0.8")
    bought = plan.legs.get(role="open")
    assert 1_800 < bought.order_qty * bought.px <= 1_900
    assert "NO_BUYING_POWER" in {problem["code"] for problem in plan.problems}


@pytest.mark.usefixtures("in_pounds")
def test_nothing_is_moved_while_the_portfolios_value_is_not_known():
    ExchangeRate.objects.all().delete()
    assert plans.propose_where_due() == []
    draft = plans.preview()
    assert (draft.total_value, draft.legs) == (0, [])
    assert [problem.code for problem in draft.problems] == ["NO_PORTFOLIO_VALUE"]
    assert "GBP" in draft.problems[0].detail
