"""`manage.py restore_desk` in processes of its own on each database: what it refuses, checks, and survives."""

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from tests.environment import ROOT, manage
from tests.recovery.conftest import only_file
from tests.recovery.ledger import connected
from tests.recovery.test_backup import back_up, fails
from tradingdesk.backup.bundle import read_bundle, write_bundle

pytestmark = pytest.mark.slow

RESTORE = "restore_desk"


def rows(env: dict[str, str], table: str, columns: str = "*") -> list[tuple]:
    with connected(env) as database:
        return database.execute(f"SELECT {columns} FROM {table} ORDER BY 1").fetchall()


def refused(*arguments: str, env: dict[str, str]) -> str:
    """Run the command, which has to refuse with one line; the line."""
    code, said = fails(RESTORE, *arguments, env=env)
    assert (code, said.count("\n")) == (2, 0), said
    return said


ENTERED = "client_order_id, broker_name, broker_order_id, symbol, side, price, cum_qty, avg_px, created_at, body_hash"
TOLD = "id, kind, actor, entity_key, before, after, reason"


def test_restored_desk_has_every_row_of_the_backup(traded, backup, empty_place):
    place = empty_place()
    said = manage(RESTORE, str(backup), env=place)
    assert "the desk is back" in said
    for table in ("executions", "positions", "trade_logs", "risk_decisions", "order_requests", "risk_limits"):
        columns = "id, client_order_id, kind, order_id" if table == "order_requests" else "*"
        assert rows(place, table, columns) == rows(traded, table, columns), table
    assert rows(place, "orders", ENTERED) == rows(traded, "orders", ENTERED)
    was = [row for row in rows(traded, "audit_events", TOLD) if row[1] != "backup.made"]
    now = rows(place, "audit_events", TOLD)
    assert now[: len(was)] == was
    assert "desk.restored" in {row[1] for row in now[len(was) :]}


def test_restored_desk_takes_no_order_and_makes_new_ids(traded, backup, empty_place):
    place = empty_place()
    manage(RESTORE, str(backup), env=place)
    halts = rows(place, "risk_halts", "scope_key, set_by, cleared_at, reason")
    assert {(row[0], row[1], row[2]) for row in halts} == {
        (name, "system:restore", None) for (name,) in rows(place, "broker_accounts", "broker_name")
    }
    [(epoch,)] = rows(place, "desk_state", "restore_epoch")
    assert epoch > 1
    state = "SELECT kind, state FROM order_requests WHERE state IN ('queued', 'sending') AND kind <> 'cancel'"
    with connected(place) as database:
        assert database.execute(state).fetchall() == []


def test_facts_of_a_restored_desk_are_protected(traded, backup, empty_place):
    place = empty_place()
    manage(RESTORE, str(backup), env=place)
    with connected(place) as database, pytest.raises((sqlite3.Error, psycopg.Error), match="written once"):
        database.execute("UPDATE executions SET last_qty = 1")


def test_database_that_is_not_empty_is_refused_and_unharmed(traded, backup, home):
    before = rows(home, "orders")
    assert "empty place" in refused(str(backup), env=home)
    assert rows(home, "orders") == before


def test_a_second_restore_into_the_same_place_is_refused(backup, empty_place):
    place = empty_place()
    manage(RESTORE, str(backup), env=place)
    assert "empty place" in refused(str(backup), env=place)


