"""Where a backup is restored to: the desk's own database, which must be empty, and stays unusable until all is done.

SQLite is restored into a file beside, which takes the database's name at the very end. A PostgreSQL database is
read-only for everybody else until then, and a table in it says that what it holds is an unfinished restore's.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
from django.db import connection
from psycopg import sql

from tradingdesk.backup import postgres, sqlite
from tradingdesk.backup.bundle import Bundle, sync_folder
from tradingdesk.backup.contents import Contents, refuse_unlike
from tradingdesk.backup.programs import find_program, run_program
from tradingdesk.errors import Conflict, InvalidInput

Say = Callable[[str], None]


class Place(ABC):
    """The desk's database, to be filled."""

    engine = ""

    @abstractmethod
    def refuse_unless_alone(self) -> None:
        """Look whether somebody uses it.

        Raises:
            Conflict: somebody is connected.
            InvalidInput: it cannot be reached.
        """

    @abstractmethod
    def refuse_unless_empty(self) -> None:
        """Look whether there is room.

        Raises:
            Conflict: something is there already that no unfinished restore has left, or somebody is connected.
            InvalidInput: it cannot be reached.
        """

    @abstractmethod
    def filled(self, bundle: Bundle, say: Say):
        """Fill it, for the time of a block in which Django sees what was restored; its good end makes it the desk's.

        What an unfinished restore left is removed first.
        """

    @abstractmethod
    def finish(self) -> None:
        """Let others in; part of the block's last transaction."""


def own_place() -> Place:
    """The place of Django's database."""
    return SqlitePlace() if connection.vendor == "sqlite" else PostgresPlace()


