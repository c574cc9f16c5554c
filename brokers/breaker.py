"""When an account is left alone, and when it is used again: rules over values, no database, no clock.

Closed, orders go there. It opens after failures in a row, or when too many of the calls in a window fail; then no
order is routed there, while reads go on and serve as probes. After a back-off the first answer makes it half open,
the second closes it; a failure in between opens it again for longer.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db.models import TextChoices

FAILURES_IN_A_ROW = 3
WINDOW = timedelta(seconds=60)
CALLS_AT_LEAST = 20
FAILURE_RATE = 0.5
FIRST_BACK_OFF = timedelta(seconds=2)
LONGEST_BACK_OFF = timedelta(seconds=60)
# Opened again within this after an opening, the back-off goes on where it was.
FORGIVEN_AFTER = timedelta(minutes=5)


class BreakerState(TextChoices):
    """Closed lets orders through; half open waits for a second answer."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class Breaker:
    """How an account's calls have gone. `probe_at` ends the back-off; the window counts calls since it began."""

    state: BreakerState = BreakerState.CLOSED
    consecutive_failures: int = 0
    opened_at: datetime | None = None
    probe_at: datetime | None = None
    times_opened: int = 0
    window_began_at: datetime | None = None
    window_calls: int = 0
    window_failures: int = 0

    @property
    def is_closed(self) -> bool:
        """Whether orders may be routed there."""
        return self.state == BreakerState.CLOSED


def after_calls(breaker: Breaker, *, now: datetime, answered: int = 0, failed: int = 0) -> Breaker:
    """Count calls that were answered, then calls that failed, and say where that leaves the breaker."""
    breaker = _count(breaker, now, answered, failed)
    if answered:
        breaker = _after_answer(replace(breaker, consecutive_failures=0), now)
    if failed:
        failures = breaker.consecutive_failures + failed
        breaker = _after_failure(replace(breaker, consecutive_failures=failures), now)
    return breaker


def _count(breaker: Breaker, now: datetime, answered: int, failed: int) -> Breaker:
    began = breaker.window_began_at
    if began is None or not timedelta(0) <= now - began < WINDOW:
        breaker = replace(breaker, window_began_at=now, window_calls=0, window_failures=0)
    calls, failures = breaker.window_calls + answered + failed, breaker.window_failures + failed
    return replace(breaker, window_calls=calls, window_failures=failures)


def _after_answer(breaker: Breaker, now: datetime) -> Breaker:
    if breaker.state == BreakerState.HALF_OPEN:
        # What failed before is not held against it a second time.
        return replace(breaker, state=BreakerState.CLOSED, window_began_at=now, window_calls=0, window_failures=0)
    if breaker.state == BreakerState.OPEN and _may_probe(breaker, now):
        return replace(breaker, state=BreakerState.HALF_OPEN)
    return breaker


def _after_failure(breaker: Breaker, now: datetime) -> Breaker:
    if breaker.is_closed:
        return _opened(breaker, now) if _is_too_much(breaker) else breaker
    if breaker.state == BreakerState.HALF_OPEN or _may_probe(breaker, now):
        return _opened(breaker, now)
    return breaker


def _is_too_much(breaker: Breaker) -> bool:
    enough = breaker.window_calls >= CALLS_AT_LEAST
    too_many = enough and breaker.window_failures >= FAILURE_RATE * breaker.window_calls
    return breaker.consecutive_failures >= FAILURES_IN_A_ROW or too_many


def _opened(breaker: Breaker, now: datetime) -> Breaker:
    lately = breaker.opened_at is not None and now - breaker.opened_at < FORGIVEN_AFTER
    times = breaker.times_opened + 1 if lately or not breaker.is_closed else 1
    back_off = min(FIRST_BACK_OFF * 2 ** min(times - 1, 16), LONGEST_BACK_OFF)
    return replace(breaker, state=BreakerState.OPEN, opened_at=now, probe_at=now + back_off, times_opened=times)


def _may_probe(breaker: Breaker, now: datetime) -> bool:
    return breaker.probe_at is None or now >= breaker.probe_at
