"""What a database holds, as its backup has to hold it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tradingdesk.errors import DeskError

# Who is logged in ends with the database: a stolen backup opens nobody's session.
LEFT_EMPTY = "django_session"


class BackupFailed(DeskError):
    """There is no backup that could be relied on; what was begun is removed."""


@dataclass(frozen=True, slots=True)
class Contents:
    """The rows of every table, and the migrations by app, all of one moment. `server` is the version it is from."""

    server: str
    tables: Mapping[str, int]
    migrations: Mapping[str, list[str]]


def by_app(rows: list[tuple[str, str]]) -> dict[str, list[str]]:
    """Migrations in the order of their apps and names."""
    found: dict[str, list[str]] = {}
    for app, name in sorted(rows):
        found.setdefault(app, []).append(name)
    return found


def refuse_unlike(found: Mapping[str, int], expected: Mapping[str, int], where: str) -> None:
    """Refuse a copy whose tables do not have the rows that they should have.

    Raises:
        BackupFailed: with the first few that differ.
    """
    wrong = [
        f"{name} has {found.get(name, 'no table')} of {expected.get(name, 'no')} rows"
        for name in sorted({*found, *expected})
        if found.get(name) != expected.get(name)
    ]
    if wrong:
        raise BackupFailed("BACKUP_NOT_SOUND", f"{where}: {'; '.join(wrong[:3])}")
