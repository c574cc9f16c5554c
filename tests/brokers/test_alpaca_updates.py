"""What Alpaca's streams say, in our words: known events, unknown ones, and those that cannot be read."""

from __future__ import annotations

from decimal import Decimal

import msgpack
import pytest

from brokers.adapters.alpaca.config import read_settings, settings_errors
from brokers.adapters.alpaca.updates import activity_fact, quote_fact, update_fact
from brokers.messages import CancelRejected
from tests.brokers.alpaca_samples import raw_order
from tradingdesk.fix import ExecType, OrdStatus, RequestKind

KEYS = {"api_key": "k", "secret_key": "s"}
NANOSECONDS = "2026-11-20T15:00:00.123456789Z"


def update(event: str, *, status: str = "new", **more) -> dict:
    return {"event": event, "timestamp": NANOSECONDS, "execution_id": "e-1", "order": raw_order(status=status), **more}


def activity(execution_type: str, **more) -> dict:
    details = {"execution_type": execution_type, "order_id": "o-1", "side": "sell", "symbol": "IBM", "cum_qty": "7"}
    times = {"at": "2026-11-20T16:00:00Z", "executed_at": "2026-11-20T15:00:00Z"}
    return {"event_id": "01", "ref_id": "e-2", "qty": "7", "price": "10.5", "details": details, **times, **more}


@pytest.mark.parametrize(
    ("event", "status", "exec_type", "found"),
    [
        ("pending_new", "pending_new", ExecType.PENDING_NEW, OrdStatus.PENDING),
        ("accepted", "accepted", ExecType.NEW, OrdStatus.NEW),
        ("new", "new", ExecType.NEW, OrdStatus.NEW),
        ("canceled", "canceled", ExecType.CANCELED, OrdStatus.CANCELED),
        ("expired", "expired", ExecType.EXPIRED, OrdStatus.EXPIRED),
        ("rejected", "rejected", ExecType.REJECTED, OrdStatus.REJECTED),
        ("replaced", "replaced", ExecType.ORDER_STATUS, OrdStatus.REPLACED),
        ("done_for_day", "done_for_day", ExecType.DONE_FOR_DAY, OrdStatus.DONE_FOR_DAY),
        ("suspended", "suspended", ExecType.SUSPENDED, OrdStatus.SUSPENDED),
        ("pending_cancel", "pending_cancel", ExecType.PENDING_CANCEL, OrdStatus.PENDING_CANCEL),
        ("pending_replace", "pending_replace", ExecType.PENDING_REPLACE, OrdStatus.PENDING_REPLACE),
        ("restated", "new", ExecType.RESTATED, OrdStatus.NEW),
        ("stopped", "stopped", ExecType.ORDER_STATUS, OrdStatus.NEW),
        ("calculated", "calculated", ExecType.ORDER_STATUS, OrdStatus.DONE_FOR_DAY),
        ("held", "held", ExecType.ORDER_STATUS, OrdStatus.NEW),
        ("something_new", "some_status", ExecType.ORDER_STATUS, OrdStatus.NEW),
    ],
)
def test_state_is_told_by_the_event_and_the_order(event, status, exec_type, found):
    report = update_fact(update(event, status=status))
    assert (report.exec_type, report.status, report.exec_id, report.source) == (exec_type, found, None, "")


@pytest.mark.parametrize("event", ["fill", "partial_fill"])
def test_trade_carries_its_own_figures_and_the_orders_total(event):
    raw = update(event, qty="4", price="10.25") | {"order": raw_order(filled_qty="9", filled_avg_price="10")}
    trade = update_fact(raw)
    assert (trade.exec_type, trade.exec_id, trade.source) == (ExecType.TRADE, "e-1", "stream")
    assert (trade.last_qty, trade.last_px, trade.cum_qty, trade.avg_px) == (4, Decimal("10.25"), 9, 10)
    assert trade.transact_time.isoformat() == "2026-11-20T15:00:00.123456+00:00"


