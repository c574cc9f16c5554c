"""Orders for the opening and for the close in the sandbox's engine."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from brokers.sandbox.book import Refused
from tests.brokers.sandbox_market import Market
from tradingdesk.fix import OrdStatus


def closed_market() -> Market:
    market = Market(is_open=False)
    market.quote("181.90", "182.00")
    return market


@pytest.fixture
def market() -> Market:
    market = Market()
    market.quote("181.90", "182.00")
    return market


def test_opening_order_waits_for_the_opening_and_trades_at_its_first_quote():
    market = closed_market()
    order = market.order("buy", 30, tif="opg")
    assert (order.status, order.queued) == (OrdStatus.PENDING, True)
    market.quote("182.90", "183.00")
    market.engine.open_session(market.tick())
    assert (order.status, order.avg_px) == (OrdStatus.FILLED, D("183.00"))


def test_opening_order_that_does_not_fill_at_the_opening_is_cancelled():
    market = closed_market()
    limited = market.order("buy", 30, "limit", price="181", tif="opg")
    large = market.order("buy", 150, tif="opg")
    market.engine.open_session(market.tick())
    assert (limited.status, limited.cum_qty) == (OrdStatus.CANCELED, 0)
    assert (large.status, large.cum_qty) == (OrdStatus.CANCELED, 100)


def test_opening_order_is_refused_while_the_market_is_open(market):
    with pytest.raises(Refused, match="opening_is_over"):
        market.send("buy", 30, tif="opg")


def test_order_for_the_close_rests_all_day_and_trades_at_the_last_quote(market):
    order = market.order("buy", 30, tif="cls")
    market.quote("180.00", "180.10")
    assert (order.status, order.cum_qty) == (OrdStatus.NEW, 0)
    market.engine.close_session(market.tick())
    assert (order.status, order.avg_px) == (OrdStatus.FILLED, D("180.10"))


def test_order_for_the_close_that_does_not_fill_there_is_cancelled(market):
    order = market.order("buy", 30, "limit", price="181", tif="cls")
    market.engine.close_session(market.tick())
    assert (order.status, order.cum_qty) == (OrdStatus.CANCELED, 0)


def test_order_for_the_close_can_be_cancelled_before(market):
    order = market.order("buy", 30, tif="cls")
    market.cancel(order)
    market.step()
    assert order.status is OrdStatus.CANCELED


def test_order_for_the_close_sent_while_closed_waits_for_the_next_one():
    market = closed_market()
    order = market.order("buy", 30, tif="cls")
    market.engine.open_session(market.tick())
    assert order.status is OrdStatus.NEW
    market.engine.close_session(market.tick())
    assert order.status is OrdStatus.FILLED


def test_order_for_the_close_still_waits_after_a_restart(market):
    order = market.order("buy", 30, tif="cls")
    again = Market(is_open=False)
    again.quote("181.90", "182.00")
    again.engine.restore([order], [], again.tick())
    again.engine.open_session(again.tick())
    again.quote("180.00", "180.10")
    assert order.status is OrdStatus.NEW
    again.engine.close_session(again.tick())
    assert order.avg_px == D("180.10")
