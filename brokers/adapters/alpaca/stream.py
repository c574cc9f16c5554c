"""Alpaca's long-lived connections for one account: trade updates, quotes, activity events.

alpaca-py's stream clients do the talking, in raw mode (typed mode drops what it cannot read), on one loop in a thread
of its own; they reconnect by themselves, backing off up to half a minute. What they would only log, a message that
cannot be read or a listener that fails, counts as a lost connection here: after it, everything is read anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Iterable, Iterator

import websockets
from alpaca.data.live import StockDataStream
from alpaca.trading.stream import TradingStream

from brokers.adapter import Listener
from brokers.messages import CancelRejected, ExecutionReport, QuoteState

from .config import AlpacaSettings
from .events import ActivityEvents
from .told import Told
from .updates import quote_fact, update_fact

log = logging.getLogger(__name__)

# A connection that died unseen is found within a minute; the SDK's own three minutes are long for orders.
WEBSOCKET = {"ping_interval": 10, "ping_timeout": 30, "close_timeout": 1, "max_queue": 1024}
STOP_SECONDS = 3.0
MOST_WAITING = 1024
# Applying facts keeps orders of the same account from being accepted: not for long.
MOST_TOGETHER = 16
# Some cost little more together than one: after each call, what comes in this many times its length waits for the next.
REST, LONGEST_REST = 3, 0.1
TRADE_UPDATES = "trade_updates"
NO_SUBSCRIPTION = "insufficient subscription"


class Stream:
    """The connections of one account, from `start` to `close`."""

    def __init__(self, account: AlpacaSettings, listener: Listener):
        self._told = Told(listener)
        self._updates = Updates(account, self._told)
        self._quotes = Quotes(account, self._told)
        self._events = ActivityEvents(account, self._told)
        self._loop = asyncio.new_event_loop()
        self._work: asyncio.Task | None = None
        self._thread = threading.Thread(target=self._run, name="alpaca.stream", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def watch(self, symbols: Iterable[str]) -> None:
        """Want the quotes of these symbols, and no others."""
        wanted = set(symbols)
        self._soon(lambda: self._loop.create_task(self._quotes.want(wanted)))

    def close(self) -> None:
        """End every connection, and the call of the listener at hand; each has `STOP_SECONDS` for it."""
        self._soon(lambda: self._loop.create_task(self._end()))
        self._thread.join(STOP_SECONDS)
        self._told.close(STOP_SECONDS)
        if self._thread.is_alive():
            log.warning("the stream did not close in time: its connection may stay open")

    def _soon(self, action) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(action)

    def _run(self) -> None:
        with contextlib.closing(self._loop):
            self._work = self._loop.create_task(self._talk())
            with contextlib.suppress(asyncio.CancelledError):
                self._loop.run_until_complete(self._work)

    async def _end(self) -> None:
        """Stop the SDK's loops by its own flag first: Python 3.11's `wait_for` loses a cancel that meets a message."""
        self._updates.tell_no_end()
        await self._updates.stop_ws()
        await self._quotes.stop_ws()
        self._work.cancel()

    async def _talk(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._updates.run())
                group.create_task(self._events.run())
                group.create_task(self._quotes.run())
        except Exception as mistake:
            log.exception("the stream has ended")
            await self._told.disconnected(f"{type(mistake).__name__}: {mistake}")
        finally:
            self._updates.tell_no_end()
            with contextlib.suppress(Exception):
                async with asyncio.timeout(STOP_SECONDS / 2):
                    await asyncio.gather(self._updates.close(), self._quotes.close(), return_exceptions=True)


class LostWhenWrong:
    """Mixed into an SDK's stream: whatever goes wrong is a lost connection, told in one line."""

    async def _start_ws(self) -> None:
        try:
            await super()._start_ws()
        except Exception as failure:
            await self._note(failure)

    async def _consume(self) -> bool | None:
        try:
            return await super()._consume()
        except Exception as failure:
            await self._note(failure)

    async def _note(self, failure: Exception) -> None:
        if NO_SUBSCRIPTION in str(failure):
            raise failure
        self.reason = str(failure) or type(failure).__name__
        raise websockets.WebSocketException(self.reason) from failure


