"""What the stage tests share: a desk with fresh rules, and the wake-ups that would have gone out."""

from dataclasses import dataclass, field

import pytest

from orders import wakeups
from risk.rulebook import forget
from tests.factories import trading_desk


@dataclass
class Wakings:
    """The wake-ups that were sent, oldest first: (task, first argument, queue)."""

    sent: list[tuple] = field(default_factory=list)

    def __call__(self, task: str, *args, queue: str, **timing) -> None:
        self.sent.append((task, args[0], queue))

    def of(self, task: str) -> list[tuple]:
        return [(argument, queue) for name, argument, queue in self.sent if name == task]


@pytest.fixture
def wakings(monkeypatch) -> Wakings:
    """Instead of waking workers, keep whom it would have woken."""
    kept = Wakings()
    monkeypatch.setattr(wakeups, "wake", kept)
    return kept


@pytest.fixture
def desk(db):
    """Two accounts, half of the capital each, that trade IBM and BAC."""
    forget()
    yield trading_desk()
    forget()
