"""One form for every error, whatever went wrong, and nothing stored."""

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from rest_framework.test import APIClient
from rest_framework.throttling import UserRateThrottle

from orders.api import orders as order_views
from orders.models import Order

pytestmark = pytest.mark.django_db


def post(client: APIClient, body: bytes | str, content_type: str = "application/json"):
    return client.generic("POST", "/api/v1/orders/", body, content_type=content_type)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "MISSING_FIELD"),
        (b"{", "MALFORMED_JSON"),
        (b"{'symbol': 'IBM'}", "MALFORMED_JSON"),
        (b'{"symbol": "IBM", "symbol": "BAC"}', "MALFORMED_JSON"),
        (b'{"symbol": "IBM", "side": "buy", "order_qty": NaN}', "MALFORMED_JSON"),
        (b'{"symbol": "IBM", "side": "buy", "order_qty": -Infinity}', "MALFORMED_JSON"),
        (b'{"symbol": "IBM", "side": "buy", "order_qty": 1e999999999999999999999}', "MALFORMED_JSON"),
        (b'{"order_qty": ' + b"9" * 5000 + b"}", "MALFORMED_JSON"),
        (b'{"symbol": "\xff"}', "MALFORMED_JSON"),
        ('{"symbol": "IBM"}'.encode("utf-16"), "MALFORMED_JSON"),
        (b"[" * 100_000, "MALFORMED_JSON"),
        (b"[]", "NOT_AN_OBJECT"),
        (b'"IBM"', "NOT_AN_OBJECT"),
        (b"null", "NOT_AN_OBJECT"),
        (b"7", "NOT_AN_OBJECT"),
        (b'{"strategy": "a\\u0000b"}', "INVALID_TEXT"),
        (b'{"strategy": "\\ud800"}', "INVALID_TEXT"),
        (b'{"take_profit": [{"x": "\\u0000"}]}', "INVALID_TEXT"),
    ],
)
def test_body_that_is_no_order_is_400_and_leaves_nothing(trader, desk, body, code):
    answer = post(trader, body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert set(answer.json()) == {"code", "detail", "field"}
    assert not Order.objects.exists()


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
def test_body_that_is_not_called_json_is_415(trader, desk, content_type):
    answer = post(trader, '{"symbol": "IBM", "side": "buy", "order_qty": "1"}', content_type)
    assert (answer.status_code, answer.json()["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert not Order.objects.exists()


def test_oversized_body_is_413_before_it_is_parsed(trader, desk, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    answer = post(trader, "{" + " " * 1000)
    assert (answer.status_code, answer.json()["code"]) == (413, "BODY_TOO_LARGE")
    assert post(trader, "{" + " " * 999).json()["code"] == "MALFORMED_JSON"
    assert not Order.objects.exists()


@pytest.mark.parametrize(
    "path", ["/api/v1/nothing/", "/api/v1/orders", "/api/", "/api/v1/orders/no-such-order/", "/api/v1/orders/a%00b/"]
)
def test_unknown_path_is_404_in_the_error_form(trader, path):
    answer = trader.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("path", "status"), [("/api/v1/orders", 404), ("/api/nothing/", 404), ("/healthz", 405), ("/metrics", 405)]
)
def test_post_to_a_path_that_takes_none_is_not_mistaken_for_a_form(path, status):
    assert APIClient(enforce_csrf_checks=True).post(path, {}, format="json").status_code == status


@pytest.mark.parametrize("path", ["/api/v1/risk/halts/99999999999999999999999/", "/api/v1/risk/halts/7/"])
def test_unknown_halt_is_404(client_of, path):
    answer = client_of("risk officer").delete(path, {"reason": "mended"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


def test_too_many_requests_are_429_and_say_when_to_come_back(trader, monkeypatch):
    monkeypatch.setattr(UserRateThrottle, "rate", "2/min", raising=False)
    answers = [trader.get("/api/v1/orders/") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].json()["code"] == "THROTTLED"
    assert int(answers[2].headers["Retry-After"]) > 0


def test_bug_is_500_and_tells_nothing_of_its_cause(trader, desk, monkeypatch):
    def broken(**_):
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(order_views, "submit_order", broken)
    trader.credentials(HTTP_X_REQUEST_ID="call-7", **trader._credentials)
    answer = trader.post("/api/v1/orders/", {"symbol": "IBM", "side": "buy", "order_qty": "1"}, format="json")
    assert answer.status_code == 500
    assert answer.json()["code"] == "INTERNAL_ERROR"
    assert "call-7" in answer.json()["detail"]
    assert "hunter2" not in answer.content.decode()


def test_database_that_does_not_answer_is_503_and_may_be_asked_again(trader, desk, monkeypatch):
    def locked(**_):
        raise OperationalError("database is locked at /secret/path")

    monkeypatch.setattr(order_views, "submit_order", locked)
    answer = trader.post("/api/v1/orders/", {"symbol": "IBM", "side": "buy", "order_qty": "1"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (503, "DATABASE_UNAVAILABLE")
    assert answer.headers["Retry-After"] == "1"
    assert "secret" not in answer.content.decode()


def test_errors_outside_the_api_stay_pages(client):
    answer = client.get("/nowhere")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"].startswith("text/html")


def test_superuser_needs_no_group(desk):
    client = APIClient()
    client.force_authenticate(User.objects.create_superuser("root"))
    assert client.get("/api/v1/audit/events/").status_code == 200
