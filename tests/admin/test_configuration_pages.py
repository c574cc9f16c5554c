"""Versions side by side, going back to one, and accounts: by the right role, with a reason, all of it or nothing."""

from decimal import Decimal

import pytest
from django.urls import reverse

from brokers.models import BrokerAccount
from risk.configuration import change_limits
from risk.limits import LimitValue
from risk.models import Limit
from tests.ground.conftest import file
from tradingdesk.audit.models import AuditEvent
from tradingdesk.config.models import ConfigurationRecord
from tradingdesk.config.record import load

__all__ = ["file"]

LIST = reverse("admin:tradingdesk_configurationrecord_changelist")
COMPARE = reverse("admin:tradingdesk_configurationrecord_compare")
SHARES = reverse("admin:brokers_brokeraccount_shares")
SWITCHED = {"share_alpaca": "0.6", "enabled_alpaca": "on", "share_alpaca_margin": "0.4", "reason": "less there"}


@pytest.fixture
def versions(db, file) -> list[ConfigurationRecord]:
    """Two versions: the file's, and one with a limit that a person set."""
    first = load(file, actor="ann", reason="the desk opens")
    second = change_limits([LimitValue("max_order_qty", Decimal(75))], actor="rita", reason="a <b>bad</b> day")
    return [first, second]


def go_back_url(record: ConfigurationRecord) -> str:
    return reverse("admin:tradingdesk_configurationrecord_go_back", args=[record.pk])


def test_list_links_each_version_to_itself_beside_the_one_before(versions, admin_of):
    body = admin_of("auditor").get(LIST).content.decode()
    assert f"{COMPARE}?before=1&amp;after=2&amp;only=on" in body
    assert f'href="{COMPARE}"' in body


def test_two_versions_stand_side_by_side_with_what_differs_marked(versions, admin_of):
    auditor = admin_of("auditor")
    answer = auditor.get(COMPARE, {"before": 1, "after": 2})
    lines = {line.path: line for line in answer.context["lines"]}
    assert (lines["risk.max_order_qty"].before, lines["risk.max_order_qty"].after) == ("100", "75")
    assert [line.path for line in lines.values() if line.is_changed] == ["risk.max_order_qty"]
    assert len(lines) == answer.context["count"] > 10
    only = auditor.get(COMPARE, {"before": 1, "after": 2, "only": "on"})
    assert [line.path for line in only.context["lines"]] == ["risk.max_order_qty"]
    body = only.content.decode()
    assert "1 of" in body
    assert "the desk opens" in body
    assert "<b>bad" not in body


def test_latest_two_are_compared_when_nothing_is_asked(versions, admin_of):
    context = admin_of("auditor").get(COMPARE).context
    assert (context["before"].version, context["after"].version) == (1, 2)


@pytest.mark.parametrize(
    "query", [{"before": "9"}, {"before": "x"}, {"after": ""}, {"before": "9" * 40}, {"after": "²"}]
)
def test_version_that_is_not_there_is_said_at_the_field(versions, admin_of, query):
    answer = admin_of("auditor").get(COMPARE, {"before": 1, "after": 2} | query)
    assert answer.status_code == 200
    assert set(answer.context["form"].errors) == set(query)
    assert "lines" not in answer.context


def test_comparing_before_there_is_a_version_shows_an_empty_form(admin_of):
    assert admin_of("auditor").get(COMPARE).status_code == 200


def test_version_leads_to_itself_beside_the_one_in_force(versions, admin_of):
    url = reverse("admin:tradingdesk_configurationrecord_compare_with_this", args=[versions[0].pk])
    assert admin_of("auditor").get(url).url == f"{COMPARE}?before=1&after=2&only=on"


def test_going_back_is_previewed_and_changes_nothing_until_it_is_said_why(versions, admin_of):
    officer = admin_of("risk officer")
    preview = officer.get(go_back_url(versions[0]))
    assert [str(change) for change in preview.context["planned"].changes] == ["~ risk.max_order_qty: 75 -> 100"]
    refused = officer.post(go_back_url(versions[0]), {"seen": 2, "reason": " "})
    assert "reason" in refused.context["form"].errors
    assert ConfigurationRecord.objects.count() == 2


def test_going_back_is_a_new_version_of_the_person_with_the_reason(versions, admin_of):
    officer = admin_of("risk officer")
    assert officer.post(go_back_url(versions[0]), {"seen": 2, "reason": "it was better"}).status_code == 302
    made = ConfigurationRecord.objects.first()
    assert (made.version, made.source, made.reason, made.whole) == (3, "version 1", "it was better", versions[0].whole)
    assert made.changed_by.startswith("person-")
    assert Limit.objects.get(control="max_order_qty", scope="firm").value == 100
    assert AuditEvent.objects.get(entity="configuration", entity_key="3").actor == made.changed_by


