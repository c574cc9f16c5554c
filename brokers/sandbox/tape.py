"""What the market data API tells: minute bars made of the quotes that were shown.

The recording has quotes only, so bars are of midpoints, and `volume` and `count` count quotes.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from brokers.sandbox.book import Quote

SATURDAY = 5
KEPT_BARS = 20_000
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
NEW_YORK = ZoneInfo("America/New_York")


@dataclass(slots=True)
class Bar:
    """One bar of midpoints, `at` its beginning; `total` is the sum of its midpoints."""

    at: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    count: int
    total: Decimal

    def add(self, other: Bar) -> None:
        """Take in a later bar."""
        self.high, self.low, self.close = max(self.high, other.high), min(self.low, other.low), other.close
        self.count, self.total = self.count + other.count, self.total + other.total

    @property
    def mean(self) -> Decimal:
        """The average midpoint."""
        return self.total / self.count


class Tape:
    """Minute bars by symbol, oldest first."""

    def __init__(self) -> None:
        self.bars: dict[str, deque[Bar]] = defaultdict(lambda: deque(maxlen=KEPT_BARS))

    def add(self, quote: Quote) -> None:
        """Take a quote into its minute."""
        minute, mid = quote.at.replace(second=0, microsecond=0), quote.mid
        bars = self.bars[quote.symbol]
        bar = Bar(minute, mid, mid, mid, mid, 1, mid)
        if bars and bars[-1].at == minute:
            bars[-1].add(bar)
        else:
            bars.append(bar)

    def between(self, symbol: str, start: datetime, end: datetime, length: timedelta = MINUTE) -> list[Bar]:
        """Bars of a length that begin within [start, end], made of the minutes."""
        return list(_merged((b for b in self.bars.get(symbol, ()) if start <= b.at <= end), length))


def _merged(bars: Iterable[Bar], length: timedelta) -> Iterable[Bar]:
    current: Bar | None = None
    for bar in bars:
        begins = floor(bar.at, length)
        if current is not None and current.at == begins:
            current.add(bar)
            continue
        if current is not None:
            yield current
        current = Bar(begins, bar.open, bar.high, bar.low, bar.close, bar.count, bar.total)
    if current is not None:
        yield current


def floor(at: datetime, length: timedelta) -> datetime:
    """The beginning of the span of this length that a time falls into: of its day in New York, else from the epoch."""
    if length == DAY:
        return market_midnight(market_day(at))
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch + ((at - epoch) // length) * length


def market_day(at: datetime) -> date:
    """The date in New York."""
    return at.astimezone(NEW_YORK).date()


def market_midnight(day: date) -> datetime:
    """When a day begins in New York, in UTC."""
    return datetime.combine(day, time(), NEW_YORK).astimezone(UTC)


def is_session(day: date, now: datetime) -> bool:
    """Whether there is a session on a day: on weekdays, and today whatever day it is."""
    return day.weekday() < SATURDAY or day == market_day(now)
