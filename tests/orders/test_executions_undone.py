"""Busts, corrections and late trades: the books are those of the trades that stand, in turn."""

from decimal import Decimal

import pytest

from orders.models import Position, TradeLog
from tests.orders.books import exposure, kinds
from tests.orders.desk import Counterparty, submit
from tests.orders.facts import at
from tests.orders.invariants import assert_books_balance

pytestmark = pytest.mark.django_db


def test_bust_reopens_a_filled_order_and_takes_its_reservation_again(broker):
    broker.acknowledge()
    broker.fill("e1", 60, 182)
    broker.fill("e2", 40, 183)

    broker.bust("e3", "e2")

    order = broker.order
    assert (order.status, order.cum_qty, order.leaves_qty, order.avg_px) == ("partially_filled", 60, 40, 182)
    assert (order.closed_at, order.reserved_qty) == (None, 40)
    assert (exposure().position_qty, exposure().open_buy_qty) == (60, 40)
    assert kinds()[-1] == "execution.bust"
    assert_books_balance()


def test_bust_of_the_only_trade_leaves_no_position_and_no_trade_log(broker):
    broker.acknowledge()
    broker.fill("e1", 60, 182)

    broker.bust("e2", "e1")

    assert (broker.order.status, broker.order.cum_qty, broker.order.avg_px) == ("new", 0, None)
    assert (Position.objects.count(), TradeLog.objects.count(), exposure().position_qty) == (0, 0, 0)
    assert_books_balance()


def test_bust_that_comes_before_its_trade_voids_it(broker):
    broker.acknowledge()
    broker.bust("e2", "e1")
    broker.fill("e1", 60, 182)

    assert (broker.order.status, broker.order.cum_qty, Position.objects.count()) == ("new", 0, 0)
    assert_books_balance()


def test_correction_moves_order_position_and_trade_log(broker):
    broker.acknowledge()
    broker.fill("e1", 60, 182)

    broker.correct("e2", "e1", 50, 181)

    position = Position.objects.get()
    assert (broker.order.cum_qty, broker.order.leaves_qty, broker.order.avg_px) == (50, 50, 181)
    assert (position.qty, position.avg_px) == (50, 181)
    assert (position.trade_log.entry_qty, position.trade_log.entry_px) == (50, 181)
    assert kinds()[-1] == "execution.correct"
    assert_books_balance()


def test_correction_of_an_entry_after_its_exit_mends_the_profit_and_keeps_the_direction(broker):
    broker.acknowledge()
    broker.fill("e1", 100, 182)
    seller = Counterparty(submit(side="sell", price="184", client_order_id="S"))
    seller.fill("e2", 100, 184, seconds=10)

    broker.correct("e3", "e1", 100, 183, seconds=20)

    log = TradeLog.objects.get()
    assert (log.direction, log.entry_px, log.exit_px, log.gross_pnl) == ("long", 183, 184, 100)
    assert (log.opened_at, log.closed_at) == (at(2), at(10))
    assert_books_balance()


def test_bust_of_an_entry_after_its_exit_leaves_the_exit_as_a_short(broker):
    broker.acknowledge()
    broker.fill("e1", 100, 182)
    Counterparty(submit(side="sell", price="184", client_order_id="S")).fill("e2", 100, 184, seconds=10)

    broker.bust("e3", "e1", seconds=20)

    position = Position.objects.get()
    assert (position.qty, position.trade_log.direction, position.closed_at) == (-100, "short", None)
    assert exposure().position_qty == -100
    assert_books_balance()


def test_trade_that_crosses_zero_closes_one_position_and_opens_the_next(broker):
    broker.acknowledge()
    broker.fill("e1", 100, 182)
    seller = Counterparty(submit(side="sell", order_qty="250", price="184", client_order_id="S", strategy="fade"))

    seller.fill("e2", 250, 185, seconds=10, commission=Decimal("1.5"))

    closed, opened = Position.objects.order_by("id")
    assert (closed.qty, closed.realized_pnl, closed.closed_at, closed.commission) == (0, 300, at(10), Decimal("1.5"))
    assert (opened.qty, opened.avg_px, opened.closed_at, opened.commission) == (-150, 185, None, 0)
    assert [log.strategy for log in TradeLog.objects.order_by("id")] == ["trend", "fade"]
    assert_books_balance()


def test_late_earlier_trade_ends_in_the_books_of_the_trades_in_turn(broker):
    broker.acknowledge()
    seller = Counterparty(submit(side="sell", price="184", client_order_id="S"))
    seller.fill("e2", 40, 184, seconds=10)
    assert TradeLog.objects.get().direction == "short"

    broker.fill("e1", 100, 182, seconds=5)

    log = TradeLog.objects.get()
    assert (log.direction, log.order_id, log.gross_pnl) == ("long", broker.pk, 80)
    assert_books_balance()


def test_position_that_went_flat_stays_and_the_next_trade_opens_another(broker):
    broker.acknowledge()
    broker.fill("e1", 50, 182)
    seller = Counterparty(submit(side="sell", order_qty="50", price="183", client_order_id="S"))
    seller.fill("e2", 50, 183)

    broker.fill("e3", 50, 184, seconds=9)

    assert list(Position.objects.order_by("id").values_list("qty", "realized_pnl")) == [(0, 50), (50, 0)]
    assert_books_balance()
