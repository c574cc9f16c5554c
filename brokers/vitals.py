"""What the process that holds an account sees of its connection: how quick answers are, and when it was last heard.

Kept in memory; `brokers.health` writes it down with the calls.
"""

import logging
import time
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime
from math import ceil
from threading import Lock
from typing import Any

from django.db import connection
from django.utils import timezone

from brokers import health
from brokers.adapter import Listener
from brokers.discretion import discreet
from brokers.messages import CancelRejected, ExecutionReport, QuoteState, RequestBudget
from tradingdesk.redaction.known import redact

log = logging.getLogger(__name__)

WINDOW_SECONDS = 300.0
CALLS_AT_MOST = 2000
PERCENTILES = {"latency_p50_ms": 0.50, "latency_p95_ms": 0.95, "latency_p99_ms": 0.99}


class Vitals:
    """The latest of one account; safe to use from any thread."""

    def __init__(self) -> None:
        self.heard_at: datetime | None = None
        self._answers: deque[tuple[float, float]] = deque(maxlen=CALLS_AT_MOST)
        self._lock = Lock()

    def answered(self, seconds: float) -> None:
        """Note how long an answered call took."""
        with self._lock:
            self._answers.append((time.monotonic(), seconds))

    def columns(self, budget: RequestBudget | None) -> dict[str, Any]:
        """What `AccountHealth` keeps of it: percentiles of the window, the last message, the request budget."""
        since = time.monotonic() - WINDOW_SECONDS
        with self._lock:
            taken = [seconds for at, seconds in self._answers if at >= since]
        return {
            "last_message_at": self.heard_at,
            **percentiles(taken),
            "budget_limit": budget and budget.limit,
            "budget_remaining": budget and budget.remaining,
            "budget_resets_at": budget and budget.resets_at,
        }


class Overhearing:
    """A listener that notes when the broker was heard, and passes on what it said, without our secrets."""

    def __init__(self, broker_name: str, listener: Listener, vitals: Vitals):
        self.broker_name, self._listener, self._vitals = broker_name, listener, vitals

    def on_facts(self, facts: Sequence[ExecutionReport | CancelRejected]) -> None:
        """See `brokers.adapter.Listener`."""
        self._vitals.heard_at = timezone.now()
        self._listener.on_facts([discreet(fact) for fact in facts])

    def on_quote(self, quote: QuoteState) -> None:
        """See `brokers.adapter.Listener`."""
        self._vitals.heard_at = timezone.now()
        self._listener.on_quote(quote)

    def on_connected(self) -> None:
        """See `brokers.adapter.Listener`."""
        self._vitals.heard_at = timezone.now()
        note_connection(self.broker_name, is_open=True)
        self._listener.on_connected()

    def on_disconnected(self, reason: str) -> None:
        """See `brokers.adapter.Listener`."""
        note_connection(self.broker_name, is_open=False)
        self._listener.on_disconnected(redact(reason))


def note_connection(broker_name: str, *, is_open: bool) -> None:
    """Write down that the long-lived connection is open, or is not any more; failing at that changes nothing."""
    try:
        health.record_connection(broker_name, is_open=is_open)
    except Exception:
        log.exception("the connection of %s could not be recorded", broker_name)
    finally:
        if not connection.in_atomic_block:
            connection.close()  # the adapter's thread calls seldom


def percentiles(seconds: Iterable[float]) -> dict[str, float | None]:
    """Nearest-rank percentiles in milliseconds; None of nothing."""
    ranked = sorted(seconds)
    return {
        name: round(ranked[ceil(share * len(ranked)) - 1] * 1000, 3) if ranked else None
        for name, share in PERCENTILES.items()
    }
