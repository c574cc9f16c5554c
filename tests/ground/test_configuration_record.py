"""Loading a configuration: all of it in one transaction, a version for each change, none without one."""

from decimal import Decimal
from io import StringIO
from unittest.mock import patch

import pytest
from django.core.management import CommandError, call_command

from brokers.models import AccountHealth, BrokerAccount
from risk.controls import REQUIRED
from risk.limits import LimitValue, limits_in_force, set_limits
from risk.models import Limit, Scope
from tests.environment import ROOT
from tests.factories import OrderFactory
from tradingdesk.audit.models import AuditEvent
from tradingdesk.config.models import ConfigurationRecord
from tradingdesk.config.record import Change, enact, load, plan
from tradingdesk.errors import Conflict, InvalidInput

pytestmark = pytest.mark.django_db


def run(*arguments) -> str:
    out = StringIO()
    call_command("load_config", *arguments, stdout=out)
    return out.getvalue()


def limits() -> dict[tuple[str, str, str], tuple[Decimal, bool]]:
    return {(row.control, row.scope, row.scope_key): (row.value, row.hard) for row in limits_in_force()}


def test_first_load_makes_version_1_with_who_and_why_the_whole_and_the_difference(file):
    record = load(file, actor="ann", reason="the desk opens")
    assert ConfigurationRecord.objects.get() == record
    assert (record.version, record.changed_by, record.reason, record.source) == (
        1,
        "ann",
        "the desk opens",
        "desk.yaml",
    )
    assert record.whole["brokers"]["alpaca"]["allocation_percent"] == "0.7"
    assert {"path": "risk.max_order_qty", "before": None, "after": 100} in record.diff


def test_load_tells_the_trail_of_the_configuration_each_account_and_each_limit(file):
    load(file, actor="ann", reason="the desk opens")
    kinds = list(AuditEvent.objects.order_by("id").values_list("kind", "entity", "entity_key"))
    assert kinds[:2] == [
        ("config.changed", "broker_account", "alpaca"),
        ("config.changed", "broker_account", "alpaca_margin"),
    ]
    assert kinds[-1] == ("config.changed", "configuration", "1")
    assert {kind for kind, _, _ in kinds[2:-1]} == {"limit.changed"}
    assert set(AuditEvent.objects.values_list("actor", "reason")) == {("ann", "the desk opens")}


def test_accounts_are_made_as_the_file_says_with_references_for_secrets(file):
    load(file, actor="ann")
    account = BrokerAccount.objects.get(broker_name="alpaca")
    assert (account.adapter, account.enabled, account.paper_trading) == ("alpaca", True, True)
    assert account.allocation_percent == Decimal("0.7")
    assert account.settings == {
        "api_key": "${ALPACA_API_KEY}",
        "secret_key": "${ALPACA_SECRET_KEY}",
        "base_url": "http://127.0.0.1:1",
    }
    assert BrokerAccount.objects.get(broker_name="alpaca_margin").enabled is False
    assert AccountHealth.objects.count() == 2


def test_no_secret_is_stored_anywhere(file):
    load(file, actor="ann")
    for model in (BrokerAccount, ConfigurationRecord, AuditEvent):
        assert "of-the-test" not in repr(list(model.objects.values()))


def test_password_written_into_a_url_is_not_stored(file):
    text = file.path.read_text()
    file.write(text + 'database:\n  url: "postgresql://desk:hunter2@db.example/desk"\n')
    record = load(file, actor="ann")
    assert record.whole["database"]["url"] == "postgresql://desk:***@db.example/desk"
    assert "hunter2" not in repr([list(ConfigurationRecord.objects.values()), list(AuditEvent.objects.values())])


