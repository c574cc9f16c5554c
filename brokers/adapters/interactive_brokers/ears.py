"""Who waits for TWS's word about an order."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Ears:
    """Who listens for what TWS says about order ids: several may about one, each hears all."""

    def __init__(self) -> None:
        self._open: defaultdict[int, list[asyncio.Queue]] = defaultdict(list)

    def __contains__(self, order_id: int) -> bool:
        return order_id in self._open

    @contextmanager
    def on(self, *order_ids: int) -> Iterator[asyncio.Queue]:
        """Hear what is said from now on."""
        heard: asyncio.Queue = asyncio.Queue()
        for order_id in order_ids:
            self._open[order_id].append(heard)
        try:
            yield heard
        finally:
            for order_id in order_ids:
                self._open[order_id].remove(heard)
                if not self._open[order_id]:
                    del self._open[order_id]

    def say(self, order_id: int, message: Any) -> None:
        """Pass a message on."""
        for heard in self._open.get(order_id, ()):
            heard.put_nowait(message)

    def say_to_all(self, message: Any) -> None:
        """Pass on what concerns whoever waits."""
        for order_id in list(self._open):
            self.say(order_id, message)
