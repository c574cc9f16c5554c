"""What people set in the back office, and going back: versions of the same record, all of it or nothing."""

from decimal import Decimal

import pytest
from rest_framework.test import APIClient

from brokers.configuration import change_accounts
from brokers.models import BrokerAccount
from risk.configuration import change_limits
from risk.limits import LimitValue, set_limits
from tests import factories
from tests.ground.test_configuration_record import limits, run
from tradingdesk.audit.models import AuditEvent
from tradingdesk.config.document import ConfigurationError
from tradingdesk.config.models import ConfigurationRecord
from tradingdesk.config.record import configuration_in_force, load, plan, plan_return, return_to
from tradingdesk.errors import Conflict, InvalidInput
from tradingdesk.redaction.known import MASK

pytestmark = pytest.mark.django_db

SHARES = {"alpaca": {"allocation_percent": Decimal("0.6")}, "alpaca_margin": {"allocation_percent": Decimal("0.4")}}


def set_limit(value: str | None, control: str = "max_order_qty", **scope) -> ConfigurationRecord | None:
    value = LimitValue(control, value and Decimal(value), **scope)
    return change_limits([value], actor="rita", reason="a bad day")


def versions() -> list[int]:
    return list(ConfigurationRecord.objects.order_by("version").values_list("version", flat=True))


def test_limit_that_a_person_sets_is_a_version_with_who_why_the_whole_and_the_difference(file):
    first = load(file, actor="ann")
    record = set_limit("75")
    assert (record.version, record.changed_by, record.source, record.reason) == (2, "rita", "back office", "a bad day")
    assert record.diff == [{"path": "risk.max_order_qty", "before": 100, "after": 75}]
    assert record.whole == first.whole | {"risk": first.whole["risk"] | {"max_order_qty": 75}}
    assert limits()["max_order_qty", "firm", ""] == (75, True)
    events = AuditEvent.objects.filter(actor="rita").order_by("id").values_list("kind", "entity", "entity_key")
    assert list(events) == [
        ("limit.changed", "limit", "max_order_qty:firm"),
        ("config.changed", "configuration", "2"),
    ]


@pytest.mark.parametrize(
    ("control", "scope", "value", "change"),
    [
        (
            "max_order_qty",
            {"scope": "account", "scope_key": "alpaca"},
            "7",
            ("risk.accounts.alpaca.max_order_qty", 50, 7),
        ),
        ("max_order_qty", {"scope": "symbol", "scope_key": "BAC"}, "7", ("risk.symbols.BAC.max_order_qty", None, 7)),
        ("max_order_qty", {}, None, ("risk.max_order_qty", 100, None)),
        (
            "restricted",
            {"scope": "symbol", "scope_key": "ABC"},
            "1",
            ("risk.restricted_symbols", ["XYZ"], ["XYZ", "ABC"]),
        ),
        ("restricted", {"scope": "symbol", "scope_key": "XYZ"}, None, ("risk.restricted_symbols", ["XYZ"], [])),
    ],
)
def test_limit_of_every_kind_is_in_the_place_that_the_file_has_for_it(file, control, scope, value, change):
    load(file, actor="ann")
    record = set_limit(value, control, **scope)
    assert record.diff == [dict(zip(("path", "before", "after"), change, strict=True))]
    key = (control, scope.get("scope", "firm"), scope.get("scope_key", ""))
    assert limits().get(key) == (None if value is None else (Decimal(value), True))


def test_hard_diversification_is_written_as_the_file_would(file):
    load(file, actor="ann")
    hard = LimitValue("min_broker_diversification", Decimal(3))
    soft = LimitValue("min_broker_diversification", None, hard=False)
    record = change_limits([soft, hard], actor="rita", reason="x")
    assert record.whole["risk"]["min_broker_diversification"] == {"value": 3, "hard": True}
    assert limits()["min_broker_diversification", "firm", ""] == (3, True)


