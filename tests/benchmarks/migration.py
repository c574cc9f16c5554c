"""Migrating a legacy database, against a bare `INSERT … SELECT` of the same rows into the same tables.

Both write into tables and indexes that are the desk's, SQLite files or databases of one durable PostgreSQL; rows are
those that the migration wrote, of every table. `python -m tests.benchmarks.migration --orders 1000000 --engine
postgresql` measures it alone, says how much memory it had as it went on, and looks for every row.
"""

import argparse
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from tests import environment, services
from tests.benchmarks.results import Result, table
from tests.migrate.accounted import unaccounted
from tests.migrate.legacy import Legacy, build

TABLES = (
    "instruments", "signals", "signal_decisions", "orders", "executions", "positions", "trade_logs",
    "configuration_history", "account_snapshots", "migration_quarantine",
)  # fmt: skip
OWNERS = ("broker_accounts", "migration_runs")
SAMPLE_S = 0.5
PARTS = 10


class Target(ABC):
    """A migrated, empty database for the desk, and another one for the bare statements."""

    desk_url: str

    @abstractmethod
    def ask(self, statement: str) -> Iterable[tuple]:
        """Run a statement on the desk's."""

    @abstractmethod
    def insert_select(self) -> tuple[int, float]:
        """Copy what was migrated into the empty one by one statement a table, in one transaction; rows and seconds."""


class SqliteTarget(Target):
    """Two files."""

    def __init__(self, folder: Path):
        files = (shutil.copy(environment.migrated_sqlite(), folder / name) for name in ("desk", "bare"))
        self.desk, self.bare = files
        self.desk_url = f"sqlite:///{self.desk}"

    def ask(self, statement: str) -> Iterable[tuple]:
        with closing(sqlite3.connect(self.desk)) as connection:
            return connection.execute(statement).fetchall()

    def insert_select(self) -> tuple[int, float]:
        with closing(sqlite3.connect(self.bare, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"ATTACH '{self.desk}' AS migrated")
            for name in OWNERS:
                connection.execute(f"INSERT INTO {name} SELECT * FROM migrated.{name}")
            return _timed(connection, "migrated")


class PostgresTarget(Target):
    """Two databases of one server; what was migrated is first laid beside, as statements see one database only."""

    def __init__(self, desk_url: str, bare_url: str):
        self.desk_url, self.bare_url = desk_url, bare_url

    def ask(self, statement: str) -> Iterable[tuple]:
        with psycopg.connect(self.desk_url) as connection:
            return connection.execute(statement).fetchall()

    def insert_select(self) -> tuple[int, float]:
        with (
            psycopg.connect(self.desk_url) as desk,
            psycopg.connect(self.bare_url, autocommit=True) as bare,
        ):
            bare.execute("CREATE SCHEMA migrated")
            for name in (*OWNERS, *TABLES):
                bare.execute(f"CREATE TABLE migrated.{name} AS SELECT * FROM {name} WHERE false")
                _carry(desk, bare, name)
            for name in OWNERS:
                bare.execute(f"INSERT INTO {name} SELECT * FROM migrated.{name}")
            return _timed(bare, "migrated")


@contextmanager
def targets(engine: str, folder: Path) -> Iterator[Target]:
    """Make the databases of one round."""
    if engine == "sqlite":
        yield SqliteTarget(folder)
        return
    with services.postgres_server(durable=True) as server, services.fresh_database(server) as empty:
        environment.manage("migrate", "--verbosity=0", env=environment.desk_env(folder / "empty", empty))
        template = empty.rpartition("/")[2]
        with (
            services.fresh_database(server, template) as desk,
            services.fresh_database(server, template) as bare,
        ):
            yield PostgresTarget(desk, bare)


@dataclass
class Round:
    """One migration: seconds, the bare statements' too, rows, memory as it went on (MiB), and what is wrong."""

    desk_s: float
    bare_s: float
    rows: int
    memory: list[int]
    problems: list[str] = field(default_factory=list)

    @property
    def rates(self) -> tuple[float, float]:
        """Rows a second of both."""
        return self.rows / self.desk_s, self.rows / self.bare_s


def migration_rows(orders: int, rounds: int = 1) -> Result:
    """Measure rows a second, both ways, on fresh files in each round."""
    with tempfile.TemporaryDirectory(prefix="desk-bench-") as folder:
        legacy = build(Path(folder) / "old.db", orders=orders)
        return _result([measured(legacy, "sqlite", Path(folder) / str(number)) for number in range(rounds)])


def measured(legacy: Legacy, engine: str, folder: Path, *, look: bool = False) -> Round:
    """Migrate once, in a process of its own, and insert the same barely; `look` for every row, too."""
    folder.mkdir()
    with targets(engine, folder) as target:
        seconds, memory = _migrate(legacy, environment.desk_env(folder / "data", target.desk_url))
        problems = unaccounted(legacy, target.ask) if look else []
        rows, bare = target.insert_select()
    return Round(seconds, bare, rows, memory, problems)


def _migrate(legacy: Legacy, env: dict[str, str]) -> tuple[float, list[int]]:
    command = [sys.executable, "manage.py", "migrate_to_multi_broker", legacy.place]
    began, memory = time.perf_counter(), []
    with subprocess.Popen(command, cwd=environment.ROOT, env=env, stdout=subprocess.DEVNULL) as process:
        while True:
            try:
                code = process.wait(SAMPLE_S)
                break
            except subprocess.TimeoutExpired:
                memory.append(_resident(process.pid))
    if code:
        raise subprocess.CalledProcessError(code, command)
    return time.perf_counter() - began, memory


def _resident(pid: int) -> int:
    """MiB that a process has in memory; 0 where the system does not tell."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS:")), 0)


def _carry(desk: psycopg.Connection, bare: psycopg.Connection, name: str) -> None:
    with (
        desk.cursor().copy(f"COPY {name} TO STDOUT (FORMAT binary)") as out,
        bare.cursor().copy(f"COPY migrated.{name} FROM STDIN (FORMAT binary)") as into,
    ):
        for chunk in out:
            into.write(chunk)


def _timed(connection: sqlite3.Connection | psycopg.Connection, schema: str) -> tuple[int, float]:
    began = time.perf_counter()
    connection.execute("BEGIN")
    rows = sum(connection.execute(f"INSERT INTO {name} SELECT * FROM {schema}.{name}").rowcount for name in TABLES)
    connection.execute("COMMIT")
    return rows, time.perf_counter() - began


def _result(rounds: list[Round]) -> Result:
    return Result.of("1/s", [one.rates for one in rounds], sum(one.rows for one in rounds))


def _parts(memory: list[int]) -> str:
    """The most in each part of the time."""
    size = max(-(-len(memory) // PARTS), 1)
    return " ".join(str(max(memory[at : at + size])) for at in range(0, len(memory), size))


def main() -> None:
    """Measure it alone."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.migration", description=__doc__)
    parser.add_argument("--orders", type=int, default=100_000)
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), default="sqlite")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="desk-bench-") as folder:
        legacy = build(Path(folder) / "old.db", orders=arguments.orders)
        one = measured(legacy, arguments.engine, Path(folder) / "round", look=True)
    print(table({"migration_rows": _result([one])}))
    read = sum(legacy.rows.values())
    print(f"{read:,} rows read and {one.rows:,} written in {one.desk_s:.1f} s, barely {one.bare_s:.1f} s")
    print(f"most memory in each tenth of it, MiB: {_parts(one.memory)}")
    print("\n".join(one.problems) or "every row is accounted for; sums and both statements agree with the source")
    sys.exit(1 if one.problems else 0)


if __name__ == "__main__":
    main()
