"""How much of each limit is in use, and what the configuration's versions tell of it."""

from decimal import Decimal

import pytest

from brokers.models import Instrument
from risk.configuration import change_limits
from risk.history import history_of_limits
from risk.limits import LimitValue, limits_in_force, set_limits
from risk.losses import watch_losses
from risk.models import Control, ExposureTotal, Scope
from risk.use import use_of_limits
from tests.factories import BrokerAccountFactory, trading_desk
from tests.orders.desk import submit

pytestmark = pytest.mark.django_db

GROSS = (Control.PORTFOLIO_RISK_LIMIT, Scope.FIRM, "")
SHARE = (Control.MAX_BROKER_ALLOCATION, Scope.FIRM, "")
SHARE_AT_ALPACA = (Control.MAX_BROKER_ALLOCATION, Scope.ACCOUNT, "alpaca")


def uses() -> dict:
    return {(use.limit.control, use.limit.scope, use.limit.scope_key): use for use in use_of_limits(limits_in_force())}


def limited(control: Control, value, scope: Scope = Scope.FIRM, scope_key: str = "", **more) -> None:
    values = [LimitValue(control, Decimal(value), scope, scope_key, **more)]
    set_limits(values, actor="rita", reason="review")


def test_gross_exposure_in_use_counts_orders_entered():
    trading_desk()
    submit()
    use = uses()[GROSS]
    assert (use.found.value, use.share, use.percent) == (18_240, Decimal("0.003648"), 0)
    assert not use.is_tight


def test_the_firms_share_is_that_of_the_account_nearest_to_it():
    trading_desk()
    limited(Control.MAX_BROKER_ALLOCATION, "0.5", Scope.ACCOUNT, "alpaca")
    submit(broker_name="alpaca_margin", order_qty="1000")
    firm, account = uses()[SHARE], uses()[SHARE_AT_ALPACA]
    assert (firm.found.value, firm.found.where) == (Decimal("0.0912"), "alpaca_margin")
    assert (account.found.value, account.found.where) == (0, "")


def test_a_brokers_share_is_that_of_its_own_accounts():
    trading_desk()
    BrokerAccountFactory(broker_name="ib", adapter="interactive_brokers")
    limited(Control.MAX_BROKER_ALLOCATION, "0.5", Scope.BROKER, "interactive_brokers")
    for name, gross in (("alpaca", 900_000), ("ib", 600_000)):
        ExposureTotal.objects.create(key=f"1:{name}", broker_name=name, gross=Decimal(gross))
    found = uses()[Control.MAX_BROKER_ALLOCATION, Scope.BROKER, "interactive_brokers"].found
    assert (found.value, found.where) == (Decimal("0.2"), "ib")


def test_bar_is_full_and_warns_when_a_limit_is_passed():
    trading_desk()
    ExposureTotal.objects.create(key="1:alpaca", broker_name="alpaca", gross=Decimal(6_000_000))
    use = uses()[GROSS]
    assert (use.share, use.percent, use.is_tight) == (Decimal("1.2"), 100, True)


def test_disabled_account_counts_neither_its_exposure_nor_its_value():
    trading_desk()
    BrokerAccountFactory(broker_name="old", enabled=False, portfolio_value=Decimal(10**9))
    ExposureTotal.objects.create(key="1:old", broker_name="old", gross=Decimal(6_000_000))
    ExposureTotal.objects.create(key="1:alpaca", broker_name="alpaca", gross=Decimal(1_000_000))
    assert (uses()[GROSS].found.value, uses()[SHARE].found.value) == (1_000_000, Decimal("0.5"))


def test_too_few_accounts_are_tight_and_enough_are_not():
    trading_desk()
    limited(Control.MIN_BROKER_DIVERSIFICATION, 3, hard=False)
    use = uses()[Control.MIN_BROKER_DIVERSIFICATION, Scope.FIRM, ""]
    assert (use.found.value, use.percent, use.is_floor) == (2, 66, True)
    assert (use.is_passed, use.is_tight) == (True, True)
    for enough in (2, 1):
        limited(Control.MIN_BROKER_DIVERSIFICATION, enough, hard=False)
        use = uses()[Control.MIN_BROKER_DIVERSIFICATION, Scope.FIRM, ""]
        assert (use.percent, use.is_passed, use.is_tight) == (100, False, False)


def test_limit_that_is_reached_is_not_passed():
    trading_desk()
    ExposureTotal.objects.create(key="1:alpaca", broker_name="alpaca", gross=Decimal(5_000_000))
    assert (uses()[GROSS].is_passed, uses()[GROSS].is_tight) == (False, True)
    ExposureTotal.objects.update(gross=Decimal(5_000_001))
    assert uses()[GROSS].is_passed


def test_limits_of_single_orders_have_nothing_in_use():
    trading_desk()
    use = uses()[Control.MAX_ORDER_QTY, Scope.FIRM, ""]
    assert (use.found, use.share, use.percent, use.is_tight) == (None, None, None, False)