def test_damaged_backup_is_refused_and_nothing_is_put_in_place(backup, empty_place, engine):
    whole, place = bytearray(backup.read_bytes()), empty_place()
    whole[len(whole) // 2] ^= 1
    backup.write_bytes(whole)
    assert "checksum" in refused(str(backup), env=place)
    assert is_empty(place)


def test_backup_of_a_newer_desk_is_refused_by_the_migration_that_is_not_known(backup, empty_place, tmp_path):
    place, bundle = empty_place(), read_bundle(backup)
    newer = {**bundle.manifest.migrations, "orders": [*bundle.manifest.migrations["orders"], "0999_from_the_future"]}
    database = bundle.extract_database(tmp_path)
    write_bundle(tmp_path / "newer.zip", replace(bundle.manifest, migrations=newer), database, None)
    assert "orders.0999_from_the_future" in refused(str(tmp_path / "newer.zip"), env=place)
    assert is_empty(place)


def test_backup_of_the_other_kind_of_database_is_refused(backup, empty_place, tmp_path, engine):
    place, bundle = empty_place(), read_bundle(backup)
    other = {"sqlite": "postgresql", "postgresql": "sqlite"}[engine]
    write_bundle(tmp_path / "other.zip", replace(bundle.manifest, engine=other), backup, None)
    said = refused(str(tmp_path / "other.zip"), env=place)
    assert f"a backup of {other}" in said
    assert "DATABASE_URL" in said


def test_backup_that_lacks_rows_it_should_have_is_not_put_in_place(backup, empty_place, tmp_path):
    place, bundle = empty_place(), read_bundle(backup)
    tables = {**bundle.manifest.tables, "orders": bundle.manifest.tables["orders"] + 1}
    database = bundle.extract_database(tmp_path)
    write_bundle(tmp_path / "less.zip", replace(bundle.manifest, tables=tables), database, None)
    code, said = fails(RESTORE, str(tmp_path / "less.zip"), env=place)
    assert (code, said.count("\n")) == (1, 0)
    assert "orders has" in said
    manage(RESTORE, str(backup), env=place)  # what was begun is no hindrance


def test_missing_file_and_missing_argument_are_usage_errors(empty_place, tmp_path):
    place = empty_place()
    assert "missing.zip" in refused(str(tmp_path / "missing.zip"), env=place)
    code, _ = fails(RESTORE, env=place)
    assert code == 2


def test_backup_of_an_older_desk_is_migrated_forward(home, empty_place, tmp_path):
    manage("migrate", "orders", "0005_linked_orders", "--verbosity=0", env=home)
    backup = back_up(home, tmp_path / "backups")
    assert "0006_legacy_rows" not in read_bundle(backup).manifest.migrations["orders"]
    place = empty_place()
    manage(RESTORE, str(backup), env=place)
    assert "No planned migration operations" in manage("migrate", "--plan", env=place)
    assert rows(place, "migration_quarantine") == []


def test_books_that_do_not_balance_are_told_and_refused_until_a_person_takes_them(traded, empty_place, tmp_path):
    with connected(traded) as database:
        database.execute("UPDATE positions SET qty = qty + 7 WHERE closed_at IS NULL")
    backup, place = back_up(traded, tmp_path / "backups"), empty_place()
    code, said = fails(RESTORE, str(backup), env=place)
    assert (code, said.count("\n")) == (1, 0)
    assert "do not balance" in said
    said = manage(RESTORE, str(backup), "--despite-discrepancies", env=place)
    assert "position alpaca IBM" in said
    firm = [row for row in rows(place, "risk_halts", "scope, set_by, cleared_at") if row[0] == "firm"]
    assert len(firm) == 1
    assert firm[0][1] != "system:restore"  # no comparison clears it


def test_configuration_of_the_backup_is_laid_beside_and_missing_archives_are_named(home, empty_place, tmp_path):
    config, archives = tmp_path / "desk.yaml", tmp_path / "archives"
    config.write_text("risk:\n  max_order_qty: 100\n")
    archives.mkdir()
    (archives / "old.parquet").write_bytes(b"abc")
    env = home | {"DESK_CONFIG": str(config), "DESK_ARCHIVE_DIR": str(archives)}
    manage("load_config", str(config), env=env)
    backup, place = back_up(env, tmp_path / "backups"), empty_place()
    said = manage(RESTORE, str(backup), env=place)
    laid = only_file(Path(place["DESK_DATA_DIR"]), "restored-*.yaml")
    assert laid.read_text() == config.read_text()
    assert "archive old.parquet is not here" in said
    assert str(laid) in said


@pytest.mark.server
def test_postgres_database_that_others_use_is_refused_and_names_them(own_pg_url, pg_url, desk_env, tmp_path):
    backup = back_up(desk_env(own_pg_url), tmp_path / "backups")
    with_others = desk_env(own_pg_url)
    with psycopg.connect(own_pg_url, application_name="a web process"):
        assert "a web process" in refused(str(backup), env=with_others)
        assert "a web process" in refused("--recovered", env=with_others)


def test_leftover_journal_of_a_lost_sqlite_file_is_not_taken_for_the_restored_ones(own_sqlite_url, desk_env, tmp_path):
    env = desk_env(own_sqlite_url)
    path = Path(own_sqlite_url.removeprefix("sqlite:///"))
    backup = back_up(env, tmp_path / "backups")
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("UPDATE desk_state SET restore_epoch = 77")
        database.execute("INSERT INTO auth_group (name) VALUES ('only in the journal')")
        shutil.copy(f"{path}-wal", tmp_path / "kept-wal")
    path.unlink()
    shutil.copy(tmp_path / "kept-wal", f"{path}-wal")
    manage(RESTORE, str(backup), env=env)
    assert "only in the journal" not in {name for (name,) in rows(env, "auth_group", "name")}


KILLS = 8


def test_killed_at_any_moment_nothing_half_done_is_in_use_and_the_next_run_completes(backup, traded, empty_place):
    place, chance, killed = empty_place(), random.Random(4), 0
    for number in range(KILLS):
        killed += ends_by_a_kill(backup, place, lines=number % 5, seconds=chance.uniform(0, 0.5))
        if not is_shut(place):
            break  # it was quicker than the kill, and is whole
    else:
        manage(RESTORE, str(backup), env=place)
    assert killed >= 2
    assert rows(place, "orders", ENTERED) == rows(traded, "orders", ENTERED)
    assert len(rows(place, "risk_halts")) == len(rows(place, "broker_accounts"))
    with connected(place) as database:
        database.execute("INSERT INTO auth_group (name) VALUES ('it can be written to')")


def ends_by_a_kill(backup: Path, env: dict[str, str], *, lines: int, seconds: float) -> bool:
    """Start a restore and kill it so many seconds after its n-th line; whether it was still at work."""
    command = [sys.executable, "manage.py", RESTORE, str(backup)]
    with subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        for _ in range(lines):
            process.stdout.readline()
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGKILL)
        process.stdout.read()
    return process.returncode == -signal.SIGKILL


