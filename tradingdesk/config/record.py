"""Putting a configuration in force: all of it or nothing, with a version that says who, when and what.

A version comes from a file, from what people set in the back office, or from an earlier version; all take the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from django.db import IntegrityError, transaction
from pydantic import BaseModel

from tradingdesk.audit import trail
from tradingdesk.config.changes import Change, changes, in_words, leaves
from tradingdesk.config.document import Document, read_document
from tradingdesk.config.models import ConfigurationRecord
from tradingdesk.config.schema import parse, sections
from tradingdesk.config.written import as_json, as_yaml
from tradingdesk.errors import Conflict, InvalidInput, require_reason
from tradingdesk.redaction.known import MASK, redact

BACK_OFFICE = "back office"


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked configuration, and what putting it in force would change.

    `file` is what the loaded file says; `held` are the sections where what people set since stays.
    """

    document: Document
    source: str
    parsed: dict[str, BaseModel]
    changes: list[Change]
    in_force: ConfigurationRecord | None
    file: dict[str, Any]
    held: tuple[str, ...] = ()

    @property
    def whole(self) -> dict[str, Any]:
        """The configuration as the record keeps it."""
        return as_json(self.document.data)

    @property
    def is_news(self) -> bool:
        """Whether there is something to record: a change, or a file that now says what people had set."""
        return bool(self.changes) or bool(changes(_file_of(self.in_force), self.file))

    @property
    def changed_sections(self) -> list[str]:
        """The sections to apply; one that is as it was is left alone."""
        return _sections_of(self.changes)


def configuration_in_force() -> ConfigurationRecord | None:
    """The latest version; None before the first load."""
    return ConfigurationRecord.objects.filter(version__gt=0).order_by("-version").first()


def file_in_force(path: Path) -> str | None:
    """The text of a file that says what is in force, without secrets; None when it says something else."""
    in_force = configuration_in_force()
    if in_force is None or changes(in_force.whole, as_json(read_document(path).data)):
        return None
    return redact(path.read_text(encoding="utf-8"))


def plan(path: PathLike[str] | str, *, exact: bool = False) -> Plan:
    """Check a file and compare it with the configuration in force; changes nothing.

    A section that says what the file said before stays as people have set it since, unless `exact`.

    Raises:
        ConfigurationError: with everything that is wrong, each with its line.
    """
    document = read_document(path)
    parsed = parse(document)
    in_force = configuration_in_force()
    present, source, file = _present(in_force), document.path, as_json(document.data)
    held = {} if exact else _set_since(in_force, present, file)
    if held:
        document = document.with_sections(held, path=f"{source} (with {', '.join(held)} as set in the back office)")
        parsed = parse(document)
    return Plan(document, source, parsed, _differences(present, document), in_force, file, tuple(held))


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
        return enact(planned, actor=actor, reason=reason) if planned.is_news else None


def change(
    section: str, edit: Callable[[dict[str, Any]], dict[str, Any]], *, actor: str, reason: str
) -> ConfigurationRecord | None:
    """Put one section in force otherwise, as a new version; None when that changes nothing.

    `edit` gets the section's values as they are in force, and gives them as they shall be. Only this section is
    checked: what is wrong elsewhere is in force already.

    Raises:
        InvalidInput: no reason, or (ConfigurationError) values that are wrong; nothing changed.
        Conflict: another version came in between; nothing changed.
    """
    require_reason(reason, "the configuration changes")
    with transaction.atomic():
        in_force = configuration_in_force()
        present = _present(in_force)
        document = Document("", {**present, section: edit(present.get(section) or {})}, {})
        _check_unmasked(document, [section])
        parsed = parse(document, only={section})
        found = _differences(present, document)
        planned = Plan(document, BACK_OFFICE, parsed, found, in_force, _file_of(in_force))
        return enact(planned, actor=actor, reason=reason) if found else None


def plan_return(record: ConfigurationRecord) -> Plan:
    """Check an earlier version by the rules of today and compare it with the one in force; changes nothing.

    What it has as it is in force already is not checked again.

    Raises:
        InvalidInput: it is no whole configuration, or (ConfigurationError) is not valid any more.
    """
    if not record.is_whole:
        text = f"{record} is a change that the old system made, not a configuration of the desk"
        raise InvalidInput("NOT_A_WHOLE_CONFIGURATION", text)
    document = record.document()
    in_force = configuration_in_force()
    found = _differences(_present(in_force), document)
    _check_unmasked(document, _sections_of(found))
    parsed = parse(document, only=_sections_of(found))
    return Plan(document, str(record), parsed, found, in_force, _file_of(in_force))


def return_to(record: ConfigurationRecord, *, seen: int, actor: str, reason: str) -> ConfigurationRecord | None:
    """Put an earlier version in force again, as a new version; None when nothing differs.

    `seen` is the version that was in force when the person looked at what would change.

    Raises:
        InvalidInput: as `plan_return`, or no reason.
        Conflict: another version came in between.
    """
    require_reason(reason, "the configuration changes")
    with transaction.atomic():
        planned = plan_return(record)
        if planned.in_force is None or planned.in_force.version != seen:
            raise _overtaken()
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
    whole = planned.whole
    columns |= {
        "source": planned.source[-255:],
        "whole": whole,
        "text": as_yaml(planned.document.data),
        "diff": [asdict(change) for change in planned.changes],
        "loaded": planned.file if changes(whole, planned.file) else None,
    }
    try:
        return ConfigurationRecord.objects.create(**columns)
    except IntegrityError as error:  # the version is unique: another load has committed since
        raise _overtaken() from error


def _present(in_force: ConfigurationRecord | None) -> dict[str, Any]:
    """Every section as it is in force."""
    recorded = in_force.document().data if in_force else {}
    found = {name: section.in_force(recorded.get(name)) for name, section in sections().items()}
    return {name: values for name, values in found.items() if values is not None}


def _set_since(in_force: ConfigurationRecord | None, present: dict[str, Any], file: dict[str, Any]) -> dict[str, Any]:
    """The sections that the file has as before, and that are otherwise in force."""
    before, now = _file_of(in_force), as_json(present)
    changed = _sections_of(changes(before, file))
    otherwise = _sections_of(changes(now, file)) if in_force else []
    return {name: present.get(name) for name in otherwise if name not in changed}


def _file_of(in_force: ConfigurationRecord | None) -> dict[str, Any]:
    return in_force.file if in_force else {}


def _differences(present: dict[str, Any], document: Document) -> list[Change]:
    return changes(as_json(present), as_json(document.data))


def _sections_of(found: list[Change]) -> list[str]:
    touched = {change.path.partition(".")[0] for change in found}
    return [name for name in sections() if name in touched]


def _check_unmasked(document: Document, names: Iterable[str]) -> None:
    """Refuse values that the record does not have, as it has no secrets."""
    found = leaves(as_json({name: document.data.get(name) for name in names}))
    masked = [path for path, value in found.items() if MASK in in_words(value)]
    if masked:
        text = "is masked in the record; say it as ${NAME} in the file, and load that"
        raise document.error([((path.partition(".")[0],), f"{path} {text}") for path in masked])


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
