"""What can go wrong with a request on purpose, and where a request can be held until a test lets it go on.

A fault's `action` is done `before` or `after` the request took effect:

- `drop`: close the connection without an answer.
- `delay`: wait `seconds`, then go on.
- `error`: answer with `status` (429, 500, 504, …) and, unless given, the body that the venue would send; at a
  TWS, `status` is the error's code and `body` its text; there, 5xx breaks the connection, and 429 is its code 100.
- `duplicate`: list every activity twice (operation `activities`); at a TWS, answer twice.
- `no_end`: leave out the message that ends a list (at a TWS only).
- `disconnect`: close all connections of the account, this one included.
- `echo`: let the request arrive twice, as a network may, and answer with the second one's outcome.

What is told on a stream can be hit too (`StreamFault`; its `operation` is the event, such as `fill`):

- `drop`: it is never sent. `disconnect`: the connection breaks in its place.
- `duplicate`: it is sent twice. `delay`: it and all behind it wait `seconds`.
- `swap`: it is sent after what comes next. `malformed`: half of it is sent, or `body` in its place.

A hold stops a request at `request_received`, `before_answer` (it took effect) or `after_answer` (the
client has read it) until it is released.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from dataclasses import dataclass, field
from typing import Any, Literal

from brokers.sandbox.accounts import FaultOdds

Action = Literal["drop", "delay", "error", "duplicate", "disconnect", "echo", "no_end"]
Point = Literal["request_received", "before_answer", "after_answer"]
ACTIONS: tuple[str, ...] = ("drop", "delay", "error", "duplicate", "disconnect", "echo", "no_end")
STREAM_ACTIONS: tuple[str, ...] = ("drop", "delay", "duplicate", "disconnect", "swap", "malformed")
POINTS: tuple[str, ...] = ("request_received", "before_answer", "after_answer")
MAX_HOLD_S = 300.0

BY_CHANCE: dict[str, dict[str, Any]] = {
    "drop_before": {"action": "drop", "when": "before"},
    "drop_after": {"action": "drop", "when": "after"},
    "error_500_before": {"action": "error", "when": "before", "status": 500},
    "error_500_after": {"action": "error", "when": "after", "status": 500},
    "error_504_before": {"action": "error", "when": "before", "status": 504},
    "error_504_after": {"action": "error", "when": "after", "status": 504},
    "error_429": {"action": "error", "when": "before", "status": 429},
}


@dataclass(frozen=True, slots=True)
class Call:
    """One request, as far as faults and holds choose by it."""

    account: str
    operation: str
    client_order_id: str = ""


@dataclass(slots=True)
class Rule:
    """Which of the coming requests are meant; None means any. `times` counts down, None never ends."""

    account: str | None = None
    operation: str | None = None
    client_order_id: str | None = None
    times: int | None = 1

    def takes(self, call: Call) -> bool:
        """Whether this call is meant; counts it if so."""
        if self.times == 0 or not self._matches(call):
            return False
        if self.times is not None:
            self.times -= 1
        return True

    def _matches(self, call: Call) -> bool:
        wanted = (self.account, self.operation, self.client_order_id)
        given = (call.account, call.operation, call.client_order_id)
        return all(w is None or w == g for w, g in zip(wanted, given, strict=True))


@dataclass(slots=True)
class Fault(Rule):
    """What to do to the requests that the rule means."""

    action: Action = "drop"
    when: Literal["before", "after"] = "after"
    status: int = 500
    seconds: float = 0.0
    body: str | None = None


@dataclass(slots=True)
class StreamFault(Rule):
    """What to do to the messages of a stream that the rule means."""

    action: Literal["drop", "delay", "duplicate", "disconnect", "swap", "malformed"] = "drop"
    seconds: float = 0.0
    body: str | None = None


@dataclass(slots=True)
class Hold(Rule):
    """Where to stop the requests that the rule means."""

    point: Point = "request_received"


@dataclass(slots=True)
class Held:
    """A request that is held now. `go_on` is set by its release; `drop` then loses the request."""

    held_id: int
    call: Call
    point: Point
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    drop: bool = False


class Mischief:
    """The faults and holds that are ordered, and what is held."""

    def __init__(self, odds: dict[str, FaultOdds], seed: int = 0):
        self.odds = {account: about.model_dump() for account, about in odds.items()}
        self.chance = {account: random.Random(f"{seed}:faults:{account}") for account in odds}
        self.faults: list[Fault] = []
        self.stream_faults: list[StreamFault] = []
        self.holds: list[Hold] = []
        self.held: dict[int, Held] = {}
        self._ids = itertools.count(1)
        self._news = asyncio.Condition()

    def fault_for(self, call: Call) -> Fault | None:
        """The fault that this call gets: the first ordered one that means it, else one by chance."""
        ordered = next((fault for fault in self.faults if fault.takes(call)), None)
        return ordered or self._by_chance(call)

    def stream_fault_for(self, call: Call) -> StreamFault | None:
        """The fault that this message of a stream gets."""
        return next((fault for fault in self.stream_faults if fault.takes(call)), None)

    async def stop_at(self, point: Point, call: Call) -> Held | None:
        """Hold the call here if a hold means it, until its release or MAX_HOLD_S."""
        if not any(hold.point == point and hold.takes(call) for hold in self.holds):
            return None
        held = Held(next(self._ids), call, point)
        self.held[held.held_id] = held
        async with self._news:
            self._news.notify_all()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(held.go_on.wait(), MAX_HOLD_S)
        self.held.pop(held.held_id, None)
        return held

    async def wait_for_held(self, count: int, seconds: float) -> list[Held]:
        """What is held as soon as there are `count`, or when the time is over."""
        async with self._news:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait_for(lambda: len(self.held) >= count), seconds)
        return list(self.held.values())

    def release(self, held_id: int | None = None, *, drop: bool = False) -> int:
        """Let one held request go on, or all, and say how many; `drop` closes the connection with nothing more done."""
        chosen = [held for held in self.held.values() if held_id in (None, held.held_id)]
        for held in chosen:
            del self.held[held.held_id]
            held.drop = drop
            held.go_on.set()
        return len(chosen)

    def clear(self) -> None:
        """Forget all orders and let everything go on."""
        self.faults.clear()
        self.stream_faults.clear()
        self.holds.clear()
        self.release()

    def _by_chance(self, call: Call) -> Fault | None:
        odds = self.odds.get(call.account)
        if not odds or not any(odds.values()):
            return None
        drawn = self.chance[call.account].random()
        for name, probability in odds.items():
            if drawn < probability:
                return Fault(**BY_CHANCE[name])
            drawn -= probability
        return None
