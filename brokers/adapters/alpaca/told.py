"""The way from the streams' loop to the listener: one thread, one call at a time, in the order of what came."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from typing import Any

from brokers.adapter import Listener
from brokers.messages import CancelRejected, ExecutionReport, QuoteState

log = logging.getLogger(__name__)


class Told:
    """A listener that can be awaited. Its own thread may wait for a database while the loop answers pings."""

    def __init__(self, listener: Listener):
        self._listener = listener
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="alpaca.listener")

    async def facts(self, facts: Sequence[ExecutionReport | CancelRejected]) -> None:
        """See `Listener.on_facts`; raises what it raises."""
        await self._call(self._listener.on_facts, facts)

    async def quote(self, quote: QuoteState) -> None:
        """See `Listener.on_quote`."""
        await self._call(self._listener.on_quote, quote)

    async def connected(self) -> None:
        """See `Listener.on_connected`; raises what it raises."""
        await self._call(self._listener.on_connected)

    async def disconnected(self, reason: str) -> None:
        """See `Listener.on_disconnected`. A listener that fails in this does not keep us from connecting again."""
        try:
            await self._call(self._listener.on_disconnected, reason)
        except Exception:
            log.exception("the end of the stream could not be told: %s", reason)

    def close(self, within: float) -> None:
        """Begin no more calls, and wait at most so many seconds for the end of the one at hand. Again does nothing."""
        with suppress(RuntimeError):  # it is closed
            wait([self._thread.submit(int)], within)
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _call(self, method: Callable[..., None], *args: Any) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, method, *args)
