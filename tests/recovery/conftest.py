"""Desks to back up and to restore, on each database."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
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


@pytest.fixture(scope="module")
def histories(tmp_path_factory) -> Iterator[Callable[[str], tuple[str, Path]]]:
    """The database of a desk that has traded, to copy, and a backup of it: `histories("sqlite")`; made once."""
    folder, databases, made = tmp_path_factory.mktemp("history"), ExitStack(), {}

    def history(engine: str) -> tuple[str, Path]:
        if engine not in made:
            url = _migrated(engine, folder, databases)
            env = environment.desk_env(folder / f"{engine}-data", url)
            environment.manage("shell", "-c", "from tests.recovery.traded import trade; trade()", env=env)
            environment.manage("backup_desk", "--to", str(folder / engine), env=env)
            made[engine] = url, only_file(folder / engine)
        return made[engine]

    with databases:
        yield history


def _migrated(engine: str, folder: Path, databases: ExitStack) -> str:
    if engine == "sqlite":
        return f"sqlite:///{shutil.copy(environment.migrated_sqlite(), folder / 'history.db')}"
    template = environment.migrated_postgres()
    return databases.enter_context(services.fresh_database(environment.postgres_url(), template=template))


@pytest.fixture
def traded(engine, histories, tmp_path) -> Iterator[dict[str, str]]:
    """The environment of a desk that has traded: orders in every state, positions, round trips."""
    url, _ = histories(engine)
    if engine == "sqlite":
        copied = shutil.copy(url.removeprefix("sqlite:///"), tmp_path / "traded.db")
        yield environment.desk_env(tmp_path / "data", f"sqlite:///{copied}")
        return
    with services.fresh_database(environment.postgres_url(), template=url.rpartition("/")[2]) as own:
        yield environment.desk_env(tmp_path / "data", own)


@pytest.fixture
def backup(engine, histories, tmp_path) -> Path:
    """A backup of that desk, the test's own."""
    _, made = histories(engine)
    return Path(shutil.copy(made, tmp_path / made.name))


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
