"""Betas: the slope that a second library finds, and none where there is nothing to tell it by."""

from datetime import date

import numpy as np
import pytest
from scipy.stats import linregress

from risk.portfolio.betas import MOST_DAYS, beta
from tests.risk.portfolio.desk import days_before

TODAY = date(2026, 3, 2)


def history(returns: np.ndarray, last: date = TODAY) -> dict[date, float]:
    days = days_before(last, len(returns))
    return dict(zip(days, 100 * np.cumprod(1 + returns), strict=True))


@pytest.fixture
def market() -> np.ndarray:
    return np.random.default_rng(7).normal(0.0004, 0.01, 300)


def test_is_the_slope_that_scipy_finds_over_the_latest_year(market):
    own = 1.4 * market + np.random.default_rng(8).normal(0, 0.008, len(market))

    found = beta(history(own), history(market), TODAY)

    expected = linregress(market[-MOST_DAYS:], own[-MOST_DAYS:]).slope
    assert (found.value, found.days, found.as_of) == (pytest.approx(expected, rel=1e-9), MOST_DAYS, TODAY)


def test_leveraged_fund_and_inverse_fund_have_their_leverage(market):
    assert beta(history(2 * market), history(market), TODAY).value == pytest.approx(2)
    assert beta(history(-market), history(market), TODAY).value == pytest.approx(-1)


@pytest.mark.parametrize(
    ("days", "last", "moves"),
    [(125, TODAY, True), (300, date(2026, 2, 20), True), (300, TODAY, False)],
    ids=["too few days", "too old", "a benchmark that stands still"],
)
def test_there_is_none_where_nothing_can_be_told(days, last, moves, market):
    of_market = market[:days] if moves else np.zeros(days)

    assert beta(history(market[:days], last), history(of_market, last), TODAY) is None


def test_days_that_only_one_has_do_not_count(market):
    own = history(market)
    for day in sorted(own)[::2]:
        del own[day]

    assert beta(own, history(market), TODAY).days == len(own) - 1
