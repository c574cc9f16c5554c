"""What the sandbox refuses, in Alpaca's words, as the unmodified alpaca-py sees it."""

from __future__ import annotations

from uuid import uuid4

import pytest
import requests
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderStatus, PositionSide
from alpaca.trading.requests import ReplaceOrderRequest

from tests.brokers.sandbox_orders import limit, market, refusal, settled

pytestmark = pytest.mark.slow


def test_repeated_client_order_id_is_refused_in_alpacas_words_and_the_first_order_stands(desk, sandbox):
    first = desk.trading.submit_order(limit(client_order_id=(wanted := str(uuid4()))))
    again = limit(client_order_id=wanted, qty=99)
    assert refusal(lambda: desk.trading.submit_order(again)) == (422, 40010001, "client_order_id must be unique")
    assert desk.trading.get_order_by_client_id(wanted).id == first.id
    desk.trading.cancel_order_by_id(first.id)
    assert settled(desk.trading, first).status is OrderStatus.CANCELED
    assert refusal(lambda: desk.trading.submit_order(again))[1] == 40010001
    assert len([o for o in sandbox.admin.record("alpaca_margin")["orders"] if o["client_order_id"] == wanted]) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (ReplaceOrderRequest(stop_price=1), "stop_price cannot be set on a limit order"),
        (ReplaceOrderRequest(trail=1), "trail cannot be set on a limit order"),
        (ReplaceOrderRequest(limit_price=150.123), "invalid limit_price 150.123. sub-penny increment"),
        (ReplaceOrderRequest(time_in_force="fok"), "time_in_force can be changed to day or gtc only"),
        (ReplaceOrderRequest(), "order parameters are not changed"),
    ],
)
def test_replace_that_makes_no_sense_is_refused(desk, change, message):
    order = settled(desk.trading, desk.trading.submit_order(limit()))
    status, code, said = refusal(lambda: desk.trading.replace_order_by_id(order.id, change))
    assert (status, code) == (422, 42210000)
    assert said.startswith(message)
    assert desk.trading.get_order_by_id(order.id).status is OrderStatus.NEW


def test_replace_of_a_fraction_or_a_notional_or_a_filled_order_is_refused(desk):
    order = settled(desk.trading, desk.trading.submit_order(limit()))
    path = f"/orders/{order.id}"
    assert "whole number" in refusal(lambda: desk.trading.patch(path, {"qty": "1.5"}))[2]
    assert "notional" in refusal(lambda: desk.trading.patch(path, {"notional": "100"}))[2]
    filled = settled(desk.trading, desk.trading.submit_order(market()))
    change = ReplaceOrderRequest(qty=12)
    message = 'order is already in "filled" state'
    assert refusal(lambda: desk.trading.replace_order_by_id(filled.id, change)) == (422, 42210000, message)


def test_unknown_orders_and_positions_are_404(desk):
    assert refusal(lambda: desk.trading.get_order_by_id(uuid4()))[:2] == (404, 40410000)
    assert refusal(lambda: desk.trading.cancel_order_by_id(uuid4()))[:2] == (404, 40410000)
    message = "position does not exist"
    assert refusal(lambda: desk.trading.get_open_position("BAC")) == (404, 40410000, message)
    assert refusal(lambda: desk.trading.get_asset("NOPE"))[:2] == (404, 40410000)


def test_insufficient_buying_power_tells_both_amounts(sandbox, desk):
    poor = TradingClient(*sandbox.keys("alpaca"), url_override=sandbox.url)
    with pytest.raises(APIError) as refused:
        poor.submit_order(market(qty=100_000))
    body = requests.models.complexjson.loads(str(refused.value))
    assert (refused.value.status_code, body["code"], body["message"]) == (403, 40310000, "insufficient buying power")
    assert float(body["cost_basis"]) == 18_200_000 > float(body["buying_power"])


def test_insufficient_quantity_tells_what_is_available(desk):
    settled(desk.trading, desk.trading.submit_order(market(qty=10)))
    desk.trading.submit_order(limit(side="sell", qty=4, limit_price=200))
    with pytest.raises(APIError) as refused:
        desk.trading.submit_order(market(side="sell", qty=7))
    body = requests.models.complexjson.loads(str(refused.value))
    assert body.pop("related_orders") == []
    assert body == {
        "code": 40310000,
        "message": "insufficient qty available for order (requested: 7, available: 6)",
        "symbol": "IBM",
        "available": "6",
        "existing_qty": "10",
        "held_for_orders": "4",
    }


