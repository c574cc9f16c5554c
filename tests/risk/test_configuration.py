"""The `risk:` section knows every control that the gate does."""

from dataclasses import replace
from decimal import Decimal

import pytest
from django.contrib.auth import get_user_model
from pydantic import ValidationError

from risk.configuration import Risk, Section, _recorded_limits, change_limits
from risk.controls import SPECS
from risk.controls.control import Unit
from risk.history import history_of_limits
from risk.limits import LimitValue, limits_in_force, must_refuse
from risk.models import Control, Scope
from risk.scopes import PLACES
from tests.factories import BrokerAccountFactory
from tradingdesk.config.record import load

VALUES = {Unit.SHARE: Decimal("0.5"), Unit.FLAG: True}
KEYS = {
    Scope.FIRM: "",
    Scope.BROKER: "alpaca",
    Scope.ACCOUNT: "alpaca",
    Scope.STRATEGY: "momentum",
    Scope.SYMBOL: "IBM",
    Scope.ASSET_CLASS: "us_equity",
    Scope.USER: "ann",
    Scope.USER_ACCOUNT: "ann alpaca",
    Scope.USER_STRATEGY: "ann momentum",
}


def test_every_control_says_what_it_is():
    assert set(SPECS) == set(Control)


@pytest.mark.parametrize("control", [control for control in Control if control != Control.RESTRICTED])
def test_every_control_can_be_set_for_all_it_applies_to(control):
    spec, section = SPECS[control], {}
    value = VALUES.get(spec.unit, 2)
    for scope in spec.scopes:
        here = section if scope == Scope.FIRM else section.setdefault(PLACES[scope], {}).setdefault(KEYS[scope], {})
        here[control.value] = value
    limits = list(Risk.model_validate(section).limits())
    assert [(limit.scope, limit.scope_key) for limit in limits] == [(s, KEYS[s]) for s in spec.scopes]
    assert {limit.value for limit in limits} == {Decimal(value)}
    assert {limit.hard for limit in limits} == {not spec.warns_by_default}


@pytest.mark.django_db
@pytest.mark.parametrize("control", Control)
@pytest.mark.parametrize("hard", [True, False])
def test_limit_set_by_a_person_comes_back_from_the_recorded_section_as_it_was_set(control, hard):
    spec = SPECS[control]
    BrokerAccountFactory()
    get_user_model().objects.create_user("ann")
    values = [
        LimitValue(control, Decimal(VALUES.get(spec.unit, 2)), scope, KEYS[scope], hard or must_refuse(spec, scope))
        for scope in spec.scopes
    ]

    record = change_limits(values, actor="ann", reason="annual review")

    recorded = _recorded_limits(Section().in_force(record.document().data["risk"]))
    assert {value.key: value for value in recorded} == {value.key: value for value in values}
    assert {(row.scope, row.scope_key, row.value, row.hard) for row in limits_in_force()} == {
        (value.scope, value.scope_key, value.value, value.hard) for value in values
    }
    change_limits([replace(value, value=None) for value in values], actor="ann", reason="not needed")
    assert not limits_in_force()


def test_soft_limit_beside_a_hard_one_comes_back_from_the_recorded_section(db):
    BrokerAccountFactory()
    hard = LimitValue("max_order_notional", Decimal(100))
    soft = replace(hard, value=Decimal(80), hard=False)
    narrow = replace(soft, scope=Scope.ACCOUNT, scope_key="alpaca", value=Decimal(50))

    record = change_limits([soft, hard, narrow], actor="ann", reason="two steps")

    section = record.document().data["risk"]
    assert section["max_order_notional"] == {"soft": 80, "hard": 100}
    assert section["accounts"]["alpaca"]["max_order_notional"] == {"value": 50, "hard": False}
    assert set(_recorded_limits(Section().in_force(section))) == {hard, soft, narrow}
    alone = change_limits([replace(soft, value=None)], actor="ann", reason="one step").document().data["risk"]
    assert alone["max_order_notional"] == 100


@pytest.mark.parametrize(
    "found",
    [
        {"soft": 100, "hard": 100},
        {"soft": 101, "hard": 100},
        {"soft": 80},
        {"soft": 80, "hard": True},
        {"soft": 80, "hard": 100, "value": 90},
        {"value": 80, "hard": 100},
        {"value": 80, "hard": False},
        {},
    ],
)
def test_pair_that_makes_no_sense_is_refused(found):
    with pytest.raises(ValidationError, match="a mapping of soft and hard, the soft one tighter"):
        Risk.model_validate({"max_order_notional": found})


def test_file_may_give_a_soft_and_a_hard_limit(db, tmp_path):
    (tmp_path / "desk.yaml").write_text("risk:\n  max_order_qty: {soft: 80, hard: 100}\n")
    load(tmp_path / "desk.yaml", actor="ann")
    assert [(limit.value, limit.hard) for limit in limits_in_force()] == [(100, True), (80, False)]


def test_history_tells_of_the_hard_and_the_soft_limit_apart(db):
    hard = LimitValue(Control.MAX_ORDER_QTY, Decimal(100), Scope.SYMBOL, "BRK.B")
    soft = replace(hard, value=Decimal(80), hard=False)
    steps = [
        [hard],
        [soft],
        [replace(soft, value=Decimal(70))],
        [replace(hard, value=None)],
        [replace(soft, value=Decimal(60))],
    ]
    for number, step in enumerate(steps):
        change_limits(step, actor="ann", reason=f"step {number}")

    past = {key[-1]: changes for key, changes in history_of_limits().items()}

    assert [(one.reason, one.before, one.after) for one in past[True]] == [("step 3", 100, None), ("step 0", None, 100)]
    assert [(one.reason, one.before, one.after) for one in past[False]] == [
        ("step 4", 70, 60),
        ("step 2", 80, 70),
        ("step 1", None, 80),
    ]


def test_empty_section_sets_no_limits():
    assert list(Risk.model_validate({}).limits()) == []


def test_symbol_restricted_twice_is_restricted_once():
    limits = list(Risk.model_validate({"restricted_symbols": ["XYZ", "ABC", "XYZ"]}).limits())
    assert [(limit.control, limit.scope_key) for limit in limits] == [("restricted", "XYZ"), ("restricted", "ABC")]


@pytest.mark.django_db
def test_account_that_left_the_file_may_keep_limits(tmp_path):
    BrokerAccountFactory(broker_name="old_account")
    (tmp_path / "desk.yaml").write_text("risk:\n  accounts: {old_account: {max_order_qty: 1}}\n")
    load(tmp_path / "desk.yaml", actor="ann")
    assert [(limit.scope_key, limit.value) for limit in limits_in_force()] == [("old_account", 1)]
