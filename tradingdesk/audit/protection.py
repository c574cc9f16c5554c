"""Facts stay as they were written: the database itself refuses to change them, whoever asks.

Every concrete `Fact` has triggers, put back after every migrate because Django's way to alter a
SQLite table loses them. On PostgreSQL, run the desk as a role that does not own the tables: then
it cannot amend, nor take the triggers away.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction

from tradingdesk.audit import trail
from tradingdesk.audit.models import AuditEvent
from tradingdesk.audit.triggers import AMENDED, guard_of
from tradingdesk.errors import require_reason
from tradingdesk.facts import Fact, FactChangeRefused


def fact_tables() -> list[str]:
    """Name the table of every concrete fact of every app."""
    return sorted(model._meta.db_table for model in apps.get_models() if issubclass(model, Fact))


def wanted_triggers(using: str = DEFAULT_DB_ALIAS) -> dict[str, list[str]]:
    """Name the triggers that each fact table has on this database."""
    guard = guard_of(connections[using])
    return {table: list(guard.wanted(table)) for table in fact_tables()}


def missing_triggers(using: str = DEFAULT_DB_ALIAS) -> list[str]:
    """Name the triggers that are absent, switched off or not as they should be; readiness and tests ask."""
    return [name for _, name, _ in _missing(using)]


def protect_facts(using: str = DEFAULT_DB_ALIAS, **_signal) -> None:
    """Install what is missing on the fact tables that exist; runs after every migrate. Again changes nothing."""
    missing = list(_missing(using))
    guard, database = guard_of(connections[using]), connections[using]
    with transaction.atomic(using=using):
        guard.prepare()
        for table, name, statement in missing:
            with database.cursor() as cursor:
                cursor.execute(guard.dropping(table, name))
                cursor.execute(statement)


@contextmanager
def amend_facts(*, actor: str, reason: str, **facts) -> Iterator[AuditEvent]:
    """Let facts be changed inside the block: the one way past the triggers, for the tables' owner alone.

    It writes an `audit.amended` event first, and is part of the caller's transaction: without that event
    committed, nothing is amended. `facts` are columns of the event: say what is amended, and give
    `before`, as the trail has to let people restore the original. Write with raw SQL or `_base_manager`.

    Raises:
        InvalidInput: no reason.
        FactChangeRefused: there is no open transaction.
        IntegrityError: in the block, at the first change, if the role does not own the table.
    """
    require_reason(reason, "facts are amended")
    if not connection.in_atomic_block:
        raise FactChangeRefused("amend facts inside a transaction")
    guard = guard_of(connection)
    with transaction.atomic():
        event = trail.event(AMENDED, actor=actor, reason=reason, **facts)
        event.save()
        guard.open(event.pk)
        yield event
        guard.shut()


def _missing(using: str) -> Iterator[tuple[str, str, str]]:
    guard, database = guard_of(connections[using]), connections[using]
    existing = set(database.introspection.table_names())
    tables = [table for table in fact_tables() if table in existing]
    found = guard.found(tables)
    for table in tables:
        for name, statement in guard.wanted(table).items():
            if not guard.is_current(statement, found.get((table, name))):
                yield table, name, statement
