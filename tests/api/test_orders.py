"""Orders over HTTP: submit, repeat, preview, read, change, cancel."""

import json
from datetime import datetime

import pytest

from orders.api.orders import ChangesBody, OrderBody
from orders.changes import Changes
from orders.models import Order, OrderRequest, RiskDecision
from orders.ticket import TICKET_FIELDS
from tests import factories
from tradingdesk.audit.models import AuditEvent
from tradingdesk.fix import OrdStatus, RequestKind

pytestmark = pytest.mark.django_db

LIMIT = {
    "symbol": "IBM",
    "side": "buy",
    "order_qty": "10",
    "ord_type": "limit",
    "price": "182.40",
    "client_order_id": "mine-1",
    "strategy": "momentum",
}


def post(client, body, path="/api/v1/orders/"):
    return client.post(path, json.dumps(body), content_type="application/json")


def test_accepted_order_is_201_with_its_place_and_waits_for_its_worker(trader, desk):
    answer = post(trader, LIMIT)
    assert answer.status_code == 201
    assert answer.headers["Location"] == "http://testserver/api/v1/orders/mine-1/"
    order = Order.objects.get()
    assert answer.json() == {
        "client_order_id": "mine-1",
        "broker_name": order.account_id,
        "broker_order_id": None,
        "symbol": "IBM",
        "side": "buy",
        "order_qty": "10",
        "notional": None,
        "ord_type": "limit",
        "price": "182.4",
        "stop_px": None,
        "trail_price": None,
        "trail_percent": None,
        "time_in_force": "day",
        "extended_hours": False,
        "order_class": "simple",
        "take_profit": None,
        "stop_loss": None,
        "leg_role": "",
        "legs": [],
        "strategy": "momentum",
        "list_id": "",
        "status": "pending",
        "cum_qty": "0",
        "leaves_qty": "10",
        "avg_px": None,
        "outcome_unknown": False,
        "denials": [],
        "created_at": order.created_at.isoformat().replace("+00:00", "Z"),
        "sent_at": None,
        "acknowledged_at": None,
        "closed_at": None,
        "text": "",
    }
    assert OrderRequest.objects.get().kind == RequestKind.NEW
    assert (order.submitted_by.username, order.source) == (
        AuditEvent.objects.filter(kind="order.new").get().actor,
        "api",
    )
    assert order.received_at <= order.created_at


def test_request_id_of_the_caller_is_in_the_trail(trader, desk):
    trader.credentials(HTTP_X_REQUEST_ID="call-7", **trader._credentials)
    assert post(trader, LIMIT).headers["X-Request-Id"] == "call-7"
    assert set(AuditEvent.objects.filter(client_order_id="mine-1").values_list("request_id", flat=True)) == {"call-7"}


def test_same_order_again_is_200_and_the_same_order(trader, desk):
    first, second = post(trader, LIMIT), post(trader, {**LIMIT, "order_qty": 10.0, "price": "182.4"})
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json() == first.json()
    assert second.headers["Location"] == first.headers["Location"]
    assert Order.objects.count() == OrderRequest.objects.count() == 1


def test_other_order_under_the_same_id_is_409_and_changes_nothing(trader, desk):
    post(trader, LIMIT)
    answer = post(trader, {**LIMIT, "order_qty": "11"})
    assert (answer.status_code, answer.json()["field"]) == (409, "client_order_id")
    assert [row.order_qty for row in Order.objects.all()] == [10]


def test_order_without_an_id_gets_one_and_is_found_by_it(trader, desk):
    made = post(trader, {**LIMIT, "client_order_id": None}).json()["client_order_id"]
    assert trader.get(f"/api/v1/orders/{made}/").json()["client_order_id"] == made


def test_denied_order_is_422_with_every_reason_again_and_again(trader, desk):
    body = {**LIMIT, "order_qty": "1001"}
    first, second = post(trader, body), post(trader, body)
    assert (first.status_code, second.status_code) == (422, 422)
    assert second.json() == first.json()
    assert first.json()["code"] == "QUANTITY_EXCEEDS_MAXIMUM"
    assert first.json()["detail"] == "order_qty=1001, max=1000"
    assert first.json()["field"] == "order_qty"
    assert first.json()["denials"] == first.json()["order"]["denials"]
    assert first.json()["order"]["status"] == "denied"
    assert not OrderRequest.objects.exists()


def test_deferred_order_is_taken_before_it_is_routed(trader, desk):
    answer = post(trader, {**LIMIT, "defer": True})
    assert (answer.status_code, answer.json()["status"], answer.json()["broker_name"]) == (201, "pending", None)
    assert not RiskDecision.objects.exists()


