"""Recorded quotes in LEAN's format, one trading day at a time.

The format (QuantConnect LEAN, US equities): one zip with one CSV per symbol, day and resolution; times are
milliseconds since midnight in New York, prices USD x 10,000. A tick row shows one side only, the other is 0,
so each side is carried forward; a bar row shows both sides, either may be blank, and is known at its end.
"""

from __future__ import annotations

import heapq
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from brokers.sandbox.book import ZERO, Quote

SAMPLE_DATA = Path(__file__).parent / "sample_data"
MARKET_OPEN_MS, MARKET_CLOSE_MS = 34_200_000, 57_600_000
BAR_MS = {"second": 1_000, "minute": 60_000}
RESOLUTIONS = ("tick", "second", "minute")


class DataError(Exception):
    """The folder holds no quotes, or a file is not in LEAN's format."""


class Shown(NamedTuple):
    """One quote of the recording, `ms` since midnight in New York."""

    ms: int
    symbol: str
    bid_px: Decimal
    bid_size: Decimal
    ask_px: Decimal
    ask_size: Decimal

    @property
    def mid(self) -> Decimal:
        """The midpoint."""
        return (self.bid_px + self.ask_px) / 2

    def quote(self, at: datetime) -> Quote:
        """The same quote at the time of the replay."""
        return Quote(self.symbol, self.bid_px, self.bid_size, self.ask_px, self.ask_size, at)


@dataclass(frozen=True, slots=True)
class TradingDay:
    """One day of a recording: its date as YYYYMMDD and, by symbol, the file of the finest resolution."""

    date: str
    files: dict[str, tuple[str, Path]]

    def quotes(self) -> list[Shown]:
        """All quotes of the regular hours in order of time. Raises DataError."""
        streams = [read_quotes(path, symbol, kind) for symbol, (kind, path) in sorted(self.files.items())]
        return list(heapq.merge(*streams, key=lambda shown: shown.ms))


def find_days(folder: Path) -> list[TradingDay]:
    """The trading days for which a LEAN folder has equity quotes, oldest first. Raises DataError for none."""
    base = lean_folder(folder)
    days: dict[str, dict[str, tuple[str, Path]]] = defaultdict(dict)
    for kind in RESOLUTIONS:
        for path in sorted((base / kind).glob("*/*_quote.zip")):
            days[path.name.split("_")[0]].setdefault(path.parent.name.upper(), (kind, path))
    if not days:
        raise DataError(f"{folder}: no LEAN quote files (equity/usa/tick/SYMBOL/YYYYMMDD_quote.zip)")
    return [TradingDay(date, files) for date, files in sorted(days.items())]


def lean_folder(folder: Path) -> Path:
    """Where LEAN keeps US equities below a folder, or that folder."""
    return next((one for one in (folder / "equity" / "usa", folder / "usa", folder) if one.is_dir()), folder)


def read_quotes(path: Path, symbol: str, kind: str) -> Iterator[Shown]:
    """The national best bid and offer over one file's regular hours, first where both sides are known.

    Of rows of the same millisecond the last counts, as the two sides of one change come in two rows;
    suspicious ticks are left out. Raises DataError.
    """
    bid = ask = (ZERO, ZERO)
    waiting: Shown | None = None
    for ms, new_bid, new_ask in _sides(path, kind):
        bid, ask = new_bid or bid, new_ask or ask
        if waiting and waiting.ms != ms:
            yield waiting
        known = bid[0] and ask[0] and MARKET_OPEN_MS <= ms < MARKET_CLOSE_MS
        waiting = Shown(ms, symbol, *bid, *ask) if known else None
    if waiting:
        yield waiting


def _sides(path: Path, kind: str) -> Iterator[tuple[int, tuple | None, tuple | None]]:
    try:
        for row in _rows(path):
            yield _tick(row) if kind == "tick" else _bar(row, BAR_MS[kind])
    except (OSError, zipfile.BadZipFile, ValueError, IndexError) as error:
        raise DataError(f"{path}: not a LEAN {kind} quote file: {error}") from error


def _rows(path: Path) -> Iterable[list[str]]:
    with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as file:
        for line in file:
            yield line.decode("ascii").rstrip().split(",")


def _tick(row: list[str]) -> tuple[int, tuple | None, tuple | None]:
    ms = int(float(row[0]))
    if row[7] != "0":
        return ms, None, None
    return ms, _side(row[1], row[2]), _side(row[3], row[4])


def _bar(row: list[str], length_ms: int) -> tuple[int, tuple | None, tuple | None]:
    return int(float(row[0])) + length_ms, _side(row[4], row[5]), _side(row[9], row[10])


def _side(px: str, size: str) -> tuple[Decimal, Decimal] | None:
    return (_price(px), Decimal(int(float(size)))) if px not in ("", "0") else None


@lru_cache(maxsize=65_536)
def _price(deci_cents: str) -> Decimal:
    return (Decimal(deci_cents) / 10_000).normalize()
