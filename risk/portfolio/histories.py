"""Choosing and joining histories of closing prices; pure, and says what it leaves out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from risk.portfolio.words import Problem

# Basel's shortest window is six months of trading days (MAR33.7); two years are looked at.
FEWEST_DAYS, MOST_DAYS = 125, 500
STALE_AFTER = timedelta(days=7)

Closes = Mapping[date, float]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The history that a symbol is measured by, and whose bars it is made of."""

    closes: Closes
    broker_name: str


@dataclass(frozen=True, slots=True)
class Joined:
    """Closing prices of several symbols on the days that all of them have, oldest first."""

    days: list[date]
    closes: dict[str, list[float]]
    sources: dict[str, str]


def choose(symbol: str, told: Mapping[str, Closes], today: date) -> Chosen | Problem:
    """Pick the account whose bars reach furthest back, of those that are up to date; or say what is missing."""
    told = {name: closes for name, closes in told.items() if closes}
    if not told:
        return Problem("MISSING_BARS", f"{symbol}: no broker has told daily bars", symbol=symbol)
    fresh = {name: closes for name, closes in told.items() if today - max(closes) <= STALE_AFTER}
    if not fresh:
        last = max(max(closes) for closes in told.values())
        return Problem("STALE_BARS", f"{symbol}: the last daily bar is of {last}", symbol=symbol)
    name = min(fresh, key=lambda one: (-len(fresh[one]), one))
    if len(fresh[name]) <= FEWEST_DAYS:
        detail = f"{symbol}: days={len(fresh[name])}, needed={FEWEST_DAYS + 1}"
        return Problem("TOO_FEW_BARS", detail, symbol=symbol)
    return Chosen(fresh[name], name)


def longest(told: Mapping[str, Closes]) -> Closes:
    """The history that reaches furthest back, whoever told it; empty where nobody has."""
    return max(told.values(), key=len, default={})


def converted(chosen: Chosen, rates: Closes) -> Closes:
    """Put a history into another currency, on the days that have a rate."""
    return {day: px * rates[day] for day, px in chosen.closes.items() if day in rates}


def join(chosen: Mapping[str, Chosen]) -> Joined | Problem:
    """Take the latest days that all symbols have."""
    days = sorted(set.intersection(*(set(one.closes) for one in chosen.values())))[-MOST_DAYS - 1 :]
    if len(days) <= FEWEST_DAYS:
        return Problem("TOO_FEW_COMMON_DAYS", f"days that all symbols have={len(days)}, needed={FEWEST_DAYS + 1}")
    return Joined(
        days=days,
        closes={symbol: [one.closes[day] for day in days] for symbol, one in chosen.items()},
        sources={symbol: one.broker_name for symbol, one in chosen.items()},
    )


def split(found: Iterable[tuple[str, Chosen | Problem]]) -> tuple[dict[str, Chosen], list[Problem]]:
    """Tell histories from problems."""
    found = list(found)
    return (
        {symbol: one for symbol, one in found if isinstance(one, Chosen)},
        [one for _, one in found if isinstance(one, Problem)],
    )
