"""What TWS says of orders and executions, message by message, and the status words it has for them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from brokers.sandbox.book import ZERO, Order
from brokers.sandbox.tws.contracts import TIME_ZONE
from brokers.sandbox.tws.fills import Fill
from brokers.sandbox.tws.layouts import COMPLETED_ORDER, MAX, OPEN_ORDER
from brokers.sandbox.tws.orders import TwsOrder
from tradingdesk.fix import ExecType, OrdStatus, Side, TimeInForce

Message = list[Any]
ZONE = ZoneInfo(TIME_ZONE)
NO_REQUEST = -1
DONE = frozenset({"Filled", "Cancelled", "Inactive"})
STATUS = {
    OrdStatus.PENDING: "PreSubmitted",
    OrdStatus.NEW: "Submitted",
    OrdStatus.PARTIALLY_FILLED: "Submitted",
    OrdStatus.PENDING_REPLACE: "Submitted",
    OrdStatus.PENDING_CANCEL: "PendingCancel",
    OrdStatus.DONE_FOR_DAY: "PreSubmitted",
    OrdStatus.SUSPENDED: "PreSubmitted",
    OrdStatus.FILLED: "Filled",
    OrdStatus.CANCELED: "Cancelled",
    OrdStatus.EXPIRED: "Cancelled",
    OrdStatus.REPLACED: "Submitted",
    OrdStatus.REJECTED: "Inactive",
}


def status_of(order: TwsOrder, seen: Order | None) -> str:
    """The order's status word; `seen` is the order at the venue, None while or if it never was there."""
    if seen is None:
        return order.ended or "PreSubmitted"
    if order.is_stop and not seen.triggered and STATUS[seen.status] == "Submitted":
        return "PreSubmitted"
    if seen.status is OrdStatus.CANCELED and seen.time_in_force is TimeInForce.FOK and not seen.cum_qty:
        return "Inactive" if order.canceller is None else "Cancelled"
    return STATUS[seen.status]


def why_held(order: TwsOrder, status: str) -> str:
    """What an order that is not yet at work waits for."""
    if status != "PreSubmitted":
        return ""
    waits = (["child"] if order.held == "parent" else []) + (["trigger"] if order.is_stop else [])
    return ",".join(waits)


def error(request_id: int, code: int, text: str, advanced: str = "") -> Message:
    """An error, or a notice."""
    return [4, 2, request_id, code, text, advanced]


def order_status(order: TwsOrder, seen: Order | None, client_id: int | None = None) -> Message:
    """How far an order has come; `client_id` is another one's who cancelled it."""
    status = status_of(order, seen)
    filled = seen.cum_qty if seen else ZERO
    left = max(order.total_quantity - filled, ZERO)
    average = price(seen.avg_px) if seen and seen.avg_px else "0"
    who = order.client_id if client_id is None else client_id
    ids = [order.perm_id, order.parent_id, order.last_px, who]
    return [3, order.order_id, status, filled, left, average, *ids, why_held(order, status), "0"]


def open_order(order: TwsOrder, seen: Order | None, account_id: str, **more: Any) -> Message:
    """An order with all that was asked for."""
    status = status_of(order, seen)
    return OPEN_ORDER.fields(
        order_id=order.order_id,
        client_id=order.client_id,
        shares_allocation=f"{order.perm_id}.0/{account_id}/{order.total_quantity}",
        parent_id=order.parent_id,
        **_terms(order, seen, account_id),
        **({"status": status} | more),
    )


def completed_order(order: TwsOrder, seen: Order | None, account_id: str) -> Message:
    """An order that is done. TWS says neither its id nor, but for a text, what became of its quantity."""
    status = status_of(order, seen)
    filled = seen.cum_qty if seen else ZERO
    said = f"Filled Size: {price(filled)}" if status == "Filled" else _ending(order, seen)
    ending = {"completed_time": zoned(done_at(order, seen)), "completed_status": said, "status": status}
    left = {"total_quantity": order.total_quantity - filled, "filled_quantity": filled}
    return COMPLETED_ORDER.fields(**_terms(order, seen, account_id) | left | ending)


def done_at(order: TwsOrder, seen: Order | None) -> datetime:
    """When something last happened to an order."""
    return order.ended_at or (seen.updated_at if seen else order.created_at)


def execution_details(request_id: int, order: TwsOrder, fill: Fill, account_id: str) -> Message:
    """One execution, or its correction; a bust is a correction to nothing."""
    execution = fill.execution
    shares = ZERO if execution.exec_type is ExecType.TRADE_CANCEL else execution.qty
    side = "BOT" if execution.side is Side.BUY else "SLD"
    contract = [order.con_id, order.symbol, "STK", "", "0.0", "", "", order.exchange, "USD", order.symbol, "NMS"]
    what = [fill.exec_id, zoned(execution.at), account_id, order.exchange, side, shares, execution.px]
    ids = [order.perm_id, order.client_id, "0", execution.cum_qty, price(fill.avg_px), order.order_ref]
    return [11, request_id, order.order_id, *contract, *what, *ids, "", "", "", "2"]


def commission_report(exec_id: str, fee: Decimal) -> Message:
    """What an execution cost. The realized profit is left unset."""
    return [59, 1, exec_id, fee, "USD", MAX, MAX, ""]


def zoned(at: datetime) -> str:
    """A time as TWS writes it, in its own zone and to the second."""
    return f"{at.astimezone(ZONE):%Y%m%d %H:%M:%S} {TIME_ZONE}"


def price(value: Decimal | None) -> str:
    """A price with at most eight places; nothing for None."""
    if value is None:
        return ""
    digits = format(round(value, 8), "f")
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def _terms(order: TwsOrder, seen: Order | None, account_id: str) -> dict[str, Any]:
    """What the messages about open and completed orders have in common."""
    stop = seen.stop_px if seen and order.order_type == "TRAIL" else order.trail_stop_price
    return {
        "con_id": order.con_id,
        "symbol": order.symbol,
        "exchange": order.exchange,
        "local_symbol": order.symbol,
        "action": order.action,
        "total_quantity": order.total_quantity,
        "order_type": order.order_type,
        "lmt_price": price(order.lmt_price) or "0.0",
        "aux_price": price(order.aux_price) or "0.0",
        "tif": order.tif,
        "oca_group": order.oca_group,
        "oca_type": order.oca_type or 3,
        "account": account_id,
        "order_ref": order.order_ref,
        "perm_id": order.perm_id,
        "outside_rth": order.outside_rth,
        "trail_stop_price": price(stop),
        "trailing_percent": price(order.trailing_percent),
    }


def _ending(order: TwsOrder, seen: Order | None) -> str:
    if order.canceller is not None:
        return "Cancelled by Trader"
    return (seen.text if seen else "") or "Cancelled by System"
