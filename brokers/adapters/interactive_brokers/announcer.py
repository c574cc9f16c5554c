"""The thread that tells the listener: one thing at a time, in the order in which TWS said it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any

from brokers.adapter import Listener
from brokers.messages import QuoteState

log = logging.getLogger(__name__)

JOIN = 3.0


class Announcer:
    """Queues what is to be told; `on_failure` hears when the listener could not take a fact.

    Of quotes only the latest of a symbol is told: a slow listener must not fall behind the market.
    """

    def __init__(self, listener: Listener, *, name: str, on_failure: Callable[[Exception], None]):
        self._listener, self._on_failure = listener, on_failure
        self._queue: SimpleQueue[Callable[[], Any] | None] = SimpleQueue()
        self._quotes: dict[str, QuoteState] = {}
        self._lock = Lock()
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def fact(self, fact: Any) -> None:
        """An order moved."""
        self._queue.put(lambda: self._tell_fact(fact))

    def connected(self) -> None:
        """The stream is open (again)."""
        self._queue.put(self._listener.on_connected)

    def disconnected(self, reason: str) -> None:
        """The stream is lost."""
        self._queue.put(lambda: self._listener.on_disconnected(reason))

    def quote(self, quote: QuoteState) -> None:
        """A price changed."""
        with self._lock:
            is_queued = quote.symbol in self._quotes
            self._quotes[quote.symbol] = quote
        if not is_queued:
            self._queue.put(lambda: self._tell_quote(quote.symbol))

    def close(self) -> None:
        """Tell what is queued, then no more."""
        self._queue.put(None)
        self._thread.join(JOIN)

    def _run(self) -> None:
        while (tell := self._queue.get()) is not None:
            try:
                tell()
            except Exception:
                log.exception("what Interactive Brokers said could not be taken")

    def _tell_fact(self, fact: Any) -> None:
        try:
            self._listener.on_facts([fact])
        except Exception as failure:
            self._on_failure(failure)
            raise

    def _tell_quote(self, symbol: str) -> None:
        with self._lock:
            quote = self._quotes.pop(symbol)
        self._listener.on_quote(quote)
