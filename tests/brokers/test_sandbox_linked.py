"""Brackets, "oco" and "oto" orders in the engine: exits wait for their entry, and one of them ends the other."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from brokers.sandbox.book import Leg, Order, Refused, Ticket
from brokers.sandbox.engine import Engine
from tests.brokers.sandbox_market import MARGIN, START, Market, d
from tradingdesk.fix import LegRole, OrderClass, OrdStatus, OrdType, Side, TimeInForce

PROFIT, LOSS = Leg(LegRole.TAKE_PROFIT, price=d(110)), Leg(LegRole.STOP_LOSS, stop_px=d(90))


@pytest.fixture
def market() -> Market:
    market = Market()
    market.quote(99.9, 100, 1000, 1000)
    return market


def linked(market: Market, order_class="bracket", legs=(PROFIT, LOSS), *, side="buy", price=None, tif="gtc"):
    """Send a linked order of 10 and let it arrive; the order and its legs."""
    kind = OrdType.MARKET if price is None else OrdType.LIMIT
    ticket = Ticket("IBM", Side(side), kind, TimeInForce(tif), d(10), price=d(price))
    ticket = replace(ticket, order_class=OrderClass(order_class), legs=tuple(legs))
    order = market.engine.submit("one", ticket, market.tick())
    market.step()
    market.step()
    return order, *market.engine.legs_of(order)


def standing(*orders: Order) -> list[OrdStatus]:
    return [order.status for order in orders]


def test_exits_are_held_until_the_entry_has_filled_whole(market):
    entry, profit, loss = linked(market, price=95)
    market.engine.force_fill(entry, d(4), d(95), market.tick())
    market.step()
    assert (profit.held, loss.held, profit.status, loss.status) == (True, True, OrdStatus.PENDING, OrdStatus.PENDING)
    assert market.account().held_qty["IBM", Side.SELL] == 0

    market.engine.force_fill(entry, d(6), d(95), market.tick())
    market.step()
    assert (profit.held, loss.held) == (False, False)
    assert standing(entry, profit, loss) == [OrdStatus.FILLED, OrdStatus.NEW, OrdStatus.NEW]
    assert market.account().held_qty["IBM", Side.SELL] == 10


def test_profit_that_fills_cancels_the_stop_and_leaves_nothing_held(market):
    entry, profit, loss = linked(market)
    market.quote(110, 110.1, 1000, 1000)
    assert standing(entry, profit, loss) == [OrdStatus.FILLED, OrdStatus.FILLED, OrdStatus.CANCELED]
    assert market.account().position("IBM") == 0
    assert sum(market.account().held_qty.values()) == 0


def test_stop_that_fills_cancels_the_profit(market):
    entry, profit, loss = linked(market)
    market.quote(89.9, 90, 1000, 1000)
    assert standing(entry, profit, loss) == [OrdStatus.FILLED, OrdStatus.CANCELED, OrdStatus.FILLED]
    assert market.account().position("IBM") == 0


def test_part_of_one_exit_is_taken_from_the_other(market):
    _, profit, loss = linked(market)
    market.engine.force_fill(profit, d(4), d(110), market.tick())
    assert (loss.order_qty, loss.leaves(), profit.leaves()) == (6, 6, 6)
    assert market.kinds(loss)[-1] == "restated"
    market.quote(89.9, 90, 1000, 1000)
    assert (market.account().position("IBM"), profit.status, profit.cum_qty) == (0, OrdStatus.CANCELED, 4)


def test_cancelled_entry_takes_its_exits_along(market):
    entry, profit, loss = linked(market, price=95)
    market.cancel(entry)
    market.step()
    assert standing(entry, profit, loss) == [OrdStatus.CANCELED] * 3


def test_cancelled_exit_takes_the_other_one_along(market):
    entry, profit, loss = linked(market)
    market.cancel(loss)
    market.step()
    assert standing(entry, profit, loss) == [OrdStatus.FILLED, OrdStatus.CANCELED, OrdStatus.CANCELED]


def test_where_cancels_take_their_time_both_exits_may_fill():
    market = Market(replace(MARGIN, cancel_delay_s=1.0))
    market.quote(99.9, 100, 1000, 1000)
    _, profit, loss = linked(market)
    market.engine.force_fill(profit, d(10), d(110), market.tick())
    assert loss.status is OrdStatus.PENDING_CANCEL
    market.engine.force_fill(loss, d(10), d(89), market.tick())
    market.step(2)
    assert standing(profit, loss) == [OrdStatus.FILLED, OrdStatus.FILLED]
    assert market.account().position("IBM") == -10


def test_day_bracket_that_did_not_fill_expires_whole(market):
    entry, profit, loss = linked(market, price=95, tif="day")
    market.engine.close_session(market.tick())
    assert standing(entry, profit, loss) == [OrdStatus.EXPIRED] * 3


def test_oto_has_one_exit_that_begins_with_the_fill(market):
    entry, loss = linked(market, "oto", [LOSS])
    assert standing(entry, loss) == [OrdStatus.FILLED, OrdStatus.NEW]
    assert market.account().held_qty["IBM", Side.SELL] == 10


def test_oco_closes_a_position_once(market):
    market.order("buy", 10)
    profit, loss = linked(market, "oco", [LOSS], side="sell", price=110)
    assert standing(profit, loss) == [OrdStatus.NEW, OrdStatus.NEW]
    assert market.account().held_qty["IBM", Side.SELL] == 10
    market.quote(89.9, 90, 1000, 1000)
    assert standing(profit, loss) == [OrdStatus.CANCELED, OrdStatus.FILLED]
    assert market.account().position("IBM") == 0


def test_oco_without_a_position_is_refused(market):
    with pytest.raises(Refused, match="exit_without_position"):
        linked(market, "oco", [LOSS], side="sell", price=110)
    assert market.engine.orders == {}


def test_replaced_exit_stays_in_its_group(market):
    _, profit, loss = linked(market)
    new = market.replace(profit, price=105)
    market.step()
    assert standing(profit, new, loss) == [OrdStatus.REPLACED, OrdStatus.NEW, OrdStatus.NEW]
    market.quote(105, 105.1, 1000, 1000)
    assert standing(new, loss) == [OrdStatus.FILLED, OrdStatus.CANCELED]
    assert market.account().position("IBM") == 0


def test_quantity_of_a_linked_order_cannot_be_replaced(market):
    entry, *_ = linked(market, price=95)
    with pytest.raises(Refused, match="linked_qty_not_replaceable"):
        market.replace(entry, order_qty=5)


def test_group_goes_on_after_a_restart_where_it_stood(market):
    entry, profit, loss = linked(market, price=95)
    engine = Engine({"one": MARGIN})
    engine.open_session(START)
    engine.restore([entry, profit, loss], [], market.tick())
    engine.on_quote(market.engine.book("IBM").quote, market.tick())
    assert (profit.held, profit.status) == (True, OrdStatus.PENDING)
    engine.force_fill(entry, d(10), d(95), market.tick())
    engine.step(market.tick())
    assert standing(entry, profit, loss) == [OrdStatus.FILLED, OrdStatus.NEW, OrdStatus.NEW]
    assert engine.accounts["one"].held_qty["IBM", Side.SELL] == Decimal(10)
