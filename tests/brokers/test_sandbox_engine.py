"""The sandbox's engine: how each kind of order trades with the quotes."""

from __future__ import annotations

from dataclasses import replace as altered
from decimal import Decimal as D

import pytest

from brokers.sandbox.book import Refused
from tests.brokers.sandbox_market import MARGIN, Market, d
from tradingdesk.fix import OrdStatus, TimeInForce


@pytest.fixture
def market() -> Market:
    market = Market()
    market.quote("181.90", "182.00")
    return market


def test_market_order_is_pending_until_the_next_step_then_filled_at_the_ask(market):
    order = market.send("buy", 30)
    assert (order.status, order.cum_qty) == (OrdStatus.PENDING, 0)

    market.step()

    assert (order.status, order.cum_qty, order.avg_px) == (OrdStatus.FILLED, 30, D("182.00"))
    assert market.kinds() == ["pending_new", "new", "trade"]


def test_sell_market_order_is_filled_at_the_bid(market):
    order = market.order("sell", 30)
    assert order.avg_px == D("181.90")
    assert market.position() == -30


def test_market_order_takes_the_displayed_size_and_waits_for_the_next_quote(market):
    order = market.order("buy", 150)
    assert (order.status, order.cum_qty, order.leaves()) == (OrdStatus.PARTIALLY_FILLED, 100, 50)

    market.quote("181.95", "182.10", ask_size=30)
    assert order.cum_qty == 130
    market.quote("181.95", "182.20")

    assert order.status is OrdStatus.FILLED
    assert market.trades() == [(100, d("182.00")), (30, d("182.10")), (20, d("182.20"))]
    assert order.avg_px == (100 * D("182.00") + 30 * D("182.10") + 20 * D("182.20")) / 150


def test_displayed_size_is_used_up_for_later_orders_of_any_account():
    market = Market(two=MARGIN)
    market.quote("181.90", "182.00")
    market.order("buy", 80)
    second = market.order("buy", 80, account="two")
    assert second.cum_qty == 20
    assert market.order("buy", 1).cum_qty == 0


def test_limit_order_rests_until_the_quote_comes_to_it(market):
    order = market.order("buy", 50, "limit", price="181.95")
    assert order.status is OrdStatus.NEW

    market.quote("181.90", "181.96")
    assert order.cum_qty == 0
    market.quote("181.90", "181.94")

    assert (order.status, order.avg_px) == (OrdStatus.FILLED, D("181.94"))


def test_limit_order_at_the_touch_is_filled_on_arrival_at_the_better_price(market):
    order = market.order("buy", 50, "limit", price="182.50")
    assert order.avg_px == D("182.00")


def test_better_price_goes_first_then_earlier_arrival(market):
    orders = [
        market.order("buy", 60, "limit", price=price, client_order_id=price + name)
        for price, name in (("181.80", "a"), ("181.85", "b"), ("181.85", "c"), ("181.80", "d"))
    ]
    market.quote("181.70", "181.80", ask_size=150)
    assert [order.cum_qty for order in orders] == [30, 60, 60, 0]


def test_ioc_takes_what_there_is_and_cancels_the_rest(market):
    order = market.order("buy", 150, "limit", price="182.00", tif="ioc")
    assert (order.status, order.cum_qty) == (OrdStatus.CANCELED, 100)
    assert market.kinds() == ["pending_new", "new", "trade", "canceled"]


def test_fok_that_cannot_be_filled_in_full_is_canceled_untouched(market):
    order = market.order("buy", 101, "limit", price="182.00", tif="fok")
    assert (order.status, order.cum_qty) == (OrdStatus.CANCELED, 0)
    assert market.order("buy", 100, "limit", price="182.00", tif="fok").status is OrdStatus.FILLED


def test_buy_stop_is_elected_when_the_ask_comes_up_to_it_and_trades_at_the_market(market):
    order = market.order("buy", 10, "stop", stop_px="182.50")
    market.quote("182.30", "182.49")
    assert (order.cum_qty, order.triggered) == (0, False)
    market.quote("182.40", "182.60")
    assert (order.status, order.avg_px) == (OrdStatus.FILLED, D("182.60"))


