"""Covariances, contributions and spread against hand-made formulas and other libraries on real returns."""

import json
import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from risk.portfolio import parts, tails
from tests.risk.portfolio import samples

TAIL = Decimal("0.05")
VALUES = np.array([100_000.0, -30_000.0, 20_000.0, 5_000.0])
numbers = st.floats(-1, 1, allow_nan=False)
tables = arrays.arrays(float, st.tuples(st.integers(3, 60), st.integers(1, 5)), elements=numbers)


@pytest.fixture(scope="session")
def returns(shared) -> np.ndarray:
    return samples.returns(shared)


def test_components_add_up_to_the_var_of_the_whole_series(returns):
    """The parts' normal VaR is the normal VaR of the portfolio's own profits: two ways to one number."""
    estimate = parts.covariance(returns)
    means = returns.mean(axis=0)
    components = VALUES * parts.marginal_vars(VALUES, estimate.matrix, means, TAIL)
    whole = tails.normal(returns @ VALUES, TAIL).var
    assert estimate.estimator == parts.SAMPLE
    assert components.sum() == pytest.approx(whole, rel=1e-9)
    assert parts.normal_var(VALUES, estimate.matrix, means, TAIL) == pytest.approx(whole, rel=1e-9)
    assert components[1] < 0 < components[0]  # the short hedges


def test_a_component_is_what_the_var_changes_by_when_a_little_more_is_held(returns):
    matrix, means = parts.covariance(returns).matrix, returns.mean(axis=0)
    components = VALUES * parts.marginal_vars(VALUES, matrix, means, TAIL)
    for place, value in enumerate(VALUES):
        little = np.zeros(len(VALUES))
        little[place] = value * 1e-6
        more = parts.normal_var(VALUES + little, matrix, means, TAIL)
        less = parts.normal_var(VALUES - little, matrix, means, TAIL)
        assert components[place] == pytest.approx((more - less) / 2e-6, rel=1e-5)


@given(tables, st.data())
def test_components_add_up_whatever_is_held(table, data):
    values = np.array(data.draw(st.lists(numbers, min_size=table.shape[1], max_size=table.shape[1])))
    matrix, means = parts.covariance(table).matrix, table.mean(axis=0)
    components = values * parts.marginal_vars(values, matrix, means, TAIL)
    assert components.sum() == pytest.approx(parts.normal_var(values, matrix, means, TAIL), abs=1e-9)


def test_few_days_are_shrunk_as_ledoit_and_wolf_wrote_it_down(returns):
    """Their formulas (14) to (17), by hand, on 30 days of 4 stocks."""
    few = returns[:30]
    days, count = few.shape
    centred = few - few.mean(axis=0)
    sample = centred.T @ centred / days
    mean_variance = np.trace(sample) / count
    target = mean_variance * np.eye(count)
    distance = ((sample - target) ** 2).sum() / count
    noise = sum(((np.outer(row, row) - sample) ** 2).sum() / count for row in centred) / days**2
    weight = min(noise, distance) / distance
    found = parts.covariance(few)
    assert found.estimator == parts.SHRUNK
    assert found.shrinkage == pytest.approx(weight, rel=1e-9)
    assert found.matrix == pytest.approx(weight * target + (1 - weight) * sample, rel=1e-9)


def test_more_parts_than_days_still_have_a_covariance_that_can_be_inverted(returns):
    wide = np.hstack([returns[:20], returns[20:40], returns[40:60], returns[60:80], returns[80:100], returns[100:120]])
    assert np.linalg.matrix_rank(np.cov(wide, rowvar=False)) < wide.shape[1]
    assert np.linalg.eigvalsh(parts.covariance(wide).matrix).min() > 0


def test_correlations_are_numpys(returns):
    found = parts.correlations(parts.covariance(returns).matrix)
    assert found == pytest.approx(np.corrcoef(returns, rowvar=False), rel=1e-9)


def test_parts_that_move_as_one_count_as_one_and_independent_ones_as_many():
    as_one = np.full((3, 3), 0.0004)
    apart = np.eye(3) * 0.0004
    held = np.array([10.0, 10.0, 10.0])
    one, many = parts.spread(held, as_one), parts.spread(held, apart)
    assert (one.average_correlation, one.diversification_ratio) == (pytest.approx(1), pytest.approx(1))
    assert one.principal_bets == pytest.approx(1)
    assert many.average_correlation == pytest.approx(0)
    assert many.diversification_ratio == pytest.approx(math.sqrt(3))
    assert many.independent_bets == pytest.approx(3)
    assert many.principal_bets == pytest.approx(3)


def test_principal_bets_are_those_of_the_oracle(shared):
    """Four European indices: 3.98 by minimum torsion, yet one principal component drives all."""
    oracle = json.loads((shared / "data" / "oracles" / "enb_minimum_torsion.json").read_text())
    found = parts.spread(np.array(oracle["weights"]), np.array(oracle["cov"]))
    assert found.principal_bets == pytest.approx(oracle["pca_enb"], rel=1e-9)


def test_what_does_not_move_has_no_spread_and_no_risk():
    still, held = np.zeros((2, 2)), np.array([5.0, 5.0])
    found = parts.spread(held, still)
    assert found == parts.Spread(None, None, None, None)
    assert list(held * parts.marginal_vars(held, still, np.zeros(2), TAIL)) == [0, 0]
