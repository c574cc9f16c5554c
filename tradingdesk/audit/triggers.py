"""The triggers that keep facts as they were written, in the words of each database.

A guard knows one database: which triggers it wants on a table, which there are, and how an
amendment (`tradingdesk.audit.protection`) is let through.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from django.db.backends.base.base import BaseDatabaseWrapper

AMENDED = "audit.amended"
REFUSAL = "facts are written once"


class Guard(Protocol):
    """Triggers of one connection's database."""

    def prepare(self) -> None:
        """Make what the triggers stand on."""

    def wanted(self, table: str) -> dict[str, str]:
        """The statement that creates each trigger of a table, by its name."""

    def found(self, tables: Iterable[str]) -> dict[tuple[str, str], str]:
        """What there is, by (table, trigger): whatever `is_current` needs to tell."""

    def is_current(self, statement: str, found: str | None) -> bool:
        """Tell whether a trigger that was found is the wanted one, and on."""

    def dropping(self, table: str, name: str) -> str:
        """The statement that takes a trigger away, if it is there."""

    def open(self, event_id: int) -> None:
        """Let changes through, in this transaction, for the amendment that this event tells of."""

    def shut(self) -> None:
        """Refuse changes again."""


def guard_of(connection: BaseDatabaseWrapper) -> Guard:
    """Choose the guard of a database: PostgreSQL or SQLite."""
    return {"postgresql": PostgresGuard, "sqlite": SqliteGuard}[connection.vendor](connection)


class SqliteGuard:
    """RAISE(ABORT), unless this transaction has an amendment open.

    The row that opens one points at an event that must exist and, deferred, at a row that never
    does: a transaction that would leave it behind cannot commit. Triggers may name no other table,
    as SQLite refuses to rebuild a table (Django's way to alter one) that a trigger elsewhere names.
    """

    MARKS = "fact_amendments"

    def __init__(self, connection: BaseDatabaseWrapper):
        self.connection = connection

    def prepare(self) -> None:
        """Make the table of open amendments; always empty outside of a transaction."""
        self._execute(
            f"CREATE TABLE IF NOT EXISTS {self.MARKS} ("
            " event_id integer PRIMARY KEY REFERENCES audit_events (id),"
            f" never integer NOT NULL REFERENCES {self.MARKS} (event_id) DEFERRABLE INITIALLY DEFERRED)"
        )

    def wanted(self, table: str) -> dict[str, str]:
        """UPDATE and DELETE; SQLite has no TRUNCATE."""
        return {f"{table}_no_{verb.lower()}": self._statement(table, verb) for verb in ("UPDATE", "DELETE")}

    def found(self, tables: Iterable[str]) -> dict[tuple[str, str], str]:
        """Each trigger's own text."""
        query = "SELECT tbl_name, name, sql FROM sqlite_master WHERE type = 'trigger'"
        wanted = set(tables)
        return {(table, name): text for table, name, text in self._rows(query) if table in wanted}

    def is_current(self, statement: str, found: str | None) -> bool:
        """Compare the texts."""
        return found == statement

    def dropping(self, table: str, name: str) -> str:
        """A trigger's name is its database's."""
        return f'DROP TRIGGER IF EXISTS "{name}"'

    def open(self, event_id: int) -> None:
        """Mark the transaction."""
        self._execute(f"INSERT INTO {self.MARKS} (event_id, never) VALUES (%s, -1)", [event_id])

    def shut(self) -> None:
        """Take the mark away."""
        self._execute(f"DELETE FROM {self.MARKS}")

    def _statement(self, table: str, verb: str) -> str:
        # Nobody amends what the trail says of amendments.
        never = f" OR OLD.kind = '{AMENDED}'" if table == "audit_events" else ""
        return (
            f'CREATE TRIGGER "{table}_no_{verb.lower()}" BEFORE {verb} ON "{table}"'
            f" WHEN NOT EXISTS (SELECT 1 FROM {self.MARKS}){never}"
            f" BEGIN SELECT RAISE(ABORT, '{table}: {REFUSAL}'); END"
        )

    def _execute(self, statement: str, parameters: list | None = None) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(statement, parameters)

    def _rows(self, query: str) -> list[tuple]:
        with self.connection.cursor() as cursor:
            return cursor.execute(query).fetchall()