def test_limits_are_set_for_the_firm_accounts_and_symbols(file):
    load(file, actor="ann")
    assert limits() == {
        ("max_order_qty", "firm", ""): (100, True),
        ("max_order_notional", "firm", ""): (50000, True),
        ("max_broker_allocation", "firm", ""): (Decimal("0.8"), True),
        ("min_broker_diversification", "firm", ""): (2, False),
        ("max_order_qty", "account", "alpaca"): (50, True),
        ("max_order_notional", "symbol", "IBM"): (Decimal("20000.5"), True),
        ("restricted", "symbol", "XYZ"): (1, True),
    }
    assert set(Limit.objects.values_list("set_by", "reason")) == {("ann", "configuration version 1")}


def test_diversification_refuses_when_the_file_says_hard(file):
    file.replace("min_broker_diversification: 2", "min_broker_diversification: {value: 3, hard: true}")
    load(file, actor="ann")
    assert limits()["min_broker_diversification", "firm", ""] == (3, True)


def test_loading_the_same_again_changes_nothing(file):
    load(file, actor="ann")
    events = AuditEvent.objects.count()
    assert load(file, actor="bob") is None
    file.replace("allocation_percent: 0.7\n", "allocation_percent: 0.70   # the same share\n")
    assert load(file, actor="bob") is None
    assert (ConfigurationRecord.objects.count(), AuditEvent.objects.count()) == (1, events)


def test_second_version_has_only_what_changed(file):
    load(file, actor="ann")
    file.replace("max_order_qty: 100", "max_order_qty: 200").replace("  max_order_notional: 50000\n", "")
    record = load(file, actor="bob", reason="review")
    assert record.version == 2
    assert record.diff == [
        {"path": "risk.max_order_qty", "before": 100, "after": 200},
        {"path": "risk.max_order_notional", "before": 50000, "after": None},
    ]
    assert limits()["max_order_qty", "firm", ""] == (200, True)
    assert ("max_order_notional", "firm", "") not in limits()
    event = AuditEvent.objects.order_by("-id").first()
    assert (event.entity_key, event.actor, event.reason) == ("2", "bob", "review")
    assert event.before == {"risk.max_order_qty": 100, "risk.max_order_notional": 50000}
    assert event.after == {"risk.max_order_qty": 200, "risk.max_order_notional": None}


def test_limit_set_by_a_person_holds_until_the_section_changes(file):
    load(file, actor="ann")
    set_limits([LimitValue("max_order_qty", Decimal(1))], actor="rita", reason="a bad day")
    file.replace("allocation_percent: 0.7", "allocation_percent: 0.6").replace("_percent: 0.3", "_percent: 0.4")
    load(file, actor="ann")
    assert limits()["max_order_qty", "firm", ""] == (1, True)
    file.replace("max_order_notional: 50000", "max_order_notional: 40000")
    load(file, actor="ann")
    assert limits()["max_order_qty", "firm", ""] == (100, True)


def test_account_that_left_the_file_is_disabled_and_keeps_its_history(file):
    load(file, actor="ann")
    order = OrderFactory(account=BrokerAccount.objects.get(broker_name="alpaca"))
    text = file.path.read_text().replace("    enabled: false\n", "").replace("MISSING", "ALPACA")
    kept = text[text.index("  alpaca_margin") : text.index("risk:")].replace("0.3", "1")
    file.write(f"brokers:\n{kept}")
    load(file, actor="ann")
    account = BrokerAccount.objects.get(broker_name="alpaca")
    assert (account.enabled, account.allocation_percent, list(account.orders.all())) == (False, 0, [order])
    event = AuditEvent.objects.filter(broker_name="alpaca", entity="broker_account").order_by("-id").first()
    assert (event.before["enabled"], event.after["enabled"]) == (True, False)


def test_file_without_a_risk_section_leaves_no_limits_so_no_trading(file):
    load(file, actor="ann")
    file.write(file.path.read_text().partition("risk:")[0])
    load(file, actor="ann")
    assert limits() == {}


