"""`check_brokers`: each account's figures, and exit 1 when one does not answer."""

from contextlib import nullcontext
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from brokers.management.commands import check_brokers
from brokers.messages import AccountState, OutcomeUnknown
from tests.factories import BrokerAccountFactory

pytestmark = pytest.mark.django_db


class Gateway:
    def account(self) -> AccountState:
        return AccountState(
            account_id="PA1",
            currency="USD",
            cash=Decimal("1000.5"),
            equity=Decimal(2000),
            portfolio_value=Decimal(2000),
            buying_power=Decimal(4000),
            as_of=datetime.now(UTC),
        )


class DeadGateway:
    def account(self) -> AccountState:
        raise OutcomeUnknown("no answer in 12 s")


def run(*arguments: str) -> tuple[str, str, int]:
    """What it printed on both streams, and its exit code."""
    out, err = StringIO(), StringIO()
    try:
        call_command("check_brokers", *arguments, stdout=out, stderr=err)
    except CommandError as failure:
        return out.getvalue(), f"{err.getvalue()}{failure}", failure.returncode
    return out.getvalue(), err.getvalue(), 0


@pytest.fixture(autouse=True)
def _gateways(monkeypatch):
    gateways = {"alpaca": Gateway(), "alpaca_margin": DeadGateway()}
    monkeypatch.setattr(check_brokers, "visiting", lambda account: nullcontext(gateways[account.broker_name]))


def test_figures_of_every_enabled_account_are_printed():
    BrokerAccountFactory()
    BrokerAccountFactory(broker_name="alpaca_margin", enabled=False)
    figures = "portfolio_value 2,000.00 USD, cash 1,000.50 USD, buying_power 4,000.00 USD"
    assert run() == (f"alpaca: account PA1, paper money, {figures}, trading allowed\n", "", 0)


def test_account_that_does_not_answer_is_named_the_others_are_printed_and_it_fails():
    BrokerAccountFactory()
    BrokerAccountFactory(broker_name="alpaca_margin")
    out, err, code = run()
    assert out.startswith("alpaca: account PA1")
    assert err == "alpaca_margin: no answer in 12 s\n1 of 2 accounts did not answer"
    assert code == 1


def test_one_account_is_checked_when_it_is_named_even_if_disabled():
    BrokerAccountFactory(enabled=False)
    BrokerAccountFactory(broker_name="alpaca_margin")
    assert run("--broker", "alpaca")[2] == 0


def test_unknown_account_fails():
    assert run("--broker", "nobody")[1:] == ("no account is called 'nobody'", 1)


def test_desk_without_enabled_accounts_fails():
    assert run()[1:] == ("no account is enabled", 1)


def test_missing_secret_is_told_by_its_name(monkeypatch):
    monkeypatch.undo()
    monkeypatch.delenv("ALPACA_API_KEY", raising=False)
    BrokerAccountFactory()
    out, err, code = run()
    assert (out, code) == ("", 1)
    assert "alpaca: not configured: api_key: set ALPACA_API_KEY in the environment" in err
