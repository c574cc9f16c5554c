"""Tables of the single-broker system whose names are the desk's own: they step aside as `legacy_*`, and back.

The old system kept its database where the desk does. What the first migration changes is only names. Where rows break
a foreign key that SQLite declares, the table is written again without it beforehand: Django refuses to change a
database that has such rows, and could not even note its first migration there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

PREFIX = "legacy_"
# Each table by columns that only the legacy one has.
SAME_NAMES = {
    "orders": {"filled_quantity", "order_type"},
    "positions": {"entry_order_id", "avg_entry_price"},
    "trade_logs": {"signal_generated_at", "entry_price"},
    "configuration_history": {"config_section", "old_value"},
    "signals": {"strategy_count", "price_at_signal"},
}
_FOREIGN_KEY = re.compile(
    r",\s*(?:CONSTRAINT\s+\S+\s+)?FOREIGN\s+KEY\s*\([^)]*\)\s*REFERENCES\s+\S+\s*\([^)]*\)"
    r"(?:\s+ON\s+(?:DELETE|UPDATE)\s+(?:CASCADE|RESTRICT|NO\s+ACTION|SET\s+NULL|SET\s+DEFAULT))*",
    re.IGNORECASE,
)


def move_aside(connection: BaseDatabaseWrapper) -> None:
    """Rename legacy tables that have the desk's names. Must run before the desk makes its own."""
    for name in legacy_tables(connection):
        _execute(connection, f'ALTER TABLE "{name}" RENAME TO "{PREFIX}{name}"')


def move_back(connection: BaseDatabaseWrapper) -> None:
    """Give legacy tables their old names; the desk's own of these names must be gone."""
    existing = set(connection.introspection.table_names())
    for name in SAME_NAMES:
        if f"{PREFIX}{name}" in existing:
            _execute(connection, f'ALTER TABLE "{PREFIX}{name}" RENAME TO "{name}"')


def legacy_tables(connection: BaseDatabaseWrapper) -> list[str]:
    """Name the legacy tables that stand in the desk's way."""
    existing = set(connection.introspection.table_names())
    return [name for name in SAME_NAMES if name in existing and _is_legacy(connection, name)]


def drop_broken_keys(using: str = DEFAULT_DB_ALIAS, **_signal) -> None:
    """Before any migration of an old SQLite file: write tables again without the foreign keys that their rows break."""
    connection = connections[using]
    if connection.vendor != "sqlite" or not legacy_tables(connection):
        return
    connection.disable_constraint_checking()  # dropping a table deletes its rows, which others refer to
    try:
        with transaction.atomic(using=using):
            for name in _tables_with_broken_keys(connection):
                _drop_foreign_keys(connection, name)
    finally:
        connection.enable_constraint_checking()


def _is_legacy(connection: BaseDatabaseWrapper, name: str) -> bool:
    with connection.cursor() as cursor:
        columns = {column.name for column in connection.introspection.get_table_description(cursor, name)}
    return SAME_NAMES[name] <= columns


def _tables_with_broken_keys(connection: BaseDatabaseWrapper) -> list[str]:
    with connection.cursor() as cursor:
        return sorted({row[0] for row in cursor.execute("PRAGMA foreign_key_check")})


def _drop_foreign_keys(connection: BaseDatabaseWrapper, name: str) -> None:
    """Write a SQLite table again without foreign keys, its indexes included."""
    statements = dict(_statements_of(connection, name))
    table = _FOREIGN_KEY.sub("", statements.pop(name))
    aside = f"{name}__with_keys"
    for index in statements:
        _execute(connection, f'DROP INDEX "{index}"')
    # Other tables go on to refer to the name, not to what is moved aside.
    _execute(connection, "PRAGMA legacy_alter_table = ON")
    _execute(connection, f'ALTER TABLE "{name}" RENAME TO "{aside}"')
    _execute(connection, "PRAGMA legacy_alter_table = OFF")
    _execute(connection, table)
    _execute(connection, f'INSERT INTO "{name}" SELECT * FROM "{aside}"')
    _execute(connection, f'DROP TABLE "{aside}"')
    for statement in statements.values():
        _execute(connection, statement)


def _statements_of(connection: BaseDatabaseWrapper, name: str) -> Iterator[tuple[str, str]]:
    """The statements that made a table and its indexes, by what they made."""
    query = "SELECT name, sql FROM sqlite_master WHERE tbl_name = %s AND sql IS NOT NULL AND type IN ('table', 'index')"
    with connection.cursor() as cursor:
        yield from cursor.execute(query, [name]).fetchall()


def _execute(connection: BaseDatabaseWrapper, statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def as_migration(change: Callable[[BaseDatabaseWrapper], object]) -> Callable:
    """Make the function that `RunPython` takes."""
    return lambda apps, schema_editor: change(schema_editor.connection)
