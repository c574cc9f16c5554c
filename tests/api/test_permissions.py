"""Who may do what: each group at each endpoint."""

import pytest
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from tests import factories

pytestmark = pytest.mark.django_db

EVERYONE = {"viewer", "trader", "risk officer", "auditor"}
MATRIX = [
    ("GET", "/api/v1/orders/", EVERYONE),
    ("POST", "/api/v1/orders/", {"trader"}),
    ("POST", "/api/v1/orders/preview/", {"trader"}),
    ("POST", "/api/v1/orders/basket/", {"trader"}),
    ("GET", "/api/v1/orders/known/", EVERYONE),
    ("PATCH", "/api/v1/orders/known/", {"trader"}),
    ("DELETE", "/api/v1/orders/known/", {"trader"}),
    ("GET", "/api/v1/approvals/", EVERYONE),
    ("POST", "/api/v1/orders/known/approve/", {"risk officer"}),
    ("POST", "/api/v1/orders/known/refuse/", {"risk officer"}),
    ("GET", "/api/v1/executions/", EVERYONE),
    ("GET", "/api/v1/positions/", EVERYONE),
    ("GET", "/api/v1/positions/consolidated/", EVERYONE),
    ("GET", "/api/v1/trade-logs/", EVERYONE),
    ("GET", "/api/v1/brokers/", EVERYONE),
    ("GET", "/api/v1/portfolio/", EVERYONE),
    ("GET", "/api/v1/risk/exposure/", EVERYONE),
    ("GET", "/api/v1/risk/portfolio/", EVERYONE),
    ("GET", "/api/v1/risk/limits/", EVERYONE),
    ("GET", "/api/v1/risk/halts/", EVERYONE),
    ("POST", "/api/v1/risk/halts/", {"risk officer"}),
    ("GET", "/api/v1/risk/halts/1/", EVERYONE),
    ("DELETE", "/api/v1/risk/halts/1/", {"risk officer"}),
    ("POST", "/api/v1/risk/flatten/", {"risk officer"}),
    ("GET", "/api/v1/reconciliation/breaks/", EVERYONE),
    ("POST", "/api/v1/reconciliation/breaks/1/resolve/", {"risk officer"}),
    ("GET", "/api/v1/rebalancing/preview/", EVERYONE),
    ("GET", "/api/v1/rebalancing/plans/", EVERYONE),
    ("POST", "/api/v1/rebalancing/plans/", {"trader", "risk officer"}),
    ("GET", "/api/v1/rebalancing/plans/1/", EVERYONE),
    ("POST", "/api/v1/rebalancing/plans/1/approve/", {"risk officer"}),
    ("POST", "/api/v1/rebalancing/plans/1/reject/", {"risk officer"}),
    ("POST", "/api/v1/rebalancing/plans/1/stop/", {"risk officer"}),
    ("GET", "/api/v1/audit/events/", {"auditor"}),
    ("GET", "/api/v1/config/history/", {"auditor", "risk officer"}),
]


@pytest.mark.parametrize("group", [*sorted(EVERYONE), None])
@pytest.mark.parametrize(("method", "path", "allowed"), MATRIX, ids=[f"{method} {path}" for method, path, _ in MATRIX])
def test_group_may_do_what_its_permissions_say_and_no_more(client_of, method, path, allowed, group):
    factories.OrderFactory(client_order_id="known")
    client = client_of(group) if group else client_of()

    answer = client.generic(method, path, "{}", content_type="application/json")

    if group in allowed:
        assert answer.status_code not in (401, 403)
        return
    assert answer.status_code == 403
    assert answer.json() == {
        "code": "PERMISSION_DENIED",
        "detail": "You do not have permission to perform this action.",
        "field": "",
    }


@pytest.mark.parametrize(("method", "path"), [row[:2] for row in MATRIX])
def test_nobody_gets_in_without_a_token(method, path):
    answer = APIClient().generic(method, path, "{}", content_type="application/json")
    assert answer.status_code == 401
    assert answer.json()["code"] == "NOT_AUTHENTICATED"
    assert answer.headers["WWW-Authenticate"] == "Token"


def test_wrong_token_and_token_of_someone_who_left_are_refused():
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION="Token wrong")
    assert client.get("/api/v1/orders/").json()["code"] == "AUTHENTICATION_FAILED"

    left = factories.member_of("trader")
    client.credentials(HTTP_AUTHORIZATION=f"Token {Token.objects.create(user=left).key}")
    assert client.get("/api/v1/orders/").status_code == 200
    left.is_active = False
    left.save()
    answer = client.get("/api/v1/orders/")
    assert (answer.status_code, answer.json()["code"]) == (401, "AUTHENTICATION_FAILED")


def test_permission_taken_away_is_gone_at_the_next_request(client_of):
    client = client_of("trader")
    assert client.get("/api/v1/orders/").status_code == 200
    factories.User.objects.get().groups.clear()
    assert client.get("/api/v1/orders/").status_code == 403


def test_session_of_the_back_office_reads_but_writes_only_with_its_csrf_token():
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(factories.member_of("trader"))
    assert client.get("/api/v1/orders/").status_code == 200
    answer = client.post("/api/v1/orders/", {}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (403, "PERMISSION_DENIED")


def test_method_that_is_not_there_is_405_in_the_error_form(client_of):
    answer = client_of("trader").put("/api/v1/orders/", {}, format="json")
    assert answer.status_code == 405
    assert answer.json() == {"code": "METHOD_NOT_ALLOWED", "detail": 'Method "PUT" not allowed.', "field": ""}
    assert answer.headers["Allow"] == "GET, POST, HEAD, OPTIONS"