class PostgresGuard:
    """RAISE EXCEPTION, unless the table's owner has an amendment open whose event is of this very transaction.

    Triggers are ALWAYS on: a superuser's `session_replication_role` does not pass them by.
    """

    FUNCTION = "desk_refuse_fact_change"
    SETTING = "desk.amendment"
    BODY = f"""
DECLARE
    amendment bigint := nullif(current_setting('{SETTING}', true), '')::bigint;
BEGIN
    IF TG_OP <> 'TRUNCATE' AND amendment IS NOT NULL
        AND (SELECT pg_has_role(current_user, relowner, 'USAGE') FROM pg_class WHERE oid = TG_RELID)
        AND EXISTS (SELECT 1 FROM audit_events
                    WHERE id = amendment AND kind = '{AMENDED}' AND xact_id = pg_current_xact_id())
        -- nobody amends what the trail says of amendments
        AND NOT (TG_TABLE_NAME = 'audit_events' AND to_jsonb(OLD) ->> 'kind' = '{AMENDED}')
    THEN
        IF TG_OP = 'DELETE' THEN
            RETURN OLD;
        END IF;
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '%: {REFUSAL}', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END
"""

    def __init__(self, connection: BaseDatabaseWrapper):
        self.connection = connection

    def prepare(self) -> None:
        """Make or renew the function that all triggers call."""
        body = self._rows("SELECT prosrc FROM pg_proc WHERE oid = to_regproc(%s)", [self.FUNCTION])
        if body != [(self.BODY,)]:
            head = f"CREATE OR REPLACE FUNCTION {self.FUNCTION}() RETURNS trigger LANGUAGE plpgsql"
            self._execute(f"{head} AS $body${self.BODY}$body$")

    def wanted(self, table: str) -> dict[str, str]:
        """UPDATE and DELETE row by row (so they hold for partitions too), TRUNCATE as a whole."""
        levels = {"UPDATE": "ROW", "DELETE": "ROW", "TRUNCATE": "STATEMENT"}
        return {f"{table}_no_{verb.lower()}": self._statement(table, verb, level) for verb, level in levels.items()}

    def found(self, tables: Iterable[str]) -> dict[tuple[str, str], str]:
        """Whether each trigger is enabled: 'A' is always."""
        query = (
            "SELECT relname, tgname, tgenabled::text FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid"
            " WHERE NOT tgisinternal AND relnamespace = current_schema()::regnamespace AND relname = ANY(%s)"
        )
        return {(table, name): enabled for table, name, enabled in self._rows(query, [list(tables)])}

    def is_current(self, statement: str, found: str | None) -> bool:
        """A trigger that is on calls the one function, which `prepare` has renewed."""
        return found == "A"

    def dropping(self, table: str, name: str) -> str:
        """A trigger's name is its table's."""
        return f'DROP TRIGGER IF EXISTS "{name}" ON "{table}"'

    def open(self, event_id: int) -> None:
        """Name the event, for this transaction only."""
        self._execute("SELECT set_config(%s, %s, true)", [self.SETTING, str(event_id)])

    def shut(self) -> None:
        """Name no event."""
        self._execute("SELECT set_config(%s, '', true)", [self.SETTING])

    def _statement(self, table: str, verb: str, level: str) -> str:
        name = f"{table}_no_{verb.lower()}"
        return (
            f'CREATE TRIGGER "{name}" BEFORE {verb} ON "{table}" FOR EACH {level} EXECUTE FUNCTION {self.FUNCTION}();'
            f' ALTER TABLE "{table}" ENABLE ALWAYS TRIGGER "{name}"'
        )

    def _execute(self, statement: str, parameters: list | None = None) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(statement, parameters)

    def _rows(self, query: str, parameters: list) -> list[tuple]:
        with self.connection.cursor() as cursor:
            return cursor.execute(query, parameters).fetchall()
