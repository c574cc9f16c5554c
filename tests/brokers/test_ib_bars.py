"""Daily bars from Interactive Brokers: how far back is asked, what is read, and what proves that there are none."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest

from brokers.adapters.interactive_brokers import bars, codes, parsing
from brokers.messages import OrderRefused, OutcomeUnknown, TryLater

TODAY = datetime.now(UTC).date()
START, END = TODAY - timedelta(days=30), TODAY - timedelta(days=1)


def day(when: date, close=182.45, volume=1000.0):
    prices = {"open": 181.0, "high": 183.5, "low": 180.25, "close": close}
    return SimpleNamespace(date=f"{when:%Y%m%d}", volume=volume, **prices)


class Session:
    """Answers with days, or an error, for each symbol."""

    def __init__(self, **answers):
        self.answers, self.asked = answers, []

    async def daily_bars(self, contract, span, what):
        self.asked.append((contract.symbol, span, what))
        answer = self.answers[contract.symbol]
        if isinstance(answer, Exception):
            raise answer
        return answer


def read(session):
    return asyncio.run(bars.read(session, session.answers, start=START, end=END))


@pytest.mark.parametrize(("days", "said"), [(0, "1 D"), (30, "31 D"), (364, "365 D"), (365, "2 Y"), (1000, "3 Y")])
def test_more_than_a_year_is_asked_for_in_years(days, said):
    assert bars.duration(TODAY - timedelta(days=days), TODAY) == said


def test_days_outside_the_span_are_left_out_and_floats_become_exact():
    session = Session(IBM=[day(START - timedelta(days=1)), day(START), day(END, 0.1 + 0.2, -1), day(TODAY)])
    found = read(session)
    assert [bar.day for bar in found] == [START, END]
    assert (found[0].close_px, found[0].low_px, found[0].feed) == (
        Decimal("182.45"),
        Decimal("180.25"),
        "adjusted_last",
    )
    assert found[1].volume == 0
    assert session.asked == [("IBM", "31 D", "ADJUSTED_LAST")]


@pytest.mark.parametrize("code", [codes.NO_HISTORY, codes.NO_SECURITY])
def test_a_symbol_that_has_none_leaves_the_others(code, caplog):
    refusal = codes.refusal(code, "HMDS query returned no data: XYZ@SMART Trades")
    found = read(Session(IBM=[day(END)], XYZ=refusal))
    assert [bar.symbol for bar in found] == ["IBM"]
    assert "no daily bars of XYZ" in caplog.text


@pytest.mark.parametrize(
    ("refusal", "raised"),
    [
        (codes.refusal(162, "Historical Market Data Service error message:API historical data pacing violation"),
         OutcomeUnknown),
        (codes.refusal(codes.RATE_EXCEEDED, "Max rate of messages per second has been exceeded"), TryLater),
        (codes.refusal(321, "Error validating request"), OrderRefused),
    ],
)  # fmt: skip
def test_a_refusal_that_proves_nothing_of_a_symbol_is_no_empty_answer(refusal, raised):
    with pytest.raises(raised):
        read(Session(IBM=refusal))


def test_a_bar_without_a_price_cannot_be_read():
    with pytest.raises(ValueError):
        parsing.bar_state("IBM", day(END, close=float("nan")), feed="adjusted_last")
