"""`manage.py migrate_to_multi_broker` as people run it: real processes, killed at any moment, the desk's own file."""

import hashlib
import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from tests import services
from tests.environment import ROOT, manage
from tests.migrate.legacy import SCHEMA, Legacy, build, build_postgres
from tests.recovery.ledger import connected

pytestmark = pytest.mark.slow

MIGRATE = "migrate_to_multi_broker"
KILLS = 20
STEPS = 13  # lines that a migration says until it validates, and none
CONFIGURATION = """
broker:
  name: "alpaca"
  paper_trading: true
  api_key: "${ALPACA_API_KEY}"
  secret_key: "${ALPACA_SECRET_KEY}"
risk:
  max_exposure_per_trade: 0.05
trading:
  max_positions: 10
"""


def fails(*arguments: str, env: dict[str, str]) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments], cwd=ROOT, env=env, capture_output=True, text=True, timeout=120
    )
    return done.returncode, done.stderr


def digest(path: str | Path) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def counts(path: str | Path) -> dict[str, int]:
    """Migrated rows of a SQLite desk, by table, and those in quarantine."""
    with closing(sqlite3.connect(path)) as desk:
        return counts_of(desk.execute)


def counts_of(execute: Callable) -> dict[str, int]:
    """The same of a desk that takes statements."""
    tables = ("signals", "signal_decisions", "orders", "positions", "trade_logs", "configuration_history")
    wanted = {name: f"SELECT count(*) FROM {name} WHERE legacy_id IS NOT NULL" for name in tables}
    wanted["quarantine"] = "SELECT count(*) FROM migration_quarantine"
    return {name: execute(statement).fetchone()[0] for name, statement in wanted.items()}


@pytest.fixture
def own(tmp_path, desk_env) -> tuple[Legacy, dict[str, str]]:
    """The old system's file where the desk keeps its own, and that desk's environment."""
    (tmp_path / "data").mkdir()
    return build(tmp_path / "data" / "trading.db", orders=60), desk_env()


@pytest.fixture
def beside(tmp_path, own_sqlite_url, desk_env) -> tuple[Legacy, dict[str, str]]:
    """The old system's file, and the environment of a desk that has a file of its own already."""
    return build(tmp_path / "old.db", orders=60), desk_env(own_sqlite_url)


@dataclass
class Place:
    """A legacy database and a desk of its own for it, both of one kind; `suffix` is that of a backup."""

    legacy: Legacy
    env: dict[str, str]
    suffix: str

    def digest(self) -> str:
        """Tell one state of the source from another: the file, or every row of every table."""
        if self.suffix == ".db":
            return digest(self.legacy.place)
        with psycopg.connect(self.legacy.place) as old:
            every = (f"SELECT md5(coalesce(string_agg(t::text, '' ORDER BY id), '')) FROM {name} t" for name in SCHEMA)
            return " ".join(old.execute(statement).fetchone()[0] for statement in every)

    def counts(self) -> dict[str, int]:
        """Migrated rows of the desk, by table, and those in quarantine."""
        with connected(self.env) as desk:
            return counts_of(desk.execute)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def place(request, tmp_path, desk_env) -> Iterator[Place]:
    """Each kind of database in its turn."""
    if request.param == "sqlite":
        legacy = build(tmp_path / "old.db", orders=3000)
        yield Place(legacy, desk_env(request.getfixturevalue("own_sqlite_url")), ".db")
        return
    with services.fresh_database(request.getfixturevalue("pg_url")) as old:
        env = desk_env(request.getfixturevalue("own_pg_url"))
        yield Place(build_postgres(old, orders=3000), env, ".dump")


