"""Daily bars: read when due, replaced as a whole, and left alone where a broker tells none."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from brokers import bars
from brokers.adapters.alpaca.adapter import Adapter
from brokers.messages import BarState, OutcomeUnknown
from brokers.models import DailyBar, Listing
from tests import factories

pytestmark = pytest.mark.django_db
SUNDAY_NOON = datetime(2026, 11, 22, 17, tzinfo=UTC)
FRIDAY, THURSDAY, WEDNESDAY = date(2026, 11, 20), date(2026, 11, 19), date(2026, 11, 18)


def bar(day: date, close, symbol="IBM") -> BarState:
    px = Decimal(str(close))
    return BarState(symbol, day, px, px + 1, px - 1, px, Decimal(1000), "iex")


class Broker:
    """Tells the bars that a test gives it, and keeps what it was asked."""

    def __init__(self):
        self.told: list[BarState] = []
        self.asked: list[tuple[list[str], date, date]] = []
        self.fails: Exception | None = None

    def daily_bars(self, symbols, *, start, end):
        self.asked.append((list(symbols), start, end))
        if self.fails:
            raise self.fails
        return [one for one in self.told if one.symbol in symbols]


@pytest.fixture
def broker(monkeypatch) -> Broker:
    made = Broker()
    monkeypatch.setattr(bars, "gateway_for", lambda account: made)
    return made


@pytest.fixture
def now(monkeypatch):
    """The clock in a test's hands."""
    clock = {"now": SUNDAY_NOON}
    monkeypatch.setattr(timezone, "now", lambda: clock["now"])
    return clock


@pytest.fixture
def account():
    return factories.ListingFactory().account


def kept() -> dict[date, Decimal]:
    return {row.day: row.close_px for row in DailyBar.objects.all()}


def test_whole_days_up_to_yesterday_are_asked_for_and_kept(broker, account, now):
    broker.told = [bar(THURSDAY, "181.5"), bar(FRIDAY, 183)]
    assert bars.sync_daily_bars(account, ["IBM", "NOSUCH"]) == 1
    assert broker.asked == [(["IBM"], date(2024, 2, 26), date(2026, 11, 21))]
    assert kept() == {THURSDAY: Decimal("181.5"), FRIDAY: Decimal(183)}
    assert Listing.objects.get().daily_bars_read_at == SUNDAY_NOON


def test_the_day_is_new_yorks_not_utcs(broker, account, now):
    now["now"] = datetime(2026, 11, 21, 4, tzinfo=UTC)  # Friday, 23:00 in New York
    bars.sync_daily_bars(account, ["IBM"])
    assert broker.asked[0][2] == THURSDAY


def test_what_was_read_lately_is_not_read_again(broker, account, now):
    bars.sync_daily_bars(account, ["IBM"])
    now["now"] += bars.READ_EVERY
    assert bars.sync_daily_bars(account, ["IBM"]) == 0
    now["now"] += timedelta(seconds=1)
    assert bars.sync_daily_bars(account, ["IBM"]) == 1
    assert len(broker.asked) == 2


def test_a_split_rewrites_every_day_and_a_day_that_is_gone_is_dropped(broker, account, now):
    broker.told = [bar(WEDNESDAY, 180), bar(THURSDAY, 182)]
    bars.sync_daily_bars(account, ["IBM"])
    now["now"] += timedelta(days=1)
    broker.told = [bar(THURSDAY, 91), bar(FRIDAY, 92)]
    bars.sync_daily_bars(account, ["IBM"])
    assert kept() == {THURSDAY: 91, FRIDAY: 92}


def test_days_that_have_not_changed_are_not_written_again(broker, account, now):
    broker.told = [bar(THURSDAY, 182)]
    bars.sync_daily_bars(account, ["IBM"])
    now["now"] += timedelta(days=1)
    broker.told = [bar(THURSDAY, 182), bar(FRIDAY, 183)]
    bars.sync_daily_bars(account, ["IBM"])
    told_at = {row.day: row.received_at for row in DailyBar.objects.all()}
    assert told_at == {THURSDAY: SUNDAY_NOON, FRIDAY: now["now"]}


def test_a_broker_that_tells_none_takes_nothing_away(broker, account, now):
    broker.told = [bar(THURSDAY, 182)]
    bars.sync_daily_bars(account, ["IBM"])
    now["now"] += timedelta(days=1)
    broker.told = []
    assert bars.sync_daily_bars(account, ["IBM"]) == 1
    assert kept() == {THURSDAY: 182}


def test_no_answer_changes_nothing_and_is_asked_for_again(broker, account, now):
    broker.told = [bar(THURSDAY, 182)]
    bars.sync_daily_bars(account, ["IBM"])
    now["now"] += timedelta(days=1)
    broker.fails = OutcomeUnknown("time-out")
    with pytest.raises(OutcomeUnknown):
        bars.sync_daily_bars(account, ["IBM"])
    assert kept() == {THURSDAY: 182}
    assert Listing.objects.get().daily_bars_read_at == SUNDAY_NOON


def test_more_than_the_broker_takes_at_once_wait_their_turn(broker, account, now, monkeypatch):
    monkeypatch.setattr(Adapter, "capabilities", replace(Adapter.capabilities, daily_bars_at_once=2))
    for symbol in ("AAPL", "BAC"):
        factories.ListingFactory(account=account, instrument=factories.InstrumentFactory(symbol=symbol))
    wanted = ["IBM", "AAPL", "BAC"]
    assert [bars.sync_daily_bars(account, wanted) for _ in range(3)] == [2, 1, 0]
    assert sorted(symbol for symbols, _, _ in broker.asked for symbol in symbols) == sorted(wanted)


def test_an_account_whose_broker_has_no_bars_is_not_asked(broker, account, now, monkeypatch):
    monkeypatch.setattr(Adapter, "capabilities", replace(Adapter.capabilities, daily_bars_at_once=0))
    assert bars.sync_daily_bars(account, ["IBM"]) == 0
    assert broker.asked == []


def test_closes_are_by_symbol_account_and_day(broker, account, now):
    broker.told = [bar(THURSDAY, 182), bar(FRIDAY, 183)]
    bars.sync_daily_bars(account, ["IBM"])
    assert bars.closes(["IBM", "BAC"], since=FRIDAY) == {"IBM": {"alpaca": {FRIDAY: 183.0}}}
