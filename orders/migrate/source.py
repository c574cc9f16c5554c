"""Reading a legacy database, SQLite or PostgreSQL: read-only, in batches, one consistent state from begin to end."""

from __future__ import annotations

import hashlib
import marshal
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg
from psycopg.types.datetime import TimestampLoader, TimestamptzLoader

from orders.migrate.mapping import TABLES
from tradingdesk.errors import InvalidInput
from tradingdesk.legacy_tables import PREFIX, SAME_NAMES
from tradingdesk.redaction.known import remember

BATCH = 5_000
# Tables of the old system that the desk has no home for; they are named in the report and stay where they are.
HOMELESS = (
    "screened_stocks", "stock_scores", "tracked_symbols", "strategy_results", "symbols", "stock_data",
)  # fmt: skip
NEEDED = ("orders", "positions", "trade_logs")


class Source(ABC):
    """One legacy database. Tables go by their old names, wherever they stand now."""

    def __init__(self, place: str):
        self.place = place
        self.tables = self._find_tables()
        if missing := [name for name in NEEDED if name not in self.tables]:
            self.close()
            raise InvalidInput("NOT_A_LEGACY_DATABASE", f"{place}: no legacy table {', '.join(missing)}", "source")

    @property
    def present(self) -> list[str]:
        """Tables that are moved, by their old names."""
        return [table.name for table in TABLES if table.name in self.tables]

    def count(self, name: str) -> int:
        """How many rows a table has."""
        return self._one(f'SELECT count(*) FROM "{self.tables[name]}"')

    def counts(self, names: Iterable[str]) -> dict[str, int]:
        """How many rows tables have, for those that there are."""
        return {name: self.count(name) for name in names if name in self.tables}

    @abstractmethod
    def batches(self, name: str) -> Iterator[list[dict[str, Any]]]:
        """Read a table's rows by their ids, `BATCH` at a time."""

    @abstractmethod
    def rows(self, name: str, ids: Iterable[Any]) -> list[dict[str, Any]]:
        """Read the rows of these ids."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Name what the moved tables hold: the same name means the same rows."""

    @abstractmethod
    def close(self) -> None:
        """End the reading."""

    @abstractmethod
    def _names(self) -> set[str]:
        """Every table there is."""

    @abstractmethod
    def _columns(self, table: str) -> set[str]:
        """The columns of a table."""

    @abstractmethod
    def _one(self, query: str) -> Any:
        """The one value that a query gives."""

    def _find_tables(self) -> dict[str, str]:
        """Where each legacy table stands: under its old name, or aside (`tradingdesk.legacy_tables`)."""
        names, found = self._names(), {}
        for name in [*(table.name for table in TABLES), *HOMELESS]:
            if f"{PREFIX}{name}" in names:
                found[name] = f"{PREFIX}{name}"
            elif name in names and SAME_NAMES.get(name, set()) <= self._columns(name):
                found[name] = name
        return found


class SqliteSource(Source):
    """A SQLite file, opened read-only; one transaction sees one state of it."""

    def __init__(self, path: Path):
        self.path = path
        try:
            self._connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)
            self._connection.text_factory = _text
            self._connection.execute("BEGIN")
            self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.Error as error:
            raise InvalidInput("SOURCE_UNREADABLE", f"{path}: {error}", "source") from error
        super().__init__(str(path))

    def batches(self, name: str) -> Iterator[list[dict[str, Any]]]:
        cursor = self._connection.execute(f'SELECT * FROM "{self.tables[name]}" ORDER BY id')
        columns = [column[0] for column in cursor.description]
        while rows := cursor.fetchmany(BATCH):
            yield [dict(zip(columns, row, strict=True)) for row in rows]

    def rows(self, name: str, ids: Iterable[Any]) -> list[dict[str, Any]]:
        ids = list(ids)
        places = ", ".join("?" * len(ids))
        cursor = self._connection.execute(f'SELECT * FROM "{self.tables[name]}" WHERE id IN ({places})', ids)
        columns = [column[0] for column in cursor.description]
        return [dict(zip(columns, row, strict=True)) for row in cursor]

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        self._connection.text_factory = bytes
        for name in self.present:
            cursor = self._connection.execute(f'SELECT * FROM "{self.tables[name]}" ORDER BY id')
            digest.update(f"{name}({','.join(column[0] for column in cursor.description)})".encode())
            while rows := cursor.fetchmany(BATCH):
                digest.update(marshal.dumps(rows, 2))  # version 2 writes values only, not which objects are shared
        self._connection.text_factory = _text
        return digest.hexdigest()

    def close(self) -> None:
        self._connection.close()

    def _names(self) -> set[str]:
        return {row[0] for row in self._connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}

    def _columns(self, table: str) -> set[str]:
        return {row[1] for row in self._connection.execute(f'PRAGMA table_info("{table}")')}

    def _one(self, query: str) -> Any:
        return self._connection.execute(query).fetchone()[0]


