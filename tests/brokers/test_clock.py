"""The market's clock as it was read at an account: whether the session is open, and how far its time is from ours."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from brokers import market
from brokers.messages import ClockState
from brokers.models import BrokerAccount
from tests.factories import BrokerAccountFactory

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture
def read(monkeypatch):
    """Read a clock that is so far ahead of ours; the account as it is then."""

    def sync(*, is_open: bool, ahead: timedelta = timedelta(0)) -> BrokerAccount:
        class Broker:
            def clock(self) -> ClockState:
                now = timezone.now()
                return ClockState(now + ahead, is_open, next_open=now + 2 * HOUR, next_close=now + HOUR)

        monkeypatch.setattr(market, "gateway_for", lambda account: Broker())
        account = BrokerAccountFactory()
        market.sync_clock(account)
        return BrokerAccount.objects.get(pk=account.pk)

    return sync


@pytest.mark.parametrize(("is_open", "changes_in"), [(True, HOUR), (False, 2 * HOUR)])
def test_session_changes_when_the_clock_said_it_would(read, is_open, changes_in):
    account = read(is_open=is_open)
    account.clock_read_at = account.session_changes_at - timedelta(seconds=60)

    assert abs(account.session_changes_at - timezone.now() - changes_in) < timedelta(minutes=1)
    assert account.is_session_open(account.session_changes_at - timedelta(seconds=1)) is is_open
    assert account.is_session_open(account.session_changes_at) is not is_open


def test_clock_that_was_read_too_long_ago_says_nothing(read):
    account = read(is_open=True)
    late = account.clock_read_at + timedelta(seconds=121)

    assert (account.is_session_open(late), account.known_clock_drift(late)) == (None, None)


def test_clock_that_was_never_read_says_nothing():
    account = BrokerAccountFactory()

    assert account.is_session_open(timezone.now()) is None
    assert account.known_clock_drift(timezone.now()) is None


@pytest.mark.parametrize("ahead", [timedelta(seconds=90), timedelta(seconds=-90)])
def test_drift_is_how_far_the_broker_is_ahead(read, ahead):
    account = read(is_open=True, ahead=ahead)

    drift = account.known_clock_drift(timezone.now())

    assert abs(drift - Decimal(ahead.total_seconds())) < 30
