"""Activity events: the server-sent events that carry fills, busts and corrections, and replay what was missed.

The WebSocket of trade updates is quicker but replays nothing. These are read on from the last event that the listener
took, so that no bust or correction is lost. Fills are told by the WebSocket and the FILL activities already; one is
told from here only before its bust or correction, which knows it by the id that it has here.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from brokers.messages import ExecutionReport
from tradingdesk.fix import ExecType

from .config import AlpacaSettings
from .told import Told
from .updates import activity_fact

log = logging.getLogger(__name__)

PATH = "/v2beta1/events/activities"
REPLAYED = timedelta(days=1)
SILENCE_SECONDS = 300.0
FIRST_PAUSE, LONGEST_PAUSE, REFUSED_PAUSE = 1.0, 60.0, 600.0
LONGEST_LINE = 1024 * 1024
MOST_FILLS = 20_000


class Refused(Exception):
    """The server does not give this account its events."""


class ActivityEvents:
    """One account's events, from a day before the start on."""

    def __init__(self, account: AlpacaSettings, told: Told):
        self._url = account.trading_url + PATH
        self._headers = {"APCA-API-KEY-ID": account.api_key, "APCA-API-SECRET-KEY": account.secret_key}
        self._connect_timeout = account.timeout[0]
        self._told = told
        self._since = datetime.now(UTC) - REPLAYED
        self._last_id = self._failing = ""
        self._fills: dict[str, ExecutionReport] = {}

    async def run(self) -> None:
        """Read for ever, connecting again after each failure."""
        pause = FIRST_PAUSE
        while True:
            before = self._last_id
            try:
                await self._read()
            except Exception as failure:
                self._say(f"{type(failure).__name__}: {failure}")
                pause = REFUSED_PAUSE if isinstance(failure, Refused) else pause
            await asyncio.sleep(pause)
            pause = FIRST_PAUSE if self._last_id != before else min(pause * 2, LONGEST_PAUSE)

    async def _read(self) -> None:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._connect_timeout, sock_read=SILENCE_SECONDS)
        query = {"since_id": self._last_id} if self._last_id else {"since": self._since.isoformat()}
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=True, read_bufsize=LONGEST_LINE) as session,
            session.get(self._url, params=query, headers=self._headers) as response,
        ):
            if response.status in (401, 403, 404):
                raise Refused(f"activity events: HTTP {response.status}")
            response.raise_for_status()
            self._failing = ""
            async for event in _events(response.content):
                await self._take(event)

    async def _take(self, event: dict[str, Any]) -> None:
        fact = activity_fact(event)
        if fact is not None and fact.exec_type == ExecType.TRADE:
            self._keep(fact)
        elif fact is not None:
            fill = self._fills.get(fact.exec_ref_id)
            await self._told.facts([fill, fact] if fill else [fact])
        self._last_id = event["event_id"]

    def _keep(self, fill: ExecutionReport) -> None:
        self._fills[fill.exec_id] = fill
        if len(self._fills) > MOST_FILLS:
            del self._fills[next(iter(self._fills))]

    def _say(self, failure: str) -> None:
        """Log a failure that is another one than before."""
        if failure != self._failing:
            log.warning("activity events are lost, busts and corrections come late: %s", failure)
        self._failing = failure


async def _events(lines: AsyncIterator[bytes]) -> AsyncIterator[dict[str, Any]]:
    """Read server-sent events; a comment about dropped messages or an error ends the connection."""
    data: list[str] = []
    async for raw in lines:
        line = raw.decode().rstrip("\r\n")
        if line.startswith("data:"):
            data.append(line.removeprefix("data:").strip())
        elif line.startswith(":") and ("dropped" in line or "error" in line):
            raise ConnectionError(line)
        elif not line and data:
            read, data = json.loads("\n".join(data)), []
            for event in read if isinstance(read, list) else [read]:
                yield event