def test_going_back_after_another_change_shows_the_new_preview_first(versions, admin_of):
    officer = admin_of("risk officer")
    change_limits([LimitValue("max_order_qty", Decimal(50))], actor="rita", reason="worse")
    answer = officer.post(go_back_url(versions[0]), {"seen": 2, "reason": "better"})
    assert "CONFIGURATION_CHANGED_MEANWHILE" in str(answer.context["form"].errors)
    assert [str(change) for change in answer.context["planned"].changes] == ["~ risk.max_order_qty: 50 -> 100"]
    assert answer.context["form"]["seen"].value() == 3
    assert ConfigurationRecord.objects.count() == 3


def test_version_that_is_no_longer_valid_is_refused_in_clear_words(versions, file, admin_of, monkeypatch):
    monkeypatch.setenv("NEW_SECRET_KEY", "new")
    file.replace("${ALPACA_SECRET_KEY}", "${NEW_SECRET_KEY}")
    load(file, actor="ann")
    monkeypatch.delenv("ALPACA_SECRET_KEY")
    officer = admin_of("risk officer")
    answer = officer.get(go_back_url(versions[0]))
    assert answer.context["refusal"][0].startswith("version 1:5: brokers.alpaca.secret_key: set ALPACA_SECRET_KEY in")
    body = answer.content.decode()
    assert "cannot go back to version 1" in body
    assert 'name="reason"' not in body
    officer.post(go_back_url(versions[0]), {"seen": 3, "reason": "all the same"})
    assert ConfigurationRecord.objects.count() == 3


def test_auditor_and_trader_may_not_go_back(versions, admin_of):
    for role in ("auditor", "trader"):
        person = admin_of(role)
        assert person.get(go_back_url(versions[0])).status_code == 403
        assert person.post(go_back_url(versions[0]), {"seen": 2, "reason": "x"}).status_code == 403
    assert "Go back" not in admin_of("auditor").get(COMPARE).content.decode()
    assert ConfigurationRecord.objects.count() == 2


def test_limit_set_in_the_back_office_is_a_version(versions, admin_of):
    limit = Limit.objects.get(control="max_order_notional", scope="firm")
    data = {"value": "60000", "hard": "on", "reason": "a better day"}
    admin_of("risk officer").post(reverse("admin:risk_limit_change", args=[limit.pk]), data)
    made = ConfigurationRecord.objects.first()
    assert made.diff == [{"path": "risk.max_order_notional", "before": 50000, "after": 60000}]
    assert (made.source, made.reason) == ("back office", "a better day")


def test_shares_and_switches_are_set_together_as_a_version(versions, admin_of):
    officer = admin_of("risk officer")
    assert {row.pk for row, _, _ in officer.get(SHARES).context["form"].rows()} == {"alpaca", "alpaca_margin"}
    assert officer.post(SHARES, SWITCHED).status_code == 302
    made = ConfigurationRecord.objects.first()
    assert [(change["path"], change["after"]) for change in made.diff] == [
        ("brokers.alpaca.allocation_percent", "0.6"),
        ("brokers.alpaca_margin.allocation_percent", "0.4"),
    ]
    assert BrokerAccount.objects.get(pk="alpaca").allocation_percent == Decimal("0.6")


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"share_alpaca": "0.5"}, "__all__"),
        ({"share_alpaca": "1.5"}, "share_alpaca"),
        ({"share_alpaca": "much"}, "share_alpaca"),
        ({"reason": ""}, "reason"),
        ({"enabled_alpaca_margin": "on"}, "__all__"),
    ],
)
def test_shares_that_are_refused_say_where_and_change_nothing(versions, admin_of, changes, where):
    answer = admin_of("risk officer").post(SHARES, SWITCHED | changes)
    assert list(answer.context["form"].errors) == [where]
    assert ConfigurationRecord.objects.count() == 2
    assert BrokerAccount.objects.get(pk="alpaca").allocation_percent == Decimal("0.7")


def test_trader_may_not_set_shares(versions, admin_of):
    trader = admin_of("trader")
    assert trader.get(SHARES).status_code == 403
    assert trader.post(SHARES, SWITCHED).status_code == 403
    assert SHARES not in trader.get(reverse("admin:brokers_brokeraccount_changelist")).content.decode()


def test_no_page_of_the_configuration_shows_a_secret(versions, admin_of):
    officer = admin_of("risk officer")
    pages = [LIST, COMPARE, SHARES, go_back_url(versions[0])]
    pages += [reverse("admin:tradingdesk_configurationrecord_change", args=[record.pk]) for record in versions]
    for page in pages:
        body = officer.get(page).content.decode()
        assert "of-the-test" not in body, page
