"""How each account's connection does: written after every call, read by routing and the pages.

A call that worked is written down at most once a second per account and process, so that a busy
account costs no more than a quiet one; a failure, and the first success after one, at once.
"""

import threading
import time

from django.utils import timezone

from brokers.models import AccountHealth

FAILURES_UNTIL_DOWN = 3
_WRITE_EVERY = 1.0

_lock = threading.Lock()
_written: dict[str, tuple[float, bool]] = {}


def record(broker_name: str, *, operation: str, ok: bool, seconds: float, error: str = "") -> None:
    """Note the outcome of one call: `ok` means that the broker answered, whatever it said."""
    now = time.monotonic()
    with _lock:
        at, was_ok = _written.get(broker_name, (0.0, False))
        if ok and was_ok and now - at < _WRITE_EVERY:
            return
        _written[broker_name] = (now, ok)
    if ok:
        _store_success(broker_name, seconds)
    else:
        _store_failure(broker_name, f"{operation}: {error}"[:500])


def _store_success(broker_name: str, seconds: float) -> None:
    values = {
        "healthy": True,
        "consecutive_failures": 0,
        "last_ok_at": timezone.now(),
        "latency_ms": round(seconds * 1000, 3),
    }
    AccountHealth.objects.update_or_create(account_id=broker_name, defaults=values)


def _store_failure(broker_name: str, error: str) -> None:
    health, _ = AccountHealth.objects.get_or_create(account_id=broker_name)
    health.consecutive_failures += 1
    health.healthy = health.consecutive_failures < FAILURES_UNTIL_DOWN
    health.last_error, health.last_error_at = error, timezone.now()
    health.save()
