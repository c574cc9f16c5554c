"""Objects as Alpaca sends them, for tests; fields that a test is not about are ordinary."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from brokers.messages import NewOrder
from tradingdesk.fix import OrdType, Side, TimeInForce

KEYS = {"api_key": "a-key", "secret_key": "a-secret"}
ORDER_ID = "7b08df51-c1ac-453c-99f9-323a5f075f0d"


def raw_order(**changes: Any) -> dict[str, Any]:
    """An order object; by default the answer to `new_order()`."""
    return {
        "id": ORDER_ID,
        "client_order_id": "desk-1",
        "created_at": "2025-12-12T22:31:24.577215743Z",
        "updated_at": "2025-12-12T22:31:24.668464435Z",
        "submitted_at": "2025-12-12T22:31:24.577215743Z",
        "filled_at": None,
        "expired_at": None,
        "canceled_at": None,
        "failed_at": None,
        "replaced_at": None,
        "replaced_by": None,
        "replaces": None,
        "asset_id": "b0b6dd9d-8b9b-48a9-ba46-b9d54906e415",
        "symbol": "IBM",
        "asset_class": "us_equity",
        "notional": None,
        "qty": "10",
        "filled_qty": "0",
        "filled_avg_price": None,
        "order_class": "",
        "order_type": "limit",
        "type": "limit",
        "side": "buy",
        "time_in_force": "day",
        "limit_price": "181.25",
        "stop_price": None,
        "status": "accepted",
        "extended_hours": False,
        "legs": None,
        "trail_percent": None,
        "trail_price": None,
        "hwm": None,
    } | changes


def raw_fill(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A FILL activity: 2 IBM at 181.25 in second `number` of a minute."""
    return {
        "id": f"20251212133000{number:03d}::2d7be4ff-d1f3-43e9-856a-0f5cf5c5088e",
        "activity_type": "FILL",
        "transaction_time": f"2025-12-12T18:30:{number % 60:02d}.981482Z",
        "type": "partial_fill",
        "price": "181.25",
        "qty": "2",
        "side": "buy",
        "symbol": "IBM",
        "leaves_qty": "8",
        "order_id": ORDER_ID,
        "cum_qty": "2",
        "order_status": "partially_filled",
    } | changes


def new_order(**changes: Any) -> NewOrder:
    """Buy 10 IBM at 181.25, good for the day."""
    return NewOrder(
        **{
            "client_order_id": "desk-1",
            "symbol": "IBM",
            "side": Side.BUY,
            "ord_type": OrdType.LIMIT,
            "time_in_force": TimeInForce.DAY,
            "order_qty": Decimal(10),
            "price": Decimal("181.25"),
        }
        | changes
    )


def market_order(**changes: Any) -> NewOrder:
    """Buy 10 IBM at the market, good for the day."""
    return new_order(**{"ord_type": OrdType.MARKET, "price": None} | changes)
