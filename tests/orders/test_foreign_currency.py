"""Orders in another currency than the desk's: counted at the rate in force, denied without one."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from brokers.models import BrokerAccount, Instrument
from orders.intake import preview_order
from orders.manager import MultiBrokerManager
from orders.ticket import parse_ticket
from risk.models import ExchangeRate, ExposureTotal
from tests.orders.desk import LIMIT_BUY, submit
from tests.orders.invariants import assert_books_balance

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def euros(desk):
    """IBM is in euros, at 1.25 dollars; one account is in pounds, at 2 dollars, with buying power for some orders."""
    Instrument.objects.filter(symbol="IBM").update(currency="EUR")
    BrokerAccount.objects.filter(pk="alpaca_margin").update(currency="GBP", buying_power=20_000, portfolio_value=1000)
    told = {"base_currency": "USD", "told_at": timezone.now(), "source": "test"}
    ExchangeRate.objects.create(currency="EUR", rate=Decimal("1.25"), **told)
    ExchangeRate.objects.create(currency="GBP", rate=Decimal(2), **told)


def test_order_is_counted_in_dollars_and_takes_buying_power_in_pounds():
    order = submit(broker_name="alpaca_margin")  # 100 at 182.40 euros

    assert (order.status, order.reserved_notional, order.buying_power_held) == ("pending", 18_240, 11_400)
    assert ExposureTotal.objects.get(key="1:alpaca_margin").gross == 22_800
    assert_books_balance()

    beyond = submit(broker_name="alpaca_margin")
    assert [denial["code"] for denial in beyond.denials] == ["INSUFFICIENT_BUYING_POWER"]


def test_portfolio_is_worth_the_sum_in_dollars():
    BrokerAccount.objects.filter(pk="alpaca").update(portfolio_value=500)

    manager = MultiBrokerManager()

    assert manager.get_total_portfolio_value() == 2_500
    assert manager.get_broker_allocations() == {"alpaca": Decimal("0.2"), "alpaca_margin": Decimal("0.8")}


@pytest.mark.parametrize("currency", ["EUR", "GBP"])
def test_order_without_a_rate_in_force_is_denied_also_in_a_preview(currency):
    ExchangeRate.objects.filter(currency=currency).update(told_at=timezone.now() - timedelta(days=4))

    order = submit(broker_name="alpaca_margin")

    assert order.status == "denied"
    assert "NO_FX_RATE" in {denial["code"] for denial in order.denials}
    assert not order.requests.exists()
    preview = preview_order(ticket=parse_ticket(LIMIT_BUY | {"broker_name": "alpaca_margin"}), actor="ann")
    assert not preview.allowed


def test_account_without_a_rate_leaves_the_portfolio_without_a_value():
    ExchangeRate.objects.filter(currency="GBP").delete()

    order = submit(broker_name="alpaca")

    assert [denial["code"] for denial in order.denials] == ["NO_PORTFOLIO_VALUE"]
    assert MultiBrokerManager().get_total_portfolio_value() == 0


def test_rates_come_with_the_locks_in_one_statement_more():
    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            submit(broker_name="alpaca")
        return sum("SAVEPOINT" not in query["sql"] for query in queries)

    submit(broker_name="alpaca")
    with_rates = statements()
    Instrument.objects.update(currency="USD")
    BrokerAccount.objects.update(currency="USD")

    assert with_rates == statements() + 1
