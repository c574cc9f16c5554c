"""What probes and Prometheus see; nobody needs a token for it, and nothing secret is in it."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from brokers.models import AccountHealth
from risk.halts import halt
from tests import factories


def healthy(broker_name: str = "alpaca", *, silent_for: float = 1, **facts) -> None:
    account = factories.BrokerAccountFactory(broker_name=broker_name)
    last_ok_at = timezone.now() - timedelta(seconds=silent_for)
    AccountHealth.objects.create(account=account, last_ok_at=last_ok_at, latency_ms=20, **facts)


def metrics_of(client) -> dict[str, dict[tuple, float]]:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.content.decode())
    return {
        family.name: {tuple(sample.labels.values()): sample.value for sample in family.samples} for family in families
    }


def test_healthz_answers_without_a_database(client):
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.django_db
def test_ready_while_an_account_answers_and_nothing_is_stuck(client):
    healthy("alpaca")
    healthy("alpaca_margin", healthy=False)
    answer = client.get("/readyz")
    assert answer.status_code == 200, answer.json()
    checks = answer.json()["checks"]
    assert checks["database"]["engine"] == connection.vendor
    assert checks["brokers"]["accounts"]["alpaca"]["answers"] is True
    assert checks["brokers"]["accounts"]["alpaca_margin"]["answers"] is False


@pytest.mark.django_db
@pytest.mark.parametrize("silence", [3600, None])
def test_not_ready_when_no_worker_talks_to_any_broker(client, silence):
    healthy(silent_for=silence) if silence else factories.BrokerAccountFactory()
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["brokers"]["ok"]) == (503, False)


@pytest.mark.django_db
def test_not_ready_when_a_request_waits_too_long_for_its_worker(client):
    healthy()
    factories.OrderRequestFactory(queued_at=timezone.now() - timedelta(seconds=5))
    assert client.get("/readyz").status_code == 200
    factories.OrderRequestFactory(queued_at=timezone.now() - timedelta(minutes=5))
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["workers"]["ok"]) == (503, False)


@pytest.mark.django_db
def test_not_ready_when_a_deferred_order_is_never_routed(client):
    healthy()
    factories.OrderFactory(status="pending", account=None, created_at=timezone.now() - timedelta(minutes=5))
    assert client.get("/readyz").json()["checks"]["workers"]["ok"] is False


@pytest.mark.django_db
def test_check_that_breaks_means_not_ready_and_keeps_its_reason_to_the_log(client, settings, caplog):
    settings.READINESS_CHECKS = {"database": "tests.api.test_health.broken"}
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["database"]) == (503, {"ok": False, "error": "RuntimeError"})
    assert "hunter2" in caplog.text


def broken():
    raise RuntimeError("password=hunter2")


@pytest.mark.django_db
def test_metrics_count_what_is_open_waiting_and_halted(client):
    healthy()
    factories.OrderFactory.create_batch(2, status="new")
    order = factories.OrderFactory(status="pending", outcome_unknown_since=timezone.now(), created_at=timezone.now())
    factories.OrderFactory(status="filled")
    factories.OrderRequestFactory(order=order, queued_at=timezone.now() - timedelta(seconds=5))
    halt(scope="firm", reason="r", actor="someone")

    found = metrics_of(client)
    assert found["desk_orders_open"] == {("new",): 2, ("pending",): 1}
    assert found["desk_orders_last_minute"] == {("pending",): 1}
    assert found["desk_orders_outcome_unknown"] == {(): 1}
    assert found["desk_requests_unanswered"] == {("alpaca", "queued"): 1}
    assert 5 <= found["desk_requests_lag_seconds"][()] < 60
    assert found["desk_halts_in_force"] == {("firm",): 1}
    assert found["desk_broker_healthy"] == {("alpaca",): 1}
    assert found["desk_broker_latency_seconds"] == {("alpaca",): 0.02}
    assert 1 <= found["desk_broker_silence_seconds"][("alpaca",)] < 60


@pytest.mark.django_db
def test_metrics_cost_the_same_however_many_orders_there_are(client):
    healthy()
    factories.OrderFactory()
    with CaptureQueriesContext(connection) as few:
        client.get("/metrics")
    factories.OrderFactory.create_batch(5)
    with CaptureQueriesContext(connection) as many:
        client.get("/metrics")
    assert len(few) == len(many) == 9
