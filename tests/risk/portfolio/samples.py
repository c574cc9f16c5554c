"""Daily closes of real stocks, from the reference data."""

import zipfile
from pathlib import Path

import numpy as np

SYMBOLS = ("SPY", "IBM", "BAC", "AIG")


def closes(shared: Path, symbol: str) -> dict[str, float]:
    """Unadjusted closes by day (YYYYMMDD), in dollars."""
    path = shared / "data" / "lean" / "equity" / "usa" / "daily" / f"{symbol.lower()}.zip"
    with zipfile.ZipFile(path) as archive:
        lines = archive.read(archive.namelist()[0]).decode("ascii").split()
    rows = (line.split(",") for line in lines if "," in line)
    days = [line for line in lines if "," not in line]
    return {day: int(row[4]) / 10_000 for day, row in zip(days, rows, strict=True)}


def returns(shared: Path, first: str = "20100101", last: str = "20121231") -> np.ndarray:
    """Simple daily returns of `SYMBOLS` on the days that all of them have, a column each."""
    series = [closes(shared, symbol) for symbol in SYMBOLS]
    days = sorted(day for day in set.intersection(*map(set, series)) if first <= day <= last)
    prices = np.array([[one[day] for one in series] for day in days])
    return prices[1:] / prices[:-1] - 1
