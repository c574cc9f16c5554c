"""Closing everything: what is free now, the rest when its cancels are done, and never more than is held."""

from datetime import timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from brokers.models import Quote
from orders.flattening import FAILURES_AT_MOST, flat_orders, place_closing_orders, positions_to_close
from orders.halting import carry_out, carry_out_all, flatten
from orders.models import Order
from risk.halts import halt, resume
from risk.limits import LimitValue, set_limits
from risk.models import Control, Halt, Level, Scope
from tests.orders.desk import Counterparty, roomy_desk, submit
from tests.orders.invariants import assert_books_balance
from tradingdesk.errors import InvalidInput
from tradingdesk.fix import ExecType, OrdStatus, Side

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("wakings")]


@pytest.fixture
def desk() -> None:
    roomy_desk()


def fill(order: Order, qty: str = "") -> None:
    broker = Counterparty(order)
    broker.acknowledge()
    broker.fill(f"F-{order.client_order_id}", qty or order.order_qty, "182.45")


def holding(qty: int, broker_name: str = "alpaca", symbol: str = "IBM") -> None:
    """Have an account hold so many units, short below zero."""
    side = "buy" if qty > 0 else "sell"
    where = {"broker_name": broker_name, "symbol": symbol}
    order = submit(side=side, order_qty=str(abs(qty)), ord_type="market", price=None, **where)
    fill(order)


def flattened(confirm: str = "FLATTEN", **where) -> Halt:
    return flatten(**{"scope": Scope.FIRM, "confirm": confirm, "reason": "drill", "actor": "rita"} | where)


def placed(halt: Halt) -> list[tuple]:
    orders = flat_orders(halt).order_by("id")
    return [(one.account_id, one.side, one.order_qty, one.ord_type, one.status) for one in orders]


def test_everything_is_closed_by_market_orders_where_it_is_held(desk):
    holding(100, "alpaca")
    holding(-40, "alpaca_margin")
    made = flattened()
    assert (made.level, made.flatten) == (Level.REDUCE_ONLY, True)
    assert placed(made) == [
        ("alpaca", Side.SELL, 100, "market", OrdStatus.PENDING),
        ("alpaca_margin", Side.BUY, 40, "market", OrdStatus.PENDING),
    ]
    for order in flat_orders(made):
        fill(order)
    carry_out_all()
    assert (len(placed(made)), positions_to_close(made)) == (2, [])
    assert_books_balance()


def test_what_a_working_order_may_still_sell_waits_for_its_cancel(desk):
    holding(100)
    stop_order = submit(side="sell", order_qty="60", ord_type="stop", stop_px="150", price=None, broker_name="alpaca")
    broker = Counterparty(stop_order)
    broker.acknowledge()
    stop_order.requests.update(state="accepted")
    made = flattened()
    assert [row[2] for row in placed(made)] == [40]
    broker.tell(ExecType.CANCELED, status=OrdStatus.CANCELED)
    carry_out_all()
    assert [row[2] for row in placed(made)] == [40, 60]
    carry_out_all()
    assert len(placed(made)) == 2
    assert_books_balance()


def test_closing_orders_keep_to_the_limits_on_one_order(desk):
    holding(100)
    set_limits([LimitValue(Control.MAX_ORDER_QTY, Decimal(30))], actor="rita", reason="small")
    made = flattened()
    assert [(row[2], row[4]) for row in placed(made)] == [(n, OrdStatus.PENDING) for n in (30, 30, 30, 10)]
    set_limits([LimitValue(Control.MAX_ORDER_NOTIONAL, Decimal(2000))], actor="rita", reason="smaller")


def test_flatten_of_one_account_leaves_the_others_alone(desk):
    holding(100, "alpaca")
    holding(50, "alpaca_margin")
    made = flattened(scope=Scope.ACCOUNT, scope_key="alpaca")
    assert [row[0] for row in placed(made)] == ["alpaca"]


def test_orders_that_open_are_denied_from_the_flatten_on_until_it_is_cleared(desk):
    made = flattened()
    assert submit().denials[0]["code"] == "TRADING_HALTED"
    resume(halt=made, reason="over", actor="sam")
    assert submit().status == OrdStatus.PENDING


@pytest.mark.parametrize("level", [Level.FREEZE, Level.CANCEL_ALL])
def test_stricter_halt_keeps_closing_orders_back_and_says_so(desk, level):
    holding(100)
    call_command("halt_trading", "--reason", "news", "--level", level, stdout=StringIO())
    made = flattened()
    (held,) = positions_to_close(made)
    assert (held.qty, held.closing_qty) == (100, 0)
    assert held.problem.startswith("TRADING_HALTED")


def test_order_that_fails_is_tried_again_after_a_pause_and_given_up_in_the_end(desk):
    holding(100)
    Quote.objects.all().delete()
    made = flattened()
    assert [row[4] for row in placed(made)] == [OrdStatus.DENIED]
    carry_out_all()
    assert len(placed(made)) == 1
    for number in range(2, FAILURES_AT_MOST + 3):
        flat_orders(made).update(created_at=timezone.now() - timedelta(hours=1))
        carry_out_all()
        assert len(placed(made)) == min(number, FAILURES_AT_MOST)
    assert positions_to_close(made)[0].problem.startswith("given up: NO_PRICE")


def test_what_is_not_closed_at_once_is_left_to_the_next_turn(desk):
    holding(100), holding(40, "alpaca_margin")
    made = halt(level=Level.REDUCE_ONLY, flatten=True, scope=Scope.FIRM, reason="drill", actor="rita")
    carry_out(made, seconds=0)
    assert placed(made) == []
    carry_out(made, seconds=60)
    assert [(row[0], row[2]) for row in placed(made)] == [("alpaca", 100), ("alpaca_margin", 40)]


def test_positions_that_are_being_closed_take_no_queries_of_their_own(desk, django_assert_num_queries):
    holding(100), holding(40, "alpaca_margin"), holding(-30, "alpaca", "BAC")
    made = flattened()
    for order in flat_orders(made):
        fill(order, "10")

    with django_assert_num_queries(2):
        held = positions_to_close(made)

    assert [(one.broker_name, one.symbol, one.qty, one.closing_qty) for one in held] == [
        ("alpaca", "BAC", -20, 20),
        ("alpaca", "IBM", 90, 90),
        ("alpaca_margin", "IBM", 30, 30),
    ]
    with django_assert_num_queries(3):
        place_closing_orders(made)


@pytest.mark.parametrize("confirm", ["", "flatten", "YES"])
def test_flatten_without_the_word_does_nothing(desk, confirm):
    holding(100)
    with pytest.raises(InvalidInput, match="NOT_CONFIRMED"):
        flattened(confirm)
    assert not Halt.objects.exists()
    assert Order.objects.count() == 1


def test_flatten_all_command_waits_and_fails_while_something_is_held(desk):
    holding(100)
    out = StringIO()
    with pytest.raises(CommandError, match="1 positions are still held"):
        call_command("flatten_all", "--reason", "drill", "--confirm", "FLATTEN", "--wait", "0.01", stdout=out)
    assert "alpaca: IBM 100, being closed 100" in out.getvalue()
    fill(flat_orders(Halt.objects.get()).get())
    out = StringIO()
    call_command("flatten_all", "--reason", "drill", "--confirm", "FLATTEN", "--wait", "5", stdout=out)
    assert "nothing is held" in out.getvalue()
    with pytest.raises(CommandError) as failure:
        call_command("flatten_all", "--reason", "drill", stdout=out)
    assert failure.value.returncode == 2