@pytest.mark.parametrize(
    ("event", "exec_type"), [("trade_bust", ExecType.TRADE_CANCEL), ("trade_correct", ExecType.TRADE_CORRECT)]
)
def test_amendment_refers_to_its_trade_and_one_that_does_not_is_left_to_the_activity_events(event, exec_type):
    raw = update(event, qty="4", price="10.25", previous_execution_id="e-0")
    amendment = update_fact(raw)
    assert (amendment.exec_type, amendment.exec_id, amendment.exec_ref_id) == (exec_type, "e-1", "e-0")
    assert update_fact({**raw, "previous_execution_id": None}) is None


@pytest.mark.parametrize(
    ("event", "kind"),
    [("order_cancel_rejected", RequestKind.CANCEL), ("order_replace_rejected", RequestKind.REPLACE)],
)
def test_refused_cancels_and_replaces_leave_the_order_as_it_is(event, kind):
    refusal = update_fact(update(event, status="filled"))
    assert isinstance(refusal, CancelRejected)
    assert (refusal.response_to, refusal.status) == (kind, OrdStatus.FILLED)


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"event": "new"},
        {"event": "new", "order": {}},
        update("fill", qty="4"),
        update("fill", qty="many", price="1"),
        update("fill", qty="4", price="1", execution_id=None),
        update("fill", qty="4", price="1", timestamp="yesterday"),
    ],
)
def test_update_that_cannot_be_read_is_an_error(raw):
    with pytest.raises((LookupError, ValueError, TypeError)):
        update_fact(raw)


def test_activity_event_of_a_trade_has_the_streams_ids():
    trade = activity_fact(activity("partial_fill"))
    assert (trade.exec_type, trade.exec_id, trade.source, trade.exec_ref_id) == (ExecType.TRADE, "e-2", "stream", None)
    assert (trade.last_qty, trade.last_px, trade.cum_qty) == (7, Decimal("10.5"), 7)
    assert trade.transact_time.hour == 15


def test_activity_event_of_a_bust_is_of_the_time_of_the_bust():
    bust = activity_fact(activity("trade_bust", previous_id="e-1"))
    assert (bust.exec_type, bust.exec_ref_id, bust.transact_time.hour) == (ExecType.TRADE_CANCEL, "e-1", 16)


def test_other_activities_are_no_facts():
    assert activity_fact({"event_id": "01", "activity_type": "FEE", "details": {"system_date": "2026-11-20"}}) is None


def test_quote_has_the_time_of_its_codec():
    raw = {"T": "q", "S": "IBM", "bp": 10.1, "bs": 3, "ap": 10.2, "as": 4}
    packed = quote_fact({**raw, "t": msgpack.Timestamp(1_700_000_000, 123_456_789)}, feed="iex")
    plain = quote_fact({**raw, "t": NANOSECONDS}, feed="iex")
    assert (packed.symbol, packed.bid_px, packed.ask_size) == ("IBM", Decimal("10.1"), 4)
    assert packed.quote_time.microsecond == plain.quote_time.microsecond == 123_456


@pytest.mark.parametrize(
    ("settings", "updates", "quotes"),
    [
        ({}, "wss://paper-api.alpaca.markets/stream", "wss://stream.data.alpaca.markets/v2/iex"),
        (
            {"paper_trading": False, "feed": "sip"},
            "wss://api.alpaca.markets/stream",
            "wss://stream.data.alpaca.markets/v2/sip",
        ),
        ({"base_url": "http://127.0.0.1:8001/v2"}, "ws://127.0.0.1:8001/stream", "ws://127.0.0.1:8001/v2/iex"),
    ],
)
def test_streams_are_where_the_settings_put_them(settings, updates, quotes):
    account = read_settings(KEYS | settings)
    assert (account.stream_url, account.data_stream_url, account.stream) == (updates, quotes, True)


def test_stream_is_a_yes_or_a_no():
    assert settings_errors(KEYS | {"stream": False}) == []
    assert settings_errors(KEYS | {"stream": "no"}) == ["stream: write true or false"]
