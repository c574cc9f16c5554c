"""A broker's answers that repeat our secrets: cleaned before anything is stored or told."""

from datetime import UTC, datetime

import pytest

from brokers.discretion import discreet
from brokers.messages import CancelRejected, ExecutionReport, OutcomeUnknown, QuoteState, TryLater
from brokers.vitals import Overhearing, Vitals
from tests.factories import BrokerAccountFactory
from tradingdesk.fix import ExecType, RequestKind
from tradingdesk.redaction import known

NOW = datetime(2026, 1, 2, tzinfo=UTC)
SECRET = "Repeated-Secret-42"


@pytest.fixture(autouse=True)
def _known(monkeypatch):
    monkeypatch.setattr(known, "_values", known._values)
    monkeypatch.setattr(known, "_secrets", known._secrets)
    known.remember(SECRET)


def report(**changes) -> ExecutionReport:
    return ExecutionReport(exec_type=ExecType.NEW, broker_order_id="B1", transact_time=NOW, **changes)


def test_report_is_cleaned_in_its_text_its_payload_and_its_legs():
    leg = report(raw={"notes": [SECRET]})
    found = discreet([report(text=f"for {SECRET}", raw={SECRET: {"x": SECRET}, "n": 1}, legs=(leg,))])[0]
    assert (found.text, found.raw) == ("for ***", {"***": {"x": "***"}, "n": 1})
    assert found.legs[0].raw == {"notes": ["***"]}


def test_report_without_a_secret_is_the_same_one():
    clean = report(text="fine", raw={"id": "B1"})
    assert discreet(clean) is clean
    assert discreet(None) is None


def test_error_is_cleaned_when_it_is_made():
    error = TryLater(f"not {SECRET}", raw={"key": SECRET})
    assert (str(error), error.text, error.explained, error.raw) == ("not ***", "not ***", "not ***", {"key": "***"})
    assert str(OutcomeUnknown("x")) == "x"


class Hears:
    def __init__(self):
        self.heard = []

    def on_facts(self, facts) -> None:
        self.heard += facts

    def on_quote(self, quote: QuoteState) -> None:
        self.heard.append(quote)

    def on_disconnected(self, reason: str) -> None:
        self.heard.append(reason)


@pytest.mark.django_db
def test_what_a_stream_says_is_cleaned():
    BrokerAccountFactory(broker_name="alpaca")
    listener = Hears()
    overhearing = Overhearing("alpaca", listener, Vitals())
    rejected = CancelRejected(
        response_to=RequestKind.CANCEL, broker_order_id="B1", transact_time=NOW, text=SECRET, raw={"msg": SECRET}
    )
    overhearing.on_facts([rejected])
    overhearing.on_disconnected(f"auth failed for {SECRET}")
    fact, reason = listener.heard
    assert (fact.text, fact.raw, reason) == ("***", {"msg": "***"}, "auth failed for ***")
