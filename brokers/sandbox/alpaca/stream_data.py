"""GET /v2/{feed}: the WebSocket of market data, JSON or MessagePack. Quotes are sent as they are shown.

Other channels can be subscribed to and stay silent: the recording has quotes only.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import msgpack
from aiohttp import web

from brokers.sandbox.alpaca.gate import FRONT, Front
from brokers.sandbox.alpaca.stream_connection import Codec, Connection, converse
from brokers.sandbox.alpaca.stream_words import quote_message
from brokers.sandbox.alpaca.words import timestamp
from brokers.sandbox.book import Quote
from brokers.sandbox.faults import Call

FEEDS = "iex|sip|delayed_sip|boats|overnight|otc|test"
CHANNELS = ("trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "lulds", "corrections", "cancelErrors")
EVERYTHING = "*"
ERRORS = {
    400: "invalid syntax",
    401: "not authenticated",
    402: "auth failed",
    403: "already authenticated",
    406: "connection limit exceeded",
}
QUOTES = web.AppKey("quotes", "QuoteStream")


class QuoteStream:
    """Who hears which symbols; one connection an account."""

    def __init__(self, front: Front):
        self.front = front
        self.connected: dict[str, Connection] = {}
        self.subscribed: dict[Connection, dict[str, set[str]]] = {}
        front.venue.quote_listeners.append(self.on_quote)

    def on_quote(self, quote: Quote) -> None:
        """Send a quote to those who want it."""
        for connection, channels in self.subscribed.items():
            if channels["quotes"] & {quote.symbol, EVERYTHING}:
                at = msgpack.Timestamp.from_datetime(quote.at) if connection.codec.packed else timestamp(quote.at)
                connection.say([quote_message(quote, at)], Call(connection.account, "quote"))

    def hear(self, connection: Connection, said: dict[str, Any]) -> None:
        """Answer a client: it shows its keys, then subscribes."""
        action = said.get("action")
        if action == "auth":
            self._authenticate(connection, str(said.get("key")), str(said.get("secret")))
        elif action not in ("subscribe", "unsubscribe"):
            connection.say(_error(400))
        elif not connection.account:
            connection.say(_error(401))
        else:
            self._subscribe(connection, said, add=action == "subscribe")

    def leave(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self.subscribed.pop(connection, None)
        if self.connected.get(connection.account) is connection:
            del self.connected[connection.account]

    def _authenticate(self, connection: Connection, key: str, secret: str) -> None:
        account = self.front.account_of(key, secret)
        if connection.account or account is None:
            connection.say(_error(403 if connection.account else 402))
            return
        if account in self.connected:
            connection.say(_error(406))
            connection.end()
            return
        connection.belongs_to(account)
        self.connected[account] = connection
        self.subscribed[connection] = defaultdict(set)
        connection.say([{"T": "success", "msg": "authenticated"}])

    def _subscribe(self, connection: Connection, said: dict[str, Any], *, add: bool) -> None:
        wanted = self.subscribed[connection]
        for channel in CHANNELS:
            symbols = said.get(channel) or []
            if not isinstance(symbols, list) or not all(isinstance(symbol, str) for symbol in symbols):
                connection.say(_error(400))
                return
            wanted[channel] = wanted[channel] | set(symbols) if add else wanted[channel] - set(symbols)
        connection.hears = "quotes" if wanted["quotes"] else ""
        connection.say([{"T": "subscription", **{channel: sorted(wanted[channel]) for channel in CHANNELS}}])


async def market_data(request: web.Request) -> web.WebSocketResponse:
    """GET /v2/{feed}."""
    quotes = request.app[QUOTES]
    greeting = [{"T": "success", "msg": "connected"}]
    return await converse(request, Codec(request, binary=False), quotes.hear, quotes.leave, greeting)


def add_market_data(app: web.Application) -> None:
    """Add the stream to the server."""
    app[QUOTES] = QuoteStream(app[FRONT])
    app.router.add_get(f"/v2/{{feed:{FEEDS}}}", market_data)


def _error(code: int) -> list[dict[str, Any]]:
    return [{"T": "error", "code": code, "msg": ERRORS[code]}]
