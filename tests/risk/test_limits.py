"""Setting limits: all or none, with who and why, and seen by the next decision."""

from dataclasses import replace
from decimal import Decimal

import pytest
from django.contrib.auth import get_user_model

from risk.limits import LimitValue, limits_in_force, set_limits
from risk.models import Control, ExposureTotal, Limit, Scope
from risk.rulebook import current_rulebook
from risk.rules import Place
from tests.factories import BrokerAccountFactory
from tradingdesk.audit.models import AuditEvent
from tradingdesk.errors import InvalidInput

pytestmark = pytest.mark.django_db


def set_one(value: LimitValue, **changes):
    return set_limits([value], **{"actor": "rita", "reason": "annual review", **changes})


def in_force() -> dict[tuple[str, str, str], Decimal]:
    return {(limit.control, limit.scope, limit.scope_key): limit.value for limit in limits_in_force()}


def test_new_limit_is_stored_with_who_and_why_and_told_to_the_trail():
    set_one(LimitValue(Control.MAX_ORDER_QTY, Decimal(100)))
    limit = Limit.objects.get()
    assert (limit.value, limit.hard, limit.set_by, limit.reason) == (100, True, "rita", "annual review")
    event = AuditEvent.objects.get()
    assert (event.kind, event.actor, event.reason) == ("limit.changed", "rita", "annual review")
    assert (event.entity_key, event.before, event.after) == ("max_order_qty:firm", None, {"value": "100", "hard": True})


def test_changed_limit_tells_the_trail_what_it_was():
    set_one(LimitValue(Control.MAX_ORDER_QTY, Decimal(100)))
    set_one(LimitValue(Control.MAX_ORDER_QTY, Decimal("50.5")))
    assert in_force() == {("max_order_qty", "firm", ""): Decimal("50.5")}
    event = AuditEvent.objects.order_by("-id").first()
    assert (event.before["value"], event.after["value"]) == ("100", "50.5")


def test_limit_without_a_value_is_taken_away():
    set_one(LimitValue(Control.MAX_ORDER_QTY, Decimal(100)))
    set_one(LimitValue(Control.MAX_ORDER_QTY, None))
    assert in_force() == {}
    assert AuditEvent.objects.order_by("-id").first().after is None


def test_limit_that_is_in_force_already_leaves_no_event():
    set_one(LimitValue(Control.MAX_ORDER_QTY, Decimal(100)))
    set_one(LimitValue(Control.MAX_ORDER_QTY, Decimal("100.00")))
    set_one(LimitValue(Control.MAX_ORDER_NOTIONAL, None))
    assert AuditEvent.objects.count() == 1


def test_limits_of_other_controls_and_scopes_stay_unless_all_are_replaced():
    BrokerAccountFactory()
    wide = LimitValue(Control.MAX_ORDER_QTY, Decimal(100))
    narrow = LimitValue(Control.MAX_ORDER_QTY, Decimal(10), Scope.ACCOUNT, "alpaca")
    set_limits([wide, narrow], actor="rita", reason="start")
    set_one(LimitValue(Control.MAX_ORDER_NOTIONAL, Decimal(5)))
    assert len(in_force()) == 3
    set_one(wide, replace_all=True)
    assert in_force() == {("max_order_qty", "firm", ""): 100}
    assert AuditEvent.objects.get(broker_name="alpaca", after__isnull=True).before["value"] == "10"


SOFT = LimitValue(Control.MAX_ORDER_NOTIONAL, Decimal(80), hard=False)
HARD = LimitValue(Control.MAX_ORDER_NOTIONAL, Decimal(100))


def pair() -> dict[bool, Decimal]:
    return {limit.hard: limit.value for limit in Limit.objects.filter(control=Control.MAX_ORDER_NOTIONAL)}


