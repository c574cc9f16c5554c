"""How each account's connection does: written after every call, read by routing and the pages.

Calls that worked are written down every few seconds per account and process, so that a busy account costs no more
than a quiet one; a failure, and what works while the breaker is not closed, at once. The circuit breaker
(`brokers.breaker`) decides on these figures; the operator hears of it once when it opens and once when it closes.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from brokers.breaker import Breaker, after_calls
from brokers.models import AccountHealth
from tradingdesk.audit import trail

log = logging.getLogger(__name__)

_WRITE_EVERY = 3.0
_OF_CONNECTION = (
    "last_message_at",
    "latency_p50_ms",
    "latency_p95_ms",
    "latency_p99_ms",
    "budget_limit",
    "budget_remaining",
    "budget_resets_at",
)
_BREAKER_COLUMNS = {field.name: field.name for field in fields(Breaker)} | {"state": "breaker_state"}
_COUNTED = ("healthy", *_BREAKER_COLUMNS.values(), "last_ok_at", "last_error_at", "last_error", "latency_ms")
_WRITTEN = (*_COUNTED, *_OF_CONNECTION)

_lock = threading.Lock()
_written: dict[str, tuple[float, bool]] = {}
_unwritten: dict[str, int] = {}


def record(
    broker_name: str,
    *,
    operation: str,
    ok: bool,
    seconds: float,
    error: str = "",
    vitals: Callable[[], Mapping[str, Any]] = dict,
) -> None:
    """Note the outcome of one call: `ok` means that the broker answered, whatever it said.

    `vitals` gives columns of `AccountHealth` to be written along, when anything is.
    """
    now = time.monotonic()
    with _lock:
        at, was_fine = _written.get(broker_name, (0.0, False))
        _unwritten[broker_name] = _unwritten.get(broker_name, 0) + ok
        if ok and was_fine and now - at < _WRITE_EVERY:
            return
        answered = _unwritten.pop(broker_name)
        _written[broker_name] = (now, ok)
    said = "" if ok else f"{operation}: {error}"[:500]
    healthy = _store(broker_name, answered=answered, seconds=seconds, error=said, vitals=vitals())
    if ok and not healthy:
        _written[broker_name] = (now, False)


def record_connection(broker_name: str, *, is_open: bool) -> None:
    """Note that the long-lived connection of an account is open from now on, or is not any more."""
    AccountHealth.objects.update_or_create(account_id=broker_name, defaults={"connected": is_open})


def _store(broker_name: str, *, answered: int, seconds: float, error: str, vitals: Mapping[str, Any]) -> bool:
    """Count calls on the locked row: of many processes, one sees the breaker open, and says so. Is it closed?"""
    now = timezone.now()
    with transaction.atomic():
        health = _locked(broker_name)
        was_healthy = health.healthy
        _move_breaker(health, now, answered, failed=int(bool(error)))
        if error:
            health.last_error, health.last_error_at = error, now
        else:
            health.last_ok_at, health.latency_ms = now, round(seconds * 1000, 3)
        for name, value in vitals.items():
            setattr(health, name, value)
        health.save(update_fields=_WRITTEN if vitals else _COUNTED)
        if health.healthy != was_healthy:
            _alert(health)
    return health.healthy


def _locked(broker_name: str) -> AccountHealth:
    locked = AccountHealth.objects.select_for_update().filter(account_id=broker_name)
    health = locked.first()
    if health is None:
        AccountHealth.objects.get_or_create(account_id=broker_name)
        health = locked.get()
    return health


def _move_breaker(health: AccountHealth, now: datetime, answered: int, failed: int) -> None:
    before = Breaker(**{name: getattr(health, column) for name, column in _BREAKER_COLUMNS.items()})
    breaker = after_calls(before, now=now, answered=answered, failed=failed)
    for name, column in _BREAKER_COLUMNS.items():
        setattr(health, column, getattr(breaker, name))
    health.healthy = breaker.is_closed


def _alert(health: AccountHealth) -> None:
    """Tell the operator, once, that orders go elsewhere from now on, or come back."""
    name, is_up = health.account_id, health.healthy
    trail.record(
        trail.event(
            "broker.up" if is_up else "broker.down",
            actor="system:health",
            entity="account",
            entity_key=name,
            broker_name=name,
            before={"healthy": not is_up},
            after={"healthy": is_up, "breaker": health.breaker_state, "last_error": health.last_error},
            reason="the broker answers again" if is_up else health.last_error,
        )
    )
    if is_up:
        log.warning("%s answers again: orders are routed there", name)
    else:
        log.error("%s is down, orders go elsewhere and its working orders stay watched: %s", name, health.last_error)
