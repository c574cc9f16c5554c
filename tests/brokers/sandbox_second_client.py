"""Drive the sandbox with alpaca-trade-api, the older official client; run by an environment of its own.

    python sandbox_second_client.py URL KEY SECRET

It imports nothing of the project. What it saw is printed as one JSON object.
"""

import json
import os
import sys
import time

URL, KEY, SECRET = sys.argv[1:4]
os.environ["APCA_API_DATA_URL"] = URL

from alpaca_trade_api.rest import REST, APIError, TimeFrame  # noqa: E402

DEADLINE_S = 20.0
api = REST(KEY, SECRET, base_url=URL, api_version="v2")


def settled(order_id: str):
    """The order once it is no longer on its way."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        order = api.get_order(order_id)
        if order.status not in ("pending_new", "pending_cancel"):
            return order
        if time.monotonic() > deadline:
            raise TimeoutError(order)
        time.sleep(0.01)


def refusal(act) -> list:
    """(HTTP status, code, message) of the refusal that the call meets."""
    try:
        act()
    except APIError as error:
        return [error.status_code, error.code, str(error)]
    raise AssertionError("not refused")


def orders() -> dict:
    """Place, find, replace and cancel."""
    market = api.submit_order("IBM", qty=3, side="buy", type="market", time_in_force="day", client_order_id="second-1")
    filled = settled(market.id)
    limit = api.submit_order("IBM", qty=2, side="buy", type="limit", time_in_force="gtc", limit_price=150.25)
    settled(limit.id)
    replaced = api.replace_order(limit.id, qty="4", limit_price="151")
    settled(replaced.id)
    api.cancel_order(replaced.id)
    stop = api.submit_order("IBM", qty=1, side="buy", type="trailing_stop", time_in_force="day", trail_percent="5")
    settled(stop.id)
    again = {"qty": 1, "side": "buy", "type": "market", "time_in_force": "day", "client_order_id": "second-1"}
    return {
        "answered": market.status,
        "filled": [filled.status, filled.filled_qty, filled.filled_avg_price],
        "found": api.get_order_by_client_order_id("second-1").id == market.id,
        "replaced": [replaced.qty, replaced.limit_price, replaced.replaces == limit.id],
        "canceled": settled(replaced.id).status,
        "old": api.get_order(limit.id).status,
        "open": [order.type for order in api.list_orders()],
        "all": len(api.list_orders(status="all", limit=10, nested=True)),
        "duplicate": refusal(lambda: api.submit_order("IBM", **again)),
        "unknown": refusal(lambda: api.get_order_by_client_order_id("nobody")),
        "wrong": refusal(lambda: api.submit_order("IBM", qty=1, side="buyy", type="market", time_in_force="day")),
    }


def books() -> dict:
    """Account, positions, activities; then close everything."""
    position, fills = api.get_position("IBM"), api.get_activities("FILL")
    closed = api.close_position("IBM")
    settled(closed.id)
    api.cancel_all_orders()
    return {
        "account": [api.get_account().status, api.get_account().currency],
        "configured": api.get_account_configurations().no_shorting,
        "position": [position.qty, position.avg_entry_price, position.side],
        "fills": [[fill.qty, fill.price, fill.side] for fill in fills],
        "closed": [closed.side, closed.qty],
        "left": api.list_positions(),
    }


def market_data() -> dict:
    """Clock, calendar, assets, quotes, bars."""
    quote, bars = api.get_latest_quote("IBM"), api.get_bars("IBM", TimeFrame.Hour, limit=5)
    return {
        "open": api.get_clock().is_open,
        "calendar": len(api.get_calendar()) > 10,
        "assets": sorted(asset.symbol for asset in api.list_assets(status="active"))[:2],
        "asset": [api.get_asset("IBM").exchange, api.get_asset("IBM").tradable],
        "quote": [quote.bp, quote.ap],
        "quotes": sorted(api.get_latest_quotes(["IBM", "BAC"])),
        "trade": api.get_latest_trade("IBM").p,
        "bars": len(bars) > 0,
        "snapshot": api.get_snapshot("IBM").latest_quote.ap,
    }


print(json.dumps({"orders": orders(), "books": books(), "market_data": market_data()}))
