"""Brackets, "oco" and "oto" orders over HTTP: what is taken, what is refused and why, and what an answer shows."""

import json

import pytest

from orders.models import Order, OrderRequest
from orders.tasks import route_order
from tests.api.test_orders import LIMIT, post

pytestmark = pytest.mark.django_db

PROFIT, LOSS = {"take_profit": {"limit_price": "190"}}, {"stop_loss": {"stop_price": "170"}}
BRACKET = {**LIMIT, "order_class": "bracket", **PROFIT, **LOSS}
OCO = {
    "symbol": "IBM",
    "side": "sell",
    "order_qty": "10",
    "order_class": "oco",
    "client_order_id": "o-1",
    **PROFIT,
    **LOSS,
}


def test_bracket_is_one_order_with_two_legs_and_one_request(trader, desk):
    answer = post(trader, {**BRACKET, "stop_loss": {"stop_price": "170.0", "limit_price": "169.50"}})
    assert answer.status_code == 201, answer.json()
    body = answer.json()
    assert (body["order_class"], body["take_profit"], body["stop_loss"]) == (
        "bracket",
        {"limit_price": "190"},
        {"stop_price": "170", "limit_price": "169.5"},
    )
    shown = [
        (leg["client_order_id"], leg["leg_role"], leg["side"], leg["price"], leg["stop_px"]) for leg in body["legs"]
    ]
    assert shown == [
        ("mine-1-L1", "take_profit", "sell", "190", None),
        ("mine-1-L2", "stop_loss", "sell", "169.5", "170"),
    ]
    assert OrderRequest.objects.get().client_order_id == "mine-1"
    leg = trader.get("/api/v1/orders/mine-1-L2/").json()
    assert (leg["leg_role"], leg["ord_type"], leg["order_class"], leg["legs"]) == (
        "stop_loss",
        "stop_limit",
        "bracket",
        [],
    )


def test_list_shows_legs_in_their_order_and_as_orders(trader, desk, django_assert_max_num_queries):
    for number in range(3):
        post(trader, {**BRACKET, "client_order_id": f"b-{number}"})
    with django_assert_max_num_queries(4):
        rows = trader.get("/api/v1/orders/").json()["results"]
    assert len(rows) == 9
    assert [len(row["legs"]) for row in rows if not row["leg_role"]] == [2, 2, 2]


def test_exposure_counts_a_bracket_once(trader, desk):
    post(trader, {**BRACKET, "broker_name": desk[0].broker_name})
    parent, *legs = Order.objects.order_by("pk")
    assert (parent.reserved_qty, [leg.reserved_qty for leg in legs]) == (10, [0, 0])


def test_same_bracket_again_is_the_same_order(trader, desk):
    first = post(trader, BRACKET)
    again = post(trader, {**BRACKET, "take_profit": {"limit_price": "190.00"}})
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert post(trader, {**BRACKET, "take_profit": {"limit_price": "191"}}).status_code == 409
    assert Order.objects.count() == 3


def test_ids_of_legs_are_taken(trader, desk):
    post(trader, BRACKET)
    assert post(trader, {**LIMIT, "client_order_id": "mine-1-L1"}).status_code == 409
    post(trader, {**LIMIT, "client_order_id": "other-L2"})
    answer = post(trader, {**BRACKET, "client_order_id": "other"})
    assert (answer.status_code, answer.json()["code"]) == (409, "DUPLICATE_CLIENT_ORDER_ID")
    assert not Order.objects.filter(client_order_id="other").exists()


def test_oco_is_a_limit_at_its_take_profit(trader, desk):
    body = post(trader, OCO).json()
    assert (body["ord_type"], body["price"], [leg["stop_px"] for leg in body["legs"]]) == ("limit", "190", ["170"])
    assert body["legs"][0]["side"] == "sell"


