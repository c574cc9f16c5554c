"""What is kept of each account's connection: how quick it is, when it was heard, what it may ask; where it shows."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from brokers import health, vitals
from brokers.gateway import close_gateways, gateway_for
from brokers.messages import RequestBudget
from brokers.models import AccountHealth, BrokerAccount
from brokers.vitals import Vitals, percentiles
from tests.brokers.scripted_tws import Recorder
from tests.factories import BrokerAccountFactory


@pytest.fixture(params=["alpaca", "interactive_brokers"])
def account(request, sandbox, transactional_db, monkeypatch) -> Iterator[BrokerAccount]:
    monkeypatch.setattr(health, "_written", {})
    monkeypatch.setattr(health, "_WRITE_EVERY", 0.0)
    api_key, secret_key = sandbox.keys("alpaca")
    settings = {
        "alpaca": {"api_key": api_key, "secret_key": secret_key, "base_url": sandbox.url},
        "interactive_brokers": {
            "port": sandbox.tws_port(),
            "account_id": sandbox.tws_account_id(),
            "client_id": 701,
        },
    }
    yield BrokerAccountFactory(broker_name=request.param, adapter=request.param, settings=settings[request.param])
    close_gateways()


def kept(account: BrokerAccount) -> AccountHealth:
    return AccountHealth.objects.get(account=account)


@pytest.mark.slow
def test_holder_of_an_account_keeps_how_its_connection_does(account):
    gateway, heard = gateway_for(account), Recorder()
    gateway.account()
    assert (kept(account).connected, kept(account).latency_p50_ms, kept(account).requests_left) == (None, None, None)

    gateway.start(heard)
    heard.wait_until(lambda: heard.connections)
    for _ in range(3):
        gateway.clock()
    row = kept(account)
    assert (row.is_connected, row.error_rate) == (True, 0)
    assert 0 < row.latency_p50_ms <= row.latency_p95_ms <= row.latency_p99_ms
    assert timezone.now() - row.last_message_at < timedelta(minutes=1)
    assert 0 < row.budget_remaining < row.budget_limit
    assert row.budget_limit == {"alpaca": 60_000, "interactive_brokers": 45}[account.pk]

    gateway.close()
    assert kept(account).is_connected is False


def test_percentiles_are_of_what_was_measured():
    assert percentiles(number / 1000 for number in range(100, 0, -1)) == {
        "latency_p50_ms": 50.0,
        "latency_p95_ms": 95.0,
        "latency_p99_ms": 99.0,
    }
    assert percentiles([0.02]) == dict.fromkeys(("latency_p50_ms", "latency_p95_ms", "latency_p99_ms"), 20.0)
    assert set(percentiles([]).values()) == {None}


def test_answers_of_long_ago_do_not_count(monkeypatch):
    now = 1000.0
    monkeypatch.setattr(vitals.time, "monotonic", lambda: now)
    seen = Vitals()
    seen.answered(9.0)
    now += vitals.WINDOW_SECONDS + 1
    seen.answered(0.5)
    assert seen.columns(None)["latency_p99_ms"] == 500.0


def test_budget_that_was_renewed_since_is_whole():
    row = AccountHealth(budget_limit=200, budget_remaining=3, budget_resets_at=datetime(2026, 3, 2, tzinfo=UTC))
    assert row.requests_left == 200
    row.budget_resets_at = timezone.now() + timedelta(seconds=30)
    assert row.requests_left == 3


def test_connection_whose_holder_is_gone_is_not_taken_for_open():
    row = AccountHealth(connected=True, last_ok_at=timezone.now())
    assert row.is_connected
    row.last_ok_at -= AccountHealth.SILENT_AFTER
    assert row.is_connected is False


def test_many_answers_cost_one_write_every_few_seconds(db, monkeypatch):
    monkeypatch.setattr(health, "_written", {})
    name = BrokerAccountFactory().pk
    seen = Vitals()
    health.record(name, operation="submit", ok=True, seconds=0.02)
    with CaptureQueriesContext(connection) as queries:
        for _ in range(200):
            health.record(name, operation="submit", ok=True, seconds=0.02, vitals=lambda: seen.columns(None))
    assert len(queries) == 0


@pytest.mark.django_db
def test_figures_show_in_api_metrics_and_readiness(client, admin_client):
    soon = timezone.now() + timedelta(minutes=1)
    columns = Vitals().columns(RequestBudget(200, 150, soon)) | {"latency_p50_ms": 8, "latency_p95_ms": 20}
    AccountHealth.objects.create(
        account=BrokerAccountFactory(), connected=True, last_ok_at=timezone.now(), window_calls=4, window_failures=1,
        **columns,
    )  # fmt: skip

    shown = admin_client.get("/api/v1/brokers/").json()["results"][0]["health"]
    assert (shown["connected"], shown["latency_p95_ms"], shown["budget_remaining"]) == (True, 20.0, 150)
    assert shown["error_rate"] == "0.250000"
    ready = client.get("/readyz").json()["checks"]["brokers"]["accounts"]["alpaca"]
    assert (ready["connected"], ready["latency_p95_ms"], ready["error_rate"]) == (True, 20.0, 0.25)
    metrics = client.get("/metrics").content.decode()
    assert 'desk_broker_latency_quantile_seconds{broker_name="alpaca",quantile="0.95"} 0.02' in metrics
    assert 'desk_broker_requests_left{broker_name="alpaca"} 150.0' in metrics
    assert 'desk_broker_connected{broker_name="alpaca"} 1.0' in metrics
    for page in ("/admin/", "/admin/brokers/accounthealth/"):
        assert "20" in admin_client.get(page).content.decode()