def test_sell_stop_limit_is_elected_but_rests_below_its_limit(market):
    market.order("buy", 10)
    order = market.order("sell", 10, "stop_limit", stop_px="181.50", price="181.40")
    market.quote("181.30", "181.60")
    assert (order.triggered, order.status) == (True, OrdStatus.NEW)
    market.quote("181.45", "181.60")
    assert order.avg_px == D("181.45")


def test_trailing_sell_stop_follows_the_bid_up_and_never_down(market):
    market.order("buy", 10)
    order = market.order("sell", 10, "trailing_stop", trail_price="1.00")
    assert (order.hwm, order.stop_px) == (D("181.90"), D("180.90"))
    market.quote("183.00", "183.10")
    market.quote("182.50", "182.60")
    assert (order.hwm, order.stop_px, order.cum_qty) == (D("183.00"), D("182.00"), 0)
    market.quote("181.99", "182.10")
    assert (order.status, order.avg_px) == (OrdStatus.FILLED, D("181.99"))


def test_trailing_buy_stop_by_percent_follows_the_ask_down(market):
    order = market.order("buy", 10, "trailing_stop", trail_percent=10)
    market.quote("99.90", "100.00")
    assert (order.hwm, order.stop_px) == (D("100.00"), D("110.00"))
    market.quote("109.90", "110.00")
    assert order.status is OrdStatus.FILLED


def test_notional_order_fills_what_the_money_buys_to_nine_places(market):
    order = market.order("buy", notional=1000)
    assert (order.status, order.order_qty) == (OrdStatus.FILLED, None)
    assert order.cum_qty == D("5.494505494")
    assert order.cum_value <= 1000


def test_fractional_quantity_fills_exactly(market):
    assert market.order("buy", "0.123456789").cum_qty == D("0.123456789")


def test_cancel_is_pending_then_done(market):
    order = market.order("buy", 10, "limit", price="180")
    market.events()
    market.cancel(order)
    assert order.status is OrdStatus.PENDING_CANCEL
    market.step()
    assert order.status is OrdStatus.CANCELED
    assert market.kinds() == ["pending_cancel", "canceled"]


def test_cancel_of_a_filled_order_is_refused(market):
    order = market.order("buy", 10)
    with pytest.raises(Refused, match="not_cancelable"):
        market.cancel(order)
    assert order.status is OrdStatus.FILLED


def test_fill_that_passes_the_cancel_wins(market):
    order = market.order("buy", 10, "limit", price="181.95")
    market.cancel(order)
    market.quote("181.90", "181.95")
    market.step()
    assert order.status is OrdStatus.FILLED
    assert market.kinds(order) == ["pending_new", "new", "pending_cancel", "trade", "cancel_rejected"]


def test_replace_makes_a_new_order_that_takes_the_old_ones_place(market):
    old = market.order("buy", 10, "limit", price="181.00")
    new = market.replace(old, price="181.95", order_qty=20)
    assert (old.status, new.status) == (OrdStatus.PENDING_REPLACE, OrdStatus.PENDING)
    market.step()
    assert (old.status, old.replaced_by, new.replaces) == (OrdStatus.REPLACED, new.order_id, old.order_id)
    market.quote("181.90", "181.95")
    assert (new.cum_qty, old.cum_qty) == (20, 0)


def test_replace_in_the_same_breath_as_a_fill_is_rejected(market):
    old = market.order("buy", 10, "limit", price="181.95")
    new = market.replace(old, price="181.00")
    market.quote("181.90", "181.95")
    market.step()
    assert (old.status, old.replaced_by) == (OrdStatus.FILLED, None)
    assert (new.status, new.cum_qty) == (OrdStatus.REJECTED, 0)
    assert market.kinds()[-2:] == ["rejected", "replace_rejected"]


