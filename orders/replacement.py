"""Brokers that replace an order by a new one, seen as one order of the desk whose values change.

Alpaca answers a replace with a second order that may still be rejected while the first one fills;
FIX brokers report the change on the order itself. Both end in the same facts here.
"""

from dataclasses import replace

from brokers.messages import CancelRejected, ExecutionReport
from orders.models import Order, OrderRequest
from tradingdesk.fix import ExecType, OrdStatus, RequestKind


def as_one_order(
    order: Order, request: OrderRequest | None, report: ExecutionReport
) -> ExecutionReport | CancelRejected | None:
    """Say what a report means for the desk's one order; None when it says nothing about it any more.

    `request` is the replace that the report's ids belong to, if any.
    """
    if order.broker_order_id in (None, "", report.broker_order_id) or not report.broker_order_id:
        return report
    if request is None or request.kind != RequestKind.REPLACE:
        return None  # the order that was replaced; its trades are told apart before this
    if report.status == OrdStatus.REPLACED:
        return None  # a replacement that another one has replaced since
    if report.status == OrdStatus.REJECTED or report.exec_type == ExecType.REJECTED:
        return _rejected(request, order, report)
    if report.status in (OrdStatus.PENDING, None) and report.exec_type in (ExecType.PENDING_NEW, ExecType.ORDER_STATUS):
        return replace(report, exec_type=ExecType.PENDING_REPLACE, broker_order_id=order.broker_order_id)
    return replace(report, exec_type=ExecType.REPLACED)


def taken_over(order: Order, request: OrderRequest | None, trade: ExecutionReport) -> ExecutionReport | None:
    """Give the word that a replacement has taken over, where a trade of it comes before that; else None."""
    if trade.exec_type != ExecType.TRADE or request is None or request.kind != RequestKind.REPLACE:
        return None
    if order.broker_order_id in (None, "", trade.broker_order_id) or not trade.broker_order_id:
        return None
    return ExecutionReport(
        exec_type=ExecType.REPLACED,
        broker_order_id=trade.broker_order_id,
        client_order_id=request.client_order_id,
        transact_time=trade.transact_time,
    )


def _rejected(request: OrderRequest, order: Order, report: ExecutionReport) -> CancelRejected:
    return CancelRejected(
        response_to=RequestKind.REPLACE,
        broker_order_id=order.broker_order_id,
        transact_time=report.transact_time,
        client_order_id=request.client_order_id,
        orig_client_order_id=request.orig_client_order_id,
        text=report.text or "the replacement was rejected",
        raw=report.raw,
    )
