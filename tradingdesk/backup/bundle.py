"""A backup as one file: a zip that any tool opens, whose comment is the SHA-256 of all that stands before it."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tradingdesk.errors import DeskError

FORMAT = 1
MANIFEST = "manifest.json"
CONFIGURATION = "configuration/desk.yaml"
_LABEL = b"sha256:"
_DIGITS = 64
_CHUNK = 1 << 20


class BackupInvalid(DeskError):
    """The file is no backup that could be relied on; the text is one line that says why."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself. `tables` are rows by table, `migrations` the schema: names by app.

    `database` names the member that has it; `server` is the version it came from. `configuration` tells which
    version was in force and what became of its file. `archives` are those that existed, with size and SHA-256.
    """

    made_at: str
    made_by: str
    engine: str
    server: str
    database: str
    tables: Mapping[str, int]
    migrations: Mapping[str, list[str]]
    configuration: Mapping[str, Any] = field(default_factory=dict)
    archives: list[Mapping[str, Any]] = field(default_factory=list)
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class Bundle:
    """A backup that was read to its end and is as it was written."""

    path: Path
    manifest: Manifest
    sha256: str

    def extract_database(self, folder: Path) -> Path:
        """Write the database's member into a folder; its path."""
        with zipfile.ZipFile(self.path) as file:
            return Path(file.extract(self.manifest.database, folder))

    def configuration(self) -> bytes | None:
        """The configuration file as it was; None when there is none in it."""
        with zipfile.ZipFile(self.path) as file:
            return file.read(CONFIGURATION) if CONFIGURATION in file.namelist() else None


def write_bundle(path: Path, manifest: Manifest, database: Path, configuration: bytes | None) -> None:
    """Write a backup, readable by its owner only; it is on disk when this returns."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w+b") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as members:
            members.writestr(MANIFEST, json.dumps(asdict(manifest), indent=2))
            if configuration is not None:
                members.writestr(CONFIGURATION, configuration)
            # A dump comes compressed.
            stored = zipfile.ZIP_STORED if database.suffix == ".dump" else zipfile.ZIP_DEFLATED
            members.write(database, manifest.database, stored, 1)
            members.comment = _LABEL + b"0" * _DIGITS
        _sign(file)


def read_bundle(path: Path) -> Bundle:
    """Read a backup from begin to end and compare its checksum.

    Raises:
        BackupInvalid: it cannot be read, is no backup, is damaged, or of a newer form.
    """
    try:
        with path.open("rb") as file:
            found, written = _digest(file), file.read(_DIGITS).decode("ascii", "replace")
        if found != written:
            raise BackupInvalid("BACKUP_DAMAGED", f"{path}: it is damaged or no backup: its checksum does not agree")
        with zipfile.ZipFile(path) as members:
            told = json.loads(members.read(MANIFEST))
    except OSError as error:
        raise BackupInvalid("BACKUP_UNREADABLE", f"{path}: {error.strerror or error}") from error
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise BackupInvalid("NOT_A_BACKUP", f"{path}: no backup of a desk: {error}") from error
    if told.get("format") != FORMAT:
        form = told.get("format")
        raise BackupInvalid(
            "BACKUP_TOO_NEW", f"{path}: form {form} is not known here, only {FORMAT}; take a newer desk"
        )
    return Bundle(path, Manifest(**told), found)


def file_digest(path: Path) -> str:
    """SHA-256 of a whole file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """See the names of a folder's files onto the disk, too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sign(file) -> None:
    """Put the digest of everything before it over the last characters, and see it onto the disk."""
    file.flush()
    found = _digest(file)
    file.seek(-_DIGITS, os.SEEK_END)
    file.write(found.encode())
    file.flush()
    os.fsync(file.fileno())


def _digest(file) -> str:
    """SHA-256 of all but the last characters, where the file stands afterwards."""
    left = max(file.seek(0, os.SEEK_END) - _DIGITS, 0)
    file.seek(0)
    digest = hashlib.sha256()
    while left and (chunk := file.read(min(_CHUNK, left))):
        digest.update(chunk)
        left -= len(chunk)
    return digest.hexdigest()
