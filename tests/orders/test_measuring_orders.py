"""What the gate is told of orders before: duplicates, messages, and our own on the other side."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from brokers.models import BrokerAccount
from orders.changes import request_cancel
from orders.intake import preview_order, submit_order
from orders.models import Order
from orders.ticket import parse_ticket
from risk.models import Control, Scope
from tests.orders.desk import LIMIT_BUY, submit
from tests.orders.limited import codes, limit, refusal, working

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("traded")]


def test_same_order_within_the_window_is_denied_once_and_passes_after_it():
    limit(Control.DUPLICATE_WINDOW, 60)
    denied = submit()

    assert codes(denied) == {"DUPLICATE_ORDER"}
    Order.objects.exclude(pk=denied.pk).update(created_at=timezone.now() - timedelta(seconds=61))
    assert codes(submit()) == set()


@pytest.mark.parametrize(
    "other", [{"order_qty": "101"}, {"price": "182.41"}, {"side": "sell"}, {"symbol": "BAC"}, {"strategy": "other"}]
)
def test_order_that_differs_is_no_duplicate(other):
    limit(Control.DUPLICATE_WINDOW, 60)

    assert codes(submit(**other)).isdisjoint({"DUPLICATE_ORDER"})


def test_market_order_is_no_duplicate_of_a_limit_order_but_of_another_market_order():
    limit(Control.DUPLICATE_WINDOW, 60)

    assert codes(submit(ord_type="market", price=None)) == set()
    assert codes(submit(ord_type="market", price=None)) == {"DUPLICATE_ORDER"}


def test_halves_of_an_order_for_two_named_accounts_are_no_duplicates():
    names = list(BrokerAccount.objects.values_list("broker_name", flat=True))
    limit(Control.DUPLICATE_WINDOW, 60)

    found = [codes(submit(order_qty="50", broker_name=name)) for name in [*names, names[0]]]

    assert found == [set(), set(), {"DUPLICATE_ORDER"}]


def test_replace_that_makes_an_order_the_same_as_another_is_a_duplicate():
    order = working(order_qty="50")
    working(order_qty="60")
    limit(Control.DUPLICATE_WINDOW, 60)

    assert refusal(order, order_qty=Decimal(60)) == {"DUPLICATE_ORDER"}
    assert refusal(order, order_qty=Decimal(61)) == set()


def test_new_orders_replaces_and_cancels_count_as_messages_and_denied_orders_do_not():
    order, other = working(), working()
    request_cancel(order=other, actor="ann")
    limit(Control.MAX_MESSAGES_PER_MINUTE, 6)  # three new orders and a cancel so far

    assert refusal(order, price=Decimal(90)) == set()
    assert codes(submit()) == set()
    assert [codes(submit()), codes(submit())] == [{"MESSAGE_RATE_EXCEEDS_MAXIMUM"}] * 2
    Order.objects.update(created_at=timezone.now() - timedelta(seconds=61))
    assert codes(submit()) == set()


def test_replace_past_the_message_rate_is_denied():
    order = working()
    limit(Control.MAX_MESSAGES_PER_MINUTE, 2)

    assert refusal(order, price=Decimal(90)) == {"MESSAGE_RATE_EXCEEDS_MAXIMUM"}


@pytest.mark.parametrize(
    ("scope", "key", "counted"),
    [
        (Scope.USER, "ann", 2),
        (Scope.STRATEGY, "fast", 1),
        (Scope.SYMBOL, "IBM", 4),
        (Scope.FIRM, "", 4),
        (Scope.BROKER, "alpaca", 4),
        (Scope.ACCOUNT, "alpaca_margin", 1),
    ],
)
def test_messages_are_counted_by_what_the_limit_is_about(scope, key, counted):
    Order.objects.update(account="alpaca")
    ann = get_user_model().objects.create_user("ann")
    body = LIMIT_BUY | {"strategy": "fast", "broker_name": "alpaca_margin"}
    submit_order(ticket=parse_ticket(body), actor="ann", user=ann)
    submit_order(ticket=parse_ticket(LIMIT_BUY | {"broker_name": "alpaca"}), actor="ann", user=ann)
    submit(broker_name="alpaca")
    ticket = parse_ticket(body)

    limit(Control.MAX_MESSAGES_PER_MINUTE, counted + 1, scope, key)
    assert preview_order(ticket=ticket, actor="ann").allowed
    limit(Control.MAX_MESSAGES_PER_MINUTE, counted, scope, key)
    preview = preview_order(ticket=ticket, actor="ann")

    assert {denial["code"] for denial in preview.denials} == {"MESSAGE_RATE_EXCEEDS_MAXIMUM"}
    assert {denial["found"] for denial in preview.denials} == {str(counted + 1)}


def test_order_that_would_meet_one_of_our_own_at_another_account_is_denied():
    submit(side="sell", price="190", broker_name="alpaca_margin")
    submit(side="sell", price="189", broker_name="alpaca")
    limit(Control.NO_SELF_CROSS, 1)

    denied = submit(price="189", broker_name="alpaca_margin")

    assert codes(denied) == {"WOULD_CROSS_OWN_ORDER"}
    assert "at alpaca, 189" in denied.text
    assert codes(submit(price="188.99", broker_name="alpaca_margin")) == set()


def test_closed_orders_and_stops_are_met_by_nobody():
    submit(side="sell", price=None, ord_type="stop", stop_px="170")
    gone = submit(side="sell", price="183")
    request_cancel(order=gone, actor="ann")
    limit(Control.NO_SELF_CROSS, 1)

    assert codes(submit(price="185")) == set()


def test_replace_that_would_meet_one_of_our_own_is_denied():
    order = working(side="sell", price="190")
    limit(Control.NO_SELF_CROSS, 1)

    assert refusal(order, price=Decimal("182.40")) == {"WOULD_CROSS_OWN_ORDER"}
    assert refusal(order, price=Decimal("182.41")) == set()


def test_exits_and_orders_of_others_are_neither_messages_nor_duplicates():
    submit(order_class="bracket", take_profit={"limit_price": "190"}, stop_loss={"stop_price": "170"}, order_qty="10")
    Order.objects.filter(order_qty=100).update(source=Order.Source.EXTERNAL)
    limit(Control.MAX_MESSAGES_PER_MINUTE, 2)
    limit(Control.DUPLICATE_WINDOW, 60)

    assert codes(submit(side="sell", order_qty="10", price="190")) == set()
    assert codes(submit()) == {"MESSAGE_RATE_EXCEEDS_MAXIMUM"}
