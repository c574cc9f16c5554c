"""Daily bars of US stocks from IB's historical data, one symbol after the other.

IB counts requests for history: 60 in ten minutes, https://interactivebrokers.github.io/tws-api/historical_limitations.html
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from datetime import UTC, date, datetime

from brokers.messages import BarState, OrderRefused, OutcomeUnknown, TryLater

from . import codes, parsing
from .orders import stock
from .session import Session

log = logging.getLogger(__name__)

ADJUSTED = "ADJUSTED_LAST"  # for splits and dividends; IB gives it up to now only
FEED = ADJUSTED.lower()
PACING = "pacing violation"
DAYS_OF_YEAR = 365


async def read(session: Session, symbols: Iterable[str], *, start: date, end: date) -> list[BarState]:
    """Get the days of each symbol that has any; why another has none is logged.

    Raises:
        OutcomeUnknown: the answer was not complete, or IB wants fewer such questions.
    """
    found: list[BarState] = []
    for symbol in sorted(set(symbols)):
        found += [bar for bar in await _read(session, symbol, start) if start <= bar.day <= end]
    return found


def duration(start: date, today: date) -> str:
    """Say in IB's words how far back to go; more than a year is counted in years."""
    days = max((today - start).days + 1, 1)
    return f"{days} D" if days <= DAYS_OF_YEAR else f"{math.ceil(days / DAYS_OF_YEAR)} Y"


async def _read(session: Session, symbol: str, start: date) -> list[BarState]:
    span = duration(start, datetime.now(UTC).date())
    try:
        days = await session.daily_bars(stock(symbol), span, ADJUSTED)
    except OrderRefused as refusal:
        if isinstance(refusal, TryLater):
            raise
        if PACING in refusal.text.lower():
            raise OutcomeUnknown(refusal.text, code=refusal.code, raw=refusal.raw) from refusal
        if refusal.code not in (str(codes.NO_SECURITY), str(codes.NO_HISTORY)):
            raise
        log.warning("no daily bars of %s at Interactive Brokers: %s", symbol, refusal.text)
        return []
    return [parsing.bar_state(symbol, day, feed=FEED) for day in days]