def test_section_that_cannot_be_applied_leaves_everything_as_it_was(file):
    load(file, actor="ann")
    events = AuditEvent.objects.count()
    file.replace("allocation_percent: 0.7", "allocation_percent: 0.6").replace("_percent: 0.3", "_percent: 0.4")
    file.replace("max_order_qty: 100", "max_order_qty: 200")
    refusal = InvalidInput("NO", "not today")
    with patch("risk.configuration.set_limits", side_effect=refusal), pytest.raises(InvalidInput):
        load(file, actor="ann")
    assert BrokerAccount.objects.get(broker_name="alpaca").allocation_percent == Decimal("0.7")
    assert (ConfigurationRecord.objects.count(), AuditEvent.objects.count()) == (1, events)


def test_plan_that_another_version_overtook_is_not_enacted(file):
    late = plan(file)
    load(file, actor="ann")
    with pytest.raises(Conflict, match="CONFIGURATION_CHANGED_MEANWHILE"):
        enact(late, actor="bob")
    assert ConfigurationRecord.objects.get().changed_by == "ann"


def test_plan_that_is_overtaken_while_it_is_enacted_leaves_nothing(file):
    late = plan(file)
    load(file, actor="ann")
    events = AuditEvent.objects.count()
    with patch("tradingdesk.config.record.configuration_in_force", return_value=None), pytest.raises(Conflict):
        enact(late, actor="bob")
    assert (ConfigurationRecord.objects.get().changed_by, AuditEvent.objects.count()) == ("ann", events)


def test_changes_read_as_a_difference():
    assert str(Change("risk.max_order_qty", None, 1)) == "+ risk.max_order_qty: 1"
    assert str(Change("risk.max_order_qty", 1, None)) == "- risk.max_order_qty: 1"
    assert str(Change("brokers.alpaca.enabled", True, False)) == "~ brokers.alpaca.enabled: true -> false"


def test_load_config_prints_the_difference_and_the_version(file):
    said = run("desk.yaml")
    assert "+ brokers.alpaca.allocation_percent: 0.7\n" in said
    assert said.endswith("version 1 is in force\n")
    assert run("desk.yaml") == "nothing changed; version 1 stays in force\n"


def test_load_config_dry_run_prints_the_difference_and_stores_nothing(file):
    assert "+ risk.max_order_qty: 100\n" in run("desk.yaml", "--dry-run")
    assert not ConfigurationRecord.objects.exists()
    assert not BrokerAccount.objects.exists()
    assert not AuditEvent.objects.exists()


def test_load_config_of_a_wrong_file_is_one_line_and_exit_2(file):
    load(file, actor="ann")
    file.replace("max_order_qty: 100", "max_order_qty: many")
    with pytest.raises(CommandError) as failure:
        run("desk.yaml")
    assert failure.value.returncode == 2
    expected = (
        "a number of 0 or more, or a mapping of value and hard, or a mapping of soft and hard, the soft one tighter"
    )
    assert str(failure.value) == f"desk.yaml:14: risk.max_order_qty: found 'many', expected {expected}"
    assert limits()["max_order_qty", Scope.FIRM, ""] == (100, True)
    assert ConfigurationRecord.objects.count() == 1


def test_shipped_file_is_sound_with_what_the_desk_command_sets(monkeypatch):
    monkeypatch.setenv("SANDBOX_URL", "http://127.0.0.1:8001")
    monkeypatch.setenv("SANDBOX_TWS_PORT", "7497")
    for account in ("ALPACA", "ALPACA_MARGIN"):
        monkeypatch.setenv(f"{account}_API_KEY", "key")
        monkeypatch.setenv(f"{account}_SECRET_KEY", "secret")
    load(ROOT / "config" / "desk.yaml", actor="system:config")
    enabled = BrokerAccount.objects.filter(enabled=True).order_by("pk").values_list("pk", flat=True)
    assert list(enabled) == ["alpaca", "alpaca_margin", "interactive_brokers"]
    assert set(REQUIRED) <= {control for control, scope, _ in limits() if scope == Scope.FIRM}
