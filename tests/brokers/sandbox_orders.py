"""Orders for the sandbox as alpaca-py asks for them, and what it answers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderStatus
from alpaca.trading.requests import LimitOrderRequest, MarketOrderRequest

from tests.waiting import eventually


def settled(trading: TradingClient, order) -> object:
    """The order once it is no longer on its way."""

    def read():
        seen = trading.get_order_by_id(order.id)
        return seen if seen.status not in (OrderStatus.PENDING_NEW, OrderStatus.PENDING_CANCEL) else None

    return eventually(read)


def market(**more) -> MarketOrderRequest:
    return MarketOrderRequest(**{"symbol": "IBM", "qty": 10, "side": "buy", "time_in_force": "day"} | more)


def limit(**more) -> LimitOrderRequest:
    wanted = {"symbol": "IBM", "qty": 10, "side": "buy", "time_in_force": "day", "limit_price": 150}
    return LimitOrderRequest(**wanted | more)


def refusal(act: Callable[[], object]) -> tuple[int, int, str]:
    """(HTTP status, code, message) of the refusal that the call meets."""
    with pytest.raises(APIError) as refused:
        act()
    return refused.value.status_code, refused.value.code, refused.value.message
