"""Making a backup: database, configuration and the list of archives, of one moment, opened before it is relied on."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils import timezone

from tradingdesk.audit import trail
from tradingdesk.backup import postgres, sqlite
from tradingdesk.backup.bundle import Bundle, Manifest, file_digest, read_bundle, sync_folder, write_bundle
from tradingdesk.backup.contents import BackupFailed, Contents
from tradingdesk.config.record import configuration_in_force, file_in_force
from tradingdesk.errors import DeskError

BY_HAND = "desk"
SCHEDULED = "desk-scheduled"
_LOCK = ".lock"
_UNFINISHED = ".backup-"


def back_up(folder: Path, *, actor: str, name: str = BY_HAND, say: Callable[[str], None] = lambda text: None) -> Bundle:
    """Back the desk up into a new file of the folder, while it trades, and say so in the trail.

    A file has its name only once it was opened again and found whole; what an earlier run left unfinished is removed.

    Raises:
        BackupFailed: it cannot be made or is not sound; another one is being made here.
        ProgramFailed: PostgreSQL's programs are missing or failed.
    """
    try:
        bundle = _make(folder, actor, name, say)
    except OSError as error:
        raise BackupFailed("BACKUP_FAILED", f"{folder}: {error.strerror or error}") from error
    facts = {"sha256": bundle.sha256, "bytes": bundle.path.stat().st_size, "made_at": bundle.manifest.made_at}
    trail.record(
        trail.event("backup.made", actor=actor, entity="backup", entity_key=bundle.path.name[-80:], after=facts)
    )
    return bundle


def _make(folder: Path, actor: str, name: str, say: Callable[[str], None]) -> Bundle:
    now = timezone.now()
    with _only_one(folder), tempfile.TemporaryDirectory(prefix=_UNFINISHED, dir=folder) as work:
        say(f"copying the database ({connection.vendor})")
        database, contents = _copy_database(Path(work), say)
        text, told = _configuration()
        manifest = _manifest(contents, now=now, actor=actor, database=database.name, configuration=told)
        unfinished = Path(work) / "backup.zip"
        write_bundle(unfinished, manifest, database, text)
        database.unlink()
        say("opening it again")
        _verify(read_bundle(unfinished), contents, Path(work))
        path = folder / f"{name}-{now:%Y%m%dT%H%M%S}-{now.microsecond:06}.zip"
        os.replace(unfinished, path)
        sync_folder(folder)
        return read_bundle(path)


def _copy_database(work: Path, say: Callable[[str], None]) -> tuple[Path, Contents]:
    if connection.vendor == "sqlite":
        path = work / sqlite.MEMBER
        return path, sqlite.copy(Path(connection.settings_dict["NAME"]), path, say)
    path = work / postgres.MEMBER
    return path, postgres.dump(postgres.Server(connection.settings_dict), path, say)


def _verify(bundle: Bundle, contents: Contents, work: Path) -> None:
    verify = sqlite.verify if bundle.manifest.engine == "sqlite" else postgres.verify
    verify(bundle.extract_database(work), contents)


def _manifest(contents: Contents, *, now: datetime, actor: str, database: str, configuration: dict) -> Manifest:
    return Manifest(
        made_at=now.isoformat(),
        made_by=actor,
        engine=connection.vendor,
        server=contents.server,
        database=database,
        tables=contents.tables,
        migrations=contents.migrations,
        configuration=configuration,
        archives=list(archives()),
    )


def archives() -> Iterator[dict[str, Any]]:
    """What archives of history there are, by name, size and SHA-256; they are kept and copied on their own."""
    folder = settings.DESK_ARCHIVE_DIR
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            yield {"name": name, "bytes": path.stat().st_size, "sha256": file_digest(path)}


def _configuration() -> tuple[bytes | None, dict[str, Any]]:
    """The configuration in force: its file if that says so, with its comments, else what the record has of it.

    Neither holds a secret: `load_config` takes none. None before the first load.
    """
    in_force = configuration_in_force()
    told = {"file": settings.DESK_CONFIG.name, "version": None, "left_out": "", "file_left_out": ""}
    if in_force is None:
        return None, told | {"left_out": "none is in force"}
    told["version"] = in_force.version
    try:
        text = file_in_force(settings.DESK_CONFIG)
    except (DeskError, OSError, UnicodeDecodeError) as error:
        text, why = None, f"it cannot be read: {type(error).__name__}"
    else:
        why = "" if text else "it is not what is in force"
    return (text or in_force.as_text()).encode(), told | {"file_left_out": why}


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """One backup at a time in a folder; whatever unfinished one lies there was cut off."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / _LOCK).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupFailed("BACKUP_RUNNING", f"another backup is being made in {folder}") from None
        for left in folder.glob(f"{_UNFINISHED}*"):
            if left.is_dir():
                shutil.rmtree(left)
        yield
