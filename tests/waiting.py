"""Waiting in tests: for a condition, with a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
LOOK_EVERY_S = 0.01


def eventually(condition: Callable[[], T], what: str = "it", within: float = 30.0) -> T:
    """Wait until the condition gives something true, and give that; fail when it does not within so many seconds."""
    deadline = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not come about within {within:g} s"
        time.sleep(LOOK_EVERY_S)
    return found
