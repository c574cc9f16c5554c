"""What the configuration's versions tell of each limit: every value it had, who set it, when and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from risk.models import Control, Scope
from risk.scopes import PLACES
from tradingdesk.config.models import ConfigurationRecord

VERSIONS_AT_MOST = 500
_RESTRICTED = "restricted_symbols"
_SCOPES = {place: scope for scope, place in PLACES.items()}

LimitKey = tuple[str, str, str]


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
    """Every limit's changes by control, scope and scope_key, the latest first, of the latest versions (one query)."""
    found: dict[LimitKey, list[Past]] = defaultdict(list)
    records = ConfigurationRecord.objects.filter(version__gt=0).order_by("-version")
    for record in records.only("version", "changed_at", "changed_by", "reason", "diff")[:VERSIONS_AT_MOST]:
        for path, before, after in _risk_changes(record):
            for key, was, now in _limits_at(path, before, after):
                found[key].append(Past(record.version, record.changed_at, record.changed_by, record.reason, was, now))
    return found


def _risk_changes(record: ConfigurationRecord) -> Iterator[tuple[str, Any, Any]]:
    for change in record.diff:
        section, _, path = change["path"].partition(".")
        if section == "risk":
            yield path, change["before"], change["after"]


def _limits_at(path: str, before: Any, after: Any) -> Iterator[tuple[LimitKey, Any, Any]]:
    """The limits that a path of the section is about; a symbol may have points in it."""
    if path == _RESTRICTED:
        yield from _restrictions(set(before or []), set(after or []))
        return
    path = path.removesuffix(".value")
    place, _, rest = path.partition(".")
    scope_key, _, control = rest.rpartition(".")
    if place in _SCOPES and control in Control.values:
        yield (control, _SCOPES[place], scope_key), before, after
    elif path in Control.values:
        yield (path, Scope.FIRM, ""), before, after


def _restrictions(before: set[str], after: set[str]) -> Iterator[tuple[LimitKey, Any, Any]]:
    for symbol in sorted(before ^ after):
        yield (Control.RESTRICTED, Scope.SYMBOL, symbol), symbol in before or None, symbol in after or None
