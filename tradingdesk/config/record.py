"""Putting a configuration in force: all of the file or nothing, with a version that says who, when and what."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from decimal import Decimal
from os import PathLike
from pathlib import Path
from typing import Any

from django.db import IntegrityError, transaction
from pydantic import BaseModel

from tradingdesk.audit import trail
from tradingdesk.config.document import Document, read_document
from tradingdesk.config.models import ConfigurationRecord
from tradingdesk.config.schema import parse, sections
from tradingdesk.errors import Conflict
from tradingdesk.redaction.known import redact

_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Change:
    """One value that the file has otherwise than the configuration in force; None stands for "not given"."""

    path: str
    before: Any
    after: Any

    def __str__(self) -> str:
        before, after = _in_words(self.before), _in_words(self.after)
        if self.before is None:
            return f"+ {self.path}: {after}"
        if self.after is None:
            return f"- {self.path}: {before}"
        return f"~ {self.path}: {before} -> {after}"


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked file, and what loading it would change."""

    document: Document
    parsed: dict[str, BaseModel]
    whole: dict[str, Any]
    changes: list[Change]
    in_force: ConfigurationRecord | None

    @property
    def changed_sections(self) -> list[str]:
        """The sections to apply; one that is as it was is left alone, with what people set since."""
        touched = {change.path.partition(".")[0] for change in self.changes}
        return [name for name in self.parsed if name in touched]


def configuration_in_force() -> ConfigurationRecord | None:
    """The latest version; None before the first load."""
    return ConfigurationRecord.objects.filter(version__gt=0).order_by("-version").first()


def file_in_force(path: Path) -> str | None:
    """The text of a file that says what is in force, without secrets; None when it says something else."""
    in_force = configuration_in_force()
    if in_force is None or _recordable(read_document(path).data) != in_force.whole:
        return None
    return redact(path.read_text(encoding="utf-8"))


def plan(path: PathLike[str] | str) -> Plan:
    """Check a file and compare it with the configuration in force; changes nothing.

    Raises:
        ConfigurationError: with everything that is wrong, each with its line.
    """
    document = read_document(path)
    parsed = parse(document)
    in_force = configuration_in_force()
    whole = _recordable(document.data)
    return Plan(document, parsed, whole, list(_changes(in_force.whole if in_force else {}, whole)), in_force)


def load(path: PathLike[str] | str, *, actor: str, reason: str = "") -> ConfigurationRecord | None:
    """Put a file in force in one transaction; the new version, or None when nothing changed.

    A section is applied when its part of the file changed: what people set since (a limit, in the admin)
    holds until then.

    Raises:
        ConfigurationError: the file is wrong; the configuration in force stays.
        DeskError: a section could not be applied; the configuration in force stays.
    """
    with transaction.atomic():
        planned = plan(path)
        return enact(planned, actor=actor, reason=reason) if planned.changes else None


def enact(planned: Plan, *, actor: str, reason: str = "") -> ConfigurationRecord:
    """Apply a plan's sections, and write its version and the event.

    Raises:
        Conflict: another version came in between.
    """
    if planned.in_force != configuration_in_force():
        raise _overtaken()
    version = planned.in_force.version + 1 if planned.in_force else 1
    why = reason or f"configuration version {version}"
    known = sections()
    with transaction.atomic():
        for name in planned.changed_sections:
            known[name].apply(planned.parsed[name], actor=actor, reason=why)
        record = _store_version(planned, version=version, changed_by=actor, reason=reason)
        trail.record(_event(record, actor=actor, reason=why))
    return record


def _store_version(planned: Plan, **columns) -> ConfigurationRecord:
    diff = [asdict(change) for change in planned.changes]
    source = planned.document.path[-255:]
    try:
        return ConfigurationRecord.objects.create(source=source, whole=planned.whole, diff=diff, **columns)
    except IntegrityError as error:  # the version is unique: another load has committed since
        raise _overtaken() from error


def _overtaken() -> Conflict:
    return Conflict("CONFIGURATION_CHANGED_MEANWHILE", "another configuration was loaded; try again")


def _event(record: ConfigurationRecord, *, actor: str, reason: str):
    values = {side: {change["path"]: change[side] for change in record.diff} for side in ("before", "after")}
    return trail.event(
        "config.changed",
        actor=actor,
        entity="configuration",
        entity_key=str(record.version),
        reason=reason,
        **values,
    )


def _recordable(value: Any) -> Any:
    """The file's values as JSON keeps them: exact numbers as text, no password that someone wrote into a URL."""
    if isinstance(value, dict):
        return {key: _recordable(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_recordable(child) for child in value]
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return redact(value) if isinstance(value, str) else value


def _changes(before: dict[str, Any], after: dict[str, Any]) -> Iterator[Change]:
    old, new = dict(_leaves(before)), dict(_leaves(after))
    for path in [*new, *(path for path in old if path not in new)]:
        was, now = old.get(path, _ABSENT), new.get(path, _ABSENT)
        if was != now:
            yield Change(path, None if was is _ABSENT else was, None if now is _ABSENT else now)


def _in_words(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, child in value.items():
            yield from _leaves(child, f"{path}.{key}" if path else key)
    elif path and value is not None:
        yield path, value
