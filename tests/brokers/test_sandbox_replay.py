"""LEAN's quote files as the sandbox reads and replays them, and the bars made of them."""

from __future__ import annotations

import os
import zipfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from pathlib import Path

import pytest

from brokers.sandbox.book import Quote
from brokers.sandbox.replay import MARKET_OPEN_MS, SAMPLE_DATA, DataError, find_days, read_quotes
from brokers.sandbox.tape import Tape

SHARED = Path(os.environ.get("DESK_SHARED", Path(__file__).parents[3] / "shared"))
LEAN = SHARED / "data" / "lean"
needs_lean = pytest.mark.skipif(not LEAN.exists(), reason=f"no LEAN data in {LEAN}")
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def write(folder: Path, *rows: str, kind: str = "tick", symbol: str = "ibm", date: str = "20131007") -> Path:
    path = folder / "equity" / "usa" / kind / symbol / f"{date}_quote.zip"
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{date}_{symbol}.csv", "\n".join(rows) + "\n")
    return path


def test_each_side_of_a_tick_is_carried_forward(tmp_path):
    path = write(
        tmp_path,
        "34200000,1819000,300,0,0,P,1,0",
        "34200100,0,0,1820000,200,Q,1,0",
        "34200200,1819500,100,0,0,P,1,0",
    )
    assert [tuple(shown) for shown in read_quotes(path, "IBM", "tick")] == [
        (34200100, "IBM", D("181.9"), 300, 182, 200),
        (34200200, "IBM", D("181.95"), 100, 182, 200),
    ]


def test_two_rows_of_one_millisecond_are_one_quote(tmp_path):
    path = write(
        tmp_path, "34200000,1819000,300,0,0,P,1,0", "34200000,0,0,1820000,200,P,1,0", "34200050,1819100,1,0,0,P,1,0"
    )
    assert [(s.ms, s.bid_px) for s in read_quotes(path, "IBM", "tick")] == [
        (34200000, D("181.9")),
        (34200050, D("181.91")),
    ]


def test_suspicious_ticks_and_those_outside_regular_hours_are_left_out(tmp_path):
    path = write(
        tmp_path,
        "34100000,1810000,300,0,0,P,1,0",
        "34100000,0,0,1820000,200,P,1,0",
        "34200500,900000,300,0,0,P,1,1",
        "34200600,1819000,300,0,0,P,1,0",
        "57600000,1811000,300,0,0,P,1,0",
    )
    assert [(s.ms, s.bid_px, s.ask_px) for s in read_quotes(path, "IBM", "tick")] == [
        (34200500, 181, 182),
        (34200600, D("181.9"), 182),
    ]


def test_bars_are_known_at_their_end_and_may_lack_a_side(tmp_path):
    path = write(
        tmp_path,
        "34200000,1,1,1,1819000,300,1,1,1,1820000,200",
        "34260000,,,,,,1,1,1,1821000,250",
        kind="minute",
    )
    assert [tuple(s) for s in read_quotes(path, "IBM", "minute")] == [
        (34260000, "IBM", D("181.9"), 300, 182, 200),
        (34320000, "IBM", D("181.9"), 300, D("182.1"), 250),
    ]


def test_finest_resolution_is_taken_and_days_come_in_order(tmp_path):
    row = "34200000,1,1,1,1819000,300,1,1,1,1820000,200"
    write(tmp_path, row, kind="second", date="20131008")
    write(tmp_path, row, kind="minute", date="20131008")
    write(tmp_path, row, kind="minute", date="20131007", symbol="bac")
    days = find_days(tmp_path)
    assert [(day.date, {s: kind for s, (kind, _) in day.files.items()}) for day in days] == [
        ("20131007", {"BAC": "minute"}),
        ("20131008", {"IBM": "second"}),
    ]
    assert find_days(tmp_path / "equity")[0].date == "20131007"


def test_folder_without_quotes_is_refused(tmp_path):
    with pytest.raises(DataError, match="no LEAN quote files"):
        find_days(tmp_path)


def test_file_that_is_no_quote_file_is_named(tmp_path):
    path = write(tmp_path, "hello,world")
    with pytest.raises(DataError, match=r"20131007_quote\.zip: not a LEAN tick quote file"):
        find_days(tmp_path)[0].quotes()
    path.write_bytes(b"no zip")
    with pytest.raises(DataError, match="not a LEAN tick quote file"):
        find_days(tmp_path)[0].quotes()


def test_sample_is_small_has_a_whole_session_and_is_never_crossed():
    (day,) = find_days(SAMPLE_DATA)
    quotes = day.quotes()
    assert sum(path.stat().st_size for _, path in day.files.values()) < 1_000_000
    assert {shown.symbol for shown in quotes} == {"IBM", "BAC"}
    assert [s.ms for s in quotes] == sorted(s.ms for s in quotes)
    assert quotes[0].ms < MARKET_OPEN_MS + 1000
    assert quotes[-1].ms - quotes[0].ms > 6 * 3_600_000
    assert all(shown.bid_px < shown.ask_px for shown in quotes)


@needs_lean
def test_sample_shows_what_the_original_showed():
    """Every quote of the sample is a national best bid and offer that the original file has at that millisecond."""
    (day,) = find_days(SAMPLE_DATA)
    for symbol in day.files:
        original = LEAN / "equity" / "usa" / "tick" / symbol.lower() / "20131007_quote.zip"
        if not original.exists():
            pytest.skip(f"no {original}")
        sample = set(read_quotes(day.files[symbol][1], symbol, "tick"))
        assert sample - _states(original, symbol) == set()


def _states(path: Path, symbol: str) -> set[tuple]:
    """Every state of the best bid and offer of a tick file, the passing ones within a millisecond too."""
    bid = ask = None
    states = set()
    with zipfile.ZipFile(path) as archive:
        for line in archive.read(archive.namelist()[0]).decode().splitlines():
            ms, bid_px, bid_size, ask_px, ask_size, _, _, suspicious = line.split(",")
            if suspicious != "0":
                continue
            bid = (D(bid_px) / 10_000, D(bid_size)) if bid_px != "0" else bid
            ask = (D(ask_px) / 10_000, D(ask_size)) if ask_px != "0" else ask
            if bid and ask:
                states.add((int(ms), symbol, *bid, *ask))
    return states


@needs_lean
def test_any_lean_folder_is_read():
    days = find_days(LEAN)
    assert len(days) > 5
    minute = next(day for day in days if {kind for kind, _ in day.files.values()} == {"minute"})
    quotes = minute.quotes()
    assert quotes
    assert all(s.bid_px and s.ask_px for s in quotes)


def quote(at: datetime, mid: int) -> Quote:
    return Quote("IBM", D(mid) - 1, D(1), D(mid) + 1, D(1), at)


def test_quotes_become_minute_bars_and_minutes_longer_ones():
    tape = Tape()
    for second, mid in ((0, 100), (30, 104), (59, 98), (60, 99), (150, 110)):
        tape.add(quote(NOON + timedelta(seconds=second), mid))
    minutes = tape.between("IBM", NOON, NOON + timedelta(hours=1))
    assert [(b.open, b.high, b.low, b.close, b.count) for b in minutes] == [
        (100, 104, 98, 98, 3),
        (99, 99, 99, 99, 1),
        (110, 110, 110, 110, 1),
    ]
    (five,) = tape.between("IBM", NOON, NOON + timedelta(hours=1), timedelta(minutes=5))
    assert (five.at, five.open, five.high, five.low, five.close, five.count) == (NOON, 100, 110, 98, 110, 5)
    assert five.mean == D(511) / 5
    assert tape.between("BAC", NOON, NOON) == []