def test_killed_at_any_moment_the_source_is_unharmed_and_the_next_run_completes(place, tmp_path):
    """Once in every phase, between each line that it says and the next, and then anywhere."""
    legacy, env = place.legacy, place.env
    before, empty = place.digest(), place.counts()
    moments, killed, seen = random.Random(20), set(), []
    phases = [*range(STEPS), *(moments.randrange(STEPS) for _ in range(KILLS - STEPS))]
    for lines in phases:
        if ends_by_a_kill(legacy, env, lines=lines, seconds=moments.uniform(0, 0.1)):
            killed.add(lines)
        assert place.digest() == before
        seen.append(place.counts())
        if seen[-1] != empty:  # it was quicker than the kill: begin again
            manage(MIGRATE, legacy.place, "--undo", env=env)
    manage(MIGRATE, legacy.place, env=env)
    complete = place.counts()
    assert complete["orders"] + legacy.quarantined("orders").total() == legacy.rows["orders"]
    assert all(one in (empty, complete) for one in seen)
    assert len(killed) >= STEPS - 2  # the last phases may be over before the kill
    assert place.digest() == before
    backups = tmp_path / "data" / "backups"
    assert {path.suffix for path in backups.iterdir()} == {place.suffix}  # what was cut off is cleared away
    if place.suffix == ".db":
        with closing(sqlite3.connect(env["DATABASE_URL"].removeprefix("sqlite:///"))) as there:
            assert there.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def ends_by_a_kill(legacy: Legacy, env: dict[str, str], *, lines: int, seconds: float) -> bool:
    """Start a migration and kill it so many seconds after its n-th line; whether it was still at work."""
    command = [sys.executable, "manage.py", MIGRATE, legacy.place]
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        for _ in range(lines):
            process.stdout.readline()
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.stdout.read()
    return process.returncode == -signal.SIGKILL


def test_plain_migrate_of_an_old_file_moves_its_tables_aside_and_back(own):
    legacy, env = own
    manage("migrate", "--verbosity=0", env=env)
    with closing(sqlite3.connect(legacy.place)) as desk:
        found = {
            name: desk.execute(f"SELECT count(*) FROM legacy_{name}").fetchone()[0] for name in ("orders", "signals")
        }
        assert found == {name: legacy.rows[name] for name in found}
        assert desk.execute("SELECT count(*) FROM orders").fetchone() == (0,)
    manage("migrate", "tradingdesk", "zero", "--verbosity=0", env=env)
    with closing(sqlite3.connect(legacy.place)) as old:
        assert old.execute("SELECT count(*) FROM orders").fetchone() == (legacy.rows["orders"],)


def test_desk_takes_over_an_old_file_where_it_stands(own, tmp_path):
    legacy, env = own
    said = manage(MIGRATE, legacy.place, env=env)
    expected = legacy.rows["orders"] - legacy.quarantined("orders").total()
    assert counts(legacy.place)["orders"] == expected
    assert "stock_data: 10 rows" in said
    (backup,) = (tmp_path / "data" / "backups").iterdir()
    with closing(sqlite3.connect(backup)) as old:
        assert old.execute("SELECT count(*) FROM orders").fetchone() == (legacy.rows["orders"],)
    reports = {path.suffix: path for path in (tmp_path / "data" / "migrations").iterdir()}
    assert json.loads(reports[".json"].read_text())["tables"]["orders"]["moved"] == expected
    assert "signed off by" in reports[".txt"].read_text()
    again = manage(MIGRATE, legacy.place, env=env)
    assert "migrated already" in again
    assert counts(legacy.place)["orders"] == expected


def test_report_that_was_lost_with_the_process_is_written_by_the_next_run(beside, tmp_path):
    legacy, env = beside
    manage(MIGRATE, legacy.place, env=env)
    reports = list((tmp_path / "data" / "migrations").iterdir())
    kept = {path: path.read_text() for path in reports}
    for path in reports:
        path.unlink()
    manage(MIGRATE, legacy.place, env=env)
    assert {path: path.read_text() for path in reports} == kept