def test_share_of_a_portfolio_worth_nothing_is_not_known():
    trading_desk()
    BrokerAccountFactory._meta.model.objects.update(portfolio_value=0)
    assert uses()[SHARE].found is None


def test_limits_on_totals_tell_what_is_held_and_entered():
    trading_desk()
    Instrument.objects.filter(symbol="IBM").update(sector="Technology", beta=Decimal("0.5"))
    Instrument.objects.filter(symbol="BAC").update(sector="Banks", beta=2)
    BrokerAccountFactory._meta.model.objects.update(equity=1000, initial_margin=300, allocation_percent=Decimal("0.01"))
    submit(broker_name="alpaca"), submit(broker_name="alpaca_margin", symbol="BAC", side="sell", price="182.60")
    BrokerAccountFactory._meta.model.objects.update(equity=900)
    watch_losses()
    BrokerAccountFactory._meta.model.objects.update(equity=800)
    watch_losses()
    limits = [
        (Control.MAX_NET_EXPOSURE, 18_260, ""),
        (Control.MAX_BETA_EXPOSURE, 36_520, ""),
        (Control.MAX_SECTOR_EXPOSURE, 18_260, "Banks"),
        (Control.MAX_SYMBOL_EXPOSURE, 18_260, "BAC"),
        (Control.MAX_ALLOCATION_DRIFT, Decimal("-0.00087"), "alpaca_margin"),
        (Control.MAX_MARGIN_USE, Decimal("0.375"), "alpaca"),
        (Control.MAX_DAILY_LOSS, 200, ""),
        (Control.MAX_DRAWDOWN, Decimal("0.111111112"), ""),
    ]
    for control, _, _ in limits:
        limited(control, 1)

    found = {control: use.found for (control, scope, _), use in uses().items()}

    assert [(control, found[control].value, found[control].where) for control, _, _ in limits] == limits


def test_beta_exposure_in_use_is_not_known_while_a_beta_is_missing():
    trading_desk()
    limited(Control.MAX_BETA_EXPOSURE, 1)
    ExposureTotal.objects.create(key="1:alpaca", broker_name="alpaca", without_beta=1)

    assert uses()[Control.MAX_BETA_EXPOSURE, Scope.FIRM, ""].found is None


def test_queries_do_not_grow_with_limits(django_assert_num_queries):
    trading_desk()
    for name in ("alpaca", "alpaca_margin"):
        limited(Control.MAX_BROKER_ALLOCATION, "0.5", Scope.ACCOUNT, name)
    limits = limits_in_force()
    with django_assert_num_queries(2):
        assert len(use_of_limits(limits)) == 6


def change(value, *, by: str, reason: str, **where) -> None:
    control = where.pop("control", Control.MAX_ORDER_QTY)
    number = None if value is None else Decimal(value)
    change_limits([LimitValue(control, number, **where)], actor=by, reason=reason)


def told(*key, hard=True) -> list[tuple]:
    return [(past.changed_by, past.reason, past.before, past.after) for past in history_of_limits()[*key, hard]]


def test_history_tells_every_value_with_who_and_why_latest_first():
    change(100, by="ann", reason="begin")
    change(50, by="bob", reason="smaller")
    change(None, by="ann", reason="not needed")
    assert told("max_order_qty", "firm", "") == [
        ("ann", "not needed", 50, None),
        ("bob", "smaller", 100, 50),
        ("ann", "begin", None, 100),
    ]


def test_history_keeps_accounts_and_symbols_with_points_apart():
    BrokerAccountFactory(broker_name="alpaca")
    change(10, by="ann", reason="a", scope=Scope.ACCOUNT, scope_key="alpaca")
    change(20, by="ann", reason="b", scope=Scope.SYMBOL, scope_key="BRK.B")
    assert told("max_order_qty", "account", "alpaca") == [("ann", "a", None, 10)]
    assert told("max_order_qty", "symbol", "BRK.B") == [("ann", "b", None, 20)]
    assert told("max_order_qty", "firm", "") == []


def test_history_of_a_restriction_begins_and_ends_with_its_symbol():
    restricted = {"control": Control.RESTRICTED, "scope": Scope.SYMBOL}
    change(1, by="ann", reason="news", scope_key="IBM", **restricted)
    change(1, by="ann", reason="more news", scope_key="BAC", **restricted)
    change(None, by="bob", reason="over", scope_key="IBM", **restricted)
    assert told("restricted", "symbol", "IBM") == [("bob", "over", True, None), ("ann", "news", None, True)]
    assert told("restricted", "symbol", "BAC") == [("ann", "more news", None, True)]


def test_history_of_a_limit_that_may_only_warn_tells_its_value():
    change(2, by="ann", reason="two", control=Control.MIN_BROKER_DIVERSIFICATION)
    assert told("min_broker_diversification", "firm", "") == [("ann", "two", None, 2)]
