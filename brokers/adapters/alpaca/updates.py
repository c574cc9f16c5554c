"""What Alpaca's streams say, in our words: pure functions over their messages.

The WebSocket's `execution_id` and the activity events' `ref_id` are one id ("for trades, the execution_id is used",
the contract on `ref_id`). The ids of FILL activities are others: `time::uuid`, and no document ties the uuid to the
execution id. So what comes from here has another `source` than what `parsing.fill_report` reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgpack

from brokers.messages import CancelRejected, ExecutionReport, QuoteState
from tradingdesk.fix import ExecType, RequestKind

from .parsing import SIDE, STATUS, moment, number, order_report, quantity, quote_state

SOURCE = "stream"
TRADES = {
    "fill": ExecType.TRADE,
    "partial_fill": ExecType.TRADE,
    "trade_bust": ExecType.TRADE_CANCEL,
    "trade_correct": ExecType.TRADE_CORRECT,
}
AMENDMENTS = frozenset({ExecType.TRADE_CANCEL, ExecType.TRADE_CORRECT})
REFUSALS = {"order_cancel_rejected": RequestKind.CANCEL, "order_replace_rejected": RequestKind.REPLACE}
# "replaced" is not here: it is told of the order that is gone, and its successor's own events tell the rest.
STATES = {
    "pending_new": ExecType.PENDING_NEW,
    "accepted": ExecType.NEW,
    "new": ExecType.NEW,
    "canceled": ExecType.CANCELED,
    "expired": ExecType.EXPIRED,
    "rejected": ExecType.REJECTED,
    "done_for_day": ExecType.DONE_FOR_DAY,
    "suspended": ExecType.SUSPENDED,
    "pending_cancel": ExecType.PENDING_CANCEL,
    "pending_replace": ExecType.PENDING_REPLACE,
    "restated": ExecType.RESTATED,
}


def update_fact(data: Mapping[str, Any]) -> ExecutionReport | CancelRejected | None:
    """Read a trade update; an event that we do not know tells the order's state.

    None for a bust or correction that does not say of what: the activity events do.
    """
    event = data["event"]
    if event in TRADES:
        return _trade(data, TRADES[event])
    if event in REFUSALS:
        return _refusal(data, REFUSALS[event])
    report = order_report(data["order"], STATES.get(event, ExecType.ORDER_STATUS))
    return replace(report, text=data.get("reason") or report.text, raw=data)


def activity_fact(raw: Mapping[str, Any]) -> ExecutionReport | None:
    """Read an activity event; None for one that is no trade, bust or correction."""
    details = raw["details"]
    exec_type = TRADES.get(details.get("execution_type"))
    if exec_type is None:
        return None
    amends = exec_type in AMENDMENTS
    return ExecutionReport(
        exec_type=exec_type,
        exec_id=_id(raw, "ref_id"),
        exec_ref_id=_id(raw, "previous_id") if amends else None,
        broker_order_id=_id(details, "order_id"),
        client_order_id=details.get("client_order_id") or "",
        transact_time=moment(raw["at" if amends else "executed_at"]),
        status=STATUS.get(details.get("order_status")),
        symbol=details.get("symbol") or "",
        side=SIDE[details["side"]],
        last_qty=abs(number(raw["qty"])),
        last_px=number(raw["price"]),
        cum_qty=quantity(details, "cum_qty"),
        leaves_qty=quantity(details, "leaves_qty"),
        source=SOURCE,
        raw=raw,
    )


def quote_fact(raw: Mapping[str, Any], *, feed: str) -> QuoteState:
    """Read a quote of the market data stream, whose times are MessagePack's."""
    at = raw["t"]
    text = at.to_datetime().isoformat() if isinstance(at, msgpack.Timestamp) else at
    return quote_state(raw["S"], {**raw, "t": text}, feed=feed)


def _trade(data: Mapping[str, Any], exec_type: ExecType) -> ExecutionReport | None:
    amends = exec_type in AMENDMENTS
    if amends and not data.get("previous_execution_id"):
        return None
    return replace(
        order_report(data["order"], exec_type),
        exec_id=_id(data, "execution_id"),
        exec_ref_id=_id(data, "previous_execution_id") if amends else None,
        transact_time=moment(data["timestamp"]),
        last_qty=number(data["qty"]),
        last_px=number(data["price"]),
        source=SOURCE,
        raw=data,
    )


def _refusal(data: Mapping[str, Any], kind: RequestKind) -> CancelRejected:
    order = order_report(data["order"])
    return CancelRejected(
        response_to=kind,
        broker_order_id=order.broker_order_id,
        orig_client_order_id=order.client_order_id,
        transact_time=order.transact_time,
        status=order.status,
        text=data.get("reason") or "",
        raw=data,
    )


def _id(raw: Mapping[str, Any], name: str) -> str:
    value = raw[name]
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name}: {value!r}")
    return value
