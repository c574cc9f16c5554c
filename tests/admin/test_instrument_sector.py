"""A person sets an instrument's sector with a reason; a broker's word never replaces it."""

import pytest
from django.urls import reverse

from brokers import market
from brokers.messages import InstrumentInfo
from brokers.models import BrokerAccount, Instrument
from tests import factories
from tradingdesk.audit.models import AuditEvent
from tradingdesk.fix import AssetClass

GIVEN = {"sector": " Information  technology ", "reason": "as GICS has it"}


@pytest.fixture
def url(desk) -> str:
    return reverse("admin:brokers_instrument_change", args=[Instrument.objects.get(symbol="IBM").pk])


def sector() -> str:
    return Instrument.objects.get(symbol="IBM").sector


def told_by_a_broker(monkeypatch, word: str) -> None:
    info = InstrumentInfo("IBM", "8314", AssetClass.US_EQUITY, "USD", sector=word)

    class Gateway:
        def instruments(self, symbols):
            return [info]

    monkeypatch.setattr(market, "gateway_for", lambda account: Gateway())
    market.sync_instruments(BrokerAccount.objects.get(pk="alpaca"), ["IBM"])


def test_sector_is_set_with_who_and_why(url, admin_of):
    assert admin_of("risk officer").post(url, GIVEN).status_code == 302
    event = AuditEvent.objects.get(kind="instrument.sector_changed")
    assert sector() == "Information technology"
    assert (event.symbol, event.reason) == ("IBM", "as GICS has it")
    assert (event.before, event.after) == ({"sector": ""}, {"sector": "Information technology"})


@pytest.mark.parametrize("wrong", [{"reason": ""}, {"reason": " "}, {"sector": "x" * 65}])
def test_without_a_reason_or_too_long_nothing_changes(url, admin_of, wrong):
    answer = admin_of("risk officer").post(url, GIVEN | wrong)
    assert (answer.status_code, list(answer.context["form"].errors)) == (200, list(wrong))
    assert (sector(), AuditEvent.objects.filter(kind="instrument.sector_changed").exists()) == ("", False)


def test_who_may_not_change_sees_the_instrument_only(url, admin_of):
    assert admin_of("viewer").get(url).status_code == 200
    assert admin_of("viewer").post(url, GIVEN).status_code == 403
    assert sector() == ""


def test_a_brokers_word_is_taken_where_there_is_none_and_never_over_a_persons(url, admin_of, monkeypatch):
    told_by_a_broker(monkeypatch, "Technology")
    assert sector() == "Technology"
    admin_of("risk officer").post(url, GIVEN)
    told_by_a_broker(monkeypatch, "Technology")
    assert sector() == "Information technology"
    admin_of("risk officer").post(url, GIVEN | {"sector": ""})
    told_by_a_broker(monkeypatch, "Technology")
    assert sector() == "Technology"


def test_a_sector_that_it_has_already_is_no_event(url, admin_of):
    officer = admin_of("risk officer")
    for _ in range(2):
        officer.post(url, GIVEN)
    assert AuditEvent.objects.filter(kind="instrument.sector_changed").count() == 1


def test_another_brokers_silence_takes_no_sector_away(url, monkeypatch):
    told_by_a_broker(monkeypatch, "Technology")
    told_by_a_broker(monkeypatch, "")
    assert sector() == "Technology"
    assert factories.InstrumentFactory(symbol="NEW").sector == ""
