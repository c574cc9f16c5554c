"""GET /stream: the WebSocket of trade updates, in binary frames as on Alpaca's paper accounts.

One connection an account may listen; nothing that happened while none did is told later. Alpaca documents neither
the words nor the moment of its refusal of a second connection; here the second one's keys are refused.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from brokers.sandbox.alpaca.gate import FRONT, Front
from brokers.sandbox.alpaca.stream_connection import Codec, Connection, converse
from brokers.sandbox.alpaca.stream_words import event_word, update_words
from brokers.sandbox.book import Event
from brokers.sandbox.faults import Call

TRADE_UPDATES = "trade_updates"
UPDATES = web.AppKey("updates", "TradeUpdates")


class TradeUpdates:
    """Who listens to which account's trade updates."""

    def __init__(self, front: Front):
        self.front = front
        self.connected: dict[str, Connection] = {}
        self.listening: set[str] = set()
        front.venue.listeners.append(self.on_event)

    def on_event(self, event: Event) -> None:
        """Tell the account's listener what happened."""
        account = event.order.account
        if account not in self.listening:
            return
        position = self.front.venue.engine.accounts[account].position(event.order.symbol)
        words = update_words(event, position)
        self.connected[account].say(words, Call(account, event_word(event), event.order.client_order_id))

    def hear(self, connection: Connection, said: dict[str, Any]) -> None:
        """Answer a client: it shows its keys, then says what it listens to."""
        action = said.get("action")
        data = said.get("data") if isinstance(said.get("data"), dict) else {}
        if action in ("authenticate", "auth"):
            keys = (data.get("key_id") or said.get("key"), data.get("secret_key") or said.get("secret"))
            self._authenticate(connection, *map(str, keys))
        elif not connection.account:
            connection.say(_authorization("unauthorized", "listen"))
            connection.end()
        elif action == "listen":
            self._listen(connection, data.get("streams"))
        else:
            connection.say({"stream": "error", "data": {"error": "invalid action"}})

    def leave(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        if self.connected.get(connection.account) is connection:
            del self.connected[connection.account]
            self.listening.discard(connection.account)

    def _authenticate(self, connection: Connection, key: str, secret: str) -> None:
        account = self.front.account_of(key, secret)
        if account is None or self.connected.get(account, connection) is not connection:
            reason = "connection limit exceeded" if account else "authentication failed"
            connection.say(_authorization("unauthorized", "authenticate", message=reason))
            connection.end()
            return
        connection.belongs_to(account)
        self.connected[account] = connection
        connection.say(_authorization("authorized", "authenticate"))

    def _listen(self, connection: Connection, streams: Any) -> None:
        known = [TRADE_UPDATES] if isinstance(streams, list) and TRADE_UPDATES in streams else []
        (self.listening.add if known else self.listening.discard)(connection.account)
        connection.hears = "updates" if known else ""
        connection.say({"stream": "listening", "data": {"streams": known}})


async def trade_updates(request: web.Request) -> web.WebSocketResponse:
    """GET /stream."""
    updates = request.app[UPDATES]
    return await converse(request, Codec(request, binary=True), updates.hear, updates.leave)


def add_trade_updates(app: web.Application) -> None:
    """Add the stream to the server."""
    app[UPDATES] = TradeUpdates(app[FRONT])
    app.router.add_get("/stream", trade_updates)


def _authorization(status: str, action: str, **more: str) -> dict[str, Any]:
    return {"stream": "authorization", "data": {"status": status, "action": action, **more}}