def test_short_sale_needs_an_account_that_may(desk, sandbox):
    cash = TradingClient(*sandbox.keys("alpaca"), url_override=sandbox.url)
    assert refusal(lambda: cash.submit_order(market(side="sell")))[2] == "account is not allowed to short"
    settled(desk.trading, desk.trading.submit_order(market(side="sell")))
    position = desk.trading.get_open_position("IBM")
    assert (position.side, position.qty, position.qty_available) == (PositionSide.SHORT, "-10", "-10")


@pytest.mark.parametrize(
    ("body", "status", "code", "message"),
    [
        ({"symbol": ""}, 422, 40010001, "symbol is required"),
        ({"symbol": "NOPE"}, 422, 42210000, 'asset "NOPE" not found'),
        ({"side": "buyy"}, 422, 40010001, "invalid side"),
        ({"type": None}, 422, 40010001, "type is required"),
        ({"qty": None}, 422, 40010001, "qty or notional is required"),
        ({"notional": "5"}, 422, 40010001, "only one of qty or notional is accepted"),
        ({"qty": "0"}, 422, 42210000, "qty must be > 0"),
        ({"qty": "-1"}, 422, 42210000, "qty must be > 0"),
        ({"qty": "NaN"}, 422, 42210000, "qty must be > 0"),
        ({"qty": "ten"}, 422, 40010001, "qty is invalid"),
        ({"qty": True}, 422, 40010001, "qty is invalid"),
        ({"qty": "1.0000000001"}, 422, 42210000, "qty is out of range: at most 9 decimal places"),
        ({"qty": "1.5", "time_in_force": "gtc"}, 422, 42210000, "fractional orders must be DAY orders"),
        ({"type": "limit"}, 422, 40010001, "limit orders require a limit price"),
        ({"limit_price": "1"}, 422, 40010001, "market orders must not have a limit price"),
        ({"type": "stop", "time_in_force": "fok", "stop_price": "1"}, 422, 42210000, "invalid time_in_force fok"),
        ({"type": "stop", "time_in_force": "cls", "stop_price": "1"}, 422, 42210000, "invalid time_in_force cls"),
        ({"time_in_force": "opg"}, 422, 42210000, "opg orders are not accepted after the market has opened"),
        ({"type": "trailing_stop"}, 422, 40010001, "trailing stop orders must specify one of"),
        ({"client_order_id": "x" * 129}, 422, 40010001, "client_order_id must be no more than 128 characters"),
        ({"extended_hours": True}, 422, 42210000, "extended hours order must be DAY or GTC limit orders"),
        ({"qty": None, "notional": "0.5"}, 403, 40310000, "cost basis must be >= minimal amount of order 1"),
        (
            {"type": "limit", "limit_price": "290.123"},
            422,
            42210000,
            "invalid limit_price 290.123. sub-penny increment does not fulfill minimum pricing criteria",
        ),
    ],
)
def test_wrong_order_is_refused_in_alpacas_form_and_not_taken(desk, sandbox, body, status, code, message):
    wanted = {"symbol": "IBM", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"} | body
    before = len(sandbox.admin.record("alpaca_margin")["orders"])
    got = refusal(lambda: desk.trading.post("/orders", {k: v for k, v in wanted.items() if v is not None}))
    assert got[:2] == (status, code)
    assert got[2].startswith(message)
    assert len(sandbox.admin.record("alpaca_margin")["orders"]) == before


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b'{"qty": NaN}', b"\xff\xfe", b"[" * 100_000])
def test_malformed_body_is_400(sandbox, body):
    key, secret = sandbox.keys("alpaca")
    headers = {"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret}
    response = requests.post(f"{sandbox.url}/v2/orders", data=body, headers=headers, timeout=10)
    assert (response.status_code, response.json()["code"]) == (400, 40010000)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"APCA-API-KEY-ID": "SANDBOX-ALPACA"}, 401),
        ({"APCA-API-KEY-ID": "SANDBOX-ALPACA", "APCA-API-SECRET-KEY": "wrong"}, 403),
        ({"APCA-API-KEY-ID": "nobody", "APCA-API-SECRET-KEY": "x"}, 403),
    ],
)
def test_wrong_keys_are_shut_out(sandbox, headers, status):
    assert requests.get(f"{sandbox.url}/v2/account", headers=headers, timeout=10).status_code == status