def test_scope_has_a_hard_limit_and_a_soft_one_each_changed_and_taken_away_alone():
    set_limits([SOFT, HARD], actor="rita", reason="start")
    assert pair() == {True: 100, False: 80}
    set_one(replace(SOFT, value=Decimal(70)))
    assert pair() == {True: 100, False: 70}
    assert [one.value for one in current_rulebook().bounds_at(Control.MAX_ORDER_NOTIONAL, Place())] == [100, 70]
    set_one(replace(SOFT, value=None))
    assert pair() == {True: 100}
    last = AuditEvent.objects.order_by("-id").first()
    assert (last.entity_key, last.before, last.after) == (
        "max_order_notional:firm",
        {"value": "70", "hard": False},
        None,
    )


@pytest.mark.parametrize("soft", ["100", "100.5"])
def test_soft_limit_that_never_counts_beside_the_hard_one_is_refused(soft):
    set_one(HARD)
    with pytest.raises(InvalidInput) as refusal:
        set_one(replace(SOFT, value=Decimal(soft)))
    assert (refusal.value.code, refusal.value.field) == ("SOFT_LIMIT_NOT_TIGHTER", "hard")
    assert pair() == {True: 100}


def test_soft_limit_is_the_longer_window_and_the_larger_count_where_more_is_tighter():
    floors = [LimitValue(Control.MIN_BROKER_DIVERSIFICATION, Decimal(3 - hard), hard=hard) for hard in (True, False)]
    windows = [LimitValue(Control.DUPLICATE_WINDOW, Decimal(60 - hard), hard=hard) for hard in (True, False)]
    assert len(set_limits([*floors, *windows], actor="rita", reason="start")) == 4
    with pytest.raises(InvalidInput, match="SOFT_LIMIT_NOT_TIGHTER"):
        set_one(LimitValue(Control.DUPLICATE_WINDOW, Decimal(58), hard=False))


def test_hard_limit_that_trading_needs_is_not_taken_away_from_beside_its_soft_one():
    set_limits([SOFT, HARD], actor="rita", reason="start")
    with pytest.raises(InvalidInput, match="LIMIT_MUST_BE_HARD"):
        set_one(replace(HARD, value=None))
    assert pair() == {True: 100, False: 80}


def test_restricted_symbol_is_found_in_the_trail_by_its_symbol():
    set_one(LimitValue(Control.RESTRICTED, Decimal(1), Scope.SYMBOL, "XYZ"))
    assert AuditEvent.objects.get(symbol="XYZ").entity_key == "restricted:symbol:XYZ"


def test_rules_are_read_again_after_every_change():
    assert current_rulebook().limits == {}
    set_one(LimitValue(Control.MAX_ORDER_QTY, Decimal(100)))
    first = current_rulebook()
    assert first.limit(Control.MAX_ORDER_QTY) == 100
    set_one(LimitValue(Control.MAX_ORDER_QTY, Decimal(50)))
    assert current_rulebook().limit(Control.MAX_ORDER_QTY) == 50
    assert current_rulebook().version == ExposureTotal.objects.get(key="0:firm").rules_version > first.version


