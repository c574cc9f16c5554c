"""From a broker's own bars to the portfolio's risk, at the real sandbox process."""

import pytest

from brokers.gateway import close_gateways
from brokers.models import DailyBar
from orders import sync
from risk.portfolio.assessment import assess
from risk.portfolio.histories import MOST_DAYS
from tests import factories
from tests.brokers.sandbox_process import start_sandbox
from tests.conformance.harnesses.alpaca import Harness
from tests.risk.portfolio.desk import holds

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


@pytest.fixture
def sandbox(tmp_path, monkeypatch):
    with start_sandbox(tmp_path, speed=0) as started:
        key, secret = started.keys("alpaca")
        monkeypatch.setenv("ALPACA_API_KEY", key)
        monkeypatch.setenv("ALPACA_SECRET_KEY", secret)
        yield started
        close_gateways()


def test_what_is_held_is_measured_once_its_brokers_bars_were_read(sandbox):
    (account,) = factories.trading_desk("alpaca")
    account.settings |= {"base_url": sandbox.url}
    account.save()
    factories.PositionFactory(account=account, symbol="IBM")
    holds("IBM", 10, 182)
    assert [problem.code for problem in assess().problems] == ["MISSING_BARS"]
    sync.refresh_bars(account)
    report = assess()
    assert report.complete
    assert report.measured.history.days == MOST_DAYS
    assert 0 < report.measured.losses[0].historical_var < report.measured.losses[0].historical_es < 1820
    told = {bar.day: bar.close_px for bar in DailyBar.objects.all()}
    truth = Harness(sandbox).closes()
    assert told == {day: truth[day] for day in told}
