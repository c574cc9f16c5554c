"""The `schedule:` section: what Celery's beat has the workers do, and when.

The desk's own entries (`settings.SCHEDULE`) are there without it; an entry of the same name changes what it names.
Rows of django-celery-beat that the section could not say (solar, clocked, with positional arguments) are left alone.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from django_celery_beat.models import PeriodicTask
from pydantic import ValidationError

from tradingdesk.audit import trail
from tradingdesk.celery import app
from tradingdesk.config import schema
from tradingdesk.config.document import Document, Loc, shown
from tradingdesk.config.models import ConfigurationRecord
from tradingdesk.config.record import change
from tradingdesk.errors import InvalidInput
from tradingdesk.schedule.entry import OF_BEAT_ITSELF, Entry, Schedule, own_entries
from tradingdesk.schedule.rows import rows, store


class Section(schema.Section):
    """`schedule:` of the configuration."""

    schema = Schedule

    def problems(self, parsed: Schedule, document: Document) -> Iterable[tuple[Loc, str]]:
        """Check that each entry is whole, and that there is such a task that takes these arguments."""
        entries = parsed.entries()
        for name, given in parsed.root.items():
            yield from (((name, *loc), text) for loc, text in _problems(given, entries[name]))

    def in_force(self, recorded: Any) -> Any:
        """The recorded entries, and whatever else rows say that the desk's own entries do not."""
        recorded, own = recorded or {}, own_entries()
        known = _recorded_entries(recorded)
        section: dict[str, Any] = {}
        for name, entry in sorted(_said().items(), key=lambda item: item[0] not in recorded):
            if name in recorded and known.get(name) == entry:
                section[name] = recorded[name]
            elif entry != own.get(name):
                section[name] = entry.as_section()
        return section or None

    def apply(self, parsed: Schedule, *, actor: str, reason: str) -> None:
        """Make the section and the desk's own entries the whole of what beat does by interval and crontab."""
        found, wanted = rows(), parsed.entries()
        about = {"actor": actor, "reason": reason}
        for name, entry in wanted.items():
            is_left_alone = name in found and found[name] is None and name not in parsed.root
            if found.get(name) != entry and not is_left_alone:
                store(name, entry)
                trail.record(_event(name, found.get(name), entry, **about))
        for name in [name for name, entry in found.items() if entry and name not in wanted]:
            PeriodicTask.objects.get(name=name).delete()
            trail.record(_event(name, found[name], None, **about))


def change_schedule(name: str, entry: Entry | None, *, actor: str, reason: str) -> ConfigurationRecord | None:
    """Set one entry, or take it away, as a new version of the configuration; None when nothing changes.

    Without an entry of the configuration, one of the desk's own names is as the desk has it.

    Raises:
        InvalidInput: no reason, nothing to take away, or an entry that beat could not do; nothing changed.
        Conflict: another version came in between; nothing changed.
    """

    def edited(section: dict[str, Any]) -> dict[str, Any]:
        if entry is None and name not in section:
            text = f"{name!r} is not in the configuration; one of the desk's own entries can be disabled instead"
            raise InvalidInput("NOT_IN_THE_CONFIGURATION", text)
        others = {key: value for key, value in section.items() if key != name}
        return others if entry in (None, own_entries().get(name)) else section | {name: entry.as_section()}

    return change("schedule", edited, actor=actor, reason=reason)


@cache
def known_tasks() -> list[str]:
    """The names of the tasks that workers know."""
    app.loader.import_default_modules()
    return sorted(name for name in app.tasks if not name.startswith(OF_BEAT_ITSELF))


def _said() -> dict[str, Entry]:
    return {name: entry for name, entry in rows().items() if entry}


def _recorded_entries(recorded: dict[str, Any]) -> dict[str, Entry]:
    """The entries of a recorded section; none when today's schema does not take it."""
    try:
        return Schedule.model_validate(recorded).entries()
    except ValidationError:
        return {}


def _problems(given: Entry, entry: Entry) -> Iterator[tuple[Loc, str]]:
    tasks = known_tasks()
    if entry.task is None:
        yield ("task",), f"missing; there are {', '.join(tasks)}"
    elif entry.task not in tasks:
        yield ("task",), f"found {shown(entry.task)}, expected one of {', '.join(tasks)}"
    elif problem := _argument_problem(entry):
        yield ("kwargs",), problem
    if entry.every is None and entry.crontab is None:
        yield (), "give every: (seconds) or crontab:"
    if entry.every is not None and entry.crontab is not None:
        yield ("crontab",), "every: is given, too; give one of the two"
    if entry.crontab is None and "timezone" in given.model_fields_set:
        yield ("timezone",), "goes with crontab: only"


def _argument_problem(entry: Entry) -> str:
    signature = inspect.signature(app.tasks[entry.task].run)
    try:
        signature.bind(**entry.kwargs)
    except TypeError as error:
        takes = ", ".join(signature.parameters) or "nothing"
        return f"{error}; {entry.task} takes {takes}"
    return ""


def _event(name: str, before: Entry | None, after: Entry | None, **about):
    return trail.event(
        "config.changed",
        entity="schedule",
        entity_key=name[:80],
        before=before and before.as_section(),
        after=after and after.as_section(),
        **about,
    )
