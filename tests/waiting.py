"""Waiting in tests: for a condition, with a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
LOOK_EVERY_S = 0.01
WITHIN_S = 30.0


def eventually(condition: Callable[[], T], what: str = "it", within: float | None = None) -> T:
    """Wait until the condition gives something true, and give that; fail when it does not within so many seconds."""
    patience = WITHIN_S if within is None else within
    deadline = time.monotonic() + patience
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not come about within {patience:g} s"
        time.sleep(LOOK_EVERY_S)
    return found
