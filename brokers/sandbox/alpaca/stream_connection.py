"""One WebSocket of a client: its codec, its queue, and what goes wrong with it on purpose.

Nothing is sent before it is on disk, so a client never knows more than a sandbox that was killed and came back.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

import msgpack
from aiohttp import WSMessage, WSMsgType, web

from brokers.sandbox.alpaca.gate import FRONT, Front
from brokers.sandbox.faults import Call, StreamFault

HEARTBEAT_S = 10.0
LONGEST_QUEUE = 10_000
HALF = 2
OPEN = web.AppKey("open", set)


class Codec:
    """How a connection writes: JSON in text or binary frames, or MessagePack when the client asked for it."""

    def __init__(self, request: web.Request, *, binary: bool):
        self.packed = request.headers.get("Content-Type") == "application/msgpack"
        self.binary = binary or self.packed

    def write(self, message: Any) -> bytes:
        """A message as it goes over the wire."""
        if self.packed:
            return msgpack.packb(message, datetime=True)
        return json.dumps(message, separators=(",", ":"), default=str).encode()

    def read(self, message: WSMessage) -> dict[str, Any]:
        """What the client says; nothing at all where it cannot be read."""
        try:
            said = msgpack.unpackb(message.data) if self.packed else json.loads(message.data)
        except (ValueError, TypeError, RecursionError, msgpack.exceptions.UnpackException):
            return {}
        return said if isinstance(said, dict) else {}


class Connection:
    """What a client hears, in order. `account` is empty until it has shown its keys, `hears` until it asked."""

    def __init__(self, front: Front, request: web.Request, socket: web.WebSocketResponse, codec: Codec):
        self.front, self.socket, self.codec = front, socket, codec
        self.account = self.hears = ""
        self._transport = request.transport
        self._queue: asyncio.Queue[tuple[Call | None, Any]] = asyncio.Queue(LONGEST_QUEUE)
        self._kept_back: list[bytes] = []

    def belongs_to(self, account: str) -> None:
        """Take the connection for an account's, so that it is closed with the account's others."""
        self.account = account
        self.front.transports[account].add(self._transport)
        self.front.streams[account].add(self)

    def say(self, message: Any, call: Call | None = None) -> None:
        """Send a message after those before it; `call` is what faults choose it by. A client that reads too slowly
        is cut off."""
        try:
            self._queue.put_nowait((call, message))
        except asyncio.QueueFull:
            self.cut()

    def end(self) -> None:
        """Close once everything before this is sent."""
        self.say(None)

    def cut(self) -> None:
        """Break the connection now."""
        if self._transport is not None:
            self._transport.abort()

    async def write(self) -> None:
        """Send what is queued, until the connection ends."""
        with contextlib.suppress(ConnectionError):
            while True:
                call, message = await self._queue.get()
                await self.front.venue.durable()
                if message is None:
                    await self.socket.close()
                    return
                for data in await self._as_sent(call, self.codec.write(message)):
                    await self._send(data)

    async def _send(self, data: bytes) -> None:
        if self.codec.binary:
            await self.socket.send_bytes(data)
        else:
            await self.socket.send_str(data.decode())

    async def _as_sent(self, call: Call | None, data: bytes) -> list[bytes]:
        """What really goes out in a message's place."""
        fault = self.front.mischief.stream_fault_for(call) if call else None
        if fault is None:
            kept, self._kept_back = self._kept_back, []
            return [data, *kept]
        self.front.venue.note("fault", call.account, client_order_id=call.client_order_id, action=fault.action)
        if fault.action == "swap":
            self._kept_back.append(data)
            return []
        return await self._hit(fault, data)

    async def _hit(self, fault: StreamFault, data: bytes) -> list[bytes]:
        if fault.action == "disconnect":
            self.cut()
        if fault.action == "delay":
            await asyncio.sleep(fault.seconds)
        malformed = fault.body.encode() if fault.body is not None else data[: len(data) // HALF]
        return {"delay": [data], "duplicate": [data, data], "malformed": [malformed]}.get(fault.action, [])


async def converse(
    request: web.Request,
    codec: Codec,
    hear: Callable[[Connection, dict[str, Any]], None],
    leave: Callable[[Connection], None],
    greeting: Any = None,
) -> web.WebSocketResponse:
    """Serve a client until it goes; `hear` answers what it says through `Connection.say`."""
    socket = web.WebSocketResponse(heartbeat=HEARTBEAT_S)
    await socket.prepare(request)
    connection = Connection(request.app[FRONT], request, socket, codec)
    request.app[OPEN].add(connection)
    writing = asyncio.create_task(connection.write())
    try:
        if greeting is not None:
            connection.say(greeting)
        async for message in socket:
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                hear(connection, codec.read(message))
    finally:
        leave(connection)
        request.app[OPEN].discard(connection)
        connection.front.streams[connection.account].discard(connection)
        writing.cancel()
    return socket


async def close_all(app: web.Application) -> None:
    """Break every connection, so that a server that stops need not wait for its clients."""
    for connection in list(app[OPEN]):
        connection.cut()
