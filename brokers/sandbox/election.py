"""Stops: follow the market with trailing ones, and elect those whose price has come."""

from __future__ import annotations

from decimal import Decimal

from brokers.sandbox.book import Order, SymbolBook
from tradingdesk.fix import OrdType, Side

CENT = Decimal("0.01")


def elect(book: SymbolBook) -> list[Order]:
    """Move every stop whose price the touch has reached to the resting orders, in order of arrival.

    Gives the orders that are not as they were: elected, or with a new water mark.
    """
    changed = []
    for order in sorted(book.stops.values(), key=lambda o: o.seq):
        touch = book.touch(order.side)
        if not touch:
            continue
        if order.ord_type is OrdType.TRAILING_STOP and follow(order, touch):
            changed.append(order)
        if reached(order, touch):
            book.drop(order)
            order.triggered = True
            book.add(order)
            changed.append(order)
    return changed


def follow(order: Order, touch: Decimal) -> bool:
    """Move a trailing order's water mark with the market, and its stop with the mark, never back; whether it moved."""
    best, before = max if order.side is Side.SELL else min, order.hwm
    order.hwm = touch if before is None else best(before, touch)
    trail = order.trail_price if order.trail_price is not None else order.hwm * order.trail_percent / 100
    order.stop_px = (order.hwm + trail * order.side.sign).quantize(CENT)
    return order.hwm != before


def reached(order: Order, touch: Decimal) -> bool:
    """Whether the market has come to the order's stop price."""
    return touch >= order.stop_px if order.side is Side.BUY else touch <= order.stop_px
