"""What /readyz and /metrics tell about the accounts."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.utils import timezone
from prometheus_client.core import Metric

from brokers.models import AccountHealth, BrokerAccount
from tradingdesk.health import Check, gauge

# Workers call their brokers every few seconds; an account nobody has called for this long has no worker.
SILENT_AFTER = timedelta(seconds=60)


def brokers_answer() -> Check:
    """Pass while at least one enabled account answers: orders can be routed there."""
    now = timezone.now()
    found = {account.broker_name: _describe(_health_of(account), now) for account in _enabled()}
    return Check(any(health["answers"] for health in found.values()), {"accounts": found})


def gauges() -> Iterator[Metric]:
    """Health, latency and silence of each enabled account."""
    now = timezone.now()
    found = [(account.broker_name, _health_of(account)) for account in _enabled()]
    called = [(name, health) for name, health in found if health]
    yield gauge(
        "desk_broker_healthy",
        "1 while the broker answers",
        ["broker_name"],
        [(name, bool(health and health.healthy)) for name, health in found],
    )
    yield gauge(
        "desk_broker_latency_seconds",
        "Time of the last answered call",
        ["broker_name"],
        [(name, health.latency_ms / 1000) for name, health in called if health.latency_ms is not None],
    )
    yield gauge(
        "desk_broker_silence_seconds",
        "Time since the broker last answered",
        ["broker_name"],
        [(name, (now - health.last_ok_at).total_seconds()) for name, health in called if health.last_ok_at],
    )


def _enabled() -> list[BrokerAccount]:
    return list(BrokerAccount.objects.filter(enabled=True).select_related("health"))


def _health_of(account: BrokerAccount) -> AccountHealth | None:
    return getattr(account, "health", None)


def _describe(health: AccountHealth | None, now: datetime) -> dict:
    if health is None or health.last_ok_at is None:
        return {"answers": False, "silent_seconds": None}
    silence = now - health.last_ok_at
    return {"answers": health.healthy and silence < SILENT_AFTER, "silent_seconds": round(silence.total_seconds(), 1)}
