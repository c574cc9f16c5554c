"""When an account's breaker opens, half opens and closes; that all who write it see one breaker; and what is told."""

import logging
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers import breaker, health
from brokers.breaker import Breaker, BreakerState, after_calls
from brokers.models import AccountHealth
from tests.factories import BrokerAccountFactory
from tradingdesk.audit.models import AuditEvent

START = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
OPEN = after_calls(Breaker(), now=START, failed=3)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_two_failures_in_a_row_leave_it_closed_and_the_third_opens_it():
    twice = after_calls(after_calls(Breaker(), now=at(0), failed=1), now=at(1), failed=1)
    assert twice.state == BreakerState.CLOSED
    thrice = after_calls(twice, now=at(2), failed=1)
    assert (thrice.state, thrice.opened_at, thrice.probe_at) == (BreakerState.OPEN, at(2), at(4))


def test_answer_between_failures_begins_the_row_again():
    state = Breaker()
    for second, calls in enumerate(({"failed": 2}, {"answered": 1}, {"failed": 2})):
        state = after_calls(state, now=at(second), **calls)
    assert state.state == BreakerState.CLOSED


@pytest.mark.parametrize(("failures", "answers", "opens"), [(10, 10, True), (9, 11, False), (9, 10, False)])
def test_half_of_at_least_twenty_calls_failing_within_the_window_opens_it(failures, answers, opens):
    state = Breaker()
    for number in range(max(failures, answers)):
        state = after_calls(state, now=at(number), answered=int(number < answers))
        state = after_calls(state, now=at(number), failed=int(number < failures))
    assert state.is_closed is not opens


def test_failures_of_a_window_that_is_over_do_not_count():
    state = Breaker()
    for number in range(9):
        state = after_calls(state, now=at(number), failed=1)
        state = after_calls(state, now=at(number), answered=1)
    state = after_calls(state, now=at(61), failed=2)
    assert (state.is_closed, state.window_calls, state.window_failures) == (True, 2, 2)


def test_answer_during_the_back_off_does_not_close_it():
    assert after_calls(OPEN, now=at(1.9), answered=5).state == BreakerState.OPEN


def test_first_answer_after_the_back_off_half_opens_it_and_the_second_closes_it():
    half = after_calls(OPEN, now=at(2), answered=1)
    assert half.state == BreakerState.HALF_OPEN
    closed = after_calls(half, now=at(3), answered=1)
    assert (closed.state, closed.window_calls) == (BreakerState.CLOSED, 0)


def test_failure_while_half_open_opens_it_again_for_twice_as_long():
    half = after_calls(OPEN, now=at(2), answered=1)
    again = after_calls(half, now=at(3), failed=1)
    assert (again.state, again.times_opened, again.probe_at) == (BreakerState.OPEN, 2, at(7))


def test_failed_probe_opens_it_for_longer_up_to_a_minute():
    state, pauses = OPEN, []
    for _ in range(7):
        state = after_calls(state, now=state.probe_at, failed=1)
        pauses.append((state.probe_at - state.opened_at).total_seconds())
    assert pauses == [4, 8, 16, 32, 60, 60, 60]


def test_back_off_is_short_again_once_it_held_for_a_while():
    closed = after_calls(after_calls(OPEN, now=at(2), answered=1), now=at(3), answered=1)
    assert after_calls(closed, now=at(10), failed=3).times_opened == 2
    assert after_calls(closed, now=at(301), failed=3).times_opened == 1


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(0, 3), st.integers(0, 3)), max_size=60))
def test_it_never_closes_without_two_answers_after_the_back_off(calls):
    state, now, answers_since = Breaker(), START, 0
    for pause, answered, failed in calls:
        now += timedelta(seconds=pause)
        before = state
        state = after_calls(state, now=now, answered=answered, failed=failed)
        if not before.is_closed and answered:
            answers_since += before.probe_at <= now
        if failed or state.opened_at != before.opened_at:
            answers_since = 0
        if state.is_closed and not before.is_closed:
            assert now >= before.probe_at
            assert before.state == BreakerState.HALF_OPEN
        assert (state.probe_at is not None) or state.is_closed
        assert state.window_failures <= state.window_calls


@pytest.fixture
def account(db, monkeypatch):
    monkeypatch.setattr(health, "_written", {})
    monkeypatch.setattr(health, "_unwritten", {})
    return BrokerAccountFactory().broker_name


def call(account: str, *, ok: bool, error: str = "no answer") -> AccountHealth:
    health.record(account, operation="submit", ok=ok, seconds=0.02, error="" if ok else error)
    return AccountHealth.objects.get(pk=account)


def test_a_thousand_failures_tell_the_operator_once_and_the_recovery_once(account, caplog, monkeypatch):
    monkeypatch.setattr(breaker, "FIRST_BACK_OFF", timedelta(0))
    monkeypatch.setattr(health, "_WRITE_EVERY", 0.0)
    with caplog.at_level(logging.INFO, logger="brokers.health"):
        for _ in range(40):
            row = call(account, ok=False, error="connection refused")
        assert (row.healthy, row.consecutive_failures) == (False, 40)
        call(account, ok=True)
        row = call(account, ok=True)

    assert (row.healthy, row.breaker_state) == (True, "closed")
    events = list(AuditEvent.objects.filter(broker_name=account).order_by("id").values_list("kind", "reason"))
    assert events == [
        ("broker.down", "submit: connection refused"),
        ("broker.up", "the broker answers again"),
    ]
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


def test_answers_that_were_not_written_down_at_once_still_count(account):
    for _ in range(50):
        call(account, ok=True)
    row = call(account, ok=False)
    assert (row.window_calls, row.window_failures, row.healthy) == (51, 1, True)
    assert row.latency_ms == 20.0
