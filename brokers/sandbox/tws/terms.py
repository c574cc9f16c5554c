"""What TWS checks of an order before IB sees it, and the venue's ticket that it becomes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from brokers.sandbox.accounts import TwsProfile
from brokers.sandbox.book import Ticket
from brokers.sandbox.tws.orders import TwsOrder
from brokers.sandbox.tws.refusals import MIN_VARIATION, NO_CASH_QUANTITY, NO_FRACTIONS, Refusal, invalid
from brokers.sandbox.tws.requests import PlaceOrder
from tradingdesk.fix import OrdType, TimeInForce

ORD_TYPES = {
    "MKT": OrdType.MARKET,
    "LMT": OrdType.LIMIT,
    "MOC": OrdType.MARKET,
    "LOC": OrdType.LIMIT,
    "STP": OrdType.STOP,
    "STP LMT": OrdType.STOP_LIMIT,
    "STPLMT": OrdType.STOP_LIMIT,
    "TRAIL": OrdType.TRAILING_STOP,
}
TIMES_IN_FORCE = {
    "": TimeInForce.DAY,
    "DAY": TimeInForce.DAY,
    "GTC": TimeInForce.GTC,
    "IOC": TimeInForce.IOC,
    "FOK": TimeInForce.FOK,
    "OPG": TimeInForce.OPG,
}
AT_THE_CLOSE = ("MOC", "LOC")
LARGEST = Decimal(10) ** 9
CENT, FINE = Decimal("0.01"), Decimal("0.0001")


def check(request: PlaceOrder, tws: TwsProfile) -> None:
    """Refuse what TWS refuses without asking IB. Raises Refusal."""
    if tws.read_only:
        raise invalid("The API interface is currently in Read-Only mode.")
    if not request.contract.exchange:
        raise invalid("Missing order exchange")
    if request.action not in ("BUY", "SELL"):
        raise invalid("Invalid order action")
    if request.order_type not in ORD_TYPES:
        raise invalid("Invalid order type was entered")
    if request.tif not in TIMES_IN_FORCE:
        raise invalid("Invalid time in force was entered")
    if request.account not in ("", tws.account_id):
        raise invalid("Invalid account code")
    if request.algo_strategy or request.conditions:
        raise invalid("Algorithms and conditions are not supported here")
    _check_quantity(request, tws)
    _check_prices(request)


def _check_quantity(request: PlaceOrder, tws: TwsProfile) -> None:
    if request.cash_qty:
        raise Refusal(*NO_CASH_QUANTITY)
    if not 0 < request.total_quantity <= LARGEST:
        raise invalid("The size value cannot be zero, negative or this large")
    if request.total_quantity % 1 and not tws.fractional_orders:
        raise Refusal(*NO_FRACTIONS)


def _check_prices(request: PlaceOrder) -> None:
    kind = ORD_TYPES[request.order_type]
    if kind in (OrdType.LIMIT, OrdType.STOP_LIMIT) and not request.lmt_price:
        raise invalid("Please enter a limit price")
    if kind in (OrdType.STOP, OrdType.STOP_LIMIT) and not request.aux_price:
        raise invalid("Please enter a stop price")
    if kind is OrdType.TRAILING_STOP and not (request.aux_price or request.trailing_percent):
        raise invalid("Please enter a trailing amount")
    for px in (request.lmt_price, request.aux_price, request.trailing_percent):
        if px and not 0 < px <= LARGEST:
            raise invalid("The price value cannot be negative or this large")
    for px in (request.lmt_price, request.aux_price):
        if px and px % (CENT if px >= 1 else FINE):
            raise Refusal(*MIN_VARIATION)


def asked(request: PlaceOrder) -> dict[str, Any]:
    """The fields of a TwsOrder that a request sets and that a change may set anew."""
    return {
        "total_quantity": request.total_quantity,
        "order_type": "STP LMT" if request.order_type == "STPLMT" else request.order_type,
        "tif": request.tif or "DAY",
        "lmt_price": request.lmt_price or None,
        "aux_price": request.aux_price or None,
        "trail_stop_price": request.trail_stop_price or None,
        "trailing_percent": request.trailing_percent or None,
        "outside_rth": request.outside_rth,
        "order_ref": request.order_ref,
        "oca_group": request.oca_group,
        "oca_type": request.oca_type,
        "parent_id": request.parent_id,
        "transmit": request.transmit,
    }


def changes(order: TwsOrder) -> dict[str, Any]:
    """The order's terms as fields of the venue's order."""
    kind = ORD_TYPES[order.order_type]
    limited, stopped = kind in (OrdType.LIMIT, OrdType.STOP_LIMIT), kind in (OrdType.STOP, OrdType.STOP_LIMIT)
    trailing = kind is OrdType.TRAILING_STOP
    return {
        "ord_type": kind,
        "time_in_force": TimeInForce.CLS if order.order_type in AT_THE_CLOSE else TIMES_IN_FORCE[order.tif],
        "order_qty": order.total_quantity,
        "price": order.lmt_price if limited else None,
        "stop_px": order.aux_price if stopped else None,
        "trail_price": order.aux_price if trailing and not order.trailing_percent else None,
        "trail_percent": order.trailing_percent if trailing else None,
        "extended_hours": order.outside_rth,
    }


def ticket(order: TwsOrder, client_order_id: str) -> Ticket:
    """The venue's ticket for an order."""
    return Ticket(symbol=order.symbol, side=order.side, client_order_id=client_order_id, **changes(order))
