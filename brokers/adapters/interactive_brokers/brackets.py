"""An order and its exits as IB has them: children of the order, which wait at TWS until the last of them is sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from brokers.messages import NewLeg, NewOrder
from tradingdesk.fix import OrderClass, OrdType

from .orders import order_request


def group_requests(order: NewOrder, ids: Sequence[int], account_id: str) -> Iterator[tuple[int, Any]]:
    """Write an order and its legs, each with its id. Only the last is transmitted, and all the others with it.

    So a sender that ends half way has sent nothing to IB; TWS may show what it was given, until it is restarted.
    """
    yield ids[0], order_request(order, account_id, transmit=not order.legs)
    for number, (leg_id, leg) in enumerate(zip(ids[1:], order.legs, strict=True), 1):
        request = order_request(_as_order(order, leg), account_id, transmit=number == len(order.legs))
        request.parentId = ids[0]
        yield leg_id, request


def _as_order(order: NewOrder, leg: NewLeg) -> NewOrder:
    """The exit as an order of its own."""
    kind = OrdType.LIMIT if leg.stop_px is None else OrdType.STOP if leg.price is None else OrdType.STOP_LIMIT
    return replace(
        order,
        client_order_id=leg.client_order_id,
        side=order.side.opposite,
        ord_type=kind,
        price=leg.price,
        stop_px=leg.stop_px,
        order_class=OrderClass.SIMPLE,
        legs=(),
    )