def test_exits_of_a_sale_lie_on_the_other_sides(trader, desk):
    exits = {"take_profit": {"limit_price": "170"}, "stop_loss": {"stop_price": "190", "limit_price": "191"}}
    body = post(trader, {**BRACKET, "side": "sell", **exits}).json()
    assert {leg["side"] for leg in body["legs"]} == {"buy"}


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"stop_loss": None}, "MISSING_FIELD", "stop_loss"),
        ({"take_profit": None}, "MISSING_FIELD", "take_profit"),
        ({"take_profit": {}}, "MISSING_FIELD", "take_profit.limit_price"),
        ({"stop_loss": {"limit_price": "169"}}, "MISSING_FIELD", "stop_loss.stop_price"),
        ({"take_profit": {"limit_price": "dear"}}, "INVALID_NUMBER", "take_profit.limit_price"),
        ({"take_profit": {"limit_price": "-1"}}, "NOT_POSITIVE", "take_profit.limit_price"),
        ({"stop_loss": {"stop_price": "170", "trail": "1"}}, "UNKNOWN_FIELD", "stop_loss"),
        ({"stop_loss": [170]}, "INVALID_EXIT", "stop_loss"),
        ({"order_class": "oto"}, "FIELD_NOT_ALLOWED", "stop_loss"),
        ({"order_class": "oto", "take_profit": None, "stop_loss": None}, "MISSING_FIELD", "stop_loss"),
        ({"order_class": "simple"}, "FIELD_NOT_ALLOWED", "take_profit"),
        ({"order_class": "mleg"}, "INVALID_CHOICE", "order_class"),
        ({"order_class": "oco", "ord_type": "market", "price": None}, "INVALID_CHOICE", "ord_type"),
        ({"order_class": "oco", "take_profit": None}, "MISSING_FIELD", "take_profit"),
        ({"order_class": "oco", "price": "185"}, "FIELD_NOT_ALLOWED", "price"),
        ({"take_profit": {"limit_price": "182.40"}}, "PRICE_ON_WRONG_SIDE", "take_profit.limit_price"),
        ({"stop_loss": {"stop_price": "182.40"}}, "PRICE_ON_WRONG_SIDE", "stop_loss.stop_price"),
        ({"side": "sell"}, "PRICE_ON_WRONG_SIDE", "take_profit.limit_price"),
        (
            {"ord_type": "market", "price": None, "stop_loss": {"stop_price": "191"}},
            "PRICE_ON_WRONG_SIDE",
            "stop_loss.stop_price",
        ),
        ({"stop_loss": {"stop_price": "170", "limit_price": "171"}}, "PRICE_ON_WRONG_SIDE", "stop_loss.limit_price"),
        ({"order_qty": "1.5"}, "INVALID_SIZE", "order_qty"),
        ({"order_qty": None, "notional": "100", "ord_type": "market", "price": None}, "INVALID_SIZE", "notional"),
        ({"time_in_force": "ioc"}, "INVALID_CHOICE", "time_in_force"),
        ({"time_in_force": "cls"}, "INVALID_CHOICE", "time_in_force"),
    ],
)
def test_what_makes_no_group_is_400_names_its_part_and_leaves_no_row(trader, desk, changes, code, field):
    body = {name: value for name, value in (BRACKET | changes).items() if value is not None}
    answer = post(trader, body)
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (400, code, field)
    assert not Order.objects.exists()
    assert not OrderRequest.objects.exists()


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"take_profit": {"limit_price": "190.005"}}, "PRICE_OFF_TICK", "take_profit.limit_price"),
        ({"stop_loss": {"stop_price": "170.001"}}, "PRICE_OFF_TICK", "stop_loss.stop_price"),
        ({"ord_type": "stop", "price": None, "stop_px": "183"}, "NOT_SUPPORTED_BY_BROKER", "ord_type"),
        ({"extended_hours": True}, "NOT_SUPPORTED_BY_BROKER", "extended_hours"),
    ],
)
def test_what_no_broker_takes_is_denied_and_has_no_legs(trader, desk, changes, code, field):
    body = {name: value for name, value in (BRACKET | changes).items() if value is not None}
    answer = post(trader, body)
    assert answer.status_code == 422, answer.json()
    assert (answer.json()["code"], answer.json()["field"]) == (code, field)
    order = answer.json()["order"]
    assert (order["status"], order["legs"], order["take_profit"]) == ("denied", [], body["take_profit"])
    assert not OrderRequest.objects.exists()


def test_quantity_of_a_linked_order_cannot_be_replaced(trader, desk):
    post(trader, BRACKET)
    for order_id in ("mine-1", "mine-1-L1"):
        path = f"/api/v1/orders/{order_id}/"
        answer = trader.patch(path, json.dumps({"order_qty": "5"}), content_type="application/json")
        assert (answer.status_code, answer.json()["code"]) == (409, "NOT_REPLACEABLE")


def test_deferred_bracket_gets_its_legs_when_it_is_routed(trader, desk):
    body = post(trader, {**BRACKET, "defer": True}).json()
    assert (body["legs"], body["stop_loss"]) == ([], {"stop_price": "170", "limit_price": None})
    route_order(Order.objects.get().pk)
    assert [leg.client_order_id for leg in Order.objects.get(parent=None).legs.order_by("pk")] == [
        "mine-1-L1",
        "mine-1-L2",
    ]
