"""What Alpaca says on its streams: trade updates, quotes, activity events."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from brokers.sandbox.accounts import stable_id
from brokers.sandbox.alpaca.words import number, order_words, timestamp
from brokers.sandbox.book import CANCEL_REJECTED, REPLACE_REJECTED, Event, Execution, Quote
from tradingdesk.fix import ExecType, OrdStatus

EVENTS = {
    ExecType.PENDING_NEW: "pending_new",
    ExecType.NEW: "new",
    ExecType.PENDING_CANCEL: "pending_cancel",
    ExecType.PENDING_REPLACE: "pending_replace",
    ExecType.CANCELED: "canceled",
    ExecType.REPLACED: "replaced",
    ExecType.REJECTED: "rejected",
    ExecType.EXPIRED: "expired",
    ExecType.DONE_FOR_DAY: "done_for_day",
    ExecType.SUSPENDED: "suspended",
    ExecType.RESTATED: "restated",
    ExecType.TRADE_CANCEL: "trade_bust",
    ExecType.TRADE_CORRECT: "trade_correct",
    CANCEL_REJECTED: "order_cancel_rejected",
    REPLACE_REJECTED: "order_replace_rejected",
}
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ULID_LENGTH = 26
RANDOM_BITS = 80
NEW_YORK = ZoneInfo("America/New_York")


def event_word(event: Event) -> str:
    """What Alpaca calls the event."""
    if event.kind == ExecType.TRADE:
        return "fill" if event.order.status is OrdStatus.FILLED else "partial_fill"
    if event.kind == ExecType.PENDING_NEW and event.order.held:
        return "held"
    return EVENTS[event.kind]


def update_words(event: Event, position: Decimal) -> dict[str, Any]:
    """A trade update. Only trades, busts and corrections carry a price, a quantity and the position after them."""
    execution = event.execution
    told = {
        "event": event_word(event),
        "at": timestamp(event.at),
        "timestamp": timestamp(event.at),
        "event_id": ulid(event.at, uuid4().int),
        "execution_id": execution.exec_id if execution else str(uuid4()),
        "order": order_words(event.order),
    }
    if execution:
        told |= {"price": number(execution.px), "qty": number(execution.qty), "position_qty": number(position)}
    if execution and execution.ref_id:
        told["previous_execution_id"] = execution.ref_id
    return {"stream": "trade_updates", "data": told}


def quote_message(quote: Quote, at: Any) -> dict[str, Any]:
    """A quote as the market data stream has it; `at` is the time as the codec wants it."""
    return {
        "T": "q",
        "S": quote.symbol,
        "bx": "V",
        "bp": float(quote.bid_px),
        "bs": int(quote.bid_size),
        "ax": "V",
        "ap": float(quote.ask_px),
        "as": int(quote.ask_size),
        "c": ["R"],
        "z": "A",
        "t": at,
    }


def ulid(at: datetime, serial: int) -> str:
    """An id that sorts by time, then by serial number."""
    value = int(at.timestamp() * 1000) << RANDOM_BITS | serial % (1 << RANDOM_BITS)
    return "".join(CROCKFORD[value >> 5 * place & 31] for place in reversed(range(ULID_LENGTH)))


def activity_event(trade: Execution, serial: int) -> dict[str, Any]:
    """A trade, bust or correction as the activity events have it; `serial` is its place among the account's."""
    kinds = {ExecType.TRADE_CANCEL: "trade_bust", ExecType.TRADE_CORRECT: "trade_correct"}
    filled = "fill" if trade.order_status is OrdStatus.FILLED else "partial_fill"
    previous = {"previous_id": trade.ref_id} if trade.ref_id else {}
    return {
        "activity_type": "TRD",
        "at": timestamp(trade.at),
        "event_id": ulid(trade.at, serial),
        "executed_at": timestamp(trade.at),
        "settle_date": f"{trade.at.astimezone(NEW_YORK):%Y-%m-%d}",
        "status": "executed",
        "currency": "USD",
        "ref_id": trade.exec_id,
        **previous,
        "price": number(trade.px),
        "qty": number(trade.qty),
        "net_amount": number(-trade.qty * trade.px * trade.side.sign, 2),
        "details": {
            "order_id": trade.order_id,
            "client_order_id": trade.client_order_id,
            "asset_id": stable_id("asset", trade.symbol),
            "symbol": trade.symbol,
            "side": trade.side.value,
            "cum_qty": number(trade.cum_qty),
            "leaves_qty": number(trade.leaves_qty),
            "order_status": trade.order_status.value,
            "execution_type": kinds.get(trade.exec_type, filled),
            "commission": number(trade.fee),
        },
    }