@pytest.mark.parametrize("status", ["filled", "canceled", "pending", "pending_replace", "pending_cancel"])
def test_replace_is_refused_where_the_order_does_not_work(market, status):
    order = market.send("buy", 10, "limit", price="182.00" if status == "filled" else "181.00")
    if status != "pending":
        market.step()
    if status in ("canceled", "pending_cancel"):
        market.cancel(order)
    if status == "canceled":
        market.step()
    if status == "pending_replace":
        market.replace(order, price="181.50")
    before = len(market.engine.orders)
    with pytest.raises(Refused, match="not_replaceable"):
        market.replace(order, price="181.60")
    assert order.status.value == status
    assert len(market.engine.orders) == before


def test_day_orders_expire_at_the_close_and_gtc_orders_stay(market):
    day = market.order("buy", 10, "limit", price="181.00")
    gtc = market.order("buy", 10, "limit", price="181.00", tif="gtc")
    market.engine.close_session(market.tick())
    assert (day.status, gtc.status) == (OrdStatus.EXPIRED, OrdStatus.NEW)
    market.quote("180.00", "180.50")
    assert gtc.cum_qty == 0
    market.engine.open_session(market.tick())
    market.quote("180.00", "180.50")
    assert gtc.status is OrdStatus.FILLED


def test_order_for_a_closed_market_waits_for_the_opening():
    market = Market(is_open=False)
    market.quote("181.90", "182.00")
    order = market.order("buy", 10)
    assert (order.status, order.queued) == (OrdStatus.PENDING, True)
    market.engine.open_session(market.tick())
    assert order.status is OrdStatus.FILLED


def test_ioc_for_a_closed_market_is_canceled():
    market = Market(is_open=False)
    market.quote("181.90", "182.00")
    assert market.order("buy", 10, tif="ioc").status is OrdStatus.CANCELED


def test_market_order_waits_out_its_delay():
    market = Market(altered(MARGIN, market_fill_delay_s=0.5))
    market.quote("181.90", "182.00")
    order = market.order("buy", 10)
    assert (order.status, order.cum_qty) == (OrdStatus.NEW, 0)
    market.quote("182.90", "183.00")
    assert order.cum_qty == 0
    market.step(0.5)
    assert order.avg_px == D("183.00")


def test_acknowledgement_waits_out_its_delay_and_a_cancel_may_overtake_it():
    market = Market(altered(MARGIN, ack_delay_s=1.0))
    market.quote("181.90", "182.00")
    order = market.order("buy", 10)
    assert order.status is OrdStatus.PENDING
    market.cancel(order)
    market.step()
    assert (order.status, order.cum_qty) == (OrdStatus.CANCELED, 0)
    market.step(2)
    assert (order.status, order.cum_qty) == (OrdStatus.CANCELED, 0)


def test_partial_fills_by_chance_are_the_same_for_the_same_seed():
    def fills(seed: int) -> list:
        market = Market(altered(MARGIN, partial_fill_probability=0.5), seed=seed)
        for _ in range(20):
            market.quote("181.90", "182.00")
            market.order("buy", 40)
        return market.trades()

    assert fills(1) == fills(1)
    assert fills(1) != fills(2)
    assert any(qty < 40 for qty, _ in fills(1))


def test_repeated_client_id_is_refused_without_a_trace(market):
    first = market.order("buy", 10, "limit", price="181", client_order_id="x")
    cash_held = market.account().held_cash
    market.events()
    with pytest.raises(Refused, match="duplicate_client_order_id"):
        market.send("sell", 99, client_order_id="x")
    assert (market.events(), len(market.engine.orders)) == ([], 1)
    assert (first.status, market.account().held_cash) == (OrdStatus.NEW, cash_held)


def test_repeated_client_id_is_refused_after_the_first_order_ended(market):
    market.order("buy", 10, client_order_id="x")
    with pytest.raises(Refused, match="duplicate_client_order_id"):
        market.send("buy", 10, client_order_id="x")


