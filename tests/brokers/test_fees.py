"""What brokers charge for a trade, held against their own examples."""

import json
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.fees import SCHEDULES, fees_of, rate_of
from tradingdesk.fix import Side

DAY = date(2026, 11, 2)
PLANS = {"fixed": "ibkr_fixed", "tiered": "ibkr_tiered"}


def fees(schedule, qty, px, side=Side.BUY, on=DAY, **more):
    return fees_of(schedule, side=side, qty=Decimal(str(qty)), px=Decimal(str(px)), on=on, **more)


def test_golden_cases_agree(shared):
    golden = json.loads((shared / "data/oracles/fees_golden.json").read_text())["golden"]
    for case in golden:
        if "plan" in case:
            assert fees(PLANS[case["plan"]], case["qty"], case["px"]).commission == Decimal(str(case["commission"]))
        else:
            sold = fees("ibkr_fixed", case["qty"], 0, Side(case["side"]), date.fromisoformat(case["date"]))
            assert sold.regulatory == Decimal(str(case["taf"]))


def test_rates_change_on_their_day():
    before, zero, after = (
        fees("alpaca", 1, 1_000_000, Side.SELL, on).regulatory
        for on in (date(2025, 5, 13), date(2025, 5, 14), date(2026, 4, 4))
    )
    cat = Decimal("0.000003")
    assert before == Decimal("27.80") + Decimal("0.000166") + cat
    assert zero == Decimal("0.000166") + cat
    assert after == Decimal("20.60") + Decimal("0.000195") + cat


def test_trading_activity_fee_is_capped():
    assert fees("ibkr_fixed", 1_000_000, 0, Side.SELL).regulatory == Decimal("9.79")


def test_purchase_pays_no_fee_of_sales():
    assert fees("ibkr_fixed", 1000, 25).regulatory == 0
    assert fees("alpaca", 1000, 25).total == Decimal("0.003")


def test_tier_depends_on_what_was_traded_this_month():
    assert fees("ibkr_tiered", 1000, 25, month_qty=Decimal(299_500)).commission == Decimal("2.75")
    assert fees("ibkr_tiered", 1000, 25, month_qty=Decimal(10**9)).commission == Decimal("0.50")


def test_unknown_schedule_and_unknown_day_are_refused():
    with pytest.raises(LookupError, match="no fee schedule is called 'free'"):
        fees("free", 1, 1)
    with pytest.raises(LookupError, match="2020-01-01 is not known"):
        fees("alpaca", 1, 1, Side.SELL, date(2020, 1, 1))


@given(
    st.sampled_from(sorted(SCHEDULES)),
    st.sampled_from(Side),
    st.integers(1, 100_000),
    st.decimals("0.01", 5_000, places=2),
)
def test_line_of_a_schedule_is_never_below_its_fees(schedule, side, qty, px):
    rate = rate_of(schedule, side=side, px=px, on=DAY)
    assert fees(schedule, qty, px, side).total <= max(rate.per_unit * qty, rate.least + rate.per_unit * qty)
