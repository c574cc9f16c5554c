"""An order and its exits as IB has them.

The exits of an entry are its children, which wait at TWS until the last of them is sent. Exits of what is held ("oco")
are orders of one OCA group, each sent for itself: there TWS has no way to take all or none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from brokers.messages import NewLeg, NewOrder
from tradingdesk.fix import OrderClass, OrdType

from .orders import order_request

REDUCE_WITH_BLOCK = 2  # what one trades is taken from the others, and only one is at the market at a time


def group_requests(order: NewOrder, ids: Sequence[int], account_id: str) -> Iterator[tuple[int, Any]]:
    """Write an order and its legs, each with its id.

    Of an entry and its exits only the last is transmitted, and all the others with it. So a sender that ends half way
    has sent nothing to IB; TWS may show what it was given, until it is restarted.
    """
    if order.order_class == OrderClass.OCO:
        yield from _oca_requests(order, ids, account_id)
        return
    yield ids[0], order_request(order, account_id, transmit=not order.legs)
    for number, (leg_id, leg) in enumerate(zip(ids[1:], order.legs, strict=True), 1):
        request = order_request(_as_order(order, leg), account_id, transmit=number == len(order.legs))
        request.parentId = ids[0]
        yield leg_id, request


def _oca_requests(order: NewOrder, ids: Sequence[int], account_id: str) -> Iterator[tuple[int, Any]]:
    """Write the orders of a group, of which the first to fill cancels the others. IB takes a group's name once."""
    for number, one in zip(ids, (order, *(_as_order(order, leg) for leg in order.legs)), strict=True):
        request = order_request(one, account_id)
        request.ocaGroup, request.ocaType = order.client_order_id, REDUCE_WITH_BLOCK
        yield number, request


def _as_order(order: NewOrder, leg: NewLeg) -> NewOrder:
    """The exit as an order of its own."""
    kind = OrdType.LIMIT if leg.stop_px is None else OrdType.STOP if leg.price is None else OrdType.STOP_LIMIT
    return replace(
        order,
        client_order_id=leg.client_order_id,
        side=order.side if order.order_class == OrderClass.OCO else order.side.opposite,
        ord_type=kind,
        price=leg.price,
        stop_px=leg.stop_px,
        order_class=OrderClass.SIMPLE,
        legs=(),
    )
