"""Value at risk and expected shortfall of one series of daily profits; pure.

Profits are of any unit (a share of the value, or money); so are the answers: a loss is above zero. `tail` is the share
of the worst days that is looked at: 0.05 is what others call 95 %. Libraries disagree on the same data by their
conventions; the ones here are:

* historical VaR: the order statistic -x(ceil(n tail)), not interpolated (as riskfolio-lib has it);
* historical ES: the mean of the worst n tail days, the last of them in part (Acerbi, Tasche 2002, "On the coherence of
  expected shortfall", prop. 4.1), so that it is coherent;
* normal: -(mu + z s) and -mu + s phi(z)/tail, s with n - 1 (Jorion, "Value at Risk", 3rd ed., ch. 5);
* EWMA: normal with mean 0 and RiskMetrics' variance (1996, sec. 5.2), sum lambda^i r^2 over sum lambda^i, i = 0 the
  latest day.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from scipy.special import ndtri

RISKMETRICS_DECAY = 0.94


@dataclass(frozen=True, slots=True)
class Loss:
    """Value at risk and expected shortfall, in the unit of the profits."""

    var: float
    es: float


def historical(profits: np.ndarray, tail: Decimal) -> Loss:
    """Take the loss from the days as they were. Raises ValueError for too few of them."""
    ordered = np.sort(checked(profits, tail))
    worst = tail * len(ordered)  # exact: 0.07 * 100 in floats is more than 7
    whole = math.floor(worst)
    var = -ordered[math.ceil(worst) - 1]
    part = float(worst - whole) * ordered[whole] if worst > whole else 0.0
    return Loss(var=float(var), es=float(-(ordered[:whole].sum() + part) / float(worst)))


def normal(profits: np.ndarray, tail: Decimal) -> Loss:
    """Take the loss from a normal distribution with the days' mean and deviation. Raises ValueError."""
    days = checked(profits, tail)
    return normal_loss(float(days.mean()), float(days.std(ddof=1)), tail)


def ewma(profits: np.ndarray, tail: Decimal, decay: float = RISKMETRICS_DECAY) -> Loss:
    """Take the loss from a normal distribution whose deviation counts late days more. Raises ValueError."""
    days = checked(profits, tail)
    return normal_loss(0.0, math.sqrt(float(decaying(len(days), decay) @ days**2)), tail)


def normal_loss(mean: float, deviation: float, tail: Decimal) -> Loss:
    """Give the loss of a normal distribution in the unit of its mean."""
    z = deviations(tail)
    density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return Loss(var=-mean + z * deviation, es=-mean + deviation * density / float(tail))


def deviations(tail: Decimal) -> float:
    """How many standard deviations below the mean the tail of a normal distribution begins; above zero."""
    return -float(ndtri(float(tail)))


def decaying(count: int, decay: float) -> np.ndarray:
    """Weights of as many days, oldest first, that add up to 1; each is `decay` times the next."""
    weights = decay ** np.arange(count - 1, -1, -1, dtype=float)
    return weights / weights.sum()


def checked(profits: np.ndarray, tail: Decimal) -> np.ndarray:
    """Insist on finite numbers, two at least, and on a tail below one half.

    Raises:
        ValueError: there is no such figure of these.
    """
    days = np.asarray(profits, dtype=float)
    if days.ndim != 1 or len(days) < 2:
        raise ValueError(f"two days at least are needed, not {days.shape}")
    if not np.isfinite(days).all():
        raise ValueError("a profit is not a number")
    if not 0 < tail < Decimal("0.5"):
        raise ValueError(f"tail={tail}: a share between 0 and 0.5 is needed")
    return days
