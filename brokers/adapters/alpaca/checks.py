"""What Alpaca is certain to refuse, said before anything is sent; pure."""

from __future__ import annotations

from decimal import Decimal

from brokers.adapter import Capabilities
from brokers.messages import ExecutionReport, NewOrder, ReplaceOrder
from tradingdesk.fix import OrderClass, OrdType

from .parsing import exact

LONGEST_CLIENT_ORDER_ID = 128
MOST_DECIMALS = 9
NEEDS_PRICE = frozenset({OrdType.LIMIT, OrdType.STOP_LIMIT})
LEGS = {OrderClass.SIMPLE: (0,), OrderClass.BRACKET: (2,), OrderClass.OCO: (1,), OrderClass.OTO: (1,)}
NEEDS_STOP = frozenset({OrdType.STOP, OrdType.STOP_LIMIT})


def order_objection(order: NewOrder, capabilities: Capabilities) -> str:
    """Say what is wrong with an order; "" where nothing is."""
    trails = (order.trail_price is not None) + (order.trail_percent is not None)
    found = (
        (not 1 <= len(order.client_order_id) <= LONGEST_CLIENT_ORDER_ID, "a client_order_id of such a length"),
        ((order.order_qty is None) == (order.notional is None), "both or neither of order_qty and notional"),
        (not _are_numbers(order), f"a number that is not above zero or has more than {MOST_DECIMALS} decimals"),
        (order.ord_type in NEEDS_PRICE and order.price is None, f"{order.ord_type} without price"),
        (order.ord_type in NEEDS_STOP and order.stop_px is None, f"{order.ord_type} without stop_px"),
        (trails != (order.ord_type == OrdType.TRAILING_STOP), f"{order.ord_type} with {trails} trail values"),
        (len(order.legs) not in LEGS[order.order_class], f"{order.order_class} with {len(order.legs)} legs"),
    )
    return next((what for wrong, what in found if wrong), "") or capabilities.objection(order)


def replace_objection(request: ReplaceOrder) -> str:
    """Say what is wrong with a replace: Alpaca changes to whole quantities only, and has to be told a change."""
    qty = request.order_qty
    if qty is not None and (not qty.is_finite() or qty <= 0 or qty != qty.to_integral_value()):
        return f"order_qty={qty} in a replace"
    changes = (qty, request.price, request.stop_px, request.trail_price, request.time_in_force)
    return "a replace that changes nothing" if all(value is None for value in changes) else ""


def is_same_order(order: NewOrder, found: ExecutionReport) -> bool:
    """Tell whether an order at the broker is the one we meant to send; its prices may have been changed since."""
    return (order.symbol, order.side, order.ord_type, order.order_qty, order.notional) == (
        found.symbol,
        found.side,
        found.ord_type,
        found.order_qty,
        found.notional,
    )


def _are_numbers(order: NewOrder) -> bool:
    exits = [px for leg in order.legs for px in (leg.price, leg.stop_px)]
    values = (order.order_qty, order.notional, order.price, order.stop_px, order.trail_price, order.trail_percent)
    values += tuple(exits)
    return all(_is_sayable(value) for value in values if value is not None)


def _is_sayable(value: Decimal) -> bool:
    return value.is_finite() and value > 0 and len(exact(value).partition(".")[2]) <= MOST_DECIMALS
