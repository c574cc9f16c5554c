"""Desks to back up and to restore, on each database."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import environment, services


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def engine(request) -> str:
    """Each database in its turn."""
    return request.param


@pytest.fixture
def home(engine, request, desk_env) -> dict[str, str]:
    """The environment of a migrated desk of the test's own."""
    url = request.getfixturevalue("own_sqlite_url" if engine == "sqlite" else "own_pg_url")
    return desk_env(url)


@pytest.fixture
def empty_place(engine, request, tmp_path) -> Iterator[Callable[[], dict[str, str]]]:
    """Make environments of desks whose database has nothing in it yet."""
    made = []

    def make(**more: str) -> dict[str, str]:
        folder = tmp_path / f"place-{len(made)}"
        if engine == "sqlite":
            made.append(None)
            return environment.desk_env(folder, f"sqlite:///{folder / 'trading.db'}", **more)
        database = services.fresh_database(request.getfixturevalue("pg_url"))
        made.append(database)
        return environment.desk_env(folder, database.__enter__(), **more)

    yield make
    for database in filter(None, made):
        database.__exit__(None, None, None)


def only_file(folder: Path, pattern: str = "*.zip") -> Path:
    """The one file of a folder that has such a name."""
    [path] = folder.glob(pattern)
    return path
