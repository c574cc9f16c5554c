"""Questions to TWS and the ends of their answers.

Some have a number, and their answers bear it. Others have none: those are asked one at a time, and an answer whose end
stays out must not lend its end to the next.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from brokers.messages import OutcomeUnknown

from .ids import OrderIds


@dataclass(slots=True)
class Question:
    """What is answered with items and an end."""

    answer: asyncio.Future
    items: list = field(default_factory=list)

    def settle(self, result: Any) -> None:
        """Give the answer, or the error, to whoever waits; the first counts."""
        if self.answer.done():
            return
        if isinstance(result, Exception):
            self.answer.set_exception(result)
        else:
            self.answer.set_result(result)


class Questions:
    """What was asked on one connection and is not answered yet; `lose` gives that connection up."""

    def __init__(self, ids: OrderIds, *, seconds: float, lose: Callable[[str], None]):
        self._ids, self._seconds, self._lose = ids, seconds, lose
        self._open: dict[int | str, Question] = {}
        self._overdue: Counter[int | str] = Counter()
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def __contains__(self, key: int | str) -> bool:
        return key in self._open

    async def named(self, name: str, send: Callable[[], None]) -> list[Any]:
        """Ask a question that has no number.

        A second answer in a row that stays out costs the connection: the ends cannot be told apart any more.

        Raises:
            OutcomeUnknown: the answer was not complete in time, or could not be read.
        """
        async with self._turns[name]:
            is_in_doubt = self._overdue[name] > 0
            try:
                return await self._ask(name, send)
            except (TimeoutError, OutcomeUnknown, asyncio.CancelledError) as failure:
                self._overdue[name] += 1
                if is_in_doubt:
                    self._lose(f"TWS does not answer when asked for {name}")
                if isinstance(failure, TimeoutError):
                    raise self._incomplete(name) from None
                raise

    async def numbered(self, what: str, send: Callable[[int], None]) -> list[Any]:
        """Ask a question that has a number.

        Raises:
            OutcomeUnknown: the answer was not complete in time, or could not be read.
            OrderRefused: TWS answers with an error.
        """
        number = self._ids.for_request()
        try:
            return await self._ask(number, lambda: send(number))
        except TimeoutError:
            raise self._incomplete(what) from None

    def item(self, key: int | str, item: Any) -> None:
        """Take a part of an answer."""
        if question := self._open.get(key):
            question.items.append(item)

    def end(self, key: int | str) -> None:
        """Take the end of an answer: the oldest that stayed out, else that of the open question."""
        question = self._open.get(key)
        if self._overdue[key]:
            self._overdue[key] -= 1
            if question:
                question.items.clear()
        elif question:
            question.settle(question.items)

    def fail(self, failure: Exception, key: int | str | None = None) -> None:
        """End a question with an error, or all of them."""
        for question in list(self._open.values()) if key is None else [self._open[key]]:
            question.settle(failure)

    async def _ask(self, key: int | str, send: Callable[[], None]) -> list[Any]:
        question = self._open[key] = Question(asyncio.get_running_loop().create_future())
        try:
            send()
            async with asyncio.timeout(self._seconds):
                return await question.answer
        finally:
            self._open.pop(key, None)

    def _incomplete(self, what: str) -> OutcomeUnknown:
        return OutcomeUnknown(f"TWS did not complete its answer ({what}) within {self._seconds:g} s")
