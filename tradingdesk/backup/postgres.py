"""PostgreSQL: dumped by pg_dump in one snapshot, and read through afterwards."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo

from tradingdesk.backup.contents import LEFT_EMPTY, BackupFailed, Contents, by_app, refuse_unlike
from tradingdesk.backup.programs import find_program, run_program

MEMBER = "database.dump"
_TABLES = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"
_COPIED = re.compile(rb'COPY (?:"?[^" .]+"?\.)?"?([^"( ]+)"? \(.*\) FROM stdin;\n')
_DUMPING = re.compile(r'dumping contents of table "(?:.*\.)?(.+?)"')
# What Django's settings call it, and libpq.
_NAMES = {"NAME": "dbname", "USER": "user", "HOST": "host", "PORT": "port"}


class Server:
    """How to reach the database of Django's settings from outside Django; no password in what others can see."""

    def __init__(self, settings: Mapping[str, Any], **more: str):
        known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
        given = {ours: str(settings[name]) for name, ours in _NAMES.items() if settings.get(name)}
        options = {name: str(value) for name, value in settings.get("OPTIONS", {}).items() if name in known}
        options.pop("password", None)
        self.conninfo = make_conninfo(**given | options | more)
        self._password = settings.get("PASSWORD") or settings.get("OPTIONS", {}).get("password", "")

    @property
    def environment(self) -> dict[str, str]:
        """What a program has to know besides."""
        return {"PGPASSWORD": self._password} if self._password else {}

    def connect(self) -> psycopg.Connection:
        """Open a connection of one's own."""
        return psycopg.connect(self.conninfo, password=self._password or None)


def dump(server: Server, target: Path, say: Callable[[str], None]) -> Contents:
    """Dump a database as it is at one moment, whoever writes meanwhile; what it held then.

    Raises:
        BackupFailed: it cannot be read or written.
        ProgramFailed: there is no pg_dump for this server, or it failed.
    """
    try:
        with server.connect() as session:
            session.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            session.read_only = True
            (snapshot,) = session.execute("SELECT pg_export_snapshot()").fetchone()
            contents = contents_of(session)
            _dump(server, major_of(session), target, snapshot, say)
            return contents
    except psycopg.Error as error:
        raise BackupFailed("BACKUP_FAILED", " ".join(str(error).split())) from error


def verify(path: Path, expected: Contents) -> None:
    """Open a dump and read it to its end: every table is in it, with the rows that it should have.

    Raises:
        BackupFailed: it does not hold.
        ProgramFailed: there is no pg_restore that could open it.
    """
    program = find_program("pg_restore", int(expected.server.partition(".")[0]))
    # What it complains of is read at the end; it is a line or two.
    with subprocess.Popen(
        [program, "--data-only", "--file=-", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as reading:
        found = _rows_copied(reading.stdout)
        said = reading.stderr.read().decode(errors="replace").strip()
    if reading.returncode:
        raise BackupFailed("BACKUP_NOT_SOUND", f"{path.name}: {said[-300:]}")
    refuse_unlike({LEFT_EMPTY: 0, **found}, expected.tables, path.name)


def contents_of(session: psycopg.Connection) -> Contents:
    """Count what a database holds."""
    tables = {name: 0 if name == LEFT_EMPTY else _count(session, name) for name in tables_of(session)}
    migrations = session.execute("SELECT app, name FROM django_migrations").fetchall()
    (version,) = session.execute("SHOW server_version").fetchone()
    return Contents(version, tables, by_app(migrations))


def tables_of(session: psycopg.Connection) -> list[str]:
    """Name the tables that hold rows."""
    return sorted(name for (name,) in session.execute(_TABLES).fetchall())


def major_of(session: psycopg.Connection) -> int:
    """The server's major version."""
    return session.info.server_version // 10_000


def _dump(server: Server, major: int, target: Path, snapshot: str, say: Callable[[str], None]) -> None:
    program = find_program("pg_dump", major)
    say(f"  with {program}")
    options = ["--format=custom", "--verbose", f"--snapshot={snapshot}", "--lock-wait-timeout=60s"]
    parts = [f"--exclude-table-data=*.{LEFT_EMPTY}", f"--file={target}", f"--dbname={server.conninfo}"]
    run_program([program, *options, *parts], environment=server.environment, heard=_progress(say))
    target.chmod(0o600)


def _count(session: psycopg.Connection, table: str) -> int:
    return session.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]


def _rows_copied(lines) -> dict[str, int]:
    """Count the rows that a script of COPY statements brings, by table."""
    found: dict[str, int] = {}
    table = None
    for line in lines:
        if table is None:
            begun = _COPIED.fullmatch(line)
            if begun:
                table = begun[1].decode()
                found[table] = 0
        elif line == b"\\.\n":
            table = None
        else:
            found[table] += 1
    return found


def _progress(say: Callable[[str], None]) -> Callable[[str], None]:
    def heard(line: str) -> None:
        found = _DUMPING.search(line)
        if found:
            say(f"  {found[1]}")

    return heard