def test_undo_by_command(beside):
    legacy, env = beside
    manage(MIGRATE, legacy.place, env=env)
    said = manage(MIGRATE, legacy.place, "--undo", env=env)
    assert "is undone" in said
    assert set(counts(env["DATABASE_URL"].removeprefix("sqlite:///")).values()) == {0}
    code, error = fails(MIGRATE, legacy.place, "--undo", env=env)
    assert (code, "no migration into alpaca" in error) == (2, True)


def test_desk_trades_by_the_configuration_that_was_made(beside, tmp_path):
    legacy, env = beside
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(CONFIGURATION)
    manage(MIGRATE, legacy.place, "--config", str(old), "--write-config", str(new), env=env)
    env |= {"ALPACA_API_KEY": "key", "ALPACA_SECRET_KEY": "secret"}
    said = manage("load_config", str(new), env=env)
    assert "+ risk.max_order_notional: 5003.01" in said
    assert "+ risk.portfolio_risk_limit: 50030.12" in said
    assert "version 1 is in force" in said


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere.db"], "nowhere.db: no such file"),
        (["{old}", "--broker", "allpaca"], "no account or adapter is called 'allpaca'"),
        (["{old}", "--config", "old.yaml"], "--config and --write-config go together"),
        (["{old}", "--portfolio-value", "-5"], "--portfolio-value"),
        (["postgres://nobody:secret@127.0.0.1:1/nothing"], "nobody:***@127.0.0.1:1/nothing"),
    ],
)
def test_what_cannot_be_done_is_told_with_exit_2(tmp_path, own_sqlite_url, desk_env, arguments, told):
    legacy = build(tmp_path / "old.db", orders=20, share=0)
    code, error = fails(MIGRATE, *[word.format(old=legacy.place) for word in arguments], env=desk_env(own_sqlite_url))
    assert (code, told in error) == (2, True), error
    assert "secret" not in error


@pytest.mark.server
def test_postgresql_to_postgresql_with_the_old_tables_in_the_desks_own_database(pg_url, desk_env):
    with services.fresh_database(pg_url) as url:
        legacy = build_postgres(url, orders=60)
        env = desk_env(url, "")
        manage(MIGRATE, url, env=env)
        with psycopg.connect(url) as desk:
            (moved,) = desk.execute("SELECT count(*) FROM orders WHERE legacy_id IS NOT NULL").fetchone()
            assert moved + legacy.quarantined("orders").total() == legacy.rows["orders"]
            assert desk.execute("SELECT count(*) FROM legacy_orders").fetchone() == (legacy.rows["orders"],)
            # the database goes on with keys of its own
            (key,) = desk.execute("SELECT nextval(pg_get_serial_sequence('orders', 'id'))").fetchone()
            assert key > moved
        assert "migrated already" in manage(MIGRATE, url, env=env)


def test_broker_is_asked_before_anything_is_moved(tmp_path, own_sqlite_url, desk_env, sandbox):
    legacy, config = build(tmp_path / "old.db", orders=20, share=0), tmp_path / "old.yaml"
    config.write_text(CONFIGURATION.replace("paper_trading: true", f"paper_trading: true\n  base_url: {sandbox.url}"))
    keys = dict(zip(("ALPACA_API_KEY", "ALPACA_SECRET_KEY"), sandbox.keys("alpaca"), strict=True))
    command = [MIGRATE, legacy.place, "--config", str(config), "--write-config", str(tmp_path / "new.yaml")]
    desk = own_sqlite_url.removeprefix("sqlite:///")
    for wrong in ({}, dict.fromkeys(keys, "wrong-key-of-somebody")):
        code, error = fails(*command, "--check-connections", env=desk_env(own_sqlite_url) | wrong)
        assert (code, "nothing was moved" in error, "wrong-key" in error) == (1, True, False), error
        assert set(counts(desk).values()) == {0}
    said = manage(*command, "--check-connections", env=desk_env(own_sqlite_url) | keys)
    assert "alpaca: account " in said.partition("moving")[0]
    assert counts(desk)["orders"] == 20
