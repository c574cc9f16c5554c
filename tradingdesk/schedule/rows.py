"""Entries as rows of django-celery-beat, which is what beat reads, in one process or many."""

from __future__ import annotations

import json
from typing import Any

from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask
from pydantic import ValidationError

from tradingdesk.schedule.entry import OF_BEAT_ITSELF, PARTS, UTC, Entry

# A wake-up that waited longer is worth nothing: the next one is there, or the hour is over.
EXPIRES_AFTER_AT_LEAST, CRONTAB_EXPIRES_AFTER = 5, 3600
_IN_SECONDS = {
    IntervalSchedule.SECONDS: 1,
    IntervalSchedule.MINUTES: 60,
    IntervalSchedule.HOURS: 3600,
    IntervalSchedule.DAYS: 86400,
}
_UNSAID = ("solar_id", "clocked_id", "one_off", "queue", "exchange", "routing_key", "priority", "expires", "start_time")


def rows() -> dict[str, Entry | None]:
    """Every row by its name, as an entry; None for one that no entry could say."""
    found = PeriodicTask.objects.select_related("interval", "crontab").order_by("pk")
    return {row.name: entry_of(row) for row in found if not row.name.startswith(OF_BEAT_ITSELF)}


def entry_of(row: PeriodicTask) -> Entry | None:
    """A row as the configuration would say it; None where it could not."""
    if any(getattr(row, column) for column in _UNSAID) or row.args != "[]" or row.headers != "{}":
        return None
    try:
        arguments = {} if row.kwargs == "{}" else {"kwargs": json.loads(row.kwargs)}
        return Entry(task=row.task, enabled=row.enabled, **_timing(row), **arguments)
    except (ValueError, ValidationError):
        return None


def store(name: str, entry: Entry) -> None:
    """Make or change the row of an entry; beat sees it within a second."""
    PeriodicTask.objects.update_or_create(name=name, defaults=_columns(entry))


def _columns(entry: Entry) -> dict[str, Any]:
    unsaid = {column.removesuffix("_id"): None for column in _UNSAID}
    timing = {"interval": _interval(entry), "crontab": _crontab(entry)}
    lasts = max(entry.every, EXPIRES_AFTER_AT_LEAST) if entry.every else CRONTAB_EXPIRES_AFTER
    arguments = {"args": "[]", "kwargs": json.dumps(entry.kwargs), "headers": "{}"}
    said = {"task": entry.task, "enabled": entry.enabled, "expire_seconds": lasts, "one_off": False}
    return unsaid | timing | arguments | said


def _interval(entry: Entry) -> IntervalSchedule | None:
    if entry.every is None:
        return None
    columns = {"every": entry.every, "period": IntervalSchedule.SECONDS}
    return IntervalSchedule.objects.filter(**columns).first() or IntervalSchedule.objects.create(**columns)


def _crontab(entry: Entry) -> CrontabSchedule | None:
    if entry.crontab is None:
        return None
    columns = dict(zip(PARTS, entry.crontab.split(), strict=True), timezone=entry.timezone)
    return CrontabSchedule.objects.filter(**columns).first() or CrontabSchedule.objects.create(**columns)


def _timing(row: PeriodicTask) -> dict[str, Any]:
    if row.interval:
        return {"every": row.interval.every * _IN_SECONDS.get(row.interval.period, 0)}
    timing = {"crontab": " ".join(getattr(row.crontab, part) for part in PARTS)}
    zone = str(row.crontab.timezone)
    return timing if zone == UTC else timing | {"timezone": zone}
