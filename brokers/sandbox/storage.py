"""The sandbox's own SQLite file: a journal that only grows, and the orders and executions as they stand.

Writes are gathered and committed together, and an answer waits for its commit, so whatever a client was
told survives the sandbox's own end. `synchronous=OFF` is enough for that: the kernel keeps what a killed
process has written.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from brokers.sandbox.book import Execution, Order
from tradingdesk.fix import ExecType, LegRole, OrderClass, OrdStatus, OrdType, Side, TimeInForce

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS orders (
    order_id TEXT PRIMARY KEY, account TEXT NOT NULL, client_order_id TEXT NOT NULL, seq INTEGER NOT NULL,
    body TEXT NOT NULL, UNIQUE (account, client_order_id));
CREATE TABLE IF NOT EXISTS executions (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, exec_id TEXT NOT NULL UNIQUE, account TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS journal (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, kind TEXT NOT NULL, account TEXT NOT NULL,
    client_order_id TEXT NOT NULL, order_id TEXT NOT NULL, detail TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS things (kind TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, key));
CREATE INDEX IF NOT EXISTS journal_client_order_id ON journal (client_order_id);
CREATE TRIGGER IF NOT EXISTS journal_not_changed BEFORE UPDATE ON journal
    BEGIN SELECT RAISE(ABORT, 'the journal only grows'); END;
CREATE TRIGGER IF NOT EXISTS journal_not_deleted BEFORE DELETE ON journal
    BEGIN SELECT RAISE(ABORT, 'the journal only grows'); END;
"""
UPSERT_ORDER = "INSERT INTO orders VALUES (?, ?, ?, ?, ?) ON CONFLICT (order_id) DO UPDATE SET body = excluded.body"
UPSERT_THING = "INSERT INTO things VALUES (?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body"
INSERT_EXECUTION = "INSERT INTO executions (exec_id, account, body) VALUES (?, ?, ?)"
INSERT_JOURNAL = "INSERT INTO journal (at, kind, account, client_order_id, order_id, detail) VALUES (?, ?, ?, ?, ?, ?)"
JOURNAL_COLUMNS = ("seq", "at", "kind", "account", "client_order_id", "order_id", "detail")
_READERS: dict[str, Callable[[Any], Any]] = {
    "Decimal": Decimal,
    "datetime": datetime.fromisoformat,
    "Side": Side,
    "OrdType": OrdType,
    "TimeInForce": TimeInForce,
    "OrdStatus": OrdStatus,
    "ExecType": ExecType,
    "OrderClass": OrderClass,
    "LegRole": LegRole,
}
T = TypeVar("T")


class Store:
    """One file, one connection, one thread."""

    def __init__(self, path: Path | str):
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = OFF")
        self.connection.executescript(SCHEMA)
        self._orders: dict[str, Order] = {}
        self._executions: list[Execution] = []
        self._journal: list[tuple] = []
        self._things: dict[tuple[str, str], str] = {}

    def keep(self, order: Order) -> None:
        """Store the order as it is now, at the next commit."""
        self._orders[order.order_id] = order

    def add(self, execution: Execution) -> None:
        """Store an execution at the next commit."""
        self._executions.append(execution)

    def put(self, kind: str, key: str, thing: Any) -> None:
        """Store what a front keeps of its own (a dataclass with slots) at the next commit."""
        self._things[(kind, key)] = encode(thing)

    def things(self, kind: str, of: type[T]) -> Iterator[T]:
        """All that was put of a kind, in order of its keys."""
        for (body,) in self.connection.execute("SELECT body FROM things WHERE kind = ? ORDER BY key", (kind,)):
            yield decode(of, body)

    def note(
        self, at: datetime, kind: str, account: str, *, client_order_id: str = "", order_id: str = "", **detail: Any
    ) -> None:
        """Add a line to the journal at the next commit."""
        self._journal.append((at.isoformat(), kind, account, client_order_id, order_id, _dump(detail)))

    @property
    def is_dirty(self) -> bool:
        """Whether a commit has something to do."""
        return bool(self._orders or self._executions or self._journal or self._things)

    def commit(self) -> None:
        """Write all that was gathered, in one transaction."""
        orders, executions, journal = self._orders, self._executions, self._journal
        things, self._things = self._things, {}
        self._orders, self._executions, self._journal = {}, [], []
        run = self.connection.executemany
        self.connection.execute("BEGIN")
        run(UPSERT_ORDER, [(o.order_id, o.account, o.client_order_id, o.seq, encode(o)) for o in orders.values()])
        run(INSERT_EXECUTION, [(e.exec_id, e.account, encode(e)) for e in executions])
        run(INSERT_JOURNAL, journal)
        run(UPSERT_THING, [(*key, body) for key, body in things.items()])
        self.connection.execute("COMMIT")

    def close(self) -> None:
        """Commit and close the file."""
        self.commit()
        self.connection.close()

    def orders(self) -> Iterator[Order]:
        """All orders, in order of arrival."""
        for (body,) in self.connection.execute("SELECT body FROM orders ORDER BY seq"):
            yield decode(Order, body)

    def executions(self) -> Iterator[Execution]:
        """All executions, in order."""
        for (body,) in self.connection.execute("SELECT body FROM executions ORDER BY seq"):
            yield decode(Execution, body)

    def journal(self, *, kind: str = "", account: str = "", client_order_id: str = "", after: int = 0) -> list[dict]:
        """Lines of the journal after one's number, filtered by what is given."""
        wanted = {"kind": kind, "account": account, "client_order_id": client_order_id}
        wanted = {column: value for column, value in wanted.items() if value}
        where = "".join(f" AND {column} = ?" for column in wanted)
        rows = self.connection.execute(
            f"SELECT {', '.join(JOURNAL_COLUMNS)} FROM journal WHERE seq > ?{where} ORDER BY seq",
            (after, *wanted.values()),
        )
        return [dict(zip(JOURNAL_COLUMNS, row, strict=True)) | {"detail": json.loads(row[-1])} for row in rows]

    def get(self, key: str, default: str = "") -> str:
        """A remembered value."""
        row = self.connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else default

    def remember(self, key: str, value: str) -> None:
        """Remember a value, at once."""
        self.connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def encode(thing: Any) -> str:
    """A stored thing as JSON; what is None is left out."""
    return _dump({name: value for name in thing.__slots__ if (value := getattr(thing, name)) is not None})


def decode(kind: type[T], body: str) -> T:
    """The stored thing again."""
    values = json.loads(body)
    readers = {f.name: _READERS.get(str(f.type).removesuffix(" | None")) for f in fields(kind)}
    return kind(**{name: readers[name](v) if readers.get(name) else v for name, v in values.items() if name in readers})


def _dump(values: dict) -> str:
    return json.dumps(values, default=_plain, separators=(",", ":"))


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
