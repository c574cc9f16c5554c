"""Halting and resuming: one halt a scope, a reason each way, and seen by the next decision."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from orders.models import OrderRequest
from risk.halts import halt, halts_in_force, resume
from risk.models import Halt, Scope
from risk.rulebook import current_rulebook
from tests.factories import BrokerAccountFactory, OrderFactory
from tradingdesk.audit.models import AuditEvent
from tradingdesk.errors import Conflict, InvalidInput

pytestmark = pytest.mark.django_db


def run(name: str, *arguments: str) -> str:
    out = StringIO()
    call_command(name, *arguments, stdout=out, stderr=out)
    return out.getvalue()


def told(broker_name: str, symbol: str) -> list[str]:
    return [str(halt) for halt in current_rulebook().halts_on(broker_name, symbol)]


def test_halt_is_in_force_for_every_account_and_symbol_with_who_and_why():
    made = halt(scope=Scope.FIRM, reason="runaway strategy", actor="rita")
    assert halts_in_force() == [made]
    assert told("alpaca", "IBM") == ["firm: runaway strategy"]
    event = AuditEvent.objects.get()
    assert (event.kind, event.actor, event.reason) == ("kill.halt", "rita", "runaway strategy")
    assert (event.before, event.after["scope"]) == (None, "firm")


def test_halt_of_an_account_leaves_the_others_trading():
    BrokerAccountFactory()
    halt(scope=Scope.ACCOUNT, scope_key="alpaca", reason="statement differs", actor="rita")
    assert told("alpaca", "IBM") == ["account alpaca: statement differs"]
    assert told("alpaca_margin", "IBM") == []
    assert AuditEvent.objects.get().broker_name == "alpaca"


def test_halting_what_is_halted_gives_the_halt_in_force_and_no_second_event():
    first = halt(scope=Scope.SYMBOL, scope_key="IBM", reason="news", actor="rita")
    assert halt(scope=Scope.SYMBOL, scope_key="IBM", reason="other news", actor="sam") == first
    assert Halt.objects.get().reason == "news"
    assert AuditEvent.objects.count() == 1


def test_resumed_halt_is_kept_with_who_cleared_it_and_why():
    made = resume(halt=halt(scope=Scope.FIRM, reason="news", actor="rita"), reason="news is old", actor="sam")
    assert (made.cleared_by, made.clear_reason, halts_in_force()) == ("sam", "news is old", [])
    assert told("alpaca", "IBM") == []
    event = AuditEvent.objects.get(kind="kill.resume")
    assert (event.actor, event.reason, event.before["reason"], event.after) == ("sam", "news is old", "news", None)


def test_resuming_twice_is_a_conflict_and_keeps_the_first_reason():
    made = halt(scope=Scope.FIRM, reason="news", actor="rita")
    resume(halt=made, reason="first", actor="sam")
    with pytest.raises(Conflict, match="HALT_ALREADY_CLEARED"):
        resume(halt=made, reason="second", actor="tom")
    assert Halt.objects.get().clear_reason == "first"


def test_scope_can_be_halted_again_after_it_was_resumed():
    resume(halt=halt(scope=Scope.FIRM, reason="news", actor="rita"), reason="old", actor="sam")
    assert halt(scope=Scope.FIRM, reason="more news", actor="rita").reason == "more news"
    assert Halt.objects.count() == 2


@pytest.mark.parametrize(
    ("where", "code"),
    [
        ({"scope": "firm", "reason": " "}, "REASON_REQUIRED"),
        ({"scope": "planet", "reason": "x"}, "UNKNOWN_SCOPE"),
        ({"scope": "account", "scope_key": "nobody", "reason": "x"}, "UNKNOWN_BROKER"),
        ({"scope": "symbol", "reason": "x"}, "INVALID_SYMBOL"),
        ({"scope": "firm", "scope_key": "alpaca", "reason": "x"}, "SCOPE_KEY_NOT_WANTED"),
    ],
)
def test_wrong_halt_is_refused_and_leaves_nothing(where, code):
    with pytest.raises(InvalidInput) as refusal:
        halt(actor="rita", **where)
    assert refusal.value.code == code
    assert not Halt.objects.exists()
    assert not AuditEvent.objects.exists()


def test_resume_without_a_reason_leaves_the_halt_in_force():
    made = halt(scope=Scope.FIRM, reason="news", actor="rita")
    with pytest.raises(InvalidInput):
        resume(halt=made, reason="", actor="sam")
    assert halts_in_force() == [made]


def test_halt_trading_halts_the_desk_and_resume_trading_lets_it_go_on():
    assert "halted for the whole desk" in run("halt_trading", "--reason", "drill")
    assert halts_in_force()[0].reason == "drill"
    assert "trading goes on for the whole desk" in run("resume_trading", "--reason", "drill over")
    assert halts_in_force() == []


def test_resume_trading_of_one_scope_names_what_is_still_halted():
    BrokerAccountFactory()
    run("halt_trading", "--reason", "drill")
    run("halt_trading", "--reason", "audit", "--broker", "alpaca")
    assert "still halted: account alpaca (audit)" in run("resume_trading", "--reason", "drill over")


def test_resume_trading_of_what_is_not_halted_fails():
    with pytest.raises(CommandError, match="no halt is in force for account alpaca") as failure:
        run("resume_trading", "--reason", "x", "--broker", "alpaca")
    assert failure.value.returncode == 1


@pytest.mark.parametrize("command", [("halt_trading",), ("flatten_all", "--confirm", "FLATTEN")])
def test_unknown_account_or_an_empty_reason_is_a_usage_error_and_halts_nothing(command):
    with pytest.raises(CommandError, match="no account is called 'nobody'") as failure:
        run(*command, "--reason", "x", "--broker", "nobody")
    assert failure.value.returncode == 2
    with pytest.raises(CommandError, match="REASON_REQUIRED") as failure:
        run(*command, "--reason", " ")
    assert failure.value.returncode == 2
    assert halts_in_force() == []


def test_resume_trading_with_an_empty_reason_is_a_usage_error_and_clears_nothing():
    run("halt_trading", "--reason", "drill")
    with pytest.raises(CommandError, match="REASON_REQUIRED") as failure:
        run("resume_trading", "--reason", " ")
    assert failure.value.returncode == 2
    assert len(halts_in_force()) == 1


def test_halt_trading_leaves_open_orders_alone_unless_asked_to_cancel():
    OrderFactory()
    run("halt_trading", "--reason", "drill")
    assert not OrderRequest.objects.filter(kind="cancel").exists()


def test_halt_trading_cancels_the_open_orders_of_its_scope_and_no_others():
    margin = BrokerAccountFactory(broker_name="alpaca_margin")
    here, there = OrderFactory(), OrderFactory(account=margin)
    said = run("halt_trading", "--reason", "drill", "--broker", "alpaca", "--cancel")
    assert "orders to cancel: 1;" in said
    assert "dispatched: 0, acknowledged: 0, still open: 1" in said
    assert here.requests.filter(kind="cancel").count() == 1
    assert not there.requests.filter(kind="cancel").exists()
