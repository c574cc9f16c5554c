"""Which of the backups that the schedule made are kept; those that people made are theirs to remove."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tradingdesk.audit import trail
from tradingdesk.backup.make import SCHEDULED

_NAME = re.compile(rf"{SCHEDULED}-(\d{{8}}T\d{{6}})-\d{{6}}\.zip")


def surplus(names: Iterable[str], *, now: datetime, keep_days: int, keep_at_least: int) -> list[str]:
    """Names of scheduled backups that are older than so many days, but for the newest few; the oldest first."""
    made = sorted((_made_at(name), name) for name in names if _NAME.fullmatch(name))
    older = [name for at, name in made if now - at > timedelta(days=keep_days)]
    return older[: max(len(made) - keep_at_least, 0)]


def prune(folder: Path, *, now: datetime, keep_days: int, keep_at_least: int, actor: str) -> list[str]:
    """Remove what is not kept any more, and say so in the trail; the names."""
    removed = surplus(
        (path.name for path in folder.iterdir()), now=now, keep_days=keep_days, keep_at_least=keep_at_least
    )
    for name in removed:
        (folder / name).unlink(missing_ok=True)
    reason = f"older than {keep_days} days"
    trail.record(
        *[
            trail.event("backup.removed", actor=actor, entity="backup", entity_key=name, reason=reason)
            for name in removed
        ]
    )
    return removed


def _made_at(name: str) -> datetime:
    return datetime.strptime(_NAME.fullmatch(name)[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
