"""A copy of the source before anything is done, opened and counted before it is relied on."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from contextlib import closing
from datetime import datetime
from pathlib import Path

from orders.migrate.source import PostgresSource, Source, SqliteSource
from tradingdesk.errors import DeskError


class BackupFailed(DeskError):
    """There is no backup that could be relied on; nothing was done."""


def back_up(source: Source, folder: Path, now: datetime) -> Path:
    """Copy the source into the folder, whole, and verify the copy; a copy that was cut off has another name.

    Raises:
        BackupFailed: it cannot be made, or does not hold what the source holds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = f"legacy-{now:%Y%m%dT%H%M%S}-{now.microsecond:06}"
    if isinstance(source, SqliteSource):
        path = folder / f"{name}.db"
        make, verify = _copy_sqlite, _verify_sqlite
    else:
        path = folder / f"{name}.dump"
        make, verify = _dump_postgres, _verify_dump
    unfinished = path.with_suffix(f"{path.suffix}.part")
    for cut_off in folder.glob("legacy-*.part*"):
        cut_off.unlink()
    make(source, unfinished)
    unfinished.chmod(0o600)
    verify(source, unfinished)
    os.replace(unfinished, path)
    return path


def _copy_sqlite(source: SqliteSource, path: Path) -> None:
    """SQLite's online backup: consistent, whoever writes meanwhile."""
    try:
        place = f"{source.path.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(place, uri=True)) as there, closing(sqlite3.connect(path)) as here:
            there.backup(here, pages=10_000)
            here.execute("PRAGMA journal_mode = DELETE")  # one file, whatever the source's journal is
    except (sqlite3.Error, OSError) as error:
        raise BackupFailed("BACKUP_FAILED", f"{path}: {error}") from error


def _verify_sqlite(source: SqliteSource, path: Path) -> None:
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as copy:
        (sound,) = copy.execute("PRAGMA quick_check(1)").fetchone()
        names = [source.tables[name] for name in source.present]
        there = {name: copy.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}
    expected = {source.tables[name]: source.count(name) for name in source.present}
    if sound != "ok" or there != expected:
        raise BackupFailed("BACKUP_NOT_SOUND", f"{path}: {sound}; {there} rows, expected {expected}")


def _dump_postgres(source: PostgresSource, path: Path) -> None:
    _run(["pg_dump", "--format=custom", f"--file={path}", f"--dbname={_database(source)}"], source)


def _verify_dump(source: PostgresSource, path: Path) -> None:
    """Open the dump: its list names every table, and its data can be read to the end."""
    listed = _run(["pg_restore", "--list", str(path)], source)
    missing = [name for name in source.present if f" TABLE DATA public {source.tables[name]} " not in listed]
    _run(["pg_restore", "--file=/dev/null", str(path)], source)
    if missing:
        raise BackupFailed("BACKUP_NOT_SOUND", f"{path}: no data of {', '.join(missing)}")


def _database(source: PostgresSource) -> str:
    """The source without its password, which other users of the machine could read in the list of processes."""
    return source.place.replace(":***@", "@")


def _run(command: list[str], source: PostgresSource) -> str:
    password = {"PGPASSWORD": source.password} if source.password else {}
    try:
        done = subprocess.run(command, env=os.environ | password, capture_output=True, text=True, check=False)
    except OSError as error:
        raise BackupFailed("BACKUP_FAILED", f"{command[0]}: {error.strerror}; install PostgreSQL's programs") from error
    if done.returncode:
        raise BackupFailed("BACKUP_FAILED", f"{command[0]}: {done.stderr.strip()[-500:]}")
    return done.stdout
