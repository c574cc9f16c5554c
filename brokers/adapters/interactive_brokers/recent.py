"""A memory that does not grow with the months that a worker runs."""

from __future__ import annotations

from typing import TypeVar

K, V = TypeVar("K"), TypeVar("V")


class Recent(dict[K, V]):
    """A dict that keeps what was set last, up to `most` keys."""

    def __init__(self, most: int):
        super().__init__()
        self.most = most

    def __setitem__(self, key: K, value: V) -> None:
        self.pop(key, None)
        super().__setitem__(key, value)
        if len(self) > self.most:
            del self[next(iter(self))]