def test_order_of_another_account_cannot_be_touched():
    market = Market(two=MARGIN)
    market.quote("181.90", "182.00")
    order = market.order("buy", 10, "limit", price="181")
    with pytest.raises(Refused, match="unknown_order"):
        market.engine.cancel("two", order.order_id, market.tick())
    assert order.status is OrdStatus.NEW


def test_unasked_cancel_ends_a_part_filled_order(market):
    order = market.order("buy", 150)
    market.engine.cancel_unasked(order, market.tick(), "by the venue")
    assert (order.status, order.cum_qty, order.text) == (OrdStatus.CANCELED, 100, "by the venue")
    market.quote("181.90", "182.00")
    assert order.cum_qty == 100


def test_paused_order_does_not_trade_until_it_is_resumed(market):
    order = market.order("buy", 10, "limit", price="181.95")
    market.engine.pause(order, market.tick(), OrdStatus.SUSPENDED)
    market.quote("181.90", "181.95")
    assert order.cum_qty == 0
    market.engine.resume(order, market.tick())
    assert order.status is OrdStatus.FILLED


def test_forced_fill_cannot_be_more_than_is_left(market):
    order = market.order("buy", 10, "limit", price="100")
    with pytest.raises(Refused, match="too_much"):
        market.engine.force_fill(order, D(11), D(100), market.tick())
    market.engine.force_fill(order, D(10), D("99.5"), market.tick())
    assert (order.status, order.avg_px) == (OrdStatus.FILLED, D("99.5"))


def test_bust_reopens_the_order_and_takes_back_position_and_cash(market):
    cash = market.account().cash
    order = market.order("buy", 10, "limit", price="182")
    (trade,) = market.account().trades.values()
    market.engine.bust(trade.exec_id, market.tick())
    assert (order.status, order.cum_qty, order.avg_px) == (OrdStatus.NEW, 0, None)
    assert (market.position(), market.account().cash) == (0, cash)
    market.quote("181.90", "182.00")
    assert order.status is OrdStatus.FILLED


def test_bust_of_a_trade_of_a_replaced_order_reduces_its_successor_too(market):
    old = market.order("buy", 150, "limit", price="182")
    new = market.replace(old, order_qty=200)
    market.step()
    (trade,) = market.account().trades.values()
    market.engine.bust(trade.exec_id, market.tick())
    assert (old.cum_qty, new.cum_qty, new.leaves(), new.status) == (0, 0, 200, OrdStatus.NEW)


def test_correction_changes_quantity_price_cash_and_a_second_one_refers_to_the_first(market):
    order = market.order("buy", 10)
    (trade,) = market.account().trades.values()
    first = market.engine.correct(trade.exec_id, D(8), D("182.05"), market.tick())
    second = market.engine.correct(first.exec_id, D(9), D("182.10"), market.tick())
    assert (first.ref_id, second.ref_id) == (trade.exec_id, first.exec_id)
    assert (order.cum_qty, order.avg_px, order.status) == (9, D("182.10"), OrdStatus.PARTIALLY_FILLED)
    assert (market.position(), market.account().cash) == (9, 10_000_000 - 9 * D("182.10"))


def test_correction_beyond_the_order_is_refused(market):
    order = market.order("buy", 10)
    (trade,) = market.account().trades.values()
    with pytest.raises(Refused, match="too_much"):
        market.engine.correct(trade.exec_id, D(11), D("182"), market.tick())
    assert order.cum_qty == 10


def test_busted_trade_cannot_be_busted_again(market):
    market.order("buy", 10)
    (trade,) = market.account().trades.values()
    market.engine.bust(trade.exec_id, market.tick())
    with pytest.raises(Refused, match="unknown_execution"):
        market.engine.bust(trade.exec_id, market.tick())


def test_time_in_force_can_be_replaced(market):
    old = market.order("buy", 10, "limit", price="181")
    new = market.replace(old, time_in_force=TimeInForce.GTC)
    market.step()
    market.engine.close_session(market.tick())
    assert new.status is OrdStatus.NEW
