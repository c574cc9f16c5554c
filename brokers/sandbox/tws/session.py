"""One client's connection: the greeting, requests one after the other, answers when what they say is on disk."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections import deque
from typing import Any

from brokers.sandbox.book import Quote
from brokers.sandbox.faults import Call, Fault
from brokers.sandbox.tws import books, refusals, words
from brokers.sandbox.tws.framing import SERVER_VERSION, WireError, frame, read_fields, read_greeting
from brokers.sandbox.tws.gateway import Gateway
from brokers.sandbox.tws.market_data import MarketData
from brokers.sandbox.tws.operations import Operation, Request, find_operation
from brokers.sandbox.tws.refusals import Refusal
from brokers.sandbox.tws.requests import read_client_id
from brokers.sandbox.tws.trading import Trading
from brokers.sandbox.tws.words import Message

log = logging.getLogger("sandbox.tws")
GREETING_S = 10.0
FLUSH_S = 5.0
MOST_UNREAD = 200_000
START_API = 71
HTTP_FAILURES = range(500, 600)


class Session:
    """A connection. While a request is handled or held, nothing is sent: `_open` is the gate of what is written."""

    def __init__(self, gateway: Gateway, trading: Trading, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.gateway, self.trading = gateway, trading
        self.client_id = -1
        self.market_data = MarketData(gateway, self.tell)
        self.wants_positions = self.wants_updates = False
        self.summaries: dict[int, str] = {}
        self.multis: dict[int, str] = {}
        self.later: list[Message] = []
        self.deferred: list[tuple[Operation, Request]] = []
        self.without_end = False
        self._reader, self._writer = reader, writer
        self._loop = asyncio.get_running_loop()
        self._out: deque[tuple[float, bytes]] = deque()
        self._news, self._open, self._empty = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._open.set()
        self._empty.set()
        self._arrivals: deque[float] = deque()
        self._not_before = 0.0

    async def run(self) -> None:
        """Serve until either side ends the connection."""
        writing = asyncio.create_task(self._write())
        try:
            await self._converse()
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            pass
        except WireError as error:
            log.warning("%s client %s: %s", self.gateway.name, self.client_id, error)
        except Exception:
            log.exception("%s client %s: a request failed", self.gateway.name, self.client_id)
        finally:
            writing.cancel()
            if self.gateway.clients.get(self.client_id) is self:
                del self.gateway.clients[self.client_id]
                self.gateway.bound.discard(self.client_id)
            self.close()

    def tell(self, *messages: Message) -> None:
        """Send messages that come from the venue; while TWS has lost it, they wait."""
        if self.gateway.is_lost:
            self.later += messages
        else:
            self.say(*messages)

    def say(self, *messages: Message) -> None:
        """Send messages once the account's latency is over."""
        due = max(self._loop.time() + self.gateway.profile.latency_ms / 1000, self._not_before)
        self._out.extend((due, frame(message)) for message in messages)
        self._empty.clear()
        self._news.set()
        if len(self._out) > MOST_UNREAD:
            log.warning("%s client %s reads too slowly", self.gateway.name, self.client_id)
            self.close()

    def end(self, *message: Any) -> None:
        """Send the message that ends a list, unless a fault wants it lost."""
        if not self.without_end:
            self.say(list(message))

    def refuse(self, request_id: int, refusal: Refusal) -> None:
        """Send a refusal."""
        self.say(words.error(request_id, refusal.code, refusal.text))

    def show_quote(self, quote: Quote) -> None:
        """See `gateway.Client`."""
        self.market_data.show(quote)

    def show_books(self, symbols: set[str]) -> None:
        """See `gateway.Client`."""
        if self.wants_positions:
            self.tell(*books.positions(self.gateway, symbols))
        if self.wants_updates:
            self.tell(*books.updates(self.gateway, symbols))
        for request_id, model in self.multis.items():
            self.tell(*books.multi(self.gateway, request_id, model))
        for request_id, tags in self.summaries.items():
            self.tell(*books.summary(self.gateway, request_id, tags))

    def restored(self, *, data_lost: bool) -> None:
        """Send and do what waited for the venue; with `data_lost` the subscriptions are gone."""
        if data_lost:
            self.market_data.subscriptions.clear()
        later, self.later = self.later, []
        self.say(*later)
        deferred, self.deferred = self.deferred, []
        for operation, request in deferred:
            self._handle(operation, request)

    def stall(self, seconds: float) -> None:
        """Let everything that is said from now on wait."""
        self._not_before = self._loop.time() + seconds

    def close(self) -> None:
        """Break the connection; what is not yet sent is lost."""
        if self._writer.transport is not None:
            self._writer.transport.abort()

    async def _converse(self) -> None:
        low, high = await asyncio.wait_for(read_greeting(self._reader), GREETING_S)
        if not low <= SERVER_VERSION <= high:
            return
        self.say([SERVER_VERSION, words.zoned(self.gateway.venue.clock())])
        fields = await asyncio.wait_for(read_fields(self._reader), GREETING_S)
        if fields[0] != str(START_API):
            raise WireError("the first message is not START_API")
        if not await self._admit(read_client_id(fields)):
            return
        while True:
            await self._serve(await read_fields(self._reader))

    async def _admit(self, client_id: int) -> bool:
        """Let the client in unless its id is taken."""
        call = Call(self.gateway.name, "start_api")
        fault = self.gateway.mischief.fault_for(call)
        if fault and fault.action in ("drop", "disconnect"):
            return False
        if client_id in self.gateway.clients or (fault and fault.action == "error"):
            self.say(words.error(words.NO_REQUEST, *refusals.CLIENT_ID_IN_USE))
            await asyncio.wait_for(self._empty.wait(), FLUSH_S)
            return False
        self.client_id = client_id
        self.gateway.clients[client_id] = self
        self.say(
            [15, 1, self.gateway.account_id],
            [9, 1, self.gateway.orders.next_order_id(client_id)],
            *(words.error(words.NO_REQUEST, code, text) for code, text in refusals.FARMS_OK),
        )
        return True

    async def _serve(self, fields: list[str]) -> None:
        """Serve one request, with the faults and holds that are ordered for it."""
        await self._refuse_flood()
        try:
            operation, request = find_operation(self, fields)
        except Refusal as refusal:
            self.refuse(words.NO_REQUEST, refusal)
            return
        call = Call(self.gateway.name, operation.name, request.client_order_id)
        self._note("request", call, request, operation)
        self._open.clear()
        if not await self._passed(call, operation, request):
            self._note("dropped", call, request, operation)
            raise ConnectionAbortedError
        self._open.set()
        if any(hold.point == "after_answer" for hold in self.gateway.mischief.holds):
            await asyncio.wait_for(self._empty.wait(), FLUSH_S)
            held = await self.gateway.mischief.stop_at("after_answer", call)
            if held and held.drop:
                raise ConnectionAbortedError

    async def _passed(self, call: Call, operation: Operation, request: Request) -> bool:
        """Handle a request between its faults; False when its connection is to be broken."""
        mischief = self.gateway.mischief
        held = await mischief.stop_at("request_received", call)
        if held and held.drop:
            return False
        fault = mischief.fault_for(call)
        if fault:
            self._note("fault", call, request, operation, action=fault.action, when=fault.when, status=fault.status)
        if fault and fault.when == "before" and not await self._hit(fault, request):
            return False
        if not (fault and fault.action == "error" and fault.when == "before"):
            self._handle_under(fault, operation, request)
        await self.gateway.venue.durable()
        if fault and fault.when == "after" and not await self._hit(fault, request):
            return False
        held = await mischief.stop_at("before_answer", call)
        return not (held and held.drop)

    async def _hit(self, fault: Fault, request: Request) -> bool:
        """Do what a fault says; False when the connection is to be broken."""
        if fault.action == "disconnect":
            self.gateway.close_clients()
        if fault.action in ("drop", "disconnect"):
            return False
        if fault.action == "delay":
            await asyncio.sleep(fault.seconds)
        if fault.action == "error" and fault.status in HTTP_FAILURES:
            return False
        if fault.action == "error":
            self.refuse(request.request_id, refusals.ordered(fault.status, fault.body, self.gateway.tws))
        return True

    def _handle_under(self, fault: Fault | None, operation: Operation, request: Request) -> None:
        action = fault.action if fault else ""
        self.without_end = action == "no_end"
        try:
            for _ in range(2 if action in ("echo", "duplicate") else 1):
                if self.gateway.is_lost and operation.trades:
                    self.deferred.append((operation, request))
                else:
                    self._handle(operation, request)
        finally:
            self.without_end = False

    def _handle(self, operation: Operation, request: Request) -> None:
        try:
            operation.handle(self, request)
        except Refusal as refusal:
            self.refuse(request.request_id, refusal)

    async def _refuse_flood(self) -> None:
        """Count the messages of the last second. Raises ConnectionAbortedError for far too many."""
        now, most = self._loop.time(), self.gateway.tws.max_messages_per_s
        self._arrivals.append(now)
        while self._arrivals[0] < now - 1:
            self._arrivals.popleft()
        if len(self._arrivals) > most:
            self.refuse(words.NO_REQUEST, refusals.too_fast(most, len(self._arrivals)))
        if len(self._arrivals) > 3 * most:
            await asyncio.wait_for(self._empty.wait(), FLUSH_S)
            raise ConnectionAbortedError

    def _note(self, kind: str, call: Call, request: Request, operation: Operation, **detail: Any) -> None:
        if operation.trades or self.gateway.journal_reads:
            ids = {"client_id": self.client_id, "api_order_id": request.request_id}
            names = {"client_order_id": call.client_order_id, "operation": operation.name}
            self.gateway.venue.note(kind, self.gateway.name, **names, **ids, **detail)

    async def _write(self) -> None:
        """Write what is due, in order, once it is on disk and the gate is open."""
        with contextlib.suppress(ConnectionError):
            while True:
                await self._news.wait()
                await self._wait_until_due()
                count = len(self._out)
                await self.gateway.venue.durable()
                if self._open.is_set():
                    self._writer.write(b"".join(self._out.popleft()[1] for _ in range(self._due(count))))
                    await self._writer.drain()
                if not self._out:
                    self._news.clear()
                    self._empty.set()

    async def _wait_until_due(self) -> None:
        await self._open.wait()
        wait = self._out[0][0] - self._loop.time() if self._out else 0
        if wait > 0:
            await asyncio.sleep(wait)

    def _due(self, most: int) -> int:
        """How many of the first `most` messages are due."""
        now = self._loop.time()
        return sum(1 for due, _ in itertools.islice(self._out, most) if due <= now)