class SqlitePlace(Place):
    """A file that is not there, or has no tables."""

    engine = "sqlite"
    UNFINISHED = ".restore-"

    def __init__(self) -> None:
        self.path = Path(connection.settings_dict["NAME"])

    def refuse_unless_alone(self) -> None:
        """The lock on the data folder says so."""

    def refuse_unless_empty(self) -> None:
        connection.close()
        if not self.path.exists():
            return
        try:
            with closing(sqlite3.connect(self.path)) as there:
                (count,) = there.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone()
        except sqlite3.Error as error:
            raise Conflict("PLACE_NOT_EMPTY", f"{self.path}: {error}; move it away first") from error
        if count:
            raise _not_empty(str(self.path), count)

    @contextmanager
    def filled(self, bundle: Bundle, say: Say) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for left in self.path.parent.glob(f"{self.UNFINISHED}*"):
            shutil.rmtree(left)
        with tempfile.TemporaryDirectory(prefix=self.UNFINISHED, dir=self.path.parent) as work:
            copied = bundle.extract_database(Path(work))
            copied.chmod(0o600)
            manifest = bundle.manifest
            sqlite.verify(copied, Contents(manifest.server, manifest.tables, manifest.migrations))
            with _connected_to(NAME=str(copied)):
                yield
            self._take_over(copied)

    def finish(self) -> None:
        """Nobody else can see the file yet."""

    def _take_over(self, copied: Path) -> None:
        """Give the file the database's name; leftovers of the one before would be taken for its own."""
        with copied.open("rb") as file:
            os.fsync(file.fileno())
        for suffix in ("-wal", "-shm", "-journal"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        os.replace(copied, self.path)
        sync_folder(self.path.parent)


class PostgresPlace(Place):
    """A database without tables, to which nobody else is connected; ours to change."""

    engine = "postgresql"
    MARK = "desk_restore"
    WRITABLE = "-c default_transaction_read_only=off"
    LOCK = 7_302_110_522  # of the session that restores

    def __init__(self) -> None:
        options = connection.settings_dict["OPTIONS"]
        self._options = f"{options.get('options', '')} {self.WRITABLE}".strip()
        self._server = postgres.Server(connection.settings_dict, options=self._options)
        self._name = connection.settings_dict["NAME"]

    def refuse_unless_alone(self) -> None:
        connection.close()
        with self._session() as session:
            self._refuse_others(session)

    def refuse_unless_empty(self) -> None:
        self.refuse_unless_alone()
        with self._session() as session:
            tables = postgres.tables_of(session)
            if tables and self.MARK not in tables:
                raise _not_empty(f"database {self._name}", len(tables))

    @contextmanager
    def filled(self, bundle: Bundle, say: Say) -> Iterator[None]:
        with self._session() as session:
            (ours,) = session.execute("SELECT pg_try_advisory_lock(%s)", [self.LOCK]).fetchone()
            if not ours:
                raise Conflict("PLACE_IN_USE", f"database {self._name}: another restore is at work on it")
            self._clear(session)
            self._shut(session, bundle.path.name)
            self._restore(session, bundle, say)
            refuse_unlike(self._tables(session), bundle.manifest.tables, self._name)
            with _connected_to(OPTIONS=self._own_options()):
                yield

    def finish(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE {self.MARK}")
            cursor.execute(
                f"ALTER DATABASE {connection.ops.quote_name(self._name)} RESET default_transaction_read_only"
            )

    def _refuse_others(self, session: psycopg.Connection) -> None:
        query = (
            "SELECT DISTINCT coalesce(nullif(application_name, ''), usename, '?') FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        others = sorted(name for (name,) in session.execute(query).fetchall())
        if others:
            told = ", ".join(others)
            raise Conflict("PLACE_IN_USE", f"database {self._name}: others are connected ({told}); stop them first")

    def _shut(self, session: psycopg.Connection, name: str) -> None:
        """Mark the database as a restore's, and let whoever connects from now on only read."""
        with session.transaction():
            session.execute(f"CREATE TABLE {self.MARK} AS SELECT %s::text AS backup, now() AS began_at", [name])
            shut = sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on")
            session.execute(shut.format(sql.Identifier(self._name)))

    def _restore(self, session: psycopg.Connection, bundle: Bundle, say: Say) -> None:
        program = find_program("pg_restore", postgres.major_of(session))
        say(f"  with {program}")
        with tempfile.TemporaryDirectory() as work:
            options = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges", "--verbose"]
            command = [program, *options, f"--dbname={self._server.conninfo}", bundle.extract_database(Path(work))]
            run_program(command, environment=self._server.environment, heard=_table_said(say))

    def _clear(self, session: psycopg.Connection) -> None:
        """Remove what an unfinished restore left: nothing else was here when it began, and it says so itself."""
        tables = postgres.tables_of(session)
        if not tables:
            return
        with session.transaction():
            functions = session.execute(
                "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = current_schema()::regnamespace"
                " AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')"
            ).fetchall()
            session.execute(sql.SQL("DROP TABLE {} CASCADE").format(sql.SQL(", ").join(map(sql.Identifier, tables))))
            for (function,) in functions:
                session.execute(sql.SQL("DROP FUNCTION {}").format(sql.SQL(function)))

    def _tables(self, session: psycopg.Connection) -> Mapping[str, int]:
        found = dict(postgres.contents_of(session).tables)
        del found[self.MARK]
        return found

    def _own_options(self) -> dict:
        """Django's, without a pool, whose connections would be read-only."""
        options = {name: value for name, value in connection.settings_dict["OPTIONS"].items() if name != "pool"}
        return options | {"options": self._options}

    @contextmanager
    def _session(self) -> Iterator[psycopg.Connection]:
        try:
            session = self._server.connect()
        except psycopg.Error as error:
            raise InvalidInput("NO_PLACE", f"database {self._name}: {' '.join(str(error).split())}") from error
        with closing(session):
            session.autocommit = True
            yield session


@contextmanager
def _connected_to(**settings) -> Iterator[None]:
    """Have Django's connection go elsewhere, or otherwise, for a while."""
    connection.close()
    before = {name: connection.settings_dict[name] for name in settings}
    connection.settings_dict.update(settings)
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict.update(before)


def _not_empty(place: str, count: int) -> Conflict:
    detail = f"{place} has {count} tables already; a backup is restored into an empty place: move it away first"
    return Conflict("PLACE_NOT_EMPTY", detail)


def _table_said(say: Say) -> Callable[[str], None]:
    def heard(line: str) -> None:
        _, found, table = line.partition("processing data for table ")
        if found:
            say("  " + table.strip('"').rpartition(".")[2])

    return heard
