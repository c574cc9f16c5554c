"""What the configuration's versions tell of each limit: every value it had, who set it, when and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from risk.configuration import by_hardness
from risk.controls import SPECS
from risk.limits import LimitKey
from risk.models import Control, Scope
from risk.scopes import PLACES
from tradingdesk.config.changes import in_words, leaves
from tradingdesk.config.models import ConfigurationRecord

VERSIONS_AT_MOST = 500
_RESTRICTED = "restricted_symbols"
_PARTS = ("value", "soft", "hard")
_SCOPES = {place: scope for scope, place in PLACES.items()}


@dataclass(frozen=True, slots=True)
class Past:
    """One change of a limit; None stands for "not set"."""

    version: int
    changed_at: datetime
    changed_by: str
    reason: str
    before: Any
    after: Any


def history_of_limits() -> Mapping[LimitKey, list[Past]]:
    """Every limit's changes, the latest first, of the latest versions (one query)."""
    found: dict[LimitKey, list[Past]] = defaultdict(list)
    records = ConfigurationRecord.objects.filter(version__gt=0).order_by("-version")
    columns = ("version", "changed_at", "changed_by", "reason", "diff", "whole__risk")
    for version, at, by, reason, diff, section in records.values_list(*columns)[:VERSIONS_AT_MOST]:
        for path, before, after in _risk_changes(diff, leaves(section or {})):
            for key, was, now in _limits_at(path, before, after):
                found[key].append(Past(version, at, by, reason, was, now))
    return found


def _risk_changes(diff: list[dict], after_it: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """What was set otherwise, each with the whole of it before and after; the parts of a mapping are put together."""
    found: dict[str, tuple[dict, dict]] = {}
    for change in diff:
        section, _, path = change["path"].partition(".")
        if section == "risk":
            whole, part = _parted(path)
            before, after = found.setdefault(whole, ({}, {}))
            before[part], after[part] = change["before"], change["after"]
    for path, (before, after) in found.items():
        same = {part: after_it.get(f"{path}.{part}") for part in _PARTS if part not in before}
        yield path, _whole(same | before), _whole(same | after)


def _parted(path: str) -> tuple[str, str]:
    """The path to a limit, and which part of it is meant; "" where it is the whole."""
    whole, _, part = path.rpartition(".")
    return (whole, part) if part in _PARTS else (path, "")


def _whole(parts: Mapping[str, Any]) -> Any:
    given = {part: value for part, value in parts.items() if value is not None}
    return given.get("", given or None)


def _limits_at(path: str, before: Any, after: Any) -> Iterator[tuple[LimitKey, Any, Any]]:
    """The limits that a path of the section is about; a symbol may have points in it."""
    if path == _RESTRICTED:
        yield from _restrictions(set(before or []), set(after or []))
        return
    place, _, rest = path.partition(".")
    scope_key, _, control = rest.rpartition(".")
    if place in _SCOPES and control in Control.values:
        yield from _of_control(control, _SCOPES[place], scope_key, before, after)
    elif path in Control.values:
        yield from _of_control(path, Scope.FIRM, "", before, after)


def _of_control(control: str, scope: str, scope_key: str, *sides: Any) -> Iterator[tuple[LimitKey, Any, Any]]:
    """The hard and the soft limit, as far as they differ."""
    before, after = (by_hardness(side, SPECS[control]) for side in sides)
    for hard in (True, False):
        was, now = before.get(hard), after.get(hard)
        if in_words(was) != in_words(now):
            yield (control, scope, scope_key, hard), was, now


def _restrictions(before: set[str], after: set[str]) -> Iterator[tuple[LimitKey, Any, Any]]:
    for symbol in sorted(before ^ after):
        yield (Control.RESTRICTED, Scope.SYMBOL, symbol, True), symbol in before or None, symbol in after or None
