"""VaR and expected shortfall against the reference data's oracle, a second library, and their definitions."""

import json
import math
from decimal import Decimal
from statistics import NormalDist

import empyrical
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk.portfolio import tails
from tests.risk.portfolio import samples

EXACT = {"rel": 1e-12}
series = st.lists(st.floats(-0.5, 0.5, allow_nan=False), min_size=2, max_size=300).map(np.array)
tail_sizes = st.integers(1, 49).map(lambda percent: Decimal(percent) / 100)


@pytest.fixture(scope="session")
def spy(shared) -> np.ndarray:
    return samples.returns(shared)[:, 0]


@pytest.fixture(scope="session")
def oracle(shared) -> dict:
    return json.loads((shared / "data" / "oracles" / "risk_metrics_spy_2010_2012.json").read_text())


def test_the_sample_is_the_oracles(spy, oracle):
    assert len(spy) == oracle["n"]


def test_historical_figures_are_those_of_riskfolio_and_of_the_oracles_own_formula(spy, oracle):
    for text, own in oracle["own"].items():
        found = tails.historical(spy, Decimal(text))
        assert found.var == pytest.approx(own["var_order_ceil"], **EXACT)
        assert found.es == pytest.approx(own["es_acerbi_tasche"], **EXACT)
        assert found.var == pytest.approx(oracle["riskfolio"][f"VaR_{text}"], **EXACT)
        assert found.es == pytest.approx(oracle["riskfolio"][f"CVaR_{text}"], rel=1e-9)


def test_normal_figures_are_those_of_quantstats_and_of_the_oracles_own_formula(spy, oracle):
    for text, own in oracle["own"].items():
        assert tails.normal(spy, Decimal(text)).var == pytest.approx(own["var_normal"], **EXACT)
    assert tails.normal(spy, Decimal("0.05")).var == pytest.approx(-oracle["quantstats"]["VaR05"], **EXACT)


@pytest.mark.parametrize("tail", ["0.05", "0.025", "0.01"])
def test_historical_figures_lie_within_one_day_of_empyricals_conventions(spy, tail):
    """Empyrical interpolates between two days, and leaves the last one's part out of the shortfall."""
    ordered, share = np.sort(spy), float(tail)
    found, whole = tails.historical(spy, Decimal(tail)), math.floor(len(spy) * share)
    assert -empyrical.value_at_risk(spy, share) == pytest.approx(-np.percentile(spy, share * 100), **EXACT)
    assert -ordered[whole + 1] <= -empyrical.value_at_risk(spy, share) <= found.var
    worst = -empyrical.conditional_value_at_risk(spy, share)  # the mean of int((n - 1) tail) + 1 days
    days = int((len(spy) - 1) * share) + 1
    assert days - 1 == whole
    part = len(spy) * share - whole
    assert found.es == pytest.approx((worst * days + (1 - part) * ordered[whole]) / (len(spy) * share), rel=1e-9)


def test_normal_figures_agree_with_the_standard_librarys_normal_distribution(spy):
    own = NormalDist(float(spy.mean()), float(spy.std(ddof=1)))
    found = tails.normal(spy, Decimal("0.01"))
    assert found.var == pytest.approx(-own.inv_cdf(0.01), rel=1e-9)
    # E[X | X < q] by Monte Carlo-free integration: the mean of many quantiles below the tail.
    below = [own.inv_cdf(0.01 * (number + 0.5) / 20_000) for number in range(20_000)]
    assert found.es == pytest.approx(-sum(below) / len(below), rel=1e-4)


def test_ewma_figures_are_those_of_the_riskmetrics_recursion(spy):
    variance = spy[0] ** 2
    for one in spy[1:]:
        variance = 0.94 * variance + 0.06 * one**2
    found = tails.ewma(spy, Decimal("0.05"))
    assert found.var == pytest.approx(1.6448536269514722 * math.sqrt(variance), rel=1e-9)
    assert found.es == pytest.approx(2.0627128075074257 * math.sqrt(variance), rel=1e-9)


def test_ewma_forgets_a_shock_and_minds_a_late_one():
    calm = np.full(200, 0.001)
    early, late = calm.copy(), calm.copy()
    early[0] = late[-1] = -0.10
    tail = Decimal("0.05")
    assert tails.historical(early, tail) == tails.historical(late, tail)
    assert tails.ewma(early, tail).var < 0.002 < 0.03 < tails.ewma(late, tail).var


def test_the_order_statistic_is_exact_where_floats_are_not():
    """0.07 * 100 is 7.000000000000001 in floats: the eighth day would be taken for the seventh."""
    days = -np.arange(100, 0, -1) / 1000
    assert tails.historical(days, Decimal("0.07")).var == pytest.approx(0.094)
    assert tails.historical(days, Decimal("0.07")).es == pytest.approx(np.mean(np.arange(94, 101)) / 1000)


@given(series, tail_sizes)
def test_shortfall_is_never_less_than_value_at_risk(profits, tail):
    found = tails.historical(profits, tail)
    assert found.es >= found.var - 1e-12


@given(series, series, tail_sizes)
def test_shortfall_of_a_sum_is_never_more_than_the_sum_of_shortfalls(one, other, tail):
    size = min(len(one), len(other))
    one, other = one[:size], other[:size]
    together = tails.historical(one + other, tail).es
    assert together <= tails.historical(one, tail).es + tails.historical(other, tail).es + 1e-9


@given(series, tail_sizes, st.floats(0.01, 1000))
def test_figures_grow_with_what_is_held(profits, tail, times):
    once, more = tails.historical(profits, tail), tails.historical(profits * times, tail)
    assert more.var == pytest.approx(once.var * times, abs=1e-9)
    assert more.es == pytest.approx(once.es * times, abs=1e-9)


@pytest.mark.parametrize(
    ("profits", "tail", "said"),
    [
        ([0.01], "0.05", "two days"),
        ([0.01, math.nan], "0.05", "not a number"),
        ([0.01, 0.02], "0", "tail=0"),
        ([0.01, 0.02], "0.5", "tail=0.5"),
    ],
)
def test_what_has_no_such_figure_is_refused(profits, tail, said):
    for method in (tails.historical, tails.normal, tails.ewma):
        with pytest.raises(ValueError, match=said):
            method(np.array(profits), Decimal(tail))
