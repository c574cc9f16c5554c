"""The sandbox's accounts: cash, holdings, fees, buying power, and what is refused for want of them."""

from __future__ import annotations

from dataclasses import replace as altered
from decimal import Decimal as D

import pytest

from brokers.sandbox.book import Refused
from brokers.sandbox.ledger import AccountRules, Holding
from tests.brokers.sandbox_market import MARGIN, Market

CASH = AccountRules(starting_cash=D(10_000))


def market_for(rules: AccountRules) -> Market:
    market = Market(rules)
    market.quote("99.00", "100.00", 1000, 1000)
    return market


def test_cash_account_cannot_spend_more_than_it_has_and_the_refusal_leaves_nothing():
    market = market_for(CASH)
    with pytest.raises(Refused) as refused:
        market.send("buy", 101)
    assert refused.value.reason == "insufficient_buying_power"
    assert refused.value.details == {"buying_power": 10_000, "cost_basis": 10_100}
    assert (market.engine.orders, market.account().held_cash) == ({}, 0)


def test_open_orders_hold_money_until_they_end():
    market = market_for(CASH)
    order = market.order("buy", 60, "limit", price=90)
    assert market.account().buying_power(market.engine.mark) == 10_000 - 60 * 90
    with pytest.raises(Refused, match="insufficient_buying_power"):
        market.send("buy", 60, "limit", price=90)
    market.cancel(order)
    market.step()
    assert market.account().buying_power(market.engine.mark) == 10_000


def test_margin_account_buys_its_multiple_of_equity():
    market = market_for(altered(CASH, multiplier=D(4)))
    market.order("buy", 200)
    # equity 10,000 less half a dollar of spread on 200 units, times 4, less what is held at the midpoint
    assert market.account().buying_power(market.engine.mark) == (10_000 - 100) * 4 - 200 * D("99.50")


def test_fees_are_by_unit_with_a_minimum_an_order():
    market = market_for(altered(CASH, fee_per_share=D("0.01"), fee_min=D(1)))
    order = market.order("buy", 50)
    assert (order.fees, market.account().cash) == (1, 10_000 - 5_000 - 1)
    market.quote("99.00", "10.00", 1000, 150)
    order = market.order("buy", 200)
    assert order.fees == D("1.50")
    market.quote("99.00", "10.00", 1000, 150)
    assert order.fees == 2


def test_short_sale_is_refused_where_the_account_may_not():
    with pytest.raises(Refused, match="short_not_allowed"):
        market_for(CASH).send("sell", 1)


def test_short_sale_needs_buying_power_too():
    market = market_for(altered(MARGIN, starting_cash=D(1_000), multiplier=D(2)))
    with pytest.raises(Refused, match="insufficient_buying_power"):
        market.send("sell", 100)
    market.order("sell", 15)
    assert (market.position(), market.account().cash) == (-15, 1_000 + 15 * 99)


def test_fractional_short_sale_is_refused():
    with pytest.raises(Refused, match="fractional_short"):
        market_for(MARGIN).send("sell", "0.5")


def test_sale_of_more_than_is_held_is_refused_with_the_figures():
    market = market_for(MARGIN)
    market.order("buy", 10)
    market.order("sell", 4, "limit", price=120)
    with pytest.raises(Refused) as refused:
        market.send("sell", 7)
    assert refused.value.reason == "insufficient_qty"
    assert refused.value.details == {
        "symbol": "IBM",
        "requested": 7,
        "available": 6,
        "existing_qty": 10,
        "held_for_orders": 4,
    }


def test_account_that_may_cross_zero_turns_long_into_short_with_one_order():
    market = market_for(altered(MARGIN, may_cross_zero=True))
    market.order("buy", 10)
    market.order("sell", 25)
    holding = market.account().holdings["IBM"]
    assert (holding.qty, holding.avg_px) == (-15, D("99.00"))


def test_wash_trade_is_refused_where_the_account_asks_for_it():
    market = market_for(altered(MARGIN, refuse_wash_trades=True))
    market.order("buy", 10)
    resting = market.order("sell", 10, "limit", price=105)
    with pytest.raises(Refused, match="wash_trade") as refused:
        market.send("buy", 1, "limit", price=105)
    assert refused.value.details == {"existing_order_id": resting.order_id}
    assert market.send("buy", 1, "limit", price=104)


def test_order_below_a_dollar_is_refused():
    with pytest.raises(Refused, match="below_minimum"):
        market_for(CASH).send("buy", notional="0.99")


def test_order_without_a_price_to_go_by_is_refused():
    with pytest.raises(Refused, match="no_market_data"):
        market_for(CASH).send("buy", 1, symbol="XYZ")


def test_replace_upwards_needs_buying_power_and_its_refusal_leaves_the_order():
    market = market_for(CASH)
    order = market.order("buy", 100, "limit", price=90)
    with pytest.raises(Refused, match="insufficient_buying_power"):
        market.replace(order, order_qty=120)
    assert market.replace(order, order_qty=110).order_qty == 110


def test_replaced_sale_may_keep_what_the_old_one_held():
    market = market_for(CASH)
    market.order("buy", 10)
    old = market.order("sell", 10, "limit", price=120)
    new = market.replace(old, price=110)
    market.step()
    assert (new.held_qty, old.held_qty, market.account().closable("IBM", new.side)) == (10, 0, 0)


def test_holding_averages_in_keeps_its_average_out_and_starts_anew_through_zero():
    holding = Holding()
    holding.apply(D(10), D(100))
    holding.apply(D(30), D(120))
    assert (holding.qty, holding.avg_px) == (40, 115)
    holding.apply(D(-15), D(200))
    assert (holding.qty, holding.avg_px) == (25, 115)
    holding.apply(D(-40), D(90))
    assert (holding.qty, holding.avg_px) == (-15, 90)
    holding.apply(D(15), D(80))
    assert (holding.qty, holding.avg_px) == (0, 0)
