"""How the parts of a portfolio move together, and what each adds to its risk; pure.

`returns` has a row for each day, oldest first, and a column for each part; `values` are what is held of each part,
signed, in one currency. What comes out in money is in that currency.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from sklearn.covariance import ledoit_wolf

from risk.portfolio.tails import deviations

# With fewer days than this for each part the sample's covariances are mostly noise.
DAYS_A_PART = 10
SAMPLE, SHRUNK = "sample", "ledoit_wolf"


@dataclass(frozen=True, slots=True)
class Covariance:
    """Covariances of daily returns and how they were estimated; `shrinkage` 0 is the sample's own, 1 none of it."""

    matrix: np.ndarray
    estimator: str
    shrinkage: float = 0.0


@dataclass(frozen=True, slots=True)
class Spread:
    """How far the parts are apart. `diversification_ratio` 1 is: they move as one.

    `independent_bets` is its square; `principal_bets` counts principal components by their share of the variance
    (1 when one of them drives all). Each None where nothing moves. `average_correlation` None for fewer than two parts.
    """

    average_correlation: float | None
    diversification_ratio: float | None
    independent_bets: float | None
    principal_bets: float | None


def covariance(returns: np.ndarray) -> Covariance:
    """Estimate the covariances: the sample's (n - 1), or shrunk where there are too few days for as many parts.

    Shrinking is Ledoit and Wolf 2004, "A well-conditioned estimator for large-dimensional covariance matrices",
    J. Multivariate Analysis 88, by scikit-learn.
    """
    days, parts = returns.shape
    if parts > 1 and days < DAYS_A_PART * parts:
        matrix, shrinkage = ledoit_wolf(returns)
        return Covariance(matrix, SHRUNK, float(shrinkage))
    return Covariance(np.atleast_2d(np.cov(returns, rowvar=False, ddof=1)), SAMPLE)


def deviation(values: np.ndarray, matrix: np.ndarray) -> float:
    """Give the standard deviation of the portfolio's daily profit."""
    return math.sqrt(max(float(values @ matrix @ values), 0.0))


def normal_var(values: np.ndarray, matrix: np.ndarray, means: np.ndarray, tail: Decimal) -> float:
    """Give the portfolio's normal VaR from its parts."""
    return float(-means @ values) + deviations(tail) * deviation(values, matrix)


def marginal_vars(values: np.ndarray, matrix: np.ndarray, means: np.ndarray, tail: Decimal) -> np.ndarray:
    """What one more unit of money in each part adds to the normal VaR: -mu_i + z (S v)_i / sigma.

    By Euler's theorem the VaR is the sum of each value times this; below zero is a part that hedges (Jorion, 3rd ed.,
    ch. 7.2).
    """
    sigma = deviation(values, matrix)
    if sigma == 0:
        return -means
    return -means + deviations(tail) * (matrix @ values) / sigma


def correlations(matrix: np.ndarray) -> np.ndarray:
    """Turn covariances into correlations; NaN where a part does not move."""
    spread = np.sqrt(np.diag(matrix))
    with np.errstate(divide="ignore", invalid="ignore"):
        found = matrix / np.outer(spread, spread)
    return np.clip(found, -1.0, 1.0)


def spread(values: np.ndarray, matrix: np.ndarray) -> Spread:
    """Say how far the parts are apart.

    Diversification ratio: Choueifaty, Coignard 2008, J. Portfolio Mgmt 35(1), with |v| so that a short is a bet, too.
    Principal bets: Meucci 2009, "Managing diversification", Risk 22(5): exp of the entropy of d_k u_k^2 / sigma^2.
    """
    sigma, own = deviation(values, matrix), np.sqrt(np.diag(matrix))
    ratio = float(np.abs(values) @ own) / sigma if sigma > 0 else None
    return Spread(
        average_correlation=_average_correlation(matrix),
        diversification_ratio=ratio,
        independent_bets=None if ratio is None else ratio**2,
        principal_bets=_principal_bets(values, matrix) if sigma > 0 else None,
    )


def _average_correlation(matrix: np.ndarray) -> float | None:
    pairs = correlations(matrix)[np.triu_indices(len(matrix), k=1)]
    known = pairs[np.isfinite(pairs)]
    return float(known.mean()) if len(known) else None


def _principal_bets(values: np.ndarray, matrix: np.ndarray) -> float:
    variances, axes = np.linalg.eigh(matrix)
    parts = np.clip(variances, 0, None) * (axes.T @ values) ** 2
    shares = parts[parts > 0] / parts.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))
