"""How much of a benchmark's move a symbol makes; pure, and without numpy, as workers start without it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from statistics import StatisticsError, linear_regression

from risk.portfolio.histories import FEWEST_DAYS, STALE_AFTER, Closes

MOST_DAYS = 252  # a year of trading days


@dataclass(frozen=True, slots=True)
class Beta:
    """The slope over so many daily returns, the last of them of `as_of`."""

    value: float
    days: int
    as_of: date


def beta(closes: Closes, benchmark: Closes, today: date) -> Beta | None:
    """The slope of the least-squares line of a symbol's daily returns on the benchmark's, each in its own currency.

    Over the latest year of days that both have; None where they are too few, too old, or the benchmark stands still.
    """
    days = sorted(closes.keys() & benchmark.keys())[-MOST_DAYS - 1 :]
    if len(days) <= FEWEST_DAYS or today - days[-1] > STALE_AFTER:
        return None
    own, market = ([told[later] / told[day] - 1 for day, later in pairwise(days)] for told in (closes, benchmark))
    try:
        return Beta(linear_regression(market, own).slope, len(days) - 1, days[-1])
    except StatisticsError:
        return None
