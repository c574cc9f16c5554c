"""Between transactional tests all tables are emptied, which facts refuse: their triggers step aside for it.

In Django's stead, which truncates every table and then makes each permission again: most tables are empty already.
"""

from collections.abc import Iterable
from unittest.mock import patch

import pytest
from django.db import connections, transaction
from django.test import TransactionTestCase

from tradingdesk.audit.protection import fact_tables, protect_facts
from tradingdesk.audit.triggers import guard_of

KEPT = {"django_content_type", "auth_permission"}  # what Django makes after every migrate, and nobody changes


def _fixture_teardown(case: TransactionTestCase) -> None:
    for alias in case._databases_names(include_mirrors=False):
        empty_tables(alias)


def empty_tables(alias: str) -> None:
    """Take every row of the desk's tables away, and see that facts are protected after it."""
    filled = _filled_tables(alias)
    remove_triggers(alias, set(filled) & set(fact_tables()))
    try:
        with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
            for table in filled:
                cursor.execute(f'DELETE FROM "{table}"')
    finally:
        protect_facts(using=alias)


def remove_triggers(alias: str, tables: Iterable[str]) -> None:
    """Drop every trigger of these fact tables, as their owner may."""
    guard = guard_of(connections[alias])
    with connections[alias].cursor() as cursor:
        for table, name in guard.found(tables):
            cursor.execute(guard.dropping(table, name))


def _filled_tables(alias: str) -> list[str]:
    database = connections[alias]
    tables = {*database.introspection.django_table_names(only_existing=True, include_views=False)} - KEPT
    looks = (f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM \"{table}\")" for table in sorted(tables))
    with database.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(looks))
        return [table for (table,) in cursor.fetchall()]


@pytest.fixture(autouse=True, scope="session")
def _flushing_reaches_facts():
    with patch.object(TransactionTestCase, "_fixture_teardown", _fixture_teardown):
        yield