class PostgresSource(Source):
    """A PostgreSQL database; one repeatable-read, read-only transaction sees one state of it."""

    def __init__(self, url: str):
        self.password = _password(url)
        try:
            self._connection = psycopg.connect(url)
        except psycopg.Error as error:
            raise InvalidInput("SOURCE_UNREADABLE", f"{without_password(url)}: {error}", "source") from error
        for kind, loader in (("timestamp", _AnyTimestamp), ("timestamptz", _AnyTimestamptz)):
            self._connection.adapters.register_loader(kind, loader)
        self._connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        self._connection.read_only = True
        self._connection.execute("SET LOCAL TIME ZONE 'UTC'")
        super().__init__(without_password(url))

    def batches(self, name: str) -> Iterator[list[dict[str, Any]]]:
        with self._connection.cursor(f"legacy_{name}") as cursor:
            cursor.execute(f'SELECT * FROM "{self.tables[name]}" ORDER BY id')
            columns = [column.name for column in cursor.description]
            while rows := cursor.fetchmany(BATCH):
                yield [dict(zip(columns, row, strict=True)) for row in rows]

    def rows(self, name: str, ids: Iterable[Any]) -> list[dict[str, Any]]:
        cursor = self._connection.execute(f'SELECT * FROM "{self.tables[name]}" WHERE id = ANY(%s)', [list(ids)])
        columns = [column.name for column in cursor.description]
        return [dict(zip(columns, row, strict=True)) for row in cursor]

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for name in self.present:
            of_rows = "SELECT count(*), sum(('x' || left(md5(t::text), 15))::bit(60)::bigint) FROM \"{}\" t"
            counted = self._connection.execute(of_rows.format(self.tables[name])).fetchone()
            digest.update(f"{name}({','.join(sorted(self._columns(self.tables[name])))}){counted}".encode())
        return digest.hexdigest()

    def close(self) -> None:
        self._connection.close()

    def _names(self) -> set[str]:
        query = "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND pg_table_is_visible(oid)"
        return {row[0] for row in self._connection.execute(query)}

    def _columns(self, table: str) -> set[str]:
        query = "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
        return {row[0] for row in self._connection.execute(query, [f'"{table}"'])}

    def _one(self, query: str) -> Any:
        return self._connection.execute(query).fetchone()[0]


class _AnyTimestamp(TimestampLoader):
    """Gives a time that Python does not have (infinity, before Christ) as its text."""

    def load(self, data):
        try:
            return super().load(data)
        except psycopg.DataError:
            return bytes(data).decode()


class _AnyTimestamptz(TimestamptzLoader):
    """The same with a zone."""

    def load(self, data):
        try:
            return super().load(data)
        except psycopg.DataError:
            return bytes(data).decode()


@contextmanager
def opened(place: str) -> Iterator[Source]:
    """Open a legacy database by its path or URL.

    Raises:
        InvalidInput: it cannot be read, or is no legacy database.
    """
    source = PostgresSource(_postgres(place)) if is_postgres(place) else SqliteSource(sqlite_path(place))
    try:
        yield source
    finally:
        source.close()


def is_postgres(place: str) -> bool:
    """Whether a path or URL names a PostgreSQL database."""
    return place.startswith(("postgres://", "postgresql://", "postgresql+"))


def sqlite_path(place: str) -> Path:
    """The file that a path or URL names.

    Raises:
        InvalidInput: there is none.
    """
    path = Path(unquote(place.removeprefix("sqlite:///")))
    if not path.is_file():
        raise InvalidInput("NO_SUCH_SOURCE", f"{place}: no such file", "source")
    return path


def _password(url: str) -> str:
    """The password in a URL; a part of one that was cut off at a slash must not be told as a host or a port."""
    try:
        parts = urlsplit(url)
        password, _ = unquote(parts.password or ""), parts.port
    except ValueError:
        text = "not a URL such as postgresql://user:password@host:5432/name; write / in a password as %2F, # as %23"
        raise InvalidInput("SOURCE_UNREADABLE", text, "source") from None
    remember(password)
    return password


def without_password(url: str) -> str:
    """A URL as it may be shown and kept."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    return parts._replace(netloc=f"{parts.username}:***@{parts.netloc.rpartition('@')[2]}").geturl()


def _postgres(url: str) -> str:
    """SQLAlchemy, which the old system used, names its driver in the scheme."""
    return f"postgresql://{url.partition('://')[2]}"


def _text(found: bytes) -> str:
    return str(found, "utf-8", "surrogateescape")
