"""One thing that Celery's beat does, as the configuration says it, and what can be wrong with it."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.exceptions import ValidationError as FieldError
from django_celery_beat.models import CrontabSchedule
from pydantic import PlainValidator, RootModel

from tradingdesk.config.schema import Flag, Strict, Text, expected, not_expected

UTC = "UTC"
NAME_LENGTH = 200
MOST_SECONDS = 10**9
PARTS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
A_CRONTAB = 'a crontab such as "30 13 * * 1-5" (minute, hour, day of month, month, day of week)'
OF_BEAT_ITSELF = "celery."


def _is_name(found: Any) -> bool:
    return isinstance(found, str) and 0 < len(found.strip()) <= NAME_LENGTH and not found.startswith(OF_BEAT_ITSELF)


def _is_seconds(found: Any) -> bool:
    return isinstance(found, int) and not isinstance(found, bool) and 1 <= found < MOST_SECONDS


def _is_time_zone(found: Any) -> bool:
    try:
        return isinstance(found, str) and bool(ZoneInfo(found))
    except (LookupError, ValueError, OSError):
        return False


def _crontab(found: Any) -> str:
    parts = found.split() if isinstance(found, str) else []
    if len(parts) != len(PARTS):
        raise not_expected(A_CRONTAB)
    try:
        # Without a zone it would go through all that there are on disk for its default.
        CrontabSchedule(**dict(zip(PARTS, parts, strict=True)), timezone=UTC).clean_fields()
    except FieldError as error:
        name, messages = next(iter(error.message_dict.items()))
        raise not_expected(f"{A_CRONTAB}; {name.replace('_', ' ')}: {' '.join(messages)}") from error
    return " ".join(parts)


def _plain(found: Any) -> Any:
    if isinstance(found, Decimal):
        return float(found)
    if isinstance(found, list):
        return [_plain(child) for child in found]
    return {key: _plain(child) for key, child in found.items()} if isinstance(found, dict) else found


def _arguments(found: Any) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise not_expected("a mapping of the task's arguments")
    return _plain(found)


Name = Annotated[str, expected(f"a name of up to {NAME_LENGTH} characters", _is_name)]
Seconds = Annotated[int, expected("a whole number of seconds, 1 or more", _is_seconds)]
TimeZone = Annotated[str, expected("a time zone such as America/New_York", _is_time_zone)]
Crontab = Annotated[str, PlainValidator(_crontab, json_schema_input_type=Any)]
Arguments = Annotated[dict[str, Any], PlainValidator(_arguments, json_schema_input_type=Any)]


class Entry(Strict):
    """One thing that beat does: a task `every` so many seconds, or by `crontab` at times of the clock in `timezone`."""

    task: Text | None = None
    every: Seconds | None = None
    crontab: Crontab | None = None
    timezone: TimeZone = UTC
    enabled: Flag = True
    kwargs: Arguments = {}

    def as_section(self) -> dict[str, Any]:
        """What a file would say of it."""
        said = self.model_dump(exclude_defaults=True)
        return said if self.enabled else said | {"enabled": False}


class Schedule(RootModel[dict[Name, Entry]]):
    """The whole section: entries by their names."""

    def entries(self) -> dict[str, Entry]:
        """Every entry as it shall be, the desk's own included."""
        own = own_entries()
        return own | {name: _completed(entry, own.get(name)) for name, entry in self.root.items()}


def own_entries() -> dict[str, Entry]:
    """What beat does without a word in the configuration."""
    return {name: Entry.model_validate(given) for name, given in settings.SCHEDULE.items()}


def _completed(entry: Entry, own: Entry | None) -> Entry:
    """An entry with what it does not name from the desk's own of that name; a new timing replaces the old one."""
    if own is None:
        return entry
    given = entry.model_dump(exclude_unset=True)
    replaced = {"every", "crontab", "timezone"} if given.keys() & {"every", "crontab"} else set()
    return Entry(**{**own.model_dump(exclude=replaced, exclude_defaults=True), **given})
