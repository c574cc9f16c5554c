"""Unmodified alpaca-py stream clients in threads of their own, and what they heard."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from alpaca.data.live import StockDataStream
from alpaca.trading.stream import TradingStream

from tests.brokers.sandbox_process import SandboxProcess
from tests.waiting import eventually

DEADLINE_S = 20.0


class Heard(list):
    """Messages in the order of their arrival."""

    async def take(self, message: Any) -> None:
        """Keep a message; alpaca-py's handler."""
        self.append(message)

    def events(self, client_order_id: str) -> list[str]:
        """The events of one order's trade updates, raw ones."""
        updates = [message["data"] for message in self if isinstance(message, dict)]
        return [one["event"] for one in updates if one["order"]["client_order_id"] == client_order_id]

    def update(self, client_order_id: str, event: str) -> dict[str, Any]:
        """The data of one order's update, once it is there."""

        def find():
            wanted = (client_order_id, event)
            return [
                m["data"] for m in list(self) if (m["data"]["order"]["client_order_id"], m["data"]["event"]) == wanted
            ]

        return eventually(find, f"{event} of {client_order_id}")[-1]


@contextmanager
def trade_updates(
    sandbox: SandboxProcess, account: str, *, raw_data: bool = True, heard: Heard | None = None
) -> Iterator[Heard]:
    """Listen to an account's trade updates with TradingStream for the time of the block."""
    heard = Heard() if heard is None else heard
    url = sandbox.url.replace("http", "ws") + "/stream"
    stream = TradingStream(*sandbox.keys(account), raw_data=raw_data, url_override=url)
    stream.subscribe_trade_updates(heard.take)
    with _running(stream, sandbox, account):
        eventually(lambda: sandbox.admin.listens(account), "listening")
        yield heard


@contextmanager
def quotes(sandbox: SandboxProcess, account: str, *symbols: str, raw_data: bool = True) -> Iterator[Heard]:
    """Listen to quotes with StockDataStream for the time of the block."""
    heard = Heard()
    url = sandbox.url.replace("http", "ws") + "/v2/iex"
    stream = StockDataStream(*sandbox.keys(account), raw_data=raw_data, url_override=url)
    stream.subscribe_quotes(heard.take, *symbols)
    with _running(stream, sandbox, account):
        eventually(lambda: sandbox.admin.subscribes(account), "the subscription")
        yield heard


@contextmanager
def _running(stream, sandbox: SandboxProcess, account: str) -> Iterator[None]:
    """Run a client; it looks for its end only when something comes, or after five seconds."""
    thread = threading.Thread(target=stream.run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stream.stop()
        with suppress(OSError):
            sandbox.admin.disconnect_streams(account)
        thread.join(DEADLINE_S)
        assert not thread.is_alive()
