"""Linked orders over a real socket, as the unmodified alpaca-py sees them; each answer is checked by the contract."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
import requests
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderClass, OrderStatus, QueryOrderStatus
from alpaca.trading.requests import GetOrderByIdRequest, GetOrdersRequest, ReplaceOrderRequest

from tests.brokers.sandbox_contract import MISSING, ContractCheck
from tests.brokers.sandbox_orders import limit, market, refusal
from tests.waiting import eventually

pytestmark = pytest.mark.slow

EXITS = {"take_profit": {"limit_price": 190}, "stop_loss": {"stop_price": 170}}
NESTED = GetOrderByIdRequest(nested=True)


@pytest.fixture
def trading(sandbox) -> Iterator[TradingClient]:
    """The margin account, flat, with IBM at 181.90 / 182.00."""
    sandbox.admin.push_quote("IBM", "181.90", "182.00", 1_000_000, 1_000_000)
    trading = TradingClient(*sandbox.keys("alpaca_margin"), url_override=sandbox.url)
    if MISSING is None:
        trading._session.hooks["response"].append(ContractCheck())
    yield trading
    trading.close_all_positions(cancel_orders=True)
    eventually(lambda: trading.get_all_positions() == [] and trading.get_orders() == [])


def statuses(trading: TradingClient, order) -> list[str]:
    """The order's status and its legs', as they are now."""
    seen = trading.get_order_by_id(order.id, NESTED)
    return [seen.status.value, *(leg.status.value for leg in seen.legs or ())]


def stand(trading: TradingClient, order, *wanted: str) -> None:
    eventually(lambda: statuses(trading, order) == list(wanted))


def test_bracket_holds_its_exits_then_takes_its_profit_and_is_flat(trading, sandbox):
    order = trading.submit_order(limit(limit_price=180, order_class="bracket", **EXITS))
    assert (order.order_class, [leg.status for leg in order.legs]) == (OrderClass.BRACKET, [OrderStatus.HELD] * 2)
    assert [(leg.limit_price, leg.stop_price, leg.side.value) for leg in order.legs] == [
        ("190", None, "sell"),
        (None, "170", "sell"),
    ]
    stand(trading, order, "new", "held", "held")
    sandbox.admin.push_quote("IBM", "179.90", "180.00", 1000, 1000)
    stand(trading, order, "filled", "new", "new")
    sandbox.admin.push_quote("IBM", "190.00", "190.10", 1000, 1000)
    stand(trading, order, "filled", "filled", "canceled")
    assert trading.get_all_positions() == []


def test_oco_over_a_position_is_a_limit_with_a_stop_as_its_leg(trading, sandbox):
    eventually(lambda: trading.get_order_by_id(entry.id).filled_at) if (entry := trading.submit_order(market())) else 0
    order = trading.submit_order(limit(side="sell", limit_price=190, order_class="oco", **EXITS))
    assert (order.limit_price, [leg.stop_price for leg in order.legs]) == ("190", ["170"])
    stand(trading, order, "new", "new")
    sandbox.admin.push_quote("IBM", "169.90", "170.00", 1000, 1000)
    stand(trading, order, "canceled", "filled")
    assert trading.get_all_positions() == []


def test_oto_has_one_exit_and_cancelling_it_takes_it_along(trading):
    order = trading.submit_order(limit(limit_price=180, order_class="oto", stop_loss=EXITS["stop_loss"]))
    stand(trading, order, "new", "held")
    trading.cancel_order_by_id(order.id)
    stand(trading, order, "canceled", "canceled")


def test_legs_are_listed_inside_their_orders_or_beside_them(trading):
    order = trading.submit_order(limit(limit_price=180, order_class="bracket", **EXITS))
    ids = {order.id, *(leg.id for leg in order.legs)}
    flat = trading.get_orders(GetOrdersRequest(status=QueryOrderStatus.OPEN))
    assert {one.id for one in flat} == ids
    assert all(one.legs is None for one in flat)
    [nested] = trading.get_orders(GetOrdersRequest(status=QueryOrderStatus.OPEN, nested=True))
    assert {nested.id, *(leg.id for leg in nested.legs)} == ids
    assert trading.get_order_by_id(order.id).legs is None


def test_orders_of_a_group_share_its_id_replaced_or_not(trading, sandbox):
    order = trading.submit_order(market(client_order_id=(wanted := str(uuid4())), order_class="bracket", **EXITS))
    stand(trading, order, "filled", "new", "new")
    new = trading.replace_order_by_id(order.legs[0].id, ReplaceOrderRequest(limit_price=185))
    stand(trading, order, "filled", "new", "new")
    raw = {one["id"]: one for one in sandbox.admin.record("alpaca_margin")["orders"]}
    group = raw[str(order.id)]["group_id"]
    roles = {one["id"]: one["group_role"] for one in raw.values() if one.get("group_id") == group}
    assert roles == {
        str(order.id): "entry",
        str(order.legs[0].id): "take_profit",
        str(order.legs[1].id): "stop_loss",
        str(new.id): "take_profit",
    }
    assert raw[str(order.id)]["client_order_id"] == wanted


@pytest.mark.parametrize(
    "more",
    [
        {"order_class": "bracket", "take_profit": EXITS["take_profit"]},
        {"order_class": "bracket", "stop_loss": EXITS["stop_loss"]},
        {"order_class": "oto"},
        {"order_class": "oto", **EXITS},
        {"order_class": "bracket", **EXITS, "time_in_force": "ioc"},
        {"order_class": "bracket", **EXITS, "qty": "1.5"},
        {"order_class": "bracket", **EXITS, "qty": None, "notional": "1000"},
        {"order_class": "bracket", **EXITS, "type": "limit", "limit_price": "180", "extended_hours": True},
        {"order_class": "bracket", "take_profit": {"limit_price": "160"}, "stop_loss": {"stop_price": "170"}},
        {"order_class": "bracket", **EXITS, "type": "limit", "limit_price": "195"},
        {"order_class": "bracket", **EXITS, "type": "limit", "limit_price": "165"},
        {"order_class": "bracket", "take_profit": {"limit_price": "190.001"}, "stop_loss": {"stop_price": "170"}},
        {"order_class": "bracket", "take_profit": {}, "stop_loss": {"stop_price": "170"}},
        {"order_class": "bracket", "take_profit": 190, "stop_loss": {"stop_price": "170"}},
        {"order_class": "oco", **EXITS},
        {"order_class": "oco", **EXITS, "side": "sell", "type": "limit", "limit_price": "190"},
        {"order_class": "simple", **EXITS},
        {"order_class": "mleg", **EXITS},
    ],
)
def test_what_does_not_make_a_group_is_refused_and_leaves_nothing(trading, sandbox, more):
    key, secret = sandbox.keys("alpaca_margin")
    body = {"symbol": "IBM", "qty": "10", "side": "buy", "type": "market", "time_in_force": "day", **more}
    headers = {"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret}
    answer = requests.post(f"{sandbox.url}/v2/orders", json=body, headers=headers, timeout=10)
    assert answer.status_code == 422, answer.text
    assert trading.get_orders() == []


def test_quantity_of_a_linked_order_cannot_be_replaced(trading):
    order = trading.submit_order(limit(limit_price=180, order_class="bracket", **EXITS))
    stand(trading, order, "new", "held", "held")
    status, code, _ = refusal(lambda: trading.replace_order_by_id(order.id, ReplaceOrderRequest(qty=5)))
    assert (status, code) == (422, 42210000)
