"""What is otherwise in one configuration than in another, value by value."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Change:
    """One value that differs; None stands for "not given"."""

    path: str
    before: Any
    after: Any

    def __str__(self) -> str:
        before, after = in_words(self.before), in_words(self.after)
        if self.before is None:
            return f"+ {self.path}: {after}"
        if self.after is None:
            return f"- {self.path}: {before}"
        return f"~ {self.path}: {before} -> {after}"


def changes(before: dict[str, Any], after: dict[str, Any]) -> list[Change]:
    """Every value that differs, in the order of `after`, then what is gone."""
    old, new = leaves(before), leaves(after)
    paths = [*new, *(path for path in old if path not in new)]
    return [Change(path, old.get(path), new.get(path)) for path in paths if not _same(old, new, path)]


@dataclass(frozen=True, slots=True)
class Line:
    """One value as two configurations have it, in words; "" where one does not give it."""

    path: str
    before: str
    after: str

    @property
    def is_changed(self) -> bool:
        """Whether the two differ."""
        return self.before != self.after


def side_by_side(before: dict[str, Any], after: dict[str, Any]) -> list[Line]:
    """Every value of two configurations, section by section."""
    old, new = leaves(before), leaves(after)
    order = list(dict.fromkeys([*after, *before]))
    paths = sorted({**new, **old}, key=lambda path: order.index(_section_of(path, order)))
    return [Line(path, _words_at(old, path), _words_at(new, path)) for path in paths]


def _section_of(path: str, sections: list[str]) -> str:
    return next(name for name in sections if path == name or path.startswith(f"{name}."))


def _words_at(values: dict[str, Any], path: str) -> str:
    return in_words(values[path]) if path in values else ""


def leaves(value: Any, path: str = "") -> dict[str, Any]:
    """Every value by the way to it: `risk.max_order_qty`. What is not given is not in it."""
    return dict(_leaves(value, path))


def in_words(value: Any) -> str:
    """A value as people read it."""
    return value if isinstance(value, str) else json.dumps(value)


def _same(old: dict[str, Any], new: dict[str, Any], path: str) -> bool:
    """1 and "1" are the same: exact numbers are kept as text."""
    was, now = old.get(path, _ABSENT), new.get(path, _ABSENT)
    return was is not _ABSENT and now is not _ABSENT and in_words(was) == in_words(now)


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, child in value.items():
            yield from _leaves(child, f"{path}.{key}" if path else key)
    elif path and value is not None:
        yield path, value
