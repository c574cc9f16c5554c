"""The file that a backup is, which of them are kept, and which pg_dump goes with a server: no database."""

import json
import os
import random
import stat
import zipfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tradingdesk.backup import programs
from tradingdesk.backup.bundle import FORMAT, BackupInvalid, Bundle, Manifest, read_bundle, write_bundle
from tradingdesk.backup.programs import ProgramFailed, find_program
from tradingdesk.backup.retention import surplus

MANIFEST = Manifest(
    made_at="2026-11-22T02:15:00+00:00",
    made_by="ann",
    engine="sqlite",
    server="3.45.1",
    database="database.sqlite3",
    tables={"orders": 2},
    migrations={"orders": ["0001_initial"]},
)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def bundle(tmp_path) -> Bundle:
    database = tmp_path / "some.sqlite3"
    database.write_bytes(random.Random(1).randbytes(5000) + b"0" * 5000)
    write_bundle(tmp_path / "backup.zip", MANIFEST, database, b"brokers: {}\n")
    return read_bundle(tmp_path / "backup.zip")


def test_backup_gives_back_what_was_put_into_it(bundle, tmp_path):
    assert bundle.manifest == MANIFEST
    assert bundle.configuration() == b"brokers: {}\n"
    assert bundle.extract_database(tmp_path / "out").read_bytes() == (tmp_path / "some.sqlite3").read_bytes()
    assert stat.S_IMODE(bundle.path.stat().st_mode) == 0o600


def test_any_zip_tool_opens_it_and_shows_its_checksum(bundle):
    with zipfile.ZipFile(bundle.path) as file:
        assert file.testzip() is None
        assert file.comment == f"sha256:{bundle.sha256}".encode()


def test_every_flipped_bit_and_every_missing_end_is_found(bundle):
    whole = bundle.path.read_bytes()
    chance = random.Random(7)
    places = [0, len(whole) - 1, len(whole) - 65, *(chance.randrange(len(whole)) for _ in range(200))]
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << chance.randrange(8)
        refuses(bundle.path, bytes(damaged))
    for length in [0, 1, 63, 64, 65, *(chance.randrange(len(whole)) for _ in range(50))]:
        refuses(bundle.path, whole[:length])
    refuses(bundle.path, whole + b"\n")


def refuses(path: Path, damaged: bytes) -> None:
    path.write_bytes(damaged)
    with pytest.raises(BackupInvalid) as error:
        read_bundle(path)
    assert "\n" not in error.value.detail


def test_other_files_and_folders_are_no_backups(tmp_path):
    for name in ("missing.zip", "."):
        with pytest.raises(BackupInvalid):
            read_bundle(tmp_path / name)


def test_backup_of_a_newer_form_is_refused_and_says_what_to_do(tmp_path, bundle):
    write_bundle(tmp_path / "newer.zip", replace(MANIFEST, format=FORMAT + 1), tmp_path / "some.sqlite3", None)
    with pytest.raises(BackupInvalid, match="newer desk"):
        read_bundle(tmp_path / "newer.zip")


def test_manifest_can_be_read_by_people(bundle):
    with zipfile.ZipFile(bundle.path) as file:
        assert json.loads(file.read("manifest.json"))["tables"] == {"orders": 2}


def name_of(days: float, kind: str = "desk-scheduled") -> str:
    return f"{kind}-{NOW - timedelta(days=days):%Y%m%dT%H%M%S}-000001.zip"


def test_scheduled_backups_past_their_days_go_the_oldest_first():
    names = [name_of(days) for days in (1, 13.9, 14.1, 30, 0)]
    assert surplus(names, now=NOW, keep_days=14, keep_at_least=3) == [name_of(30), name_of(14.1)]


def test_the_newest_few_stay_however_old_they_are():
    names = [name_of(days) for days in (100, 200, 300, 400)]
    assert surplus(names, now=NOW, keep_days=14, keep_at_least=3) == [name_of(400)]
    assert surplus(names[:3], now=NOW, keep_days=14, keep_at_least=3) == []


def test_what_people_made_and_other_files_never_go():
    names = [name_of(900, kind="desk"), "notes.txt", ".lock", name_of(900) + ".part", f"copy-of-{name_of(900)}"]
    assert surplus(names, now=NOW, keep_days=0, keep_at_least=0) == []


def program(folder: Path, says: str) -> Path:
    folder.mkdir()
    path = folder / "pg_dump"
    path.write_text(f"#!/bin/sh\necho 'pg_dump (PostgreSQL) {says}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def installed(tmp_path, monkeypatch) -> dict[int, Path]:
    """pg_dump of several versions along PATH, and none elsewhere."""
    found = {major: program(tmp_path / str(major), f"{major}.4 (Debian)") for major in (15, 17, 18)}
    monkeypatch.setattr(programs, "_folders", lambda: [path.parent for path in found.values()])
    return found


def test_program_of_the_servers_own_version_is_taken_else_the_next_newer(installed):
    assert find_program("pg_dump", 17) == installed[17]
    assert find_program("pg_dump", 16) == installed[17]
    assert find_program("pg_dump", 14) == installed[15]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_folder_along_path_that_may_not_be_read_is_passed_over(installed):
    installed[17].parent.chmod(0)
    assert find_program("pg_dump", 17) == installed[18]


def test_program_that_is_older_than_the_server_is_not_taken_and_the_fix_is_named(installed):
    with pytest.raises(ProgramFailed) as error:
        find_program("pg_dump", 19)
    assert f"{installed[18]} is 18" in error.value.detail
    assert "DESK_PG_BIN" in error.value.detail


def test_folder_that_is_named_is_the_only_one_looked_into(settings, tmp_path):
    own = program(tmp_path / "own", "15.4")
    settings.DESK_PG_BIN = str(own.parent)
    assert find_program("pg_dump", 15) == own
    with pytest.raises(ProgramFailed):
        find_program("pg_dump", 16)
