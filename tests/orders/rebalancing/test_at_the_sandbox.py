"""A plan carried out at the real sandbox process: intake, gate, sending, fills, and what the brokers then hold."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from brokers.gateway import close_gateways, gateway_for
from brokers.models import BrokerAccount
from orders import sending, sync
from orders.models import Order, OrderRequest, RebalancePlan
from orders.rebalancing import placing, plans
from orders.reconcile.run import reconcile_account
from risk.models import Control
from risk.rulebook import forget
from tests.brokers.sandbox_process import start_sandbox
from tests.factories import trading_desk
from tests.orders.desk import submit
from tests.orders.invariants import assert_books_balance
from tests.orders.rebalancing.desk import allow
from tradingdesk.fix import RequestState

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
NAMES = ("alpaca", "alpaca_margin")
TURNS = 40


@pytest.fixture
def desk(tmp_path, db, monkeypatch) -> Iterator[None]:
    """Two accounts with money of their own at one sandbox; the first holds 500 IBM of a portfolio of 200,000."""
    forget()
    accounts = {name: {"api_key": f"K-{name}", "secret_key": f"S-{name}", "starting_cash": 10**5} for name in NAMES}
    with start_sandbox(tmp_path, speed=0, accounts=accounts) as sandbox:
        for account in trading_desk(*NAMES):
            for part, value in zip(("API_KEY", "SECRET_KEY"), sandbox.keys(account.pk), strict=True):
                monkeypatch.setenv(f"{account.pk.upper()}_{part}", value)
                account.settings[part.lower()] = f"${{{account.pk.upper()}_{part}}}"
            account.settings["base_url"] = sandbox.url
            account.save()
            sandbox.admin.push_quote("IBM", "182.44", "182.46")
            reconcile_account(account.pk)
            sync.sync_account(account.pk, thorough=True)
        submit(order_qty="500", ord_type="market", price=None, broker_name="alpaca")
        until(lambda: held() == {"alpaca": 500, "alpaca_margin": 0})
        allow(Control.MAX_BROKER_ALLOCATION, "0.3")
        yield
        close_gateways()
    forget()


def until(reached) -> None:
    """Do what workers do, turn by turn, until something holds."""
    for _ in range(TURNS):
        for request in OrderRequest.objects.filter(state=RequestState.QUEUED):
            sending.send_request(request.pk)
        for name in NAMES:
            sync.sync_account(name, thorough=True)
        placing.advance_running()
        if reached():
            return
    pytest.fail("it did not come about")


def held() -> dict[str, Decimal]:
    """What the brokers themselves say that each account holds."""
    found = {}
    for account in BrokerAccount.objects.all():
        found[account.pk] = sum((one.qty for one in gateway_for(account).positions()), Decimal(0))
    return found


def test_plan_is_carried_out_and_the_brokers_hold_what_it_said(desk):
    (plan,) = plans.propose_where_due()
    assert plan.reason.startswith("alpaca: broker_share=0.456")
    plans.approve(plan=plan, actor="officer", reason="too much at one broker")
    until(lambda: RebalancePlan.objects.get().state not in RebalancePlan.RUNNING)
    plan.refresh_from_db()
    assert (plan.state, plan.text) == ("done", "every order was filled")
    moved = plan.legs.first().order_qty
    assert held() == {"alpaca": 500 - moved, "alpaca_margin": moved}
    orders = Order.objects.filter(strategy=placing.STRATEGY).order_by("id")
    assert [(order.side, order.account_id, order.status) for order in orders] == [
        ("sell", "alpaca", "filled"),
        ("buy", "alpaca_margin", "filled"),
    ]
    assert orders[1].created_at > orders[0].closed_at
    assert_books_balance()
    assert plans.propose_where_due() == []
