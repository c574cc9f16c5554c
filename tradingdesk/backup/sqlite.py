"""SQLite: copied by its online backup while others write, and looked through afterwards."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tradingdesk.backup.contents import LEFT_EMPTY, BackupFailed, Contents, by_app, refuse_unlike

MEMBER = "database.sqlite3"
PAGES = 4096
_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite@_%' ESCAPE '@'"
SAID_EVERY = 20  # percent


def copy(source: Path, target: Path, say: Callable[[str], None]) -> Contents:
    """Copy a database into a new file as it is at one moment, whoever writes meanwhile; what it holds.

    The source is held at that moment by a read transaction, so that writers neither wait nor make it begin again.

    Raises:
        BackupFailed: it cannot be read or written.
    """
    try:
        with closing(_opened(source)) as there, closing(sqlite3.connect(target)) as here:
            there.execute("BEGIN")
            there.execute("SELECT count(*) FROM sqlite_master").fetchone()
            there.backup(here, pages=PAGES, progress=_progress(say))
            here.execute("PRAGMA journal_mode = DELETE")  # one file, whatever the source's journal is
            here.execute("PRAGMA secure_delete = ON")
            here.execute(f"DELETE FROM {LEFT_EMPTY}")
            here.commit()
            return contents_of(there)
    except (sqlite3.Error, OSError) as error:
        raise BackupFailed("BACKUP_FAILED", f"{source}: {error}") from error


def verify(path: Path, expected: Contents) -> None:
    """Open a copy: it is sound, and has the rows that it should have.

    Raises:
        BackupFailed: it does not hold.
    """
    try:
        with closing(_opened(path)) as copied:
            (sound,) = copied.execute("PRAGMA integrity_check(1)").fetchone()
            found = contents_of(copied)
    except sqlite3.Error as error:
        raise BackupFailed("BACKUP_NOT_SOUND", f"{path.name}: {error}") from error
    if sound != "ok":
        raise BackupFailed("BACKUP_NOT_SOUND", f"{path.name}: {sound}")
    refuse_unlike(found.tables, expected.tables, path.name)


def contents_of(database: sqlite3.Connection) -> Contents:
    """Count what a database holds."""
    names = [name for (name,) in database.execute(_TABLES).fetchall()]
    tables = {name: 0 if name == LEFT_EMPTY else _count(database, name) for name in names}
    migrations = database.execute("SELECT app, name FROM django_migrations").fetchall()
    return Contents(sqlite3.sqlite_version, tables, by_app(migrations))


def _count(database: sqlite3.Connection, table: str) -> int:
    return database.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)


def _progress(say: Callable[[str], None]) -> Callable[[int, int, int], None]:
    last = 0

    def told(status: int, remaining: int, total: int) -> None:
        nonlocal last
        done = 100 * (total - remaining) // total if total else 100
        if done >= last + SAID_EVERY:
            last = done
            say(f"  {done} % of {total:,} pages")

    return told
