"""Migrating a legacy database, against a bare `INSERT … SELECT` of the same rows into the same tables.

Both write into SQLite files whose tables and indexes are the desk's; rows are those that the migration wrote, of every
table. `python -m tests.benchmarks.migration --orders 1000000` measures it alone and says the memory it took, too.
"""

import argparse
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from tests import environment
from tests.benchmarks.results import Result, table
from tests.migrate.legacy import build

TABLES = (
    "instruments", "signals", "signal_decisions", "orders", "executions", "positions", "trade_logs",
    "configuration_history", "account_snapshots", "migration_quarantine",
)  # fmt: skip
OWNERS = ("broker_accounts", "migration_runs")
AT_MOST_S = 7200


def migration_rows(orders: int, rounds: int = 1) -> Result:
    """Measure rows a second, both ways, on fresh files in each round."""
    with tempfile.TemporaryDirectory(prefix="desk-bench-") as folder:
        rates = list(_rounds(Path(folder), orders, rounds))
    return Result.of("1/s", [(desk, bare) for desk, bare, _ in rates], sum(rows for _, _, rows in rates))


def _rounds(folder: Path, orders: int, rounds: int) -> Iterator[tuple[float, float, int]]:
    legacy = build(folder / "old.db", orders=orders)
    for number in range(rounds):
        home = folder / str(number)
        home.mkdir()
        migrated, bare = (Path(shutil.copy(environment.migrated_sqlite(), home / name)) for name in ("desk", "bare"))
        env = environment.desk_env(home / "data", f"sqlite:///{migrated}")
        command = [sys.executable, "manage.py", "migrate_to_multi_broker", legacy.place]
        began = time.perf_counter()
        subprocess.run(command, cwd=environment.ROOT, env=env, check=True, capture_output=True, timeout=AT_MOST_S)
        of_desk = time.perf_counter() - began
        rows, of_bare = _insert_select(migrated, bare)
        yield rows / of_desk, rows / of_bare, rows


def _insert_select(migrated: Path, bare: Path) -> tuple[int, float]:
    """Copy what was migrated into an empty desk by one statement a table, in one transaction; rows and seconds."""
    with closing(sqlite3.connect(bare, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"ATTACH '{migrated}' AS migrated")
        for name in OWNERS:
            connection.execute(f"INSERT INTO {name} SELECT * FROM migrated.{name}")
        began = time.perf_counter()
        connection.execute("BEGIN")
        rows = sum(connection.execute(f"INSERT INTO {name} SELECT * FROM migrated.{name}").rowcount for name in TABLES)
        connection.execute("COMMIT")
        return rows, time.perf_counter() - began


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.migration", description=__doc__)
    parser.add_argument("--orders", type=int, default=100_000)
    result = migration_rows(parser.parse_args().orders)
    print(table({"migration_rows": result}))
    print(f"most memory of a process: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.0f} MiB")
