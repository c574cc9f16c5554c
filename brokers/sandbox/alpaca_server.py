"""The venue as an HTTP server that speaks Alpaca's Trading API v2 and Market Data API v2.

A route's name is the operation by which faults and holds choose requests.
"""

from __future__ import annotations

from aiohttp import web

from brokers.sandbox.alpaca import account, data, orders, reference
from brokers.sandbox.alpaca.gate import FRONT, Front, gate
from brokers.sandbox.alpaca.stream import add_trade_updates
from brokers.sandbox.alpaca.stream_connection import OPEN, close_all
from brokers.sandbox.alpaca.stream_data import add_market_data
from brokers.sandbox.alpaca.stream_events import add_activity_events

MAX_BODY = 1024 * 1024


def build_app(front: Front) -> web.Application:
    """The application with all of Alpaca's routes."""
    app = web.Application(middlewares=[gate], client_max_size=MAX_BODY)
    app[FRONT] = front
    _add_trading(app)
    _add_data(app)
    _add_streams(app)
    return app


def _add_trading(app: web.Application) -> None:
    add = app.router.add_route
    add("POST", "/v2/orders", orders.new_order, name="new_order")
    add("GET", "/v2/orders", orders.list_orders, name="list_orders")
    add("DELETE", "/v2/orders", orders.cancel_all_orders, name="cancel_all_orders")
    add("GET", "/v2/orders:by_client_order_id", orders.find_order, name="find_order")
    add("GET", "/v2/orders/{order_id}", orders.get_order, name="get_order")
    add("PATCH", "/v2/orders/{order_id}", orders.replace_order, name="replace_order")
    add("DELETE", "/v2/orders/{order_id}", orders.cancel_order, name="cancel_order")
    add("GET", "/v2/account", account.account, name="account")
    add("GET", "/v2/account/configurations", account.configurations, name="configurations")
    add("GET", "/v2/account/activities", account.activities, name="all_activities")
    add("GET", "/v2/account/activities/{activity_type}", account.activities, name="activities")
    add("GET", "/v2/positions", account.positions, name="positions")
    add("DELETE", "/v2/positions", account.close_all_positions, name="close_all_positions")
    add("GET", "/v2/positions/{symbol}", account.position, name="position")
    add("DELETE", "/v2/positions/{symbol}", account.close_position, name="close_position")
    add("GET", "/v2/assets", reference.assets, name="assets")
    add("GET", "/v2/assets/{symbol}", reference.asset, name="asset")
    add("GET", "/v2/clock", reference.clock, name="clock")
    add("GET", "/v2/calendar", reference.calendar, name="calendar")


def _add_streams(app: web.Application) -> None:
    app[OPEN] = set()
    app.on_shutdown.append(close_all)
    add_trade_updates(app)
    add_market_data(app)
    add_activity_events(app)


def _add_data(app: web.Application) -> None:
    add = app.router.add_get
    for plural, single, words in (
        ("quotes", "quote", data.quote_words),
        ("trades", "trade", data.trade_words),
        ("bars", "bar", data.bar_words),
    ):
        of_many, of_one = data.latest(plural, single, words)
        add(f"/v2/stocks/{plural}/latest", of_many, name=f"data.latest_{plural}")
        add(f"/v2/stocks/{{symbol}}/{plural}/latest", of_one, name=f"data.latest_{single}")
    add("/v2/stocks/bars", data.bars, name="data.bars")
    add("/v2/stocks/{symbol}/bars", data.bars_of_one, name="data.bars_of_one")
    add("/v2/stocks/snapshots", data.snapshots, name="data.snapshots")
    add("/v2/stocks/{symbol}/snapshot", data.snapshot, name="data.snapshot")
