"""GET /v2beta1/events/activities: trades, busts and corrections as server-sent events, replayed from where one asks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiohttp import web

from brokers.sandbox.alpaca.errors import AlpacaError, unprocessable
from brokers.sandbox.alpaca.gate import FRONT, Front, failed
from brokers.sandbox.alpaca.orders import read_time
from brokers.sandbox.alpaca.stream_words import activity_event
from brokers.sandbox.book import Event

PATH = "/v2beta1/events/activities"
NEWS = web.AppKey("news", "News")
STREAMED = "text/event-stream"


class News:
    """Wakes whoever reads an account's events."""

    def __init__(self, front: Front):
        self.readers: set[Reader] = set()
        front.venue.listeners.append(self.on_event)

    def on_event(self, event: Event) -> None:
        """Wake the readers of the account."""
        for reader in self.readers:
            if event.execution is not None and reader.account == event.order.account:
                reader.woken.set()


@dataclass(frozen=True, slots=True)
class Span:
    """Which events are wanted: by time or by id, from the first after `since` to `until`."""

    since: datetime | None
    until: datetime | None
    since_id: str
    until_id: str

    @property
    def ends(self) -> bool:
        """Whether the events end, rather than go on as they happen."""
        return self.until is not None or bool(self.until_id)

    def takes(self, at: datetime, event_id: str) -> bool:
        """Whether an event is among them."""
        return (
            (self.since is None or at > self.since)
            and (self.until is None or at <= self.until)
            and event_id > self.since_id
            and (not self.until_id or event_id <= self.until_id)
        )


class Reader:
    """One client's connection."""

    hears = "activities"

    def __init__(self, front: Front, request: web.Request, account: str, span: Span):
        self.front, self.account, self.span = front, account, span
        self.woken = asyncio.Event()
        self._transport = request.transport
        history = span.since is not None or bool(span.since_id)
        self._next = 0 if history else len(front.venue.fills[account])

    def cut(self) -> None:
        """Break the connection now."""
        if self._transport is not None:
            self._transport.abort()

    def events(self) -> Iterator[dict[str, Any]]:
        """The events since the last call that the client wants."""
        ids, known = self.front.venue.fills[self.account], self.front.venue.engine.executions
        while self._next < len(ids):
            trade, serial = known[ids[self._next]], self._next
            self._next += 1
            event = activity_event(trade, serial)
            if self.span.takes(trade.at, event["event_id"]):
                yield event

    async def send_all(self, response: web.StreamResponse) -> None:
        """Send what there is and then, unless the span ends, what comes."""
        while True:
            self.woken.clear()
            for event in self.events():
                await self.front.venue.durable()
                await response.write(f"event: message\ndata: {json.dumps(event, separators=(',', ':'))}\n\n".encode())
            if self.span.ends:
                return
            await self.woken.wait()


async def activity_events(request: web.Request) -> web.StreamResponse:
    """GET /v2beta1/events/activities."""
    front, news = request.app[FRONT], request.app[NEWS]
    try:
        account, span = front.authenticate(request.headers), _span(request)
    except AlpacaError as refusal:
        return failed(refusal)
    reader = Reader(front, request, account, span)
    response = web.StreamResponse(headers={"Content-Type": STREAMED, "Cache-Control": "no-cache"})
    await response.prepare(request)
    front.streams[account].add(reader)
    front.transports[account].add(request.transport)
    news.readers.add(reader)
    try:
        await reader.send_all(response)
    finally:
        news.readers.discard(reader)
        front.streams[account].discard(reader)
    return response


async def end_all(app: web.Application) -> None:
    """Break every connection."""
    for reader in list(app[NEWS].readers):
        reader.cut()


def add_activity_events(app: web.Application) -> None:
    """Add the events to the server."""
    app[NEWS] = News(app[FRONT])
    app.on_shutdown.append(end_all)
    app.router.add_get(PATH, activity_events, allow_head=False)


def _span(request: web.Request) -> Span:
    query = request.query
    span = Span(
        since=read_time(query.get("since"), "since"),
        until=read_time(query.get("until"), "until"),
        since_id=query.get("since_id", ""),
        until_id=query.get("until_id", ""),
    )
    if span.since and span.since_id:
        raise unprocessable("since and since_id cannot be used together")
    if (span.until and not span.since) or (span.until_id and not span.since_id):
        raise unprocessable("until needs since, until_id needs since_id")
    return span