def test_limit_that_is_like_that_already_makes_no_version(file):
    load(file, actor="ann")
    assert set_limit("100") is None
    assert versions() == [1]


@pytest.mark.parametrize(("value", "reason"), [("-1", "x"), ("5", "  ")])
def test_limit_that_is_refused_leaves_everything_as_it_was(file, value, reason):
    load(file, actor="ann")
    before = limits()
    with pytest.raises(InvalidInput):
        change_limits([LimitValue("max_order_qty", Decimal(value))], actor="rita", reason=reason)
    assert (versions(), limits()) == ([1], before)


def test_limits_that_were_set_past_the_record_are_in_the_next_version_and_stay(file):
    load(file, actor="ann")
    set_limits([LimitValue("max_quote_age", Decimal(15))], actor="old", reason="before versions told of limits")
    record = set_limit("75")
    assert record.whole["risk"]["max_quote_age"] == 15
    assert [change["path"] for change in record.diff] == ["risk.max_order_qty"]
    assert limits()["max_quote_age", "firm", ""] == (15, True)


def test_limit_at_a_desk_without_a_configuration_is_the_first_version():
    record = set_limit("75")
    assert (record.version, record.whole) == (1, {"risk": {"max_order_qty": 75}})


def test_limit_can_be_set_while_an_account_lacks_its_secret(file, monkeypatch):
    load(file, actor="ann")
    monkeypatch.delenv("ALPACA_API_KEY")
    assert set_limit("75").version == 2


def test_accounts_that_a_person_sets_are_a_version(file):
    load(file, actor="ann")
    record = change_accounts(SHARES, actor="rita", reason="less there")
    assert record.diff == [
        {"path": "brokers.alpaca.allocation_percent", "before": "0.7", "after": "0.6"},
        {"path": "brokers.alpaca_margin.allocation_percent", "before": "0.3", "after": "0.4"},
    ]
    assert BrokerAccount.objects.get(pk="alpaca").allocation_percent == Decimal("0.6")
    assert BrokerAccount.objects.get(pk="alpaca").settings["api_key"] == "${ALPACA_API_KEY}"
    assert AuditEvent.objects.get(entity="broker_account", entity_key="alpaca", actor="rita").reason == "less there"


def test_account_is_switched_off_and_on(file):
    load(file, actor="ann")
    for enabled in (False, True):
        change_accounts({"alpaca": {"enabled": enabled}}, actor="rita", reason="maintenance")
        assert BrokerAccount.objects.get(pk="alpaca").enabled is enabled
    assert versions() == [1, 2, 3]


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"alpaca": {"allocation_percent": Decimal("0.6")}}, "adds up to 0.9, expected 1"),
        ({"alpacca": {"enabled": False}}, "'alpacca' is not in the configuration"),
        ({"alpaca_margin": {"enabled": True}}, "set MISSING_API_KEY in the environment"),
    ],
)
def test_accounts_that_are_refused_leave_everything_as_it_was(file, wanted, told):
    load(file, actor="ann")
    rows = list(BrokerAccount.objects.values())
    with pytest.raises(InvalidInput, match=told):
        change_accounts(wanted, actor="rita", reason="x")
    assert (versions(), list(BrokerAccount.objects.values())) == ([1], rows)


def test_start_with_the_same_file_keeps_what_people_set(file):
    load(file, actor="ann")
    set_limit("75")
    assert load(file, actor="system:desk") is None
    assert limits()["max_order_qty", "firm", ""] == (75, True)


def test_change_of_another_section_of_the_file_keeps_what_people_set(file):
    load(file, actor="ann")
    set_limit("75")
    file.replace("allocation_percent: 0.7", "allocation_percent: 0.6").replace("_percent: 0.3", "_percent: 0.4")
    record = load(file, actor="ann")
    assert [change["path"].partition(".")[0] for change in record.diff] == ["brokers", "brokers"]
    assert record.whole["risk"]["max_order_qty"] == 75
    assert record.loaded["risk"]["max_order_qty"] == 100
    assert load(file, actor="ann") is None
    assert limits()["max_order_qty", "firm", ""] == (75, True)


