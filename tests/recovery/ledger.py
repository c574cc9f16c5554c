"""The desk's database by plain SQL, on either engine, for tests beside real processes."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg


class Ledger:
    """One connection; statements are written with `?`."""

    def __init__(self, connection: Any, place: str):
        self._connection, self._place = connection, place

    def execute(self, statement: str, *values: Any) -> Any:
        """Run a statement, outside of a transaction unless one was begun; its cursor."""
        return self._connection.execute(statement.replace("?", self._place), values)


@contextmanager
def connected(env: dict[str, str]) -> Iterator[Ledger]:
    """Open the database of a desk's environment."""
    url = env["DATABASE_URL"]
    if url.startswith("sqlite:///"):
        path = url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as connection:
            yield Ledger(connection, "?")
        return
    with psycopg.connect(url, autocommit=True) as connection:
        yield Ledger(connection, "%s")


def placed(ledger: Ledger, number: int) -> None:
    """Write a group and a content type with one number, in one transaction."""
    ledger.execute("BEGIN")
    ledger.execute("INSERT INTO auth_group (name) VALUES (?)", f"group {number}")
    ledger.execute("INSERT INTO django_content_type (app_label, model) VALUES ('test', ?)", f"model {number}")
    ledger.execute("COMMIT")
