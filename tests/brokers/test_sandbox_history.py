"""Daily bars of the sandbox: LEAN's files, told as if they were of the weekdays before today."""

import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from brokers.sandbox.history import read_history
from brokers.sandbox.replay import DataError
from brokers.sandbox.tape import is_session

MONDAY_NOON = datetime(2026, 11, 23, 17, tzinfo=UTC)
ROWS = ["20131002 00:00,100000,120000,90000,110000,500", "20131003 00:00,110000,130000,100000,120000,600"]


def folder(tmp_path, rows):
    daily = tmp_path / "equity" / "usa" / "daily"
    daily.mkdir(parents=True)
    with zipfile.ZipFile(daily / "ibm.zip", "w") as archive:
        archive.writestr("ibm.csv", "\n".join(rows))
    return tmp_path


def test_the_last_day_is_the_weekday_before_today_at_new_yorks_midnight(tmp_path):
    found = read_history(folder(tmp_path, ROWS), before="20131007").bars("IBM", MONDAY_NOON)
    assert [bar.at for bar in found] == [datetime(2026, 11, 19, 5, tzinfo=UTC), datetime(2026, 11, 20, 5, tzinfo=UTC)]
    assert [(bar.open, bar.close, bar.count) for bar in found] == [(10, 11, 500), (11, 12, 600)]
    assert found[0].mean == Decimal("10.5")


def test_days_from_the_recording_on_are_left_out(tmp_path):
    history = read_history(folder(tmp_path, ROWS), before="20131003")
    assert [bar.close for bar in history.bars("IBM", MONDAY_NOON)] == [11]


def test_a_symbol_or_a_folder_without_any_has_none(tmp_path):
    assert read_history(tmp_path, before="20131007").bars("IBM", MONDAY_NOON) == []


@pytest.mark.parametrize("row", ["20131002 00:00,100000", "20130230 00:00,1,1,1,1,1", "20131002 00:00,x,1,1,1,1"])
def test_an_unreadable_file_is_named(tmp_path, row):
    with pytest.raises(DataError, match=r"ibm\.zip"):
        read_history(folder(tmp_path, [row]), before="20131007")


def test_days_begin_in_new_york_in_summer_and_winter(tmp_path):
    july = datetime(2026, 7, 7, 17, tzinfo=UTC)
    [_, monday] = read_history(folder(tmp_path, ROWS), before="20131007").bars("IBM", july)
    assert monday.at == datetime(2026, 7, 6, 4, tzinfo=UTC)
    assert monday.at.date() == date(2026, 7, 6)


@pytest.mark.parametrize(("day", "there_is"), [(20, True), (21, False), (22, False), (23, True)])
def test_there_are_sessions_on_weekdays_only(day, there_is):
    assert is_session(date(2026, 11, day), MONDAY_NOON) == there_is


def test_today_has_a_session_whatever_day_it_is():
    assert is_session(date(2026, 11, 22), datetime(2026, 11, 23, 4, 59, tzinfo=UTC))  # still Sunday in New York
