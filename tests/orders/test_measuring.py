"""What the gate is told of the desk's own tables and the brokers' clocks: prices, volumes, sessions, permissions."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from brokers.models import BrokerAccount, Listing
from orders.changes import Changes, ReplaceDenied, request_replace
from orders.intake import submit_order
from orders.models import Order, OrderRequest
from orders.ticket import parse_ticket
from risk.models import Control, Scope
from tests.factories import DailyBarFactory
from tests.orders.desk import LIMIT_BUY, Counterparty, submit
from tests.orders.limited import codes, limit, refusal, working
from tradingdesk.fix import OrdStatus

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("traded")]


def sent_requests() -> int:
    return OrderRequest.objects.count()


def bars(volume, days=3, **bar) -> None:
    """The last days of IBM at every account."""
    today = timezone.now().date()
    for listing in Listing.objects.filter(instrument__symbol="IBM"):
        for day in range(1, days + 1):
            DailyBarFactory(listing=listing, day=today - timedelta(days=day), volume=volume, **bar)
        DailyBarFactory(listing=listing, day=today - timedelta(days=40), volume=10**9)


def clock_says(*, is_open: bool, drift_ms: int = 0, age=timedelta(0)) -> None:
    BrokerAccount.objects.update(
        session_open=is_open,
        session_changes_at=timezone.now() + timedelta(hours=1),
        clock_drift_ms=drift_ms,
        clock_read_at=timezone.now() - age,
    )


def test_average_daily_volume_is_that_of_the_last_days():
    limit(Control.MAX_ADV_SHARE, "0.1")
    bars(volume=1000)

    assert codes(submit(order_qty="100")) == set()
    before = sent_requests()
    denied = submit(order_qty="100.5")

    assert codes(denied) == {"VOLUME_SHARE_EXCEEDS_MAXIMUM"}
    assert sent_requests() == before


def test_order_is_denied_while_no_daily_bars_are_known():
    limit(Control.MAX_ADV_SHARE, "0.1")

    assert codes(submit(order_qty="1")) == {"CONTROL_NOT_MEASURED"}


def test_replace_is_held_against_the_volume_as_a_whole():
    order = working(order_qty="60")
    limit(Control.MAX_ADV_SHARE, "0.1")
    bars(volume=1000)

    assert refusal(order, order_qty=Decimal(101)) == {"VOLUME_SHARE_EXCEEDS_MAXIMUM"}
    assert refusal(order, order_qty=Decimal(100)) == set()


def test_displayed_size_is_the_far_side_of_the_quote():
    limit(Control.MAX_DISPLAYED_RATIO, 1)

    assert codes(submit(order_qty="500", price="90")) == set()
    assert codes(submit(order_qty="501", price="90")) == {"DISPLAYED_SIZE_EXCEEDS_MAXIMUM"}


def test_collar_is_about_the_mid_in_the_session_and_the_last_close_after_it():
    limit(Control.PRICE_COLLAR, "0.1")
    bars(volume=1000, close_px=Decimal(100))

    clock_says(is_open=True)
    assert codes(submit(price="200.69")) == set()
    assert codes(submit(price="200.70")) == {"PRICE_OUTSIDE_COLLAR"}
    clock_says(is_open=False)
    assert codes(submit(price="110")) == set()
    assert codes(submit(price="110.01")) == {"PRICE_OUTSIDE_COLLAR"}


def test_replace_is_held_against_the_collar():
    order = working()
    limit(Control.PRICE_COLLAR, "0.1")
    clock_says(is_open=True)

    assert refusal(order, price=Decimal("200.70")) == {"PRICE_OUTSIDE_COLLAR"}
    assert refusal(order, price=Decimal("200.69")) == set()


def test_clock_that_was_read_long_ago_is_not_known():
    limit(Control.SESSION_ONLY, 1)
    clock_says(is_open=True, age=timedelta(minutes=3))

    assert codes(submit()) == {"CONTROL_NOT_MEASURED"}


def test_session_that_ends_between_two_reads_is_closed():
    limit(Control.SESSION_ONLY, 1)
    clock_says(is_open=True)
    assert codes(submit()) == set()
    BrokerAccount.objects.update(session_changes_at=timezone.now() - timedelta(seconds=1))

    assert codes(submit()) == {"SESSION_CLOSED"}
    assert codes(submit(extended_hours=True)).isdisjoint({"SESSION_CLOSED"})
    assert refusal(working_before(), price=Decimal(90)) == {"SESSION_CLOSED"}


def working_before() -> Order:
    """An order that was acknowledged while there was no such limit."""
    return Counterparty(Order.objects.exclude(account=None).order_by("id").first()).acknowledge()


@pytest.mark.parametrize("ahead", [1, -1])
def test_clock_drift_counts_either_way(ahead):
    limit(Control.MAX_CLOCK_DRIFT, 2)
    clock_says(is_open=True, drift_ms=2000 * ahead)
    assert codes(submit()) == set()
    clock_says(is_open=True, drift_ms=2001 * ahead)

    assert codes(submit()) == {"CLOCK_DRIFT_EXCEEDS_MAXIMUM"}
    assert refusal(working_before(), price=Decimal(90)) == {"CLOCK_DRIFT_EXCEEDS_MAXIMUM"}


def test_user_who_is_not_named_for_an_account_trades_at_the_others_only():
    ann, bob = (get_user_model().objects.create_user(name) for name in ("ann", "bob"))
    limit(Control.PERMISSION_REQUIRED, 1, Scope.ACCOUNT, "alpaca")
    limit(Control.PERMITTED, 1, Scope.USER_ACCOUNT, "ann alpaca")
    ticket = parse_ticket(LIMIT_BUY | {"broker_name": "alpaca"})

    orders = [submit_order(ticket=ticket, actor=user.username, user=user).order for user in (ann, bob)]
    elsewhere = submit_order(ticket=parse_ticket(LIMIT_BUY), actor="bob", user=bob).order

    assert [codes(order) for order in orders] == [set(), {"USER_NOT_PERMITTED"}]
    assert elsewhere.account_id == "alpaca_margin"
    order = Counterparty(orders[0]).acknowledge()
    with pytest.raises(ReplaceDenied, match="user=bob is not permitted to trade account alpaca"):
        request_replace(order=order, changes=Changes(price=Decimal(90)), actor="bob")


def test_soft_limit_holds_the_order_back_and_is_kept_with_its_decision():
    limit(Control.MAX_ORDER_QTY, 50, Scope.SYMBOL, "IBM", hard=False)

    order = submit()

    assert order.status == OrdStatus.PENDING_APPROVAL
    (warning,) = order.risk_decisions.get().warnings
    assert (warning["code"], warning["found"], warning["limit"]) == ("QUANTITY_EXCEEDS_MAXIMUM", "100", "50")
    assert (warning["control"], warning["scope"]) == ("max_order_qty", "symbol IBM")


def test_controls_in_force_are_asked_for_in_statements_of_their_own_and_others_are_not():
    ticket = parse_ticket(LIMIT_BUY)

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            submit_order(ticket=ticket, actor="ann")
        return sum("SAVEPOINT" not in query["sql"] for query in queries)

    without = count()
    limit(Control.MAX_ADV_SHARE, 10**6)
    limit(Control.NO_SELF_CROSS, 1)
    limit(Control.MAX_MESSAGES_PER_MINUTE, 10**6)
    limit(Control.DUPLICATE_WINDOW, "0.000001")
    bars(volume=1000)
    submit()

    assert count() == without + 1 + 1 + 2 + 1
    limit(Control.MAX_MESSAGES_PER_MINUTE, 10**6, Scope.BROKER, "alpaca")
    submit()

    assert count() == without + 1 + 1 + 3 + 1  # which adapter an account is of
