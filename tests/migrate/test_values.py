"""What single legacy values mean: each rule at its boundary, and no value breaks a reader."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.migrate import values
from orders.migrate.mapping import TABLES
from orders.migrate.values import Reader, Unmappable
from tests.migrate.legacy import SCHEMA
from tradingdesk.fields import significant_digits

LATEST = datetime(2026, 3, 3, tzinfo=UTC)
ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.binary(max_size=8), st.datetimes(),
    st.sampled_from(["filled", "pending", "buy", "long", "market", "open", "2024-05-01 10:00:00", 10.0, "IBM"]),
)  # fmt: skip


def reader(**row) -> Reader:
    return Reader(row, LATEST)


@pytest.mark.parametrize(
    ("found", "number", "rules"),
    [
        (10.0, "10", []),
        (0.1 + 0.2, "0.3", ["FLOAT_ROUNDED"]),
        (" 12.5 ", "12.5", ["NUMBER_FROM_TEXT"]),
        (123456789.123456789, "123456789.123457", ["FLOAT_ROUNDED"]),
        (1e-12, "0", ["FLOAT_ROUNDED"]),
        (None, None, []),
    ],
)
def test_numbers(found, number, rules):
    read = reader(quantity=found)
    assert read.number("quantity") == (None if number is None else Decimal(number))
    assert read.rules == rules


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (float("nan"), "NOT_FINITE"),
        (float("-inf"), "NOT_FINITE"),
        ("NaN", "NOT_FINITE"),
        ("ten", "NOT_A_NUMBER"),
        ("1,000", "NOT_A_NUMBER"),
        (b"\x00", "NOT_A_NUMBER"),
        (1e15, "NUMBER_TOO_LARGE"),
        (-1.0, "NOT_POSITIVE"),
        (0, "NOT_POSITIVE"),
        (None, "VALUE_MISSING"),
    ],
)
def test_quantities_that_are_none(found, reason):
    with pytest.raises(Unmappable, match=reason):
        reader(quantity=found).positive("quantity")


@pytest.mark.parametrize(
    ("found", "when", "rules"),
    [
        ("2024-05-01 10:00:00.123456", "2024-05-01T10:00:00.123456+00:00", []),
        ("2024-05-01T10:00:00Z", "2024-05-01T10:00:00+00:00", []),
        ("2024-05-01 10:00:00-05:00", "2024-05-01T15:00:00+00:00", ["TIME_ZONE_CONVERTED"]),
        (datetime(2024, 5, 1, 10), "2024-05-01T10:00:00+00:00", []),  # noqa: DTZ001
    ],
)
def test_times(found, when, rules):
    read = reader(created_at=found)
    assert read.needed_time("created_at").isoformat() == when
    assert read.rules == rules


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ("0001-01-01 00:00:00", "TIME_ABSURD"),
        ("1989-12-31 23:59:59", "TIME_ABSURD"),
        ("2026-03-03 00:00:01", "TIME_ABSURD"),
        ("9999-12-31 23:59:59-05:00", "NOT_A_TIME"),
        ("0000-00-00 00:00:00", "NOT_A_TIME"),
        ("infinity", "NOT_A_TIME"),
        (1714557600, "NOT_A_TIME"),
        (None, "VALUE_MISSING"),
    ],
)
def test_times_that_are_none(found, reason):
    with pytest.raises(Unmappable, match=reason):
        reader(created_at=found).needed_time("created_at")


@pytest.mark.parametrize(
    ("found", "status", "rules"),
    [
        ("cancelled", "canceled", []),
        ("Canceled ", "canceled", ["SPELLING"]),
        ("FILLED", "filled", ["TEXT_TRIMMED"]),
        ("partially filled", "new", ["SPELLING"]),
        ("Pending-New", "pending", ["SPELLING"]),
    ],
)
def test_words(found, status, rules):
    read = reader(status=found)
    assert read.word("status", values.ORDER_STATUSES) == status
    assert read.rules == rules


def test_json_that_does_not_parse_stays_as_text():
    for text in ("{'a': 1}", '{"vix": NaN}', "", '{"a": "\\u0000"}'):
        read = reader(market_conditions=text)
        assert read.json("market_conditions") == text
        assert read.rules == ["JSON_KEPT_AS_TEXT"]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
@given(data=st.data())
def test_any_row_is_mapped_or_quarantined(table, data):
    row = {name: data.draw(ANYTHING, name) for name in SCHEMA[table.name]} | {"id": 1}
    try:
        columns = table.columns_of(Reader(row, LATEST))
    except Unmappable:
        return  # quarantined, with its reason
    numbers = [value for value in columns.values() if isinstance(value, Decimal)]
    assert all(value.is_finite() and significant_digits(value) <= 15 for value in numbers)
    times = [value for value in columns.values() if isinstance(value, datetime)]
    assert all(value.tzinfo is UTC for value in times)