WRONG = {
    "unknown control": (LimitValue("max_fun", Decimal(1)), "UNKNOWN_CONTROL"),
    "unknown scope": (LimitValue(Control.MAX_ORDER_QTY, Decimal(1), "planet", "x"), "SCOPE_NOT_APPLICABLE"),
    "firm with a key": (LimitValue(Control.MAX_ORDER_QTY, Decimal(1), Scope.FIRM, "x"), "SCOPE_KEY_NOT_WANTED"),
    "unknown account": (LimitValue(Control.MAX_ORDER_QTY, Decimal(1), Scope.ACCOUNT, "nobody"), "UNKNOWN_BROKER"),
    "account without name": (LimitValue(Control.MAX_ORDER_QTY, Decimal(1), Scope.ACCOUNT), "UNKNOWN_BROKER"),
    "no symbol": (LimitValue(Control.RESTRICTED, Decimal(1), Scope.SYMBOL, "<b>"), "INVALID_SYMBOL"),
    "not for the firm": (LimitValue(Control.RESTRICTED, Decimal(1)), "SCOPE_NOT_APPLICABLE"),
    "cannot only warn": (LimitValue(Control.MAX_QUOTE_AGE, Decimal(1), hard=False), "LIMIT_MUST_BE_HARD"),
    "required, only warning": (LimitValue(Control.PORTFOLIO_RISK_LIMIT, Decimal(1), hard=False), "LIMIT_MUST_BE_HARD"),
    "unknown adapter": (LimitValue(Control.MAX_ORDER_QTY, Decimal(1), Scope.BROKER, "nobody"), "UNKNOWN_ADAPTER"),
    "unknown user": (LimitValue(Control.MAX_ORDER_QTY, Decimal(1), Scope.USER, "nobody"), "UNKNOWN_USER"),
    "no strategy": (LimitValue(Control.MAX_ORDER_QTY, Decimal(1), Scope.STRATEGY, ""), "INVALID_STRATEGY"),
    "unknown class": (
        LimitValue(Control.MAX_ORDER_QTY, Decimal(1), Scope.ASSET_CLASS, "tulips"),
        "UNKNOWN_ASSET_CLASS",
    ),
    "negative": (LimitValue(Control.MAX_ORDER_QTY, Decimal(-1)), "LIMIT_OUT_OF_RANGE"),
    "not a number": (LimitValue(Control.MAX_ORDER_QTY, Decimal("NaN")), "LIMIT_OUT_OF_RANGE"),
    "endless": (LimitValue(Control.MAX_ORDER_QTY, Decimal("Infinity")), "LIMIT_OUT_OF_RANGE"),
    "over-precise": (LimitValue(Control.MAX_ORDER_QTY, Decimal("1.0000000001")), "LIMIT_OUT_OF_RANGE"),
    "too large": (LimitValue(Control.MAX_ORDER_QTY, Decimal("1e15")), "LIMIT_OUT_OF_RANGE"),
    "no time at all": (LimitValue(Control.MAX_QUOTE_AGE, Decimal(0)), "LIMIT_OUT_OF_RANGE"),
    "share above 1": (LimitValue(Control.MAX_BROKER_ALLOCATION, Decimal("1.01")), "LIMIT_OUT_OF_RANGE"),
    "half a broker": (LimitValue(Control.MIN_BROKER_DIVERSIFICATION, Decimal("1.5")), "LIMIT_OUT_OF_RANGE"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_limit_is_refused_and_those_beside_it_are_not_set(what):
    wrong, code = WRONG[what]
    with pytest.raises(InvalidInput) as refusal:
        set_limits([LimitValue(Control.MAX_ORDER_NOTIONAL, Decimal(5)), wrong], actor="rita", reason="a try")
    assert refusal.value.code == code
    assert not Limit.objects.exists()
    assert not AuditEvent.objects.exists()


def test_limit_of_a_user_who_is_gone_can_be_taken_away():
    ann = get_user_model().objects.create_user("ann")
    set_one(LimitValue(Control.MAX_ORDER_QTY, Decimal(5), Scope.USER, "ann"))
    ann.delete()
    set_one(LimitValue(Control.MAX_ORDER_QTY, None, Scope.USER, "ann"))
    assert in_force() == {}


def test_same_limit_twice_is_refused():
    twice = [LimitValue(Control.MAX_ORDER_QTY, Decimal(5)), LimitValue(Control.MAX_ORDER_QTY, Decimal(6))]
    with pytest.raises(InvalidInput, match="given twice"):
        set_limits(twice, actor="rita", reason="a try")


def test_change_without_a_reason_is_refused():
    with pytest.raises(InvalidInput, match="REASON_REQUIRED"):
        set_one(LimitValue(Control.MAX_ORDER_QTY, Decimal(5)), reason=" ")
    assert not Limit.objects.exists()
