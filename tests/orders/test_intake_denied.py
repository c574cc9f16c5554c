"""What the front door denies, and the prices, limits and buying power that it judges by."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from brokers import market
from brokers.messages import OutcomeUnknown
from brokers.models import BrokerAccount, Instrument, Listing, Quote
from orders.models import OrderRequest, RoutingDecision
from risk.halts import halt
from risk.limits import LimitValue, set_limits
from risk.models import Control, Limit
from tests.orders.desk import Counterparty, submission
from tests.orders.invariants import assert_books_balance
from tradingdesk.fix import ExecType, OrdStatus

pytestmark = pytest.mark.django_db


def test_price_off_the_tick_everywhere_is_denied(desk):
    order = submission(price="182.401").order

    assert (order.status, {d["code"] for d in order.denials}) == ("denied", {"PRICE_OFF_TICK"})
    assert not OrderRequest.objects.exists()


def test_missing_quote_is_asked_for_and_then_used(desk, monkeypatch):
    Quote.objects.filter(listing__instrument__symbol="IBM").update(received_at=timezone.now() - timedelta(hours=1))
    asked = []

    def answer(account, symbols):
        asked.append((account.broker_name, symbols))
        Quote.objects.filter(listing__account=account).update(received_at=timezone.now(), quote_time=timezone.now())

    monkeypatch.setattr(market, "sync_quotes", answer)

    order = submission().order

    assert order.status == "pending"
    assert sorted(asked) == [("alpaca", ["IBM"]), ("alpaca_margin", ["IBM"])]
    assert Instrument.objects.get(symbol="IBM").quotes_wanted_at is not None


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        ({"received_at": timezone.now() - timedelta(hours=1)}, "STALE_PRICE"),
        ({"quote_time": timezone.now() - timedelta(hours=1)}, "STALE_PRICE"),
        ({"bid_px": 0}, "UNSOUND_PRICE"),
        ({"bid_px": Decimal("182.50")}, "UNSOUND_PRICE"),
    ],
)
def test_order_without_a_usable_price_is_denied(desk, monkeypatch, spoil, code):
    def no_answer(account, symbols):
        raise OutcomeUnknown("timed out")

    monkeypatch.setattr(market, "sync_quotes", no_answer)
    Quote.objects.update(**spoil)

    order = submission().order

    assert (order.status, {d["code"] for d in order.denials}) == ("denied", {code})
    assert not OrderRequest.objects.exists()


def test_missing_limit_denies(desk):
    set_limits([LimitValue(Control.PORTFOLIO_RISK_LIMIT, None)], actor="ann", reason="mistake")

    order = submission().order

    assert [(d["code"], d["limit"]) for d in order.denials] == [("NO_LIMIT_CONFIGURED", "portfolio_risk_limit")]


def test_desk_without_any_limits_does_not_trade(desk):
    set_limits([LimitValue(limit.control, None) for limit in Limit.objects.all()], actor="ann", reason="empty")

    assert submission().order.status == "denied"


def test_halt_denies_from_the_next_order_on(desk):
    before = submission().order

    halt(scope="symbol", scope_key="IBM", reason="news", actor="ann")
    after, other = submission().order, submission(symbol="BAC", price="182.40").order

    assert (before.status, after.status, other.status) == ("pending", "denied", "pending")
    assert {d["code"] for d in after.denials} == {"TRADING_HALTED"}
    assert_books_balance()


def test_buying_power_is_counted_less_what_the_broker_does_not_know_of_yet(desk):
    BrokerAccount.objects.update(buying_power=Decimal(30_000))
    on = {"broker_name": "alpaca"}

    first, second = submission(**on).order, submission(**on).order
    Counterparty(first).acknowledge()
    third = submission(**on).order
    BrokerAccount.objects.update(last_updated=timezone.now(), buying_power=Decimal(30_000))
    fourth = submission(**on).order

    assert [order.status for order in (first, second, third, fourth)] == ["pending", "denied", "denied", "pending"]
    assert [(d["code"], d["found"], d["limit"]) for d in second.denials] == [
        ("INSUFFICIENT_BUYING_POWER", "18240", "11760")
    ]
    assert_books_balance()


def test_refused_order_gives_its_buying_power_back(desk):
    BrokerAccount.objects.update(buying_power=Decimal(30_000))
    first = submission(broker_name="alpaca").order

    Counterparty(first).tell(ExecType.REJECTED, status=OrdStatus.REJECTED)

    assert submission(broker_name="alpaca").order.status == "pending"


def test_listing_that_is_not_tradable_anywhere_is_denied(desk):
    Listing.objects.filter(instrument__symbol="IBM").update(tradable=False)

    order = submission().order

    assert (order.status, {d["code"] for d in order.denials}) == ("denied", {"NOT_TRADABLE"})


def test_routing_decision_is_written_for_a_denied_order_too(desk):
    order = submission(price="182.401").order

    decision = RoutingDecision.objects.get(order=order)
    assert decision.chosen == ""
    assert all(row["reason"].startswith("PRICE_OFF_TICK") for row in decision.candidates)
