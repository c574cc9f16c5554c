"""What every request passes before and after its handler: keys, rate limit, journal, faults, holds, latency."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import uuid
import weakref
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any

from aiohttp import web

from brokers.sandbox.accounts import Profile
from brokers.sandbox.alpaca.errors import AlpacaError, error, in_alpacas_words
from brokers.sandbox.alpaca.limits import RateLimit
from brokers.sandbox.book import Refused
from brokers.sandbox.faults import Call, Fault, Mischief
from brokers.sandbox.feed import Feed
from brokers.sandbox.venue import Venue

log = logging.getLogger("sandbox.alpaca")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
WRITES = frozenset({"POST", "PATCH", "DELETE"})
DATA = "data."
GATEWAY_TIMEOUT = b"<html><head><title>504 Gateway Time-out</title></head><body>504 Gateway Time-out</body></html>"


class Front:
    """What the handlers of Alpaca's API share. `journal_reads`: note reads too, not only orders and cancels."""

    def __init__(self, venue: Venue, feed: Feed, mischief: Mischief, *, journal_reads: bool = False):
        self.venue, self.feed, self.mischief, self.journal_reads = venue, feed, mischief, journal_reads
        profile: Profile = venue.profile
        self.by_key = {account.api_key: name for name, account in profile.of_kind("alpaca").items()}
        self.limits: dict[tuple[str, bool], RateLimit] = {}
        self.transports: dict[str, weakref.WeakSet] = defaultdict(weakref.WeakSet)
        self.streams: dict[str, weakref.WeakSet] = defaultdict(weakref.WeakSet)

    def authenticate(self, headers: Mapping[str, str]) -> str:
        """The account whose keys the request carries. Raises AlpacaError."""
        key, secret = headers.get("APCA-API-KEY-ID", ""), headers.get("APCA-API-SECRET-KEY", "")
        if not key or not secret:
            raise error(401, 40110000, "request is not authorized")
        name = self.account_of(key, secret)
        if name is None:
            raise AlpacaError(403, {"message": "forbidden."})
        return name

    def account_of(self, key: str, secret: str) -> str | None:
        """The account that has these keys; None when they are wrong."""
        name = self.by_key.get(key)
        known = self.venue.profile.accounts[name].secret_key.get_secret_value() if name else ""
        return name if name and hmac.compare_digest(secret.encode(), known.encode()) else None

    def limit(self, account: str, operation: str) -> RateLimit:
        """The account's limit; trading and market data are counted apart."""
        key = (account, operation.startswith(DATA))
        if key not in self.limits:
            self.limits[key] = RateLimit(self.venue.profile.accounts[account].rate_limit_per_minute)
        return self.limits[key]

    def disconnect(self, account: str | None = None) -> int:
        """Close every connection of an account, or of all; how many."""
        chosen = [t for name, ts in self.transports.items() if account in (None, name) for t in list(ts)]
        for transport in chosen:
            transport.abort()
        return len(chosen)

    def disconnect_streams(self, account: str | None = None) -> int:
        """Break the WebSockets and event streams of an account, or of all, and no other connection; how many."""
        chosen = [one for name, streams in self.streams.items() if account in (None, name) for one in list(streams)]
        for stream in chosen:
            stream.cut()
        return len(chosen)


FRONT = web.AppKey("front", Front)
ACCOUNT = web.RequestKey("account", str)
BODY = web.RequestKey("body", dict)
TWICE = web.RequestKey("twice", bool)


def answer(body: Any, status: int = 200) -> web.Response:
    """A JSON answer."""
    return web.Response(
        body=json.dumps(body, separators=(",", ":")).encode(), status=status, content_type="application/json"
    )


@web.middleware
async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Serve one request of Alpaca's API; requests of other parts of the server pass untouched."""
    operation = request.match_info.route.name
    if not operation:
        return await handler(request)
    front = request.app[FRONT]
    try:
        account = front.authenticate(request.headers)
    except AlpacaError as refusal:
        return failed(refusal)
    return await _Passage(front, request, handler, account, operation).through()


