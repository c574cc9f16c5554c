"""Failures that cost others dearly, replayed: the gate stops each of them.

The basket whose parts pass and whose sum does not is in `test_basket.py`.
"""

from datetime import timedelta
from decimal import Decimal
from threading import Event, Thread

import pytest
from django.db import connection, transaction
from django.utils import timezone

from brokers.models import Quote
from orders import intake
from orders.changes import ReplaceDenied, parse_changes, request_replace
from orders.models import Order, OrderRequest
from risk.limits import LimitValue, set_limits
from risk.models import Control
from risk.rulebook import forget
from tests.factories import trading_desk
from tests.orders.desk import Counterparty, submit
from tests.orders.invariants import assert_books_balance

SIZE = Decimal(18_240)  # 100 at 182.40
AT_ALPACA = {"broker_name": "alpaca"}


def limit_gross(value: Decimal) -> None:
    set_limits([LimitValue(Control.PORTFOLIO_RISK_LIMIT, value)], actor="ann", reason="test")


@pytest.fixture
def lasting_desk(transactional_db, wakings):
    """A desk whose rows other threads see."""
    forget()
    yield trading_desk()
    forget()


@pytest.mark.django_db
@pytest.mark.parametrize("answer", ["silence", "fills"])
@pytest.mark.parametrize(
    ("control", "value", "pass_it"),
    [
        (Control.PORTFOLIO_RISK_LIMIT, SIZE * 5 + SIZE / 2, 5),
        (Control.MAX_SYMBOL_EXPOSURE, SIZE * 3 + SIZE / 2, 3),
        (Control.MAX_MESSAGES_PER_MINUTE, 7, 7),
        (Control.DUPLICATE_WINDOW, 3600, 1),
    ],
)
def test_loop_that_sends_children_of_one_order_for_ever_is_stopped(desk, wakings, control, value, pass_it, answer):
    """2012: four million orders in 45 minutes for 212 of customers, as fills were not counted against the parent."""
    set_limits([LimitValue(control, Decimal(value))], actor="ann", reason="test")

    children = [_child(number, answer) for number in range(20)]

    assert [child.status == "denied" for child in children] == [False] * pass_it + [True] * (20 - pass_it)
    assert OrderRequest.objects.count() == pass_it
    assert_books_balance()


def _child(number: int, answer: str) -> Order:
    child = submit(**AT_ALPACA, strategy="parent-1", client_order_id=f"child-{number}")
    if child.status == "pending" and answer == "fills":
        Counterparty(child).fill(f"e{number}", child.order_qty, child.price)
    return child


BAD_QUOTES = {
    "none": None,
    "minus-one": {"bid_px": -1, "ask_px": -1},
    "zero": {"bid_px": 0, "ask_px": 0},
    "no-bid": {"bid_px": 0},
    "no-ask": {"ask_px": 0},
    "crossed": {"bid_px": 183, "ask_px": 182},
    "of-yesterday": {"quote_time": timezone.now() - timedelta(days=1)},
    "not-confirmed": {"received_at": timezone.now() - timedelta(days=1)},
}
ORDERS = {
    "limit": {},
    "sell": {"side": "sell"},
    "market": {"ord_type": "market", "price": None},
    "notional": {"ord_type": "market", "price": None, "order_qty": None, "notional": "100"},
}


@pytest.mark.django_db
@pytest.mark.parametrize("quote", BAD_QUOTES.values(), ids=BAD_QUOTES)
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"side": "sell"},
        {"ord_type": "market", "price": None},
        {"ord_type": "market", "price": None, "order_qty": None, "notional": "100"},
    ],
    ids=["limit", "sell", "market", "notional"],
)
def test_order_without_a_usable_price_is_denied_and_not_judged_by_a_made_up_one(
    desk, wakings, monkeypatch, quote, body
):
    """2022: a missing price stood as -1, and the basket looked small."""
    monkeypatch.setattr(intake, "with_prices", lambda market, ticket: market)  # no broker has another
    quotes = Quote.objects.filter(listing__instrument__symbol="IBM")
    if quote is None:
        quotes.delete()
    else:
        quotes.update(**quote)

    order = submit(**body)

    assert order.status == "denied"
    assert {one["code"] for one in order.denials} <= {"NO_PRICE", "UNSOUND_PRICE", "STALE_PRICE"}
    assert (order.reserve_px, order.reserved_notional) == (0, 0)
    assert not OrderRequest.objects.exists()


@pytest.mark.django_db
def test_replace_without_a_usable_price_is_denied_and_the_order_stands(desk, wakings, monkeypatch):
    broker = Counterparty(submit(**AT_ALPACA))
    broker.acknowledge()
    monkeypatch.setattr("orders.changes.with_prices", lambda market, ticket: market)
    Quote.objects.update(ask_px=0)

    with pytest.raises(ReplaceDenied) as refusal:
        request_replace(order=broker.order, changes=parse_changes({"order_qty": "120"}), actor="ann")

    assert refusal.value.code == "UNSOUND_PRICE"
    assert (broker.order.order_qty, broker.order.reserved_notional) == (100, SIZE)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("new_limit", "status"), [(SIZE - 1, "denied"), (SIZE, "pending")])
def test_order_in_mid_flight_is_judged_by_the_limit_that_is_set_before_its_locks(
    lasting_desk, monkeypatch, new_limit, status
):
    """It has read the market, and the process keeps the old rules; the new ones are being written."""
    limit_gross(SIZE - 1 if status == "pending" else SIZE)
    in_flight, statuses, ask = Event(), [], intake.with_prices

    def ask_and_tell(*args):
        found = ask(*args)
        in_flight.set()
        return found

    def work() -> None:
        try:
            statuses.append(submit().status)
        finally:
            connection.close()

    monkeypatch.setattr(intake, "with_prices", ask_and_tell)
    flying = Thread(target=work)
    with transaction.atomic():
        limit_gross(new_limit)
        flying.start()
        assert in_flight.wait(30)
    flying.join(120)

    assert statuses == [status]
    assert_books_balance()


@pytest.mark.django_db
def test_limit_lowered_below_what_is_entered_denies_more_and_lets_less_pass(desk, wakings):
    broker = Counterparty(submit(**AT_ALPACA))
    broker.acknowledge()
    limit_gross(SIZE / 2)

    assert submit(**AT_ALPACA, order_qty="1").status == "denied"
    with pytest.raises(ReplaceDenied):
        request_replace(order=broker.order, changes=parse_changes({"order_qty": "101"}), actor="ann")
    request_replace(order=broker.order, changes=parse_changes({"order_qty": "50"}), actor="ann")
    assert_books_balance()
