"""Orders by notional and replaces: what of them counts."""

from dataclasses import replace
from decimal import Decimal

import pytest

from risk.rules import ProposedOrder
from tests.risk.judging import buy, found, held, judged
from tradingdesk.fix import OrdType, Side


def test_order_by_notional_counts_with_the_units_it_buys_at_the_far_touch():
    order = ProposedOrder(symbol="IBM", side=Side.BUY, ord_type=OrdType.MARKET, notional=Decimal(1_000))

    alpaca = judged(order).accounts["alpaca"]

    assert (alpaca.reserve_qty, alpaca.reserve_px, alpaca.gross_after) == (10, 100, 1_000)


def test_order_by_notional_above_the_maximum_is_denied():
    order = ProposedOrder(symbol="IBM", side=Side.BUY, ord_type=OrdType.MARKET, notional=Decimal(50_001))

    assert found(judged(order)) == [("NOTIONAL_EXCEEDS_MAXIMUM", "50001", "50000")]


def test_replace_is_judged_by_what_it_adds():
    exposure = held(gross=490_000, open_buy_qty=100, open_buy_notional=10_000, mark_px=100)
    exposure.symbols["alpaca"].gross = Decimal(10_000)
    exposure.accounts["alpaca"].gross = Decimal(500_000)
    holds = {"held_qty": 100, "held_notional": 10_000}

    same, more = judged(buy(100, **holds), exposure=exposure), judged(buy(101, **holds), exposure=exposure)

    assert (same.allowed, same.accounts["alpaca"].buying_power_needed) == (True, 0)
    assert found(more) == [("GROSS_EXPOSURE_EXCEEDS_LIMIT", "500100", "500000")]
    assert more.accounts["alpaca"].buying_power_needed == 100


@pytest.mark.parametrize(
    ("change", "needed"),
    [
        pytest.param(buy(150, price=60), 5_000, id="more-for-less"),
        pytest.param(buy(50, price=120), 2_000, id="less-for-more"),
        pytest.param(buy(50, price=60), 0, id="less-for-less"),
    ],
)
def test_replace_counts_the_worse_of_old_and_new_in_units_and_in_price(change, needed):
    change = replace(change, held_qty=Decimal(100), held_notional=Decimal(10_000), held_px=Decimal(100))

    assert judged(change).accounts["alpaca"].buying_power_needed == needed


def test_replace_of_a_part_filled_order_counts_what_is_left():
    alpaca = judged(buy(150, cum_qty=40, held_qty=60, held_notional=6_000)).accounts["alpaca"]

    assert (alpaca.reserve_qty, alpaca.buying_power_needed) == (150, 5_000)