class _Passage:
    """One request on its way through."""

    def __init__(self, front: Front, request: web.Request, handler: Handler, account: str, operation: str):
        self.front, self.request, self.handler = front, request, handler
        self.account, self.operation = account, operation
        self.arrived = asyncio.get_running_loop().time()
        request[ACCOUNT] = account
        if request.transport is not None:
            front.transports[account].add(request.transport)

    async def through(self) -> web.StreamResponse:
        limit = self.front.limit(self.account, self.operation)
        headers = limit.count(self.front.venue.clock().timestamp()) | {"X-Request-ID": uuid.uuid4().hex}
        if limit.exceeded:
            return _with(failed(error(429, 42910000, "rate limit exceeded")), headers)
        try:
            self.request[BODY] = await _read_body(self.request)
        except AlpacaError as refusal:
            return _with(failed(refusal), headers)
        self.call = Call(self.account, self.operation, self._client_order_id())
        self._note("request", method=self.request.method, path=self.request.path_qs, body=self.request[BODY])
        response = await self._served(self.front.mischief)
        if response is None:
            return self._dropped()
        return await self._delivered(_with(response, headers))

    async def _served(self, mischief: Mischief) -> web.Response | None:
        """The answer to the request; None when the connection is to be closed without one."""
        held = await mischief.stop_at("request_received", self.call)
        if held and held.drop:
            return None
        fault = mischief.fault_for(self.call)
        if fault:
            self._note("fault", action=fault.action, when=fault.when, status=fault.status)
        if fault and fault.when == "before":
            early = await self._hit(fault)
            if early is not _GO_ON:
                return early
        response = await self._handled(fault)
        await self.front.venue.durable()
        if fault and fault.when == "after":
            late = await self._hit(fault)
            response = response if late is _GO_ON else late
        held = await mischief.stop_at("before_answer", self.call)
        return None if held and held.drop else response

    async def _handled(self, fault: Fault | None) -> web.Response:
        if fault and fault.action == "duplicate":
            self.request[TWICE] = True
        response = await self._called()
        return await self._called() if fault and fault.action == "echo" else response

    async def _called(self) -> web.Response:
        try:
            return await self.handler(self.request)
        except Refused as refused:
            return failed(in_alpacas_words(refused))
        except AlpacaError as refusal:
            return failed(refusal)

    async def _hit(self, fault: Fault) -> web.Response | object | None:
        if fault.action == "drop":
            return None
        if fault.action == "disconnect":
            self.front.disconnect(self.account)
            return None
        if fault.action == "delay":
            await asyncio.sleep(fault.seconds)
        if fault.action == "error":
            return _ordered_error(fault)
        return _GO_ON

    async def _delivered(self, response: web.Response) -> web.StreamResponse:
        latency = self.front.venue.profile.accounts[self.account].latency_ms / 1000
        wait = self.arrived + latency - asyncio.get_running_loop().time()
        if wait > 0:
            await asyncio.sleep(wait)
        self._note("answer", status=response.status)
        if any(hold.point == "after_answer" for hold in self.front.mischief.holds):
            await response.prepare(self.request)
            await response.write_eof()
            await self.front.mischief.stop_at("after_answer", self.call)
        return response

    def _dropped(self) -> web.Response:
        self._note("dropped")
        if self.request.transport is not None:
            self.request.transport.close()
        return web.Response(status=500)

    def _client_order_id(self) -> str:
        """The client's id of the order that the request is about, where it can be known."""
        given = self.request[BODY].get("client_order_id") or self.request.query.get("client_order_id", "")
        if given or "order_id" not in self.request.match_info:
            return str(given)
        order = self.front.venue.engine.orders.get(self.request.match_info["order_id"])
        return order.client_order_id if order else ""

    def _note(self, kind: str, **detail: Any) -> None:
        log.debug("%s %s %s %s %s", kind, self.account, self.operation, self.call.client_order_id, detail.get("status"))
        if self.request.method in WRITES or self.front.journal_reads:
            self.front.venue.note(
                kind, self.account, client_order_id=self.call.client_order_id, operation=self.operation, **detail
            )


_GO_ON = object()


def failed(refusal: AlpacaError) -> web.Response:
    """The answer for a refusal."""
    return web.Response(status=refusal.status) if refusal.body is None else answer(refusal.body, refusal.status)


def _ordered_error(fault: Fault) -> web.Response:
    if fault.body is not None:
        return web.Response(status=fault.status, text=fault.body)
    if fault.status == 429:
        return failed(error(429, 42910000, "rate limit exceeded"))
    if fault.status == 504:
        return web.Response(status=504, body=GATEWAY_TIMEOUT, content_type="text/html")
    return failed(error(fault.status, fault.status * 100_000 + 10_000, "internal server error occurred"))


def _with(response: web.Response, headers: Mapping[str, str]) -> web.Response:
    response.headers.update(headers)
    return response


async def _read_body(request: web.Request) -> dict[str, Any]:
    raw = await request.read() if request.can_read_body else b""
    if not raw:
        return {}
    try:
        body = json.loads(raw, parse_float=Decimal, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise error(400, 40010000, "request body format is invalid") from None
    if not isinstance(body, dict):
        raise error(400, 40010000, "request body format is invalid")
    return body


def _refuse_constant(name: str) -> None:
    raise ValueError(name)
