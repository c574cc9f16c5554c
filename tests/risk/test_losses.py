"""Losses are measured between orders; where one passes its limit trading is halted, until a person clears it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from brokers.models import BrokerAccount
from orders.models import Order
from risk import losses
from risk.halts import resume
from risk.limits import LimitValue, set_limits
from risk.losses import watch_losses
from risk.models import Control, EquityMark, Halt, Level, Scope
from risk.rulebook import forget
from tests.factories import trading_desk
from tests.orders.desk import submit

pytestmark = pytest.mark.django_db

EVENING, MORNING = datetime(2026, 3, 2, 20, tzinfo=UTC), datetime(2026, 3, 3, 14, tzinfo=UTC)


class Clock:
    """What `risk.losses` takes for now."""

    def __init__(self, monkeypatch):
        self.now = EVENING
        monkeypatch.setattr(losses.timezone, "now", lambda: self.now)


@pytest.fixture
def clock(monkeypatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture(autouse=True)
def accounts(db):
    """Two accounts with a thousand each."""
    forget()
    trading_desk()
    BrokerAccount.objects.update(equity=1_000)
    yield
    forget()


def worth(name: str, equity) -> None:
    BrokerAccount.objects.filter(pk=name).update(equity=equity)


def may_lose(control: Control, value, scope=Scope.FIRM, key="") -> None:
    set_limits([LimitValue(control, Decimal(str(value)), scope, key)], actor="ann", reason="test")


def mark(scope=Scope.FIRM, key="") -> EquityMark:
    return EquityMark.objects.get(scope=scope, scope_key=key)


def test_loss_at_its_limit_goes_on_and_one_above_halts_what_adds_exposure():
    may_lose(Control.MAX_DAILY_LOSS, 100)
    watch_losses()
    worth("alpaca", 900)
    at_limit = watch_losses()
    taken = submit()
    worth("alpaca", "899.99")

    (halt,) = watch_losses()

    assert (at_limit, taken.status) == ([], "pending")
    assert (halt.scope, halt.level, halt.trigger) == ("firm", Level.REDUCE_ONLY, "max_daily_loss")
    assert halt.reason == "max_daily_loss=100.01, max=100: equity is 1899.99, it was 2000"
    assert halt.set_by == "system:losses"
    denied = submit()
    assert denied.status == "denied"
    assert "TRADING_HALTED" in {denial["code"] for denial in denied.denials}


def test_gain_at_one_account_makes_up_for_a_loss_at_another():
    may_lose(Control.MAX_DAILY_LOSS, 100)
    watch_losses()
    worth("alpaca", 500), worth("alpaca_margin", 1_450)

    assert watch_losses() == []


def test_limit_of_an_account_halts_that_account():
    may_lose(Control.MAX_DAILY_LOSS, 100, Scope.ACCOUNT, "alpaca")
    watch_losses()
    worth("alpaca", 800), worth("alpaca_margin", 1_500)

    (halt,) = watch_losses()

    assert (halt.scope, halt.scope_key) == ("account", "alpaca")
    assert submit(broker_name="alpaca_margin").status == "pending"


def test_day_begins_with_what_was_last_seen_on_the_day_before(clock):
    may_lose(Control.MAX_DAILY_LOSS, 100)
    watch_losses()
    worth("alpaca", 950)
    watch_losses()
    clock.now = MORNING
    worth("alpaca", 860)

    assert watch_losses() == []
    assert mark().lost(Control.MAX_DAILY_LOSS) == 90

    worth("alpaca", 840)
    assert [halt.trigger for halt in watch_losses()] == ["max_daily_loss"]


def test_drawdown_is_a_share_of_the_highest_over_any_number_of_days(clock):
    may_lose(Control.MAX_DRAWDOWN, "0.1")
    watch_losses()
    worth("alpaca", 3_000)
    watch_losses()
    clock.now = MORNING
    worth("alpaca", 2_600)
    assert watch_losses() == []
    worth("alpaca", "2599.99")

    (halt,) = watch_losses()

    assert (halt.trigger, mark().peak_equity, mark().peak_at) == ("max_drawdown", 4_000, EVENING)


def test_account_that_is_disabled_or_comes_back_is_no_loss_and_no_gain():
    may_lose(Control.MAX_DAILY_LOSS, 100), may_lose(Control.MAX_DRAWDOWN, "0.1")
    watch_losses()
    worth("alpaca_margin", 960)
    watch_losses()
    BrokerAccount.objects.filter(pk="alpaca_margin").update(enabled=False)

    assert watch_losses() == []
    assert (mark().equity, mark().peak_equity, mark().lost(Control.MAX_DAILY_LOSS)) == (1_000, 1_040, 40)

    BrokerAccount.objects.filter(pk="alpaca_margin").update(enabled=True)
    assert watch_losses() == []
    assert (mark().equity, mark().peak_equity, mark().lost(Control.MAX_DAILY_LOSS)) == (1_960, 2_000, 40)


def test_halt_trips_once_and_stays_when_equity_comes_back():
    may_lose(Control.MAX_DAILY_LOSS, 100)
    watch_losses()
    worth("alpaca", 800)
    watch_losses(), watch_losses()
    worth("alpaca", 1_000)
    watch_losses()

    assert Halt.objects.filter(cleared_at=None).count() == Halt.objects.count() == 1
    assert submit().status == "denied"


def test_who_clears_accepts_the_loss_and_it_is_measured_anew_from_there():
    may_lose(Control.MAX_DAILY_LOSS, 100)
    watch_losses()
    worth("alpaca", 800)
    (halt,) = watch_losses()
    resume(halt=halt, reason="a known position", actor="ann")

    assert watch_losses() == []
    assert submit().status == "pending"

    worth("alpaca", 699)
    assert [halt.trigger for halt in watch_losses()] == ["max_daily_loss"]


def test_order_between_the_loss_and_the_halt_is_denied_and_never_sent():
    watch_losses()
    worth("alpaca", 800)
    watch_losses()
    may_lose(Control.MAX_DAILY_LOSS, 100)

    order = submit()

    assert {denial["code"] for denial in order.denials} == {"LOSS_EXCEEDS_LIMIT"}
    assert not Halt.objects.exists()
    assert not order.requests.exists()


def test_limit_that_nobody_measures_denies():
    may_lose(Control.MAX_DAILY_LOSS, 100)
    never = submit()
    watch_losses()
    EquityMark.objects.update(seen_at=timezone.now() - timedelta(seconds=61))
    not_lately = submit()

    for order in (never, not_lately):
        assert {denial["code"] for denial in order.denials} == {"CONTROL_NOT_MEASURED"}
    watch_losses()
    assert submit().status == "pending"


def test_account_whose_currency_has_no_rate_leaves_the_firm_unmeasured():
    BrokerAccount.objects.filter(pk="alpaca").update(currency="EUR")

    watch_losses()

    assert set(EquityMark.objects.values_list("scope", "scope_key")) == {("account", "alpaca_margin")}


def test_desk_without_such_limits_measures_and_halts_nothing():
    watch_losses()
    worth("alpaca", 1)

    assert watch_losses() == []
    assert submit().status == "pending"
    assert Order.objects.count() == 1