def test_change_of_the_same_section_of_the_file_takes_the_files_word(file):
    load(file, actor="ann")
    set_limit("75")
    file.replace("max_order_notional: 50000", "max_order_notional: 40000")
    record = load(file, actor="ann")
    assert {(change["path"], change["before"], change["after"]) for change in record.diff} == {
        ("risk.max_order_qty", 75, 100),
        ("risk.max_order_notional", 50000, 40000),
    }
    assert record.loaded is None


def test_file_that_now_says_what_people_set_is_noted_and_can_be_changed_back(file):
    load(file, actor="ann")
    set_limit("75")
    file.replace("max_order_qty: 100", "max_order_qty: 75")
    noted = load(file, actor="ann")
    assert (noted.version, noted.diff, noted.loaded) == (3, [], None)
    file.replace("max_order_qty: 75", "max_order_qty: 100")
    load(file, actor="ann")
    assert limits()["max_order_qty", "firm", ""] == (100, True)


def test_load_config_says_which_sections_stay_and_exact_takes_the_files(file):
    run("desk.yaml")
    set_limit("75")
    stays = "risk: stays as it was set in the back office; --exact takes the file's\n"
    assert run("desk.yaml") == f"{stays}nothing changed; version 2 stays in force\n"
    assert run("desk.yaml", "--exact", "--dry-run") == "~ risk.max_order_qty: 75 -> 100\n"
    assert run("desk.yaml", "--exact") == "~ risk.max_order_qty: 75 -> 100\nversion 3 is in force\n"
    assert limits()["max_order_qty", "firm", ""] == (100, True)


def test_text_of_a_version_is_a_file_that_says_the_same(file, tmp_path):
    load(file, actor="ann")
    record = change_accounts(SHARES, actor="rita", reason="less there")
    (tmp_path / "copy.yaml").write_text(record.text)
    assert plan(tmp_path / "copy.yaml").changes == []
    assert "of-the-test" not in record.text


def test_api_gives_each_version_with_the_text_that_loads_it(file, tmp_path):
    load(file, actor="ann")
    change_accounts(SHARES, actor="rita", reason="less there")
    client = APIClient()
    client.force_authenticate(factories.member_of("auditor"))
    latest, first = client.get("/api/v1/config/history/").json()["results"]
    assert (latest["version"], latest["changed_by"], first["version"]) == (2, "rita", 1)
    (tmp_path / "copy.yaml").write_text(latest["text"])
    assert plan(tmp_path / "copy.yaml").changes == []
    (tmp_path / "first.yaml").write_text(first["text"])
    assert [change.path for change in plan(tmp_path / "first.yaml", exact=True).changes] == [
        "brokers.alpaca.allocation_percent",
        "brokers.alpaca_margin.allocation_percent",
    ]


def test_desk_goes_back_to_a_version_as_a_new_one(file):
    first = load(file, actor="ann")
    set_limit("75")
    change_accounts(SHARES, actor="rita", reason="less there")
    preview = [str(change) for change in plan_return(first).changes]
    assert preview == [
        "~ brokers.alpaca.allocation_percent: 0.6 -> 0.7",
        "~ brokers.alpaca_margin.allocation_percent: 0.4 -> 0.3",
        "~ risk.max_order_qty: 75 -> 100",
    ]
    record = return_to(first, seen=3, actor="bob", reason="it was better")
    assert (record.version, record.source, record.changed_by, record.reason) == (4, "version 1", "bob", "it was better")
    assert (record.whole, record.text) == (first.whole, first.text)
    assert limits()["max_order_qty", "firm", ""] == (100, True)
    assert BrokerAccount.objects.get(pk="alpaca").allocation_percent == Decimal("0.7")
    assert return_to(first, seen=4, actor="bob", reason="again") is None


