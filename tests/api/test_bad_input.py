"""Bad orders: the error form and no row, or a denied order where the world, not the form, is in the way."""

import json

import pytest

from orders.models import Order, OrderRequest

pytestmark = pytest.mark.django_db

GOOD = {"symbol": "IBM", "side": "buy", "order_qty": "10", "ord_type": "limit", "price": "182.40"}


def post(client, **changes):
    body = {name: value for name, value in {**GOOD, **changes}.items() if value is not ...}
    return client.post("/api/v1/orders/", json.dumps(body), content_type="application/json")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("symbol", ...),
        ("symbol", "NOSUCH"),
        ("symbol", ""),
        ("symbol", 7),
        ("symbol", ["IBM"]),
        ("symbol", "IBM; DROP TABLE orders"),
        ("symbol", "<script>alert(1)</script>"),
        ("symbol", "I" * 1000),
        ("side", ...),
        ("side", "hold"),
        ("side", True),
        ("side", {"buy": 1}),
        ("order_qty", ...),
        ("order_qty", "-1"),
        ("order_qty", -1),
        ("order_qty", "0"),
        ("order_qty", 0),
        ("order_qty", "0.0000000000"),
        ("order_qty", "NaN"),
        ("order_qty", "sNaN"),
        ("order_qty", "Infinity"),
        ("order_qty", "1e30"),
        ("order_qty", 1e300),
        ("order_qty", "9" * 400),
        ("order_qty", "1e999999999999999999"),
        ("order_qty", "0.0000000001"),
        ("order_qty", "1.0000000001"),
        ("order_qty", "1." + "0" * 40 + "1"),
        ("order_qty", "1e-9999999"),
        ("order_qty", "ten"),
        ("order_qty", ""),
        ("order_qty", "１０"),
        ("order_qty", "1_000"),
        ("order_qty", True),
        ("order_qty", [10]),
        ("order_qty", {"value": 10}),
        ("notional", "100"),
        ("ord_type", "iceberg"),
        ("ord_type", 2),
        ("price", ...),
        ("price", "0"),
        ("price", "-182.40"),
        ("price", "cheap"),
        ("price", "182.4000000001"),
        ("stop_px", "180"),
        ("trail_percent", "5"),
        ("time_in_force", "forever"),
        ("extended_hours", "yes"),
        ("order_class", "mleg"),
        ("take_profit", {"price": "190"}),
        ("take_profit", {"limit_price": "190"}),
        ("take_profit", "190"),
        ("stop_loss", {"stop_price": "170"}),
        ("stop_loss", ["170"]),
        ("broker_name", "nobody"),
        ("broker_name", "ALPACA"),
        ("broker_name", 1),
        ("client_order_id", ""),
        ("client_order_id", "x" * 41),
        ("client_order_id", "a/b"),
        ("client_order_id", "'; DROP TABLE orders; --"),
        ("client_order_id", "ünïcode"),
        ("client_order_id", 7),
        ("strategy", "x" * 65),
        ("strategy", "line\nbreak"),
        ("strategy", 7),
        ("defer", "true"),
        ("account_id", "PA1"),
        ("quantity", "10"),
        ("__proto__", {}),
    ],
)
def test_malformed_order_is_400_names_the_field_and_leaves_no_row(trader, desk, field, value):
    answer = post(trader, **{field: value})
    assert answer.status_code == 400, answer.json()
    assert set(answer.json()) == {"code", "detail", "field"}
    expected = {"notional": "order_qty"}.get(field, field)
    assert answer.json()["field"] == expected
    assert not Order.objects.exists()
    assert not OrderRequest.objects.exists()


def test_number_is_read_as_it_was_written(trader, desk):
    body = b'{"symbol": "IBM", "side": "buy", "order_qty": 10, "ord_type": "limit", "price": 182.10}'
    answer = trader.generic("POST", "/api/v1/orders/", body, content_type="application/json")
    assert answer.status_code == 201, answer.json()
    assert (answer.json()["order_qty"], answer.json()["price"]) == ("10", "182.1")


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"price": "182.405"}, "PRICE_OFF_TICK", "price"),
        ({"ord_type": "stop", "price": ..., "stop_px": "190.001"}, "PRICE_OFF_TICK", "stop_px"),
        ({"order_qty": "1001"}, "QUANTITY_EXCEEDS_MAXIMUM", "order_qty"),
        ({"order_qty": "99999999999999"}, "QUANTITY_EXCEEDS_MAXIMUM", "order_qty"),
    ],
)
def test_order_that_breaks_a_rule_is_denied_and_never_sent(trader, desk, changes, code, field):
    answer = post(trader, client_order_id="denied-1", **changes)
    body = answer.json()
    assert (answer.status_code, body["code"], body["field"]) == (422, code, field)
    assert {denial["broker_name"] for denial in body["denials"]} <= {"", "alpaca", "alpaca_margin"}
    assert body["order"]["status"] == "denied"
    assert Order.objects.get(client_order_id="denied-1").status == "denied"
    assert not OrderRequest.objects.exists()


@pytest.mark.parametrize(
    "text", ["'; DROP TABLE orders; --", "<script>alert(1)</script>", "{{ 7*7 }}", "日本 ünïcode 🚀"]
)
def test_hostile_text_is_kept_as_text(trader, desk, text):
    answer = post(trader, strategy=text)
    assert answer.status_code == 201, answer.json()
    assert Order.objects.get().strategy == answer.json()["strategy"] == text
    assert [row["strategy"] for row in trader.get("/api/v1/orders/", {"strategy": text}).json()["results"]] == [text]
