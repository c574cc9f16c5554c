"""Waiting for TWS's word after an order, a cancel or a change was sent: what is an answer, and what proves nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from brokers.messages import OrderRefused, OutcomeUnknown

from . import codes, orders, parsing
from .tracker import KnownOrder
from .wire import Lost, Notice, OpenOrder

# What an order was told as is confirmed, or explained, by a message that follows at once.
GRACE = 1.0
ENDS = frozenset({"PendingCancel", "Cancelled", "ApiCancelled"})
ENDED = frozenset({"Cancelled", "ApiCancelled", "Inactive"})
UNSURE = frozenset({"", "Inactive"})


class Patience:
    """How long to go on listening; it can become less."""

    def __init__(self, seconds: float):
        self._loop = asyncio.get_running_loop()
        self._until = self._loop.time() + seconds

    def at_most(self, seconds: float) -> None:
        """Wait no longer than this from now."""
        self._until = min(self._until, self._loop.time() + seconds)

    async def messages(self, heard: asyncio.Queue) -> AsyncIterator[Any]:
        """Give what is heard until patience ends, or the connection does."""
        while (left := self._until - self._loop.time()) > 0:
            try:
                message = await asyncio.wait_for(heard.get(), left)
            except TimeoutError:
                return
            if isinstance(message, Lost):
                return
            yield message


async def first_answer(heard: asyncio.Queue, own: Callable[[], KnownOrder | None], seconds: float) -> KnownOrder:
    """Wait for the first word about a new order that has a permId.

    Raises:
        OrderRefused, TryLater: TWS or IB refused it.
        OutcomeUnknown: no such word came.
    """
    patience, said = Patience(seconds), []
    async for message in patience.messages(heard):
        known = own()
        if isinstance(message, Notice):
            refuses = message.code in codes.REFUSALS_OF_NEW or message.code == codes.RATE_EXCEEDED
            if refuses or (message.code == codes.CANCELLED and known is None):
                raise codes.refusal(message.code, message.text, raw=message.fields)
            said.append(f"{message.code}: {message.text}")
        elif known is not None:
            if known.word not in UNSURE:
                return known
            patience.at_most(GRACE)
    if known := own():
        return known
    raise _silence("the order", said)


async def legs_named(heard: asyncio.Queue, legs: Sequence[Callable[[], KnownOrder | None]]) -> None:
    """Wait a moment for TWS to name every leg of an order that it has answered.

    Raises:
        OrderRefused, TryLater: TWS or IB refused one.
    """
    if all(own() for own in legs):
        return
    async for message in Patience(GRACE).messages(heard):
        if isinstance(message, Notice) and message.code in codes.REFUSALS_OF_NEW | {codes.RATE_EXCEEDED}:
            raise codes.refusal(message.code, message.text, raw=message.fields)
        if all(own() for own in legs):
            return


async def given_up(
    heard: asyncio.Queue, owns: Mapping[int, Callable[[], KnownOrder | None]], refusal: OrderRefused, seconds: float
) -> KnownOrder:
    """Wait for the end of orders that were cancelled because a part of their group was refused; the first is its order.

    Gives that when it has traded all the same.

    Raises:
        OrderRefused, TryLater: nothing is left of them; what was said of the part.
        OutcomeUnknown: their end was not heard of.
    """
    first, gone = next(iter(owns.values())), set()
    async for message in Patience(seconds).messages(heard):
        known = first()
        if known is not None and known.filled:
            return known
        if isinstance(message, Notice) and message.code in codes.NOT_THERE:
            gone.add(message.about)
        if all(_is_over(own(), number in gone) for number, own in owns.items()):
            raise refusal
    raise OutcomeUnknown(f"a leg was refused ({refusal.text}), and TWS has not said that the order is cancelled")


def _is_over(known: KnownOrder | None, is_gone: bool) -> bool:
    return is_gone if known is None else known.word in ENDED or known.word == "Filled"


async def cancel_answer(heard: asyncio.Queue, known: KnownOrder, seconds: float) -> None:
    """Wait until TWS has taken a cancel.

    Raises:
        OrderRefused: it cannot be cancelled any more, or TWS knows no such order.
        OutcomeUnknown: nothing was heard of it.
    """
    said = []
    async for message in Patience(seconds).messages(heard):
        if isinstance(message, Notice):
            if message.code == codes.CANCELLED or "state: PendingCancel" in message.text:
                return
            if message.code in codes.CANCEL_REFUSALS | codes.REFUSALS | {codes.RATE_EXCEEDED}:
                raise codes.refusal(message.code, message.text, is_new=False, raw=message.fields)
            said.append(f"{message.code}: {message.text}")
        elif known.word in ENDS:
            return
        elif known.word == "Filled":
            raise OrderRefused("the order is Filled", code="Filled")
    raise _silence("the cancel", said)


async def replace_answer(heard: asyncio.Queue, known: KnownOrder, wanted: Any, seconds: float) -> bool:
    """Wait for TWS to show the order as asked; True when it works or has filled so, False while that is pending.

    Raises:
        OrderRefused: the order stands as it was.
        OutcomeUnknown: nothing was heard of it.
    """
    patience, said, shown = Patience(seconds), [], False
    async for message in patience.messages(heard):
        if isinstance(message, Notice):
            if message.code in codes.REFUSALS | codes.DOUBTS | {codes.RATE_EXCEEDED}:
                raise codes.refusal(message.code, message.text, is_new=False, raw=message.fields)
            said.append(f"{message.code}: {message.text}")
            continue
        if isinstance(message, OpenOrder):
            shown = orders.is_as_asked(wanted, message.order)
        if shown and known.word in parsing.CHANGED:
            return True
        if shown:
            patience.at_most(GRACE)
    if shown:
        return False
    raise _silence("the change", said)


def _silence(what: str, said: list[str]) -> OutcomeUnknown:
    heard = f"; TWS said {'; '.join(said)}" if said else ""
    return OutcomeUnknown(f"TWS has not answered {what}{heard}")