def test_preview_tells_the_answer_and_the_ranking_and_stores_nothing(trader, desk):
    before = AuditEvent.objects.count()
    allowed = post(trader, LIMIT, "/api/v1/orders/preview/")
    denied = post(trader, {**LIMIT, "order_qty": "1001"}, "/api/v1/orders/preview/")
    assert (allowed.status_code, denied.status_code) == (200, 200)
    assert allowed.json()["allowed"] is True
    assert allowed.json()["routing"]["chosen"] in {"alpaca", "alpaca_margin"}
    assert {row["broker_name"] for row in allowed.json()["routing"]["candidates"]} == {"alpaca", "alpaca_margin"}
    assert denied.json()["allowed"] is False
    assert denied.json()["denials"][0]["code"] == "QUANTITY_EXCEEDS_MAXIMUM"
    assert not Order.objects.exists()
    assert AuditEvent.objects.count() == before


def test_client_id_in_a_path_is_matched_exactly(trader):
    factories.OrderFactory(client_order_id="Mine.1")
    assert trader.get("/api/v1/orders/Mine.1/").status_code == 200
    for other in ("mine.1", "MineX1", "Mine.1 ", "%Mine.1", "Mine%2e1x"):
        assert trader.get(f"/api/v1/orders/{other}/").status_code == 404, other


def test_order_that_is_called_like_an_endpoint_is_found_all_the_same(trader, desk):
    for client_order_id in ("preview", "basket", "..", "."):
        body = {**LIMIT, "client_order_id": client_order_id}
        assert post(trader, body).status_code == 201
        found = trader.get("/api/v1/orders/", {"client_order_id": client_order_id}).json()["results"]
        assert [row["client_order_id"] for row in found] == [client_order_id]
    assert trader.get("/api/v1/orders/preview/").json()["client_order_id"] == "preview"
    assert trader.delete("/api/v1/orders/preview/").status_code == 202
    assert trader.get("/api/v1/orders/basket/").json()["client_order_id"] == "basket"


def test_times_are_utc_and_decimals_plain(trader):
    factories.OrderFactory(client_order_id="small", order_qty="0.000000001", cum_qty="1E-9", price="1E+3", avg_px="0.1")
    answer = trader.get("/api/v1/orders/small/").json()
    assert (answer["order_qty"], answer["price"], answer["avg_px"]) == ("0.000000001", "1000", "0.1")
    assert answer["created_at"].endswith("Z")
    assert datetime.fromisoformat(answer["created_at"]) == Order.objects.get().created_at


def test_cancel_asks_the_broker_and_is_202(trader, desk):
    order = factories.OrderFactory(client_order_id="working")
    answer = trader.delete("/api/v1/orders/working/?reason=changed+my+mind")
    assert (answer.status_code, answer.json()["client_order_id"]) == (202, "working")
    assert [request.kind for request in order.requests.all()] == [RequestKind.CANCEL]
    event = AuditEvent.objects.get(client_order_id="working", kind="order.cancel_requested")
    assert event.reason == "changed my mind"


def test_cancel_of_a_closed_order_is_409(trader, desk):
    factories.OrderFactory(client_order_id="done", status=OrdStatus.FILLED, cum_qty=100)
    answer = trader.delete("/api/v1/orders/done/")
    assert answer.status_code == 409
    assert set(answer.json()) == {"code", "detail", "field"}
    assert not OrderRequest.objects.exists()


def test_change_asks_the_broker_and_is_202(trader, desk):
    order = factories.OrderFactory(client_order_id="working")
    answer = trader.patch("/api/v1/orders/working/", {"order_qty": "120", "price": "182.41"}, format="json")
    assert answer.status_code == 202, answer.json()
    request = order.requests.get()
    assert (request.kind, request.order_qty, str(request.price.normalize())) == (RequestKind.REPLACE, 120, "182.41")


def test_change_over_a_limit_is_422_and_the_order_stands(trader, desk):
    order = factories.OrderFactory(client_order_id="working")
    answer = trader.patch("/api/v1/orders/working/", {"order_qty": "1001"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (422, "QUANTITY_EXCEEDS_MAXIMUM")
    assert answer.json()["order"]["status"] == "new"
    assert not order.requests.exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [({}, ""), ({"symbol": "BAC"}, "symbol"), ({"order_qty": "-1"}, "order_qty"), ({"price": "NaN"}, "price")],
)
def test_change_that_makes_no_sense_is_400(trader, desk, body, field):
    order = factories.OrderFactory(client_order_id="working")
    answer = trader.patch("/api/v1/orders/working/", body, format="json")
    assert (answer.status_code, answer.json()["field"]) == (400, field), answer.json()
    assert not order.requests.exists()


def test_change_of_a_closed_order_is_409(trader, desk):
    factories.OrderFactory(client_order_id="done", status=OrdStatus.FILLED, cum_qty=100)
    assert trader.patch("/api/v1/orders/done/", {"price": "182.41"}, format="json").status_code == 409


def test_described_bodies_have_the_fields_that_are_read():
    assert set(OrderBody().fields) == set(TICKET_FIELDS)
    assert set(ChangesBody().fields) == set(Changes.__dataclass_fields__)


@pytest.mark.parametrize("path", ["/api/v1/orders/", "/api/v1/orders/working/", "/api/v1/risk/halts/"])
def test_options_and_head_answer(client_of, path):
    factories.OrderFactory(client_order_id="working")
    client = client_of("viewer")
    assert client.options(path).status_code == 200
    assert client.head(path).status_code == 200