class Updates(LostWhenWrong, TradingStream):
    """Trade updates. A failure is told once, until the stream is open again.

    While the listener is busy with some, and rests after them, more are read; it gets them together.
    """

    def __init__(self, account: AlpacaSettings, told: Told):
        super().__init__(
            account.api_key,
            account.secret_key,
            raw_data=True,
            url_override=account.stream_url,
            websocket_params=WEBSOCKET,
        )
        self.reason = ""
        self._told, self._open, self._failing = told, False, False
        self._facts: asyncio.Queue[ExecutionReport | CancelRejected] = asyncio.Queue(MOST_WAITING)
        self._mistake: Exception | None = None
        self.subscribe_trade_updates(self._take)

    async def run(self) -> None:
        """Read and tell for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._run_forever())
            group.create_task(self._pass_on())

    def tell_no_end(self) -> None:
        """Keep the next close to ourselves: it is wanted, not a loss."""
        self._open, self.reason = False, ""

    async def close(self) -> None:
        """Close the socket, and tell that the stream is lost."""
        try:
            await super().close()
        finally:
            if self._open or (self.reason and not self._failing):
                self._open, self._failing = False, True
                await self._told.disconnected(self.reason or "closed")

    async def _dispatch(self, msg: dict) -> None:
        if msg.get("stream") == "listening":
            if TRADE_UPDATES not in msg["data"]["streams"]:
                raise ValueError("trade updates are not available")
            self._open, self._failing, self.reason = True, False, ""
            await self._told.connected()
        await super()._dispatch(msg)

    async def _take(self, message: dict) -> None:
        fact = update_fact(message["data"])
        if fact is not None:
            await self._facts.put(fact)

    async def _pass_on(self) -> None:
        while True:
            facts = [await self._facts.get(), *self._next(MOST_TOGETHER - 1)]
            began = time.monotonic()
            try:
                await self._told.facts(facts)
            except Exception as failure:
                self._mistake = failure
                list(self._next(MOST_WAITING))  # all is read anew
                if self._ws:
                    await self._ws.close()
            if self._facts.qsize() < MOST_TOGETHER:
                await asyncio.sleep(min(REST * (time.monotonic() - began), LONGEST_REST))

    def _next(self, most: int) -> Iterator[ExecutionReport | CancelRejected]:
        for _ in range(min(most, self._facts.qsize())):
            yield self._facts.get_nowait()

    async def _note(self, failure: Exception) -> None:
        mistake, self._mistake = self._mistake, None
        await super()._note(mistake or failure)


class Quotes(LostWhenWrong, StockDataStream):
    """Quotes of the symbols that are wanted; of several before the listener is ready, only the latest."""

    def __init__(self, account: AlpacaSettings, told: Told):
        super().__init__(
            account.api_key,
            account.secret_key,
            raw_data=True,
            websocket_params=WEBSOCKET,
            url_override=account.data_stream_url,
        )
        self.reason = ""
        self._told, self._feed = told, account.feed
        self._sent: set[str] = set()
        self._latest: dict[str, QuoteState] = {}
        self._wanted, self._news = asyncio.Event(), asyncio.Event()

    async def run(self) -> None:
        """Connect once a symbol is wanted; the SDK's own waiting for that is a busy loop."""
        await self._wanted.wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._run_forever())
            group.create_task(self._pass_on())

    async def want(self, symbols: set[str]) -> None:
        """Subscribe to what is new among the wanted symbols, and from what is not wanted any more."""
        self._handlers["quotes"] = dict.fromkeys(symbols, self._take)
        if symbols:
            self._wanted.set()
        if not self._running or symbols == self._sent:
            return
        gone, self._sent = sorted(self._sent - symbols), symbols
        with contextlib.suppress(websockets.WebSocketException):  # all is subscribed to again with the next connection
            await self._send_subscribe_msg()
            await self._send_unsubscribe_msg("quotes", gone)

    async def _send_subscribe_msg(self) -> None:
        self._sent = set(self._handlers["quotes"])
        await super()._send_subscribe_msg()

    async def _take(self, raw: dict) -> None:
        try:
            quote = quote_fact(raw, feed=self._feed)
        except (LookupError, ValueError, TypeError, ArithmeticError) as failure:
            log.warning("a quote cannot be read: %s: %s", type(failure).__name__, failure)
            return
        self._latest[quote.symbol] = quote
        self._news.set()

    async def _pass_on(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            quotes, self._latest = self._latest, {}
            for quote in quotes.values():
                await self._told.quote(quote)
