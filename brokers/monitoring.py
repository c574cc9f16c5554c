"""What /readyz and /metrics tell about the accounts."""

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial

from django.utils import timezone
from prometheus_client.core import Metric

from brokers.models import AccountHealth, BrokerAccount
from tradingdesk.health import Check, gauge

# Label of each gauge's figure: Prometheus' word for a percentile.
QUANTILES = {"0.5": "latency_p50_ms", "0.95": "latency_p95_ms", "0.99": "latency_p99_ms"}


def brokers_answer() -> Check:
    """Pass while at least one enabled account answers: orders can be routed there."""
    now = timezone.now()
    found = {account.broker_name: _describe(_health_of(account), now) for account in _enabled()}
    return Check(any(health["answers"] for health in found.values()), {"accounts": found})


def gauges() -> Iterator[Metric]:
    """Health, connection, latency, errors, budget and silence of each enabled account."""
    now = timezone.now()
    found = [(account.broker_name, _health_of(account)) for account in _enabled()]
    called = [(name, health) for name, health in found if health]
    yield gauge(
        "desk_broker_healthy",
        "1 while the broker answers",
        ["broker_name"],
        [(name, bool(health and health.healthy)) for name, health in found],
    )
    yield _figure("desk_broker_latency_seconds", "Time of the last answered call", called, _latency)
    yield _figure("desk_broker_silence_seconds", "Time since the broker last answered", called, partial(_silence, now))
    yield _figure("desk_broker_connected", "1 while the long connection is open", called, lambda h: h.is_connected)
    yield _figure("desk_broker_error_rate", "Share of recent calls that failed", called, lambda h: h.error_rate)
    yield _figure("desk_broker_requests_left", "Requests that the broker takes now", called, lambda h: h.requests_left)
    yield gauge(
        "desk_broker_latency_quantile_seconds",
        "How long calls took that were answered in the last minutes",
        ["broker_name", "quantile"],
        [
            (name, quantile, getattr(health, column) / 1000)
            for name, health in called
            for quantile, column in QUANTILES.items()
            if getattr(health, column) is not None
        ],
    )


def _latency(health: AccountHealth) -> float | None:
    return None if health.latency_ms is None else health.latency_ms / 1000


def _silence(now: datetime, health: AccountHealth) -> float | None:
    return (now - health.last_ok_at).total_seconds() if health.last_ok_at else None


def _figure(
    name: str, meaning: str, called: list[tuple[str, AccountHealth]], of: Callable[[AccountHealth], float | None]
) -> Metric:
    found = [(broker_name, of(health)) for broker_name, health in called]
    return gauge(name, meaning, ["broker_name"], [one for one in found if one[1] is not None])


def _enabled() -> list[BrokerAccount]:
    return list(BrokerAccount.objects.filter(enabled=True).select_related("health"))


def _health_of(account: BrokerAccount) -> AccountHealth | None:
    return getattr(account, "health", None)


def _describe(health: AccountHealth | None, now: datetime) -> dict:
    if health is None or health.last_ok_at is None:
        return {"answers": False, "silent_seconds": None}
    silence = now - health.last_ok_at
    return {
        "answers": health.healthy and not health.is_silent,
        "connected": health.is_connected,
        "silent_seconds": round(silence.total_seconds(), 1),
        "latency_p95_ms": health.latency_p95_ms,
        "error_rate": None if health.error_rate is None else round(float(health.error_rate), 4),
    }
