"""Killing parts of the desk, or the broker, at the moment that the plan says."""

import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future

from tests.faults.catalogue import Kill
from tests.faults.crashing_postgresql import orders as crash_orders
from tests.faults.running import FaultyDesk
from tests.faults.venue import Venue

Work = Callable[[], list[Future]]
HELD_S, DIED_S, BEGUN_S = 12.0, 10.0, 10.0
COMMITS = 8


class Killer:
    """Starts a piece of work, kills in the middle of it, and starts again what was killed; `done` counts."""

    def __init__(self, desk: FaultyDesk, venue: Venue, chance: random.Random):
        self.desk, self.venue, self.chance = desk, venue, chance
        self.done: Counter = Counter()

    def during(self, work: Work, kill: Kill) -> list[Future]:
        """Begin the work and make the kill; the work's futures. A moment that does not come makes it any moment."""
        if kill.part == "venue":
            return self._kill_venue(work, kill)
        if kill.operation:
            return self._kill_at_hold(work, kill)
        if kill.at:
            return self._kill_at_commit(work, kill)
        futures = work()
        self._wait(lambda: any(one.done() for one in futures), BEGUN_S)
        self._kill(kill.part, kill.name)
        return futures

    def release(self) -> None:
        """Let go on what the venue still holds."""
        self.venue.admin.release()

    def _kill_at_hold(self, work: Work, kill: Kill) -> list[Future]:
        self.venue.admin.hold(kill.at, operation=kill.operation)
        futures = work()
        held = self._wait(lambda: self.venue.admin.held(), HELD_S)
        self._kill(kill.part, kill.name if held else f"kill {kill.part}")
        if self.chance.random() < 0.5:  # else what is held arrives when the desk has asked about it already
            self.venue.admin.release(drop=self.chance.random() < 0.3)
        return futures

    def _kill_at_commit(self, work: Work, kill: Kill) -> list[Future]:
        folder = self.desk.crashes
        crash_orders.give(folder, kill.part, kill.at, self.chance.randint(1, COMMITS))
        futures = work()
        if self._wait(lambda: crash_orders.was_obeyed(folder, kill.part), DIED_S):
            self.done[f"{kill.name} a commit"] += 1
        else:
            self._kill(kill.part, f"kill {kill.part}")
        crash_orders.withdraw(folder, kill.part)
        return futures

    def _kill_venue(self, work: Work, kill: Kill) -> list[Future]:
        futures = work()
        self._wait(lambda: any(one.done() for one in futures), BEGUN_S)
        self.venue.sandbox.restart(kill=True)
        self.done[kill.name] += 1
        return futures

    def _kill(self, part: str, name: str) -> None:
        self.desk.parts[part].kill()
        self.desk.parts[part].start()
        self.done[name] += 1

    def _wait(self, condition: Callable[[], object], within: float) -> bool:
        try:
            return bool(self.desk.eventually(condition, "", within))
        except AssertionError:
            return False
