"""Orders that wait for a second person, over HTTP."""

import pytest

from orders.models import Approval, Order, OrderRequest
from risk.halts import halt
from tests.orders.soft import soft_limit, time_passes

pytestmark = pytest.mark.django_db

ORDER = {"symbol": "IBM", "side": "buy", "order_qty": "100", "ord_type": "limit", "price": "182.40"}
HELD = ORDER | {"client_order_id": "A-1"}
APPROVE, REFUSE = "/api/v1/orders/A-1/approve/", "/api/v1/orders/A-1/refuse/"


@pytest.fixture
def officer(client_of):
    return client_of("risk officer")


@pytest.fixture
def held(desk, trader) -> Order:
    soft_limit()
    answer = trader.post("/api/v1/orders/", HELD, format="json")
    assert (answer.status_code, answer.json()["status"]) == (201, "pending_approval")
    return Order.objects.get()


def test_order_that_waits_says_so_with_what_stands_against_it(trader, held):
    body = trader.post("/api/v1/orders/", HELD, format="json").json()
    assert (body["status"], body["broker_name"], body["sent_at"]) == ("pending_approval", None, None)
    assert [(one["code"], one["limit"], one["control"]) for one in body["denials"]] == [
        ("QUANTITY_EXCEEDS_MAXIMUM", "50", "max_order_qty")
    ]


def test_queue_shows_what_waits_and_who_asked(officer, held):
    found = officer.get("/api/v1/approvals/?state=waiting").json()["results"]
    assert [(row["client_order_id"], row["state"], row["asked_by"]) for row in found] == [
        ("A-1", "waiting", held.submitted_by.username)
    ]
    assert (found[0]["order"]["order_qty"], found[0]["breaks"][0]["limit"]) == ("100", "50")
    assert officer.get("/api/v1/approvals/?symbol=BAC").json()["results"] == []


def test_approved_order_goes(officer, held):
    answer = officer.post(APPROVE, {"reason": "hedge"}, format="json")
    assert (answer.status_code, answer.json()["status"], answer.json()["denials"]) == (200, "pending", [])
    assert OrderRequest.objects.get().broker_name == answer.json()["broker_name"]
    again = officer.post(APPROVE, {"reason": "hedge"}, format="json")
    assert (again.status_code, again.json()["code"]) == (409, "APPROVAL_DECIDED")
    assert OrderRequest.objects.count() == 1


def test_refused_order_is_denied(officer, held):
    answer = officer.post(REFUSE, {"reason": "too large"}, format="json")
    assert (answer.status_code, answer.json()["status"]) == (200, "denied")
    assert answer.json()["denials"][0]["code"] == "APPROVAL_REFUSED"
    assert not OrderRequest.objects.exists()


def test_approval_after_a_halt_is_422_with_the_halt(officer, held):
    halt(scope="firm", reason="prices look wrong", actor="rita")
    answer = officer.post(APPROVE, {"reason": "hedge"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (422, "TRADING_HALTED")
    assert answer.json()["order"]["status"] == "denied"


def test_approval_too_late_is_409_and_the_order_expired(officer, held):
    time_passes(held)
    answer = officer.post(APPROVE, {"reason": "hedge"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "APPROVAL_EXPIRED")
    assert officer.get("/api/v1/orders/A-1/").json()["status"] == "expired"


def test_own_order_is_403_even_for_who_may_do_both(client_of, desk):
    soft_limit()
    both = client_of("trader", "risk officer")
    both.post("/api/v1/orders/", HELD, format="json")
    answer = both.post(APPROVE, {"reason": "mine"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (403, "SAME_PERSON")
    assert Approval.objects.get().is_waiting


@pytest.mark.parametrize("path", [APPROVE, REFUSE])
def test_trader_may_not_decide(trader, held, path):
    assert trader.post(path, {"reason": "x"}, format="json").status_code == 403
    assert Approval.objects.get().is_waiting


@pytest.mark.parametrize(
    ("body", "field"),
    [({}, "reason"), ({"reason": " "}, "reason"), ({"reason": 7}, "reason"), ({"reason": "x", "why": "x"}, "why")],
)
@pytest.mark.parametrize("path", [APPROVE, REFUSE])
def test_bad_body_is_400_and_decides_nothing(officer, held, path, body, field):
    answer = officer.post(path, body, format="json")
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert Approval.objects.get().is_waiting


def test_unknown_order_is_404(officer, desk):
    assert officer.post("/api/v1/orders/none/approve/", {"reason": "x"}, format="json").status_code == 404


def test_preview_tells_that_it_would_wait(trader, desk):
    soft_limit()
    body = trader.post("/api/v1/orders/preview/", ORDER, format="json").json()
    assert (body["allowed"], body["needs_approval"]) == (True, True)
    assert body["warnings"][0]["limit"] == "50"
