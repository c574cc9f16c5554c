"""The desk for scripts: a thin facade over the stage functions, sync and async."""

import asyncio
from contextlib import nullcontext
from decimal import Decimal

import pytest

from brokers.messages import TryLater
from brokers.models import BrokerAccount
from orders.manager import MultiBrokerManager
from orders.models import Order, OrderRequest
from risk.limits import LimitValue, set_limits
from risk.models import Control, ExposureTotal
from risk.portfolio.words import ProposedTrade
from tests.orders.desk import Counterparty, roomy_desk, submit
from tests.risk.portfolio.desk import holds, tell
from tradingdesk.errors import InvalidInput
from tradingdesk.fix import ExecType, OrdStatus, Side

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk():
    """Two accounts of a billion each."""
    return roomy_desk("alpaca", "alpaca_margin")


def filled(qty, px, *, side="buy", broker_name="alpaca"):
    order = submit(order_qty=str(qty), side=side, price=str(px), broker_name=broker_name)
    broker = Counterparty(order)
    broker.tell(ExecType.NEW, status=OrdStatus.NEW)
    broker.fill(f"E-{order.client_order_id}", qty, px, side=Side(side))
    return broker.order


def test_smart_order_is_routed_and_queued(desk):
    order = MultiBrokerManager().place_order_smart("IBM", 10, side="buy")
    assert (order.status, order.source, order.account_id) == ("pending", Order.Source.MANAGER, "alpaca")
    assert OrderRequest.objects.get(order=order).state == "queued"


def test_preference_names_the_broker(desk):
    order = MultiBrokerManager().place_order_smart("IBM", "10", "alpaca_margin", side="buy")
    assert order.account_id == "alpaca_margin"


def test_float_is_read_as_it_prints(desk):
    order = MultiBrokerManager().place_order_smart("IBM", 0.1, side="buy", ord_type="market")
    assert order.order_qty == Decimal("0.1")


def test_denied_order_is_returned_not_raised(desk):
    set_limits([LimitValue(Control.MAX_ORDER_QTY, Decimal(5))], actor="tester", reason="small orders only")
    order = MultiBrokerManager().place_order_smart("IBM", 10, side="buy")
    assert order.status == "denied"
    assert order.denials[0]["code"] == "QUANTITY_EXCEEDS_MAXIMUM"
    assert not OrderRequest.objects.exists()


def test_wrong_field_is_refused_by_name_and_leaves_no_row(desk):
    with pytest.raises(InvalidInput) as refused:
        MultiBrokerManager().place_order_smart("IBM", -1, side="buy")
    assert refused.value.field == "order_qty"
    assert not Order.objects.exists()


def test_positions_are_told_by_broker_and_over_all(desk):
    filled(100, 180)
    filled(300, 184, broker_name="alpaca_margin")
    manager = MultiBrokerManager()
    assert manager.get_positions_by_broker() == {"alpaca": {"IBM": 100}, "alpaca_margin": {"IBM": 300}}
    assert manager.get_consolidated_positions() == [
        {"symbol": "IBM", "qty": 400, "avg_px": 183, "brokers": {"alpaca": 100, "alpaca_margin": 300}}
    ]


def test_opposite_positions_of_two_brokers_cancel_out(desk):
    BrokerAccount.objects.update(shorting_enabled=True)
    filled(100, 180)
    filled(100, 190, side="sell", broker_name="alpaca_margin")
    (row,) = MultiBrokerManager().get_consolidated_positions()
    assert (row["qty"], row["avg_px"]) == (0, None)


def test_portfolio_value_and_allocations_are_the_brokers_own_figures(desk):
    BrokerAccount.objects.filter(pk="alpaca").update(portfolio_value=750)
    BrokerAccount.objects.filter(pk="alpaca_margin").update(portfolio_value=250)
    manager = MultiBrokerManager()
    assert manager.get_total_portfolio_value() == 1000
    assert manager.get_broker_allocations() == {"alpaca": Decimal("0.75"), "alpaca_margin": Decimal("0.25")}


def test_broker_at_81_percent_of_an_80_percent_limit_is_a_violation(desk):
    set_limits(
        [LimitValue(Control.MAX_BROKER_ALLOCATION, Decimal("0.8"))], actor="tester", reason="the design's example"
    )
    BrokerAccount.objects.filter(pk="alpaca").update(portfolio_value=60)
    BrokerAccount.objects.filter(pk="alpaca_margin").update(portfolio_value=40)
    ExposureTotal.objects.update_or_create(key="1:alpaca", defaults={"broker_name": "alpaca", "gross": 81})
    risk = MultiBrokerManager().check_portfolio_risk()
    assert not risk.allowed
    assert [(one.code, one.broker_name, one.found, one.limit) for one in risk.violations] == [
        ("BROKER_ALLOCATION_EXCEEDS_LIMIT", "alpaca", "0.81", "0.8")
    ]
    assert risk.broker_shares["alpaca"] == Decimal("0.81")


def test_portfolio_within_its_limits_is_allowed(desk):
    risk = MultiBrokerManager().check_portfolio_risk()
    assert (risk.allowed, risk.violations, risk.gross_exposure) == (True, [], 0)


def test_portfolio_risk_is_measured_with_a_trade_and_without(desk):
    holds("IBM", 100, 180, "alpaca")
    tell("IBM", [100 + number % 7 for number in range(130)], "alpaca")
    manager, trade = MultiBrokerManager(), ProposedTrade("IBM", Side.SELL, Decimal(100))
    report = manager.measure_portfolio_risk()
    assert (report.complete, report.gross, report.measured.trade) == (True, 18_000, None)
    assert manager.measure_portfolio_risk(trade=trade).measured.trade.trade == trade
    assert manager.measure_portfolio_risk(tail=Decimal("0.01")).measured.tail == Decimal("0.01")


def test_account_that_does_not_answer_is_told_and_the_others_go_on(desk, monkeypatch):
    read = []

    class Gateway:
        def account(self):
            return None

    def visiting(account):
        if account.broker_name == "alpaca":
            raise TryLater("no key")
        return nullcontext(Gateway())

    monkeypatch.setattr("orders.manager.visiting", visiting)
    monkeypatch.setattr("orders.sync.sync_account", lambda name, thorough: read.append(name) or True)
    assert MultiBrokerManager().connect_all_brokers() == {"alpaca": False, "alpaca_margin": True}
    assert read == ["alpaca_margin"]


@pytest.mark.django_db(transaction=True)
def test_async_twins_do_the_same():
    roomy_desk("alpaca")

    async def trade():
        manager = MultiBrokerManager()
        order = await manager.aplace_order_smart("IBM", 10, side="buy")
        risk = await manager.ameasure_portfolio_risk(trade=ProposedTrade("IBM", Side.BUY, Decimal(1)))
        assert [problem.code for problem in risk.problems] == ["MISSING_BARS"]
        return order.status, await manager.aget_total_portfolio_value(), await manager.aget_positions_by_broker()

    assert asyncio.run(trade()) == ("pending", 10**9, {})