def is_empty(env: dict[str, str]) -> bool:
    """Whether there is no table in the desk's database."""
    url = env["DATABASE_URL"]
    if url.startswith("sqlite"):
        path = Path(url.removeprefix("sqlite:///"))
        return not path.exists() or path.stat().st_size == 0
    with psycopg.connect(url) as database:
        return database.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)


def is_shut(env: dict[str, str]) -> bool:
    """Whether nobody can write to the desk's database: there is none, or it is read-only."""
    if is_empty(env):
        return True
    if env["DATABASE_URL"].startswith("sqlite"):
        return False
    with psycopg.connect(env["DATABASE_URL"]) as database:
        return database.execute("SHOW default_transaction_read_only").fetchone() == ("on",)


def test_database_that_came_back_by_other_means_is_made_safe_in_place(traded):
    said = manage(RESTORE, "--recovered", env=traded)
    assert "the desk is back" in said
    assert {row[0] for row in rows(traded, "risk_halts", "set_by")} == {"system:restore"}
    [(epoch,)] = rows(traded, "desk_state", "restore_epoch")
    assert epoch > 1
    manage(RESTORE, "--recovered", env=traded)  # again changes the epoch only
    assert rows(traded, "desk_state", "restore_epoch") > [(epoch,)]
    with connected(traded) as database:
        told = database.execute("SELECT after FROM audit_events WHERE kind = 'desk.restored'").fetchall()
    assert len(told) == 2
    assert all("restore_epoch" in (json.loads(one) if isinstance(one, str) else one) for (one,) in told)


def test_no_secret_of_the_environment_or_the_data_folder_is_in_a_backup(traded, tmp_path):
    canaries = {"ALPACA_API_KEY": "canary-key-71", "ALPACA_SECRET_KEY": "canary-secret-72", "DESK_SECRET_KEY": "k" * 60}
    path = back_up(traded | canaries, tmp_path / "with-secrets")
    with zipfile.ZipFile(path) as file:
        content = b"".join(file.read(name) for name in file.namelist())
    for value in canaries.values():
        assert value.encode() not in content