def test_desk_goes_back_past_a_load_and_a_start_with_the_file_leaves_it(file):
    first = load(file, actor="ann")
    file.replace("max_order_qty: 100", "max_order_qty: 200")
    load(file, actor="ann")
    return_to(first, seen=2, actor="bob", reason="too much")
    assert load(file, actor="system:desk") is None
    assert limits()["max_order_qty", "firm", ""] == (100, True)


def test_version_that_is_no_longer_valid_is_refused_with_what_is_wrong(file, monkeypatch):
    first = load(file, actor="ann")
    text = file.path.read_text().replace("${ALPACA_", "${NEW_")
    for name in ("NEW_API_KEY", "NEW_SECRET_KEY"):
        monkeypatch.setenv(name, "new")
    load(file.write(text), actor="ann")
    monkeypatch.delenv("ALPACA_SECRET_KEY")
    rows = list(BrokerAccount.objects.values())
    with pytest.raises(ConfigurationError) as refusal:
        return_to(first, seen=2, actor="bob", reason="back")
    assert refusal.value.detail == (
        "version 1:5: brokers.alpaca.secret_key: set ALPACA_SECRET_KEY in the environment,"
        " or ALPACA_SECRET_KEY_FILE to a file that holds it"
    )
    assert (versions(), list(BrokerAccount.objects.values())) == ([1, 2], rows)


def test_return_after_another_change_is_refused_until_it_was_looked_at(file):
    first = load(file, actor="ann")
    set_limit("75")
    set_limit("50")
    with pytest.raises(Conflict, match="CONFIGURATION_CHANGED_MEANWHILE"):
        return_to(first, seen=2, actor="bob", reason="back")
    assert versions() == [1, 2, 3]


def test_return_needs_a_reason(file):
    first = load(file, actor="ann")
    set_limit("75")
    with pytest.raises(InvalidInput, match="REASON_REQUIRED"):
        return_to(first, seen=2, actor="bob", reason=" ")
    assert versions() == [1, 2]


def test_change_that_the_old_system_made_is_nothing_to_go_back_to(file):
    load(file, actor="ann")
    old = ConfigurationRecord.objects.create(version=-3, changed_by="old", whole={"risk": {"a": 1}}, diff=[])
    with pytest.raises(InvalidInput, match="NOT_A_WHOLE_CONFIGURATION"):
        plan_return(old)


def test_version_of_before_the_text_was_kept_can_be_gone_back_to(file):
    load(file, actor="ann")
    whole = configuration_in_force().whole
    later = {"version": 2, "changed_by": "ann", "whole": whole, "diff": []}
    older = ConfigurationRecord.objects.create(**later)
    set_limit("75")
    return_to(older, seen=3, actor="bob", reason="back")
    assert limits()["max_order_qty", "firm", ""] == (100, True)
    assert limits()["max_order_notional", "symbol", "IBM"] == (Decimal("20000.5"), True)


def test_value_that_the_record_masks_is_never_put_in_force(file, monkeypatch):
    first = load(file, actor="ann")
    secret = "http://127.0.0.1:1"
    monkeypatch.setattr("tradingdesk.config.written.redact", lambda text: text.replace(secret, MASK))
    set_limit("75")
    change = {"alpaca": {"enabled": False}}
    with pytest.raises(ConfigurationError, match="base_url is masked in the record"):
        change_accounts(change, actor="rita", reason="x")
    assert BrokerAccount.objects.get(pk="alpaca").settings["base_url"] == "http://127.0.0.1:1"
    return_to(first, seen=2, actor="bob", reason="the limit alone differs")
    assert limits()["max_order_qty", "firm", ""] == (100, True)
    assert BrokerAccount.objects.get(pk="alpaca").settings["base_url"] == "http://127.0.0.1:1"
