"""Facts as values, for tests of rules: fills, reports and orders that no database has seen."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from brokers.messages import CancelRejected, ExecutionReport
from orders.models import Order
from tradingdesk.fix import ExecType, OrdStatus, OrdType, RequestKind, Side, TimeInForce

OPENING = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """A moment, counted from the opening of the session."""
    return OPENING + timedelta(seconds=seconds)


@dataclass(frozen=True, slots=True)
class Filling:
    """One execution as the rules read it."""

    exec_id: str
    last_qty: Decimal
    last_px: Decimal = Decimal(100)
    transact_time: datetime = OPENING
    exec_ref_id: str = ""
    exec_type: ExecType = ExecType.TRADE
    side: Side = Side.BUY
    commission: Decimal | None = None
    order_id: int | None = 1


def trade(exec_id: str, qty, px=100, *, seconds: float = 0, **facts) -> Filling:
    """A trade of `qty` at `px`."""
    return Filling(exec_id, Decimal(str(qty)), Decimal(str(px)), at(seconds), **facts)


def bust(exec_id: str, ref: str, *, seconds: float = 0, **facts) -> Filling:
    """The end of the trade `ref`."""
    return Filling(exec_id, Decimal(0), Decimal(0), at(seconds), ref, ExecType.TRADE_CANCEL, **facts)


def correction(exec_id: str, ref: str, qty, px=100, *, seconds: float = 0, **facts) -> Filling:
    """What the trade `ref` should have been."""
    moment = at(seconds)
    return Filling(exec_id, Decimal(str(qty)), Decimal(str(px)), moment, ref, ExecType.TRADE_CORRECT, **facts)


def unsaved_order(order_qty=10, **facts) -> Order:
    """An order in memory that no broker has answered."""
    facts = {"ord_type": OrdType.LIMIT, "time_in_force": TimeInForce.DAY, "side": Side.BUY} | facts
    return Order(client_order_id="X", order_qty=None if order_qty is None else Decimal(str(order_qty)), **facts)


def report(exec_type: ExecType, *, seconds: float = 0, **facts) -> ExecutionReport:
    """A report about the order X."""
    facts = {"broker_order_id": "B-X", "client_order_id": "X"} | facts
    return ExecutionReport(exec_type=exec_type, transact_time=at(seconds), **facts)


def cancel_rejected(status: OrdStatus | None = None, *, seconds: float = 0, to=RequestKind.CANCEL) -> CancelRejected:
    """The broker's no to a cancel or replace of the order X."""
    return CancelRejected(
        response_to=to,
        broker_order_id="B-X",
        transact_time=at(seconds),
        client_order_id="Y",
        orig_client_order_id="X",
        status=status,
    )
