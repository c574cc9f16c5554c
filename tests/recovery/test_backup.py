"""`manage.py backup_desk` and the nightly task, in processes of their own on each database, while somebody writes."""

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from tests.environment import ROOT, manage
from tests.recovery.conftest import only_file
from tests.recovery.ledger import connected, placed
from tradingdesk.backup.bundle import read_bundle

pytestmark = pytest.mark.slow

TASK = "from tradingdesk.tasks import back_up_desk; back_up_desk(**{})"


def fails(*arguments: str, env: dict[str, str]) -> tuple[int, str]:
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.strip()


def back_up(env: dict[str, str], folder: Path) -> Path:
    manage("backup_desk", "--to", str(folder), env=env)
    return only_file(folder)


def test_backup_holds_every_table_its_migrations_and_nobodys_session(home, engine, tmp_path):
    with connected(home) as database:
        database.execute("INSERT INTO django_session VALUES ('key-that-opens-a-session', 'data', '2027-01-01')")
        events = database.execute("SELECT count(*) FROM audit_events").fetchone()[0]
    path = back_up(home, tmp_path / "backups")
    manifest = read_bundle(path).manifest
    assert manifest.engine == engine
    assert manifest.tables["audit_events"] == events
    assert manifest.tables["django_session"] == 0
    assert "0001_initial" in manifest.migrations["orders"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    with zipfile.ZipFile(path) as file:
        assert not any(b"key-that-opens-a-session" in file.read(name) for name in file.namelist())


def test_backup_says_itself_in_the_trail(home, tmp_path):
    path = back_up(home, tmp_path / "backups")
    with connected(home) as database:
        told = database.execute("SELECT entity_key, after FROM audit_events WHERE kind = 'backup.made'").fetchall()
    [(name, after)] = told
    after = json.loads(after) if isinstance(after, str) else after
    assert name == path.name
    assert after["sha256"] == read_bundle(path).sha256


def test_backup_under_writes_is_of_one_moment_and_nobody_waits_for_it(home, tmp_path):
    """Pairs of rows are written in one transaction each: no backup has one without the other."""
    stop, written = threading.Event(), []
    with connected(home) as database:
        groups = database.execute("SELECT count(*) FROM auth_group").fetchone()[0]
        kinds = database.execute("SELECT count(*) FROM django_content_type").fetchone()[0]

    def write() -> None:
        with connected(home) as database:
            while not stop.is_set():
                placed(database, len(written))
                written.append(None)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        paths = [back_up(home, tmp_path / str(number)) for number in range(3)]
    finally:
        stop.set()
        writer.join(60)
    counts = [read_bundle(path).manifest.tables["auth_group"] - groups for path in paths]
    pairs = [read_bundle(path).manifest.tables["django_content_type"] - kinds for path in paths]
    assert counts == pairs
    assert counts == sorted(set(counts))
    assert counts[0] > 0


def test_configuration_in_force_is_in_it_and_instead_of_a_file_that_is_not_the_versions_text(home, tmp_path):
    config = tmp_path / "desk.yaml"
    config.write_text("risk:\n  max_order_qty: 100\ndatabase:\n  url: postgres://desk:hunter2@db/desk\n")
    env = home | {"DESK_CONFIG": str(config)}
    manage("load_config", str(config), env=env)
    text = read_bundle(back_up(env, tmp_path / "with")).configuration()
    assert b"max_order_qty: 100" in text
    assert b"hunter2" not in text
    config.write_text("risk:\n  max_order_qty: 100\n  note: AKIA-a-key-that-somebody-typed\n")
    instead = read_bundle(back_up(env, tmp_path / "without"))
    told = {"version": 1, "file": "desk.yaml", "left_out": "", "file_left_out": "it is not what is in force"}
    assert instead.manifest.configuration == told
    config.write_bytes(instead.configuration())
    assert b"AKIA" not in instead.configuration()
    assert "nothing changed; version 1 stays in force" in manage("load_config", str(config), env=env)


def test_before_the_first_load_there_is_no_configuration_in_it(home, tmp_path):
    bundle = read_bundle(back_up(home, tmp_path / "backups"))
    assert bundle.configuration() is None
    assert bundle.manifest.configuration["left_out"] == "none is in force"


def test_archives_that_there_are_are_listed_with_their_checksums(home, tmp_path):
    folder = tmp_path / "archives"
    (folder / "2025").mkdir(parents=True)
    (folder / "2025" / "events.parquet").write_bytes(b"abc")
    path = back_up(home | {"DESK_ARCHIVE_DIR": str(folder)}, tmp_path / "backups")
    sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert read_bundle(path).manifest.archives == [{"name": "2025/events.parquet", "bytes": 3, "sha256": sha256}]


def test_task_keeps_what_it_is_told_to_and_leaves_what_people_made(home, tmp_path):
    folder = tmp_path / "backups"
    mine = back_up(home, folder)
    old = [folder / f"desk-scheduled-2020010{day}T021500-000000.zip" for day in range(1, 6)]
    for path in old:
        path.touch()
    arguments = {"to": str(folder), "keep_days": 7, "keep_at_least": 3}
    manage("shell", "-c", TASK.format(arguments), env=home)
    made = [path for path in folder.glob("desk-scheduled-*.zip") if path.stat().st_size]
    assert len(made) == 1
    assert sorted(folder.glob("*.zip")) == sorted([mine, *made, *old[-2:]])
    with connected(home) as database:
        removed = database.execute("SELECT entity_key FROM audit_events WHERE kind = 'backup.removed' ORDER BY id")
        assert [name for (name,) in removed.fetchall()] == [path.name for path in old[:3]]


def test_task_that_fails_says_so_in_the_trail_and_removes_nothing(home, tmp_path):
    folder = tmp_path / "backups"
    folder.mkdir()
    old = folder / "desk-scheduled-20200101T021500-000000.zip"
    old.touch()
    (folder / ".lock").mkdir()  # nobody can lock that
    manage("shell", "-c", TASK.format({"to": str(folder), "keep_days": 1, "keep_at_least": 0}), env=home)
    assert old.exists()
    with connected(home) as database:
        [(reason,)] = database.execute("SELECT reason FROM audit_events WHERE kind = 'backup.failed'").fetchall()
    assert "BACKUP_FAILED" in reason


def test_nightly_backup_is_scheduled_with_its_retention(home):
    query = (
        "SELECT enabled, kwargs, minute, hour FROM django_celery_beat_periodictask task"
        " JOIN django_celery_beat_crontabschedule crontab ON crontab.id = crontab_id"
        " WHERE task = 'tradingdesk.tasks.back_up_desk'"
    )
    with connected(home) as database:
        [(enabled, kwargs, minute, hour)] = database.execute(query).fetchall()
    assert (bool(enabled), json.loads(kwargs), minute, hour) == (True, {"keep_days": 14, "keep_at_least": 3}, "15", "2")


def test_folder_that_is_a_file_is_a_usage_error_in_one_line(home, tmp_path):
    path = tmp_path / "file"
    path.touch()
    code, said = fails("backup_desk", "--to", str(path), env=home)
    assert (code, said.count("\n")) == (2, 0)
    assert str(path) in said


@pytest.mark.server
def test_without_a_fitting_pg_dump_there_is_one_line_that_says_what_to_do(own_pg_url, desk_env, tmp_path):
    env = desk_env(own_pg_url, DESK_PG_BIN=str(tmp_path))
    code, said = fails("backup_desk", "--to", str(tmp_path / "backups"), env=env)
    assert (code, said.count("\n")) == (1, 0)
    assert "pg_dump 18 or newer" in said
    assert not list((tmp_path / "backups").glob("*.zip"))


def test_killed_while_it_works_it_leaves_no_backup_and_the_next_run_clears_up(home, engine, tmp_path):
    folder = tmp_path / "backups"
    command = [sys.executable, "manage.py", "backup_desk", "--to", str(folder)]
    with subprocess.Popen(command, cwd=ROOT, env=home, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        process.stdout.read()
    assert not list(folder.glob("*.zip"))
    assert list(folder.glob(".backup-*"))
    path = back_up(home, folder)
    assert sorted(one.name for one in folder.iterdir()) == sorted([".lock", path.name])
