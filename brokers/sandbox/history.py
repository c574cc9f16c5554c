"""Daily bars of the days before the recording, in LEAN's format, told as if they were of the weekdays before now.

The files (`equity/usa/daily/SYMBOL.zip`) hold a CSV of the same name: `YYYYMMDD 00:00,open,high,low,close,volume`,
prices in USD x 10,000. The sandbox trades on any weekday: it knows no holidays.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

from brokers.sandbox.replay import DataError, lean_folder
from brokers.sandbox.tape import SATURDAY, Bar, market_day, market_midnight

KEPT_DAYS = 1_500


class History:
    """What is known of earlier days, by symbol, oldest first; the last row is of the weekday before today."""

    def __init__(self, rows: dict[str, list[Bar]] | None = None):
        self._rows = rows or {}

    def bars(self, symbol: str, now: datetime) -> list[Bar]:
        """The days of a symbol, at the times at which they would have begun."""
        days = _weekdays_before(market_day(now))
        moved = [
            Bar(market_midnight(day), row.open, row.high, row.low, row.close, row.count, row.total)
            for day, row in zip(days, reversed(self._rows.get(symbol, [])), strict=False)
        ]
        return moved[::-1]


def read_history(folder: Path, *, before: str) -> History:
    """Read the days before a date (YYYYMMDD) of every symbol that a LEAN folder has any of. Raises DataError."""
    files = sorted((lean_folder(folder) / "daily").glob("*.zip"))
    return History({path.stem.upper(): _read(path, before) for path in files})


def _read(path: Path, before: str) -> list[Bar]:
    try:
        with zipfile.ZipFile(path) as archive:
            lines = archive.read(archive.namelist()[0]).decode("ascii").splitlines()
        return [_bar(line) for line in lines if line[:8] < before][-KEPT_DAYS:]
    except (OSError, zipfile.BadZipFile, ValueError, IndexError, ArithmeticError) as error:
        raise DataError(f"{path}: not a LEAN daily file: {error}") from error


def _bar(line: str) -> Bar:
    moment, *numbers = line.split(",")
    first, high, low, last = (Decimal(one) / 10_000 for one in numbers[:4])
    day, volume = date.fromisoformat(moment[:8]), int(numbers[4])
    typical = (first + high + low + last) / 4  # the file has no volume-weighted average
    return Bar(datetime.combine(day, time(), UTC), first, high, low, last, volume, typical * volume)


def _weekdays_before(day: date) -> Iterator[date]:
    while True:
        day -= timedelta(days=1)
        if day.weekday() < SATURDAY:
            yield day
