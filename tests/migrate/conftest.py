"""A legacy database to migrate, and the migration of it as the command makes it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import connection

from orders.migrate.run import Asked, Outcome, migrate
from orders.migrate.source import opened
from tests import services
from tests.migrate.legacy import Legacy, build, build_postgres


@pytest.fixture
def backups(tmp_path) -> Path:
    return tmp_path / "backups"


@pytest.fixture
def legacy(tmp_path) -> Legacy:
    """A small SQLite file with every kind of dirt."""
    return build(tmp_path / "old.db", orders=400)


@pytest.fixture
def legacy_postgres(pg_url) -> Legacy:
    """The same on PostgreSQL."""
    with services.fresh_database(pg_url) as url:
        yield build_postgres(url, orders=400)


@pytest.fixture
def migrated(backups) -> Callable[..., Outcome]:
    """Migrate a legacy database into account `alpaca`: `migrated(legacy)`."""

    def run(legacy: Legacy, broker_name: str = "alpaca", **asked) -> Outcome:
        with opened(legacy.place) as source:
            return migrate(source, Asked(broker_name, "ann", backups, lambda text: None, **asked))

    return run


def rows(statement: str, *values) -> list[dict]:
    """What a statement finds in the desk's database."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
