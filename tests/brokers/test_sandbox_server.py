"""The sandbox over a real socket, as the unmodified alpaca-py sees it; each answer is checked against the contract."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import requests
from alpaca.common.exceptions import APIError
from alpaca.data.requests import (
    StockBarsRequest,
    StockLatestBarRequest,
    StockLatestQuoteRequest,
    StockLatestTradeRequest,
    StockSnapshotRequest,
)
from alpaca.data.timeframe import TimeFrame, TimeFrameUnit
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderStatus, QueryOrderStatus
from alpaca.trading.requests import (
    ClosePositionRequest,
    GetOrdersRequest,
    ReplaceOrderRequest,
    StopLimitOrderRequest,
    StopOrderRequest,
    TrailingStopOrderRequest,
)

from tests.brokers.sandbox_contract import MISSING, contract_of
from tests.brokers.sandbox_orders import limit, market, refusal, settled

pytestmark = pytest.mark.slow


@pytest.mark.skipif(MISSING is not None, reason=str(MISSING))
def test_answers_of_every_kind_are_as_alpaca_publishes_them(desk, check):
    trading, data = desk.trading, desk.data
    order = trading.submit_order(market(client_order_id=str(uuid4())))
    resting = trading.submit_order(limit())
    settled(trading, order), settled(trading, resting)
    trading.get_account(), trading.get_clock(), trading.get_calendar(), trading.get_all_assets()
    trading.get_asset("IBM"), trading.get_account_configurations(), trading.get_all_positions()
    trading.get_open_position("IBM"), trading.get_orders(GetOrdersRequest(status=QueryOrderStatus.ALL, nested=True))
    trading.get_order_by_client_id(order.client_order_id), trading.get("/account/activities/FILL")
    trading.get("/account/activities"), trading.get("/account/activities/FEE")
    trading.replace_order_by_id(resting.id, ReplaceOrderRequest(qty=11)), trading.cancel_orders()
    settled(trading, trading.close_position("IBM", ClosePositionRequest(percentage="50")))
    trading.close_all_positions()
    data.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols="IBM"))
    data.get_stock_latest_trade(StockLatestTradeRequest(symbol_or_symbols=["IBM", "BAC"]))
    data.get_stock_latest_bar(StockLatestBarRequest(symbol_or_symbols="IBM"))
    data.get_stock_snapshot(StockSnapshotRequest(symbol_or_symbols="IBM"))
    data.get_stock_bars(StockBarsRequest(symbol_or_symbols="IBM", timeframe=TimeFrame.Hour))
    for path in ("quotes/latest", "trades/latest", "bars/latest", "bars", "snapshot"):
        data.get(f"/stocks/IBM/{path}")
    assert len(set(check.checked)) >= 28


@pytest.mark.skipif(MISSING is not None, reason=str(MISSING))
def test_contract_check_finds_what_is_wrong():
    contract = contract_of("/v2/orders")
    schema = contract.schema_of("POST", "/v2/orders", 200)
    good = {
        "notional": None,
        "type": "market",
        "time_in_force": "day",
        "status": "new",
        "created_at": "2026-01-05T00:00:00Z",
    }
    assert contract.errors(schema, good) == []
    for wrong in ({"status": "unheard_of"}, {"type": None}, {"created_at": "yesterday"}, {"qty": 1.5}):
        assert contract.errors(schema, good | wrong)


def test_market_order_is_pending_new_in_the_answer_and_filled_moments_later(desk):
    order = desk.trading.submit_order(market())
    assert (order.status, order.filled_qty, order.order_class.value) == (OrderStatus.PENDING_NEW, "0", "simple")
    filled = settled(desk.trading, order)
    assert (filled.status, filled.filled_qty, filled.filled_avg_price) == (OrderStatus.FILLED, "10", "182")
    assert filled.filled_at > order.submitted_at


def test_simple_orders_class_is_an_empty_string_and_times_have_nanoseconds(desk, sandbox):
    desk.trading.submit_order(limit(client_order_id=(wanted := str(uuid4()))))
    raw = sandbox.admin.order("alpaca_margin", wanted)
    assert raw["order_class"] == ""
    assert len(raw["created_at"]) == len("2026-01-05T14:30:00.123456789Z")
    assert {"pattern_day_trader", "daytrade_count"}.isdisjoint(raw)


def test_same_client_order_id_is_free_in_another_account(desk, sandbox):
    wanted = str(uuid4())
    desk.trading.submit_order(limit(client_order_id=wanted))
    other = TradingClient(*sandbox.keys("alpaca"), url_override=sandbox.url)
    with pytest.raises(APIError) as refused:
        other.get_order_by_client_id(wanted)
    assert (refused.value.status_code, refused.value.code) == (404, 40410000)
    assert other.submit_order(limit(client_order_id=wanted)).client_order_id == wanted
    other.cancel_orders()


def test_notional_order_has_no_qty_and_fractions_have_nine_places(desk):
    order = desk.trading.submit_order(market(qty=None, notional=1000))
    assert (order.qty, order.notional) == (None, "1000")
    filled = settled(desk.trading, order)
    assert (filled.status, filled.filled_qty, filled.qty) == (OrderStatus.FILLED, "5.494505494", None)


@pytest.mark.parametrize(
    "request_of",
    [
        lambda: StopOrderRequest(symbol="IBM", qty=1, side="buy", time_in_force="gtc", stop_price=190),
        lambda: StopLimitOrderRequest(
            symbol="IBM", qty=1, side="buy", time_in_force="day", stop_price=190, limit_price=191
        ),
        lambda: TrailingStopOrderRequest(symbol="IBM", qty=1, side="buy", time_in_force="day", trail_price=5),
        lambda: TrailingStopOrderRequest(symbol="IBM", qty=1, side="buy", time_in_force="gtc", trail_percent=5),
    ],
)
def test_stops_of_all_kinds_wait_as_new(desk, request_of):
    order = settled(desk.trading, desk.trading.submit_order(request_of()))
    assert (order.status, order.filled_qty) == (OrderStatus.NEW, "0")
    assert order.stop_price is not None


def test_marketable_order_fills_in_parts_as_size_is_displayed(desk, sandbox):
    sandbox.admin.push_quote("IBM", "181.90", "182.00", 100, 60)
    order = desk.trading.submit_order(market(qty=100))
    assert settled(desk.trading, order).status is OrderStatus.PARTIALLY_FILLED
    sandbox.admin.push_quote("IBM", "181.90", "182.20", 100, 60)
    filled = desk.trading.get_order_by_id(order.id)
    assert (filled.filled_qty, filled.filled_avg_price) == ("100", "182.08")
    fills = desk.trading.get("/account/activities/FILL", {"order_id": str(order.id), "direction": "asc"})
    assert [(f["type"], f["qty"], f["price"], f["cum_qty"], f["leaves_qty"]) for f in fills] == [
        ("partial_fill", "60", "182", "60", "40"),
        ("fill", "40", "182.2", "100", "0"),
    ]


def test_ioc_and_fok_end_at_once(desk, sandbox):
    sandbox.admin.push_quote("IBM", "181.90", "182.00", 100, 60)
    fok = desk.trading.submit_order(limit(qty=61, limit_price=182, time_in_force="fok"))
    ioc = desk.trading.submit_order(limit(qty=61, limit_price=182, time_in_force="ioc"))
    assert (settled(desk.trading, fok).status, settled(desk.trading, fok).filled_qty) == (OrderStatus.CANCELED, "0")
    assert (settled(desk.trading, ioc).status, settled(desk.trading, ioc).filled_qty) == (OrderStatus.CANCELED, "60")


def test_replace_answers_with_a_new_order_that_names_the_old(desk):
    old = settled(desk.trading, desk.trading.submit_order(limit()))
    new = desk.trading.replace_order_by_id(old.id, ReplaceOrderRequest(qty=12, limit_price=151.5, client_order_id="r1"))
    assert (new.id != old.id, new.replaces, new.client_order_id) == (True, old.id, "r1")
    assert settled(desk.trading, new).qty == "12"
    replaced = desk.trading.get_order_by_id(old.id)
    assert (replaced.status, replaced.replaced_by) == (OrderStatus.REPLACED, new.id)


def test_cancel_is_taken_with_204_and_a_second_one_refused(desk):
    order = desk.trading.submit_order(limit())
    desk.trading.cancel_order_by_id(order.id)
    assert settled(desk.trading, order).status is OrderStatus.CANCELED
    message = 'order is already in "canceled" state'
    assert refusal(lambda: desk.trading.cancel_order_by_id(order.id)) == (422, 42210000, message)


def test_fees_come_as_activities_and_off_the_cash(desk, sandbox):
    before = float(desk.trading.get_account().cash)
    settled(desk.trading, desk.trading.submit_order(market(qty=400)))
    fees = desk.trading.get("/account/activities/FEE", {"page_size": 1})
    assert fees[0]["net_amount"] == "-2"
    assert float(desk.trading.get_account().cash) == pytest.approx(before - 400 * 182 - 2, abs=0.01)


def test_numbers_and_strings_are_both_taken_exactly(sandbox):
    key, secret = sandbox.keys("alpaca")
    headers = {"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret}
    order = {"symbol": "IBM", "side": "buy", "type": "limit", "time_in_force": "day"}
    for qty, price in ((3, 150.1), ("3", "150.10"), (3.0, 150.10)):
        response = requests.post(
            f"{sandbox.url}/v2/orders", json=order | {"qty": qty, "limit_price": price}, headers=headers, timeout=10
        )
        assert (response.json()["qty"], response.json()["limit_price"]) == ("3", "150.1")


def test_orders_are_listed_by_status_direction_symbol_and_time(desk):
    for symbol in ("IBM", "BAC", "IBM"):
        settled(desk.trading, desk.trading.submit_order(limit(symbol=symbol, limit_price=10)))
    listed = desk.trading.get_orders(GetOrdersRequest(status=QueryOrderStatus.OPEN, symbols=["IBM"], direction="asc"))
    assert [o.symbol for o in listed] == ["IBM", "IBM"]
    assert listed[0].submitted_at < listed[1].submitted_at
    newest = desk.trading.get_orders(GetOrdersRequest(status=QueryOrderStatus.ALL, limit=1))
    assert newest[0].id == listed[1].id
    after = desk.trading.get_orders(GetOrdersRequest(status=QueryOrderStatus.OPEN, after=listed[0].submitted_at))
    assert listed[1].id in {o.id for o in after}
    assert not desk.trading.get_orders(GetOrdersRequest(until=datetime.now(UTC) - timedelta(days=1)))


def test_activities_are_paged_by_token_in_both_directions(desk):
    for _ in range(5):
        settled(desk.trading, desk.trading.submit_order(market(qty=1)))
    every = desk.trading.get("/account/activities/FILL", {"direction": "asc"})
    for direction, wanted in (("asc", every), ("desc", every[::-1])):
        pages, token = [], ""
        while page := desk.trading.get(
            "/account/activities/FILL", {"direction": direction, "page_size": 2, "page_token": token}
        ):
            pages += page
            token = page[-1]["id"]
        assert pages == wanted
    later = desk.trading.get("/account/activities/FILL", {"direction": "asc", "after": every[-3]["transaction_time"]})
    assert later == every[-2:]
    assert desk.trading.get("/account/activities/FILL", {"after": every[-1]["transaction_time"]}) == []
    assert refusal(lambda: desk.trading.get("/account/activities/FILL", {"page_size": 101}))[0] == 422
    assert refusal(lambda: desk.trading.get("/account/activities/FILL", {"page_token": "nonsense"}))[0] == 422


def test_activity_id_begins_with_new_yorks_local_time(desk):
    settled(desk.trading, desk.trading.submit_order(market()))
    (fill,) = desk.trading.get("/account/activities/FILL", {"page_size": 1})
    local, _, execution = fill["id"].partition("::")
    assert (len(local), len(execution)) == (17, 36)
    utc = fill["transaction_time"].replace("-", "").replace(":", "").replace("T", "")[:14]
    assert local[:14] != utc
    assert local[10:14] == utc[10:14]


def test_busted_fill_leaves_the_list_and_the_order_works_again(desk, sandbox):
    order = settled(desk.trading, desk.trading.submit_order(limit(limit_price=182)))
    (fill,) = desk.trading.get("/account/activities/FILL", {"order_id": str(order.id)})
    sandbox.admin.bust(fill["id"].partition("::")[2])
    assert desk.trading.get("/account/activities/FILL", {"order_id": str(order.id)}) == []
    assert desk.trading.get_order_by_id(order.id).status is OrderStatus.NEW
    record = sandbox.admin.record("alpaca_margin")
    assert [e["exec_type"] for e in record["executions"][-2:]] == ["trade", "trade_cancel"]


def test_corrected_fill_is_listed_as_it_stands(desk, sandbox):
    order = settled(desk.trading, desk.trading.submit_order(market()))
    (fill,) = desk.trading.get("/account/activities/FILL", {"order_id": str(order.id)})
    sandbox.admin.correct(fill["id"].partition("::")[2], 10, "181.50")
    (fixed,) = desk.trading.get("/account/activities/FILL", {"order_id": str(order.id)})
    assert (fixed["id"], fixed["price"]) == (fill["id"], "181.5")
    assert desk.trading.get_order_by_id(order.id).filled_avg_price == "181.5"


def test_market_is_open_by_the_clock(desk):
    clock = desk.trading.get_clock()
    assert clock.is_open
    assert clock.timestamp < clock.next_close < clock.next_open
    assert clock.timestamp.date() in {day.date for day in desk.trading.get_calendar()}


def test_bars_are_paged_and_merged_to_the_timeframe(desk):
    start = datetime.now(UTC) - timedelta(days=2)
    minutes = desk.data.get_stock_bars(
        StockBarsRequest(symbol_or_symbols=["IBM", "BAC"], timeframe=TimeFrame.Minute, start=start)
    )
    fives = desk.data.get_stock_bars(
        StockBarsRequest(symbol_or_symbols="IBM", timeframe=TimeFrame(5, TimeFrameUnit.Minute), start=start)
    )
    assert len(minutes["IBM"]) > 390
    assert sum(bar.volume for bar in fives["IBM"]) == sum(bar.volume for bar in minutes["IBM"])
    limited = StockBarsRequest(symbol_or_symbols="BAC", timeframe=TimeFrame.Minute, start=start, limit=7)
    assert len(desk.data.get_stock_bars(limited)["BAC"]) == 7


def test_unknown_symbols_have_no_quotes(desk):
    assert desk.data.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols=["NOPE"])) == {}


def test_position_closes_by_percentage(desk):
    settled(desk.trading, desk.trading.submit_order(market(qty=10)))
    order = desk.trading.close_position("IBM", ClosePositionRequest(percentage="30"))
    settled(desk.trading, order)
    assert desk.trading.get_open_position("IBM").qty == "7"
