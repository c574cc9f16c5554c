"""ib_async, or ib_insync in its stead: the one place that imports either.

The two have the same names, but install the same `eventkit` files, so an environment has one of them:
`requirements/ib_insync.txt` makes one with the older. Used of them is the lower layer: the socket client, the decoder
and the words (contracts, orders). Their `IB` keeps a status of its own for each order, which errors move although the
order lives or has filled (399, 321, 10148, 10349), and drops messages about orders it has not seen.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from brokers.messages import RequestBudget


def _give_this_thread_a_loop() -> None:
    """Eventkit asks for the thread's event loop when it is imported; only the main thread has one by itself."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        try:
            asyncio.get_event_loop_policy().get_event_loop()
        except RuntimeError:
            asyncio.set_event_loop(asyncio.new_event_loop())


_give_this_thread_a_loop()

try:
    import ib_async as library
    from ib_async.client import Client
    from ib_async.decoder import Decoder
except ImportError:
    import ib_insync as library
    from ib_insync.client import Client
    from ib_insync.decoder import Decoder

# What it says of a connection is said again by us, once and with what to do about it.
logging.getLogger(Client.__module__).setLevel(logging.CRITICAL)

NAME = library.__name__
VERSION = library.__version__
Contract = library.Contract
ContractDetails = library.ContractDetails
ExecutionFilter = library.ExecutionFilter
Order = library.Order

EXECUTION_DETAILS = 11
EXECUTION_TIME = 15


class StrictDecoder(Decoder):
    """Decodes as the library does, but keeps the message as it came and lets no failure pass for silence.

    An execution's time is left to us: the library fails on time zones that TWS calls by their Windows names.
    """

    def interpret(self, fields: list[str]) -> None:
        """Hand one message to the wrapper, its fields first (`wrapper.fields`)."""
        self.wrapper.fields = tuple(fields)
        try:
            number = int(fields[0])
            if number == EXECUTION_DETAILS:
                fields[EXECUTION_TIME] = "0"
            if number in self.handlers:
                self.handlers[number](fields)
        except Exception as failure:
            self.wrapper.unreadable(failure)

    def wrap(self, name: str, types: list[type], skip: int = 2) -> Callable[[list[str]], None]:
        """Make a handler that calls the wrapper's method, if it has one, and lets its failures out."""

        def handle(fields: list[str]) -> None:
            if method := getattr(self.wrapper, name, None):
                method(*(_read(kind, text) for kind, text in zip(types, fields[skip:], strict=False)))

        return handle


class SocketClient(Client):
    """The library's connection to TWS, decoding strictly; `wrapper` has a method for each message it wants."""

    def __init__(self, wrapper: Any):
        super().__init__(wrapper)
        self.decoder = StrictDecoder(wrapper, 0)

    def budget(self) -> RequestBudget:
        """What is left of the messages that the library lets through; called from any thread."""
        began = time.monotonic() - self.RequestsInterval
        sent = sum(at > began for at in self._timeQ.copy())
        resets_at = datetime.now(UTC) + timedelta(seconds=self.RequestsInterval)
        return RequestBudget(self.MaxRequests, max(self.MaxRequests - sent - len(self._msgQ), 0), resets_at)


def _read(kind: type, text: str) -> Any:
    if kind is str:
        return text
    return bool(int(text or 0)) if kind is bool else kind(text or 0)
