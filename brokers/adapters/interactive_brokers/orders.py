"""Our orders as IB's: pure functions."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from brokers.adapter import Capabilities
from brokers.messages import NewOrder, ReplaceOrder
from tradingdesk.fields import plain
from tradingdesk.fix import OrdType, Side, TimeInForce

from . import parsing
from .library import Contract, Order

IB_TYPE = {
    OrdType.MARKET: "MKT",
    OrdType.LIMIT: "LMT",
    OrdType.STOP: "STP",
    OrdType.STOP_LIMIT: "STP LMT",
    OrdType.TRAILING_STOP: "TRAIL",
}
IB_TIME_IN_FORCE = {ours: ibs for ibs, ours in parsing.TIME_IN_FORCE.items()}
NEEDS_PRICE = frozenset({OrdType.LIMIT, OrdType.STOP_LIMIT})
NEEDS_STOP = frozenset({OrdType.STOP, OrdType.STOP_LIMIT})
AUCTION_TYPES = frozenset(parsing.AT_THE_CLOSE)


def stock(symbol: str, con_id: int = 0) -> Any:
    """Name a US stock, routed by IB."""
    return Contract(conId=con_id, symbol=parsing.ib_symbol(symbol), secType="STK", exchange="SMART", currency="USD")


def order_objection(order: NewOrder, capabilities: Capabilities) -> str:
    """Say what is wrong with an order; "" where nothing is."""
    trails = (order.trail_price is not None) + (order.trail_percent is not None)
    tif, ord_type = order.time_in_force, order.ord_type
    found = (
        (not order.client_order_id, "an order without client_order_id"),
        (order.order_qty is None or not order.order_qty.is_finite() or order.order_qty <= 0, "no order_qty above 0"),
        (ord_type in NEEDS_PRICE and order.price is None, f"{ord_type} without price"),
        (ord_type in NEEDS_STOP and order.stop_px is None, f"{ord_type} without stop_px"),
        (trails != (ord_type == OrdType.TRAILING_STOP), f"{ord_type} with {trails} trail values"),
        (tif in (TimeInForce.CLS, TimeInForce.OPG) and ord_type not in AUCTION_TYPES, f"{ord_type} for {tif}"),
        (order.extended_hours and ord_type != OrdType.LIMIT, f"{ord_type} in extended hours"),
    )
    return capabilities.objection(order) or next((what for wrong, what in found if wrong), "")


def order_request(order: NewOrder, account_id: str, *, transmit: bool = True) -> Any:
    """Write an order as IB has it. `orderRef` carries the desk's id: a label that IB keeps, but does not check."""
    at_the_close = order.time_in_force == TimeInForce.CLS
    ib_type = parsing.AT_THE_CLOSE[order.ord_type] if at_the_close else IB_TYPE[order.ord_type]
    return Order(
        action="BUY" if order.side == Side.BUY else "SELL",
        totalQuantity=exact(order.order_qty),
        orderType=ib_type,
        tif="DAY" if at_the_close else IB_TIME_IN_FORCE[order.time_in_force],
        account=account_id,
        orderRef=order.client_order_id,
        outsideRth=order.extended_hours,
        transmit=transmit,
        **_prices(price=order.price, aux=order.stop_px or order.trail_price, percent=order.trail_percent),
    )


def replace_objection(request: ReplaceOrder, contract: Any, order: Any) -> str:
    """Say why a change cannot be put to IB; "" when it can."""
    ib_type = order.orderType
    values = (request.order_qty, request.price, request.stop_px, request.trail_price)
    tif = request.time_in_force
    found = (
        (ib_type not in parsing.ORD_TYPE or contract.secType != "STK", f"a change of a {contract.secType} {ib_type}"),
        (not any(values) and tif is None, "a replace that changes nothing"),
        (any(value is not None and value <= 0 for value in values), "a value that is not above 0"),
        (request.order_qty is not None and request.order_qty % 1 != 0, f"order_qty={request.order_qty}, fractional"),
        (request.price is not None and ib_type not in parsing.PRICED, f"price of a {ib_type} order"),
        (request.stop_px is not None and ib_type not in parsing.STOPPED, f"stop_px of a {ib_type} order"),
        (request.trail_price is not None and ib_type != "TRAIL", f"trail_price of a {ib_type} order"),
        (tif not in (None, TimeInForce.DAY, TimeInForce.GTC), f"{tif} in a replace"),
    )
    return next((what for wrong, what in found if wrong), "")


def changed_order(request: ReplaceOrder, order: Any) -> Any:
    """Write a working order again with its changes: sent under the same order id, IB takes it for a change."""
    aux, percent = parsing.positive(order.auxPrice), parsing.positive(order.trailingPercent)
    if request.trail_price is not None:
        percent = None
    return Order(
        action=order.action,
        totalQuantity=exact(request.order_qty or parsing.number(order.totalQuantity)),
        orderType=order.orderType,
        tif=IB_TIME_IN_FORCE[request.time_in_force] if request.time_in_force else order.tif,
        account=order.account,
        orderRef=order.orderRef,
        outsideRth=order.outsideRth,
        ocaGroup=order.ocaGroup,
        ocaType=order.ocaType,
        parentId=order.parentId,
        **_prices(
            price=request.price or (parsing.positive(order.lmtPrice) if order.orderType in parsing.PRICED else None),
            aux=request.stop_px or request.trail_price or (None if percent else aux),
            percent=percent,
        ),
    )


def is_as_asked(wanted: Any, found: Any) -> bool:
    """Tell whether an order of TWS has the values that a change asked for."""
    return all(
        parsing.positive(getattr(wanted, name)) in (None, parsing.positive(getattr(found, name)))
        for name in ("totalQuantity", "lmtPrice", "auxPrice")
    ) and wanted.tif in (found.tif, "")


def exact(value: Decimal) -> Decimal:
    """A number that the library writes without exponent and without surplus zeros."""
    return Decimal(plain(value))


def _prices(*, price: Decimal | None, aux: Decimal | None, percent: Decimal | None) -> dict[str, Decimal]:
    fields = {"lmtPrice": price, "auxPrice": aux, "trailingPercent": percent}
    return {name: exact(value) for name, value in fields.items() if value is not None}
