"""The `risk:` section knows every control that the gate does."""

from decimal import Decimal

import pytest

from risk.configuration import Risk
from risk.limits import APPLIES_TO, limits_in_force
from risk.models import Control, Scope
from tests.factories import BrokerAccountFactory
from tradingdesk.config.record import load

VALUES = dict.fromkeys(Control, 2) | {Control.MAX_BROKER_ALLOCATION: Decimal("0.5")}


def test_every_control_says_what_it_applies_to():
    assert set(APPLIES_TO) == set(Control)


@pytest.mark.parametrize("control", [control for control in Control if control != Control.RESTRICTED])
def test_every_control_can_be_set_for_all_it_applies_to(control):
    section: dict = {"accounts": {}, "symbols": {}}
    places = {Scope.FIRM: section, Scope.ACCOUNT: section["accounts"], Scope.SYMBOL: section["symbols"]}
    keys = {Scope.FIRM: "", Scope.ACCOUNT: "alpaca", Scope.SYMBOL: "IBM"}
    for scope in APPLIES_TO[control]:
        here = places[scope] if scope == Scope.FIRM else places[scope].setdefault(keys[scope], {})
        here[control.value] = VALUES[control]
    limits = list(Risk.model_validate(section).limits())
    assert [(limit.scope, limit.scope_key) for limit in limits] == [(s, keys[s]) for s in APPLIES_TO[control]]
    assert {limit.value for limit in limits} == {VALUES[control]}


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
