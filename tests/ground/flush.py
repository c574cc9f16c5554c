"""Between transactional tests Django empties all tables, which facts refuse: their triggers step aside for it."""

from unittest.mock import patch

import pytest
from django.db import connections
from django.db.backends.base.operations import BaseDatabaseOperations

from tradingdesk.audit.protection import fact_tables, protect_facts
from tradingdesk.audit.triggers import guard_of

_execute_sql_flush = BaseDatabaseOperations.execute_sql_flush


def _flush_facts_too(operations: BaseDatabaseOperations, statements: list[str]) -> None:
    alias = operations.connection.alias
    remove_triggers(alias)
    try:
        _execute_sql_flush(operations, statements)
    finally:
        protect_facts(using=alias)


def remove_triggers(alias: str) -> None:
    """Drop every trigger of the fact tables, as their owner may."""
    guard = guard_of(connections[alias])
    with connections[alias].cursor() as cursor:
        for table, name in guard.found(fact_tables()):
            cursor.execute(guard.dropping(table, name))


@pytest.fixture(autouse=True, scope="session")
def _flushing_reaches_facts():
    with patch.object(BaseDatabaseOperations, "execute_sql_flush", _flush_facts_too):
        yield
