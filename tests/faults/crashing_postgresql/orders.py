"""The order to die at a commit, passed on through a folder: one file for each part of the desk.

The harness writes `web`, the first process of that part that commits takes it, counts its own commits down,
writes `web.died` and kills itself.
"""

import contextlib
import os
import signal
import threading
from pathlib import Path

FOLDER, PART = "DESK_CRASH_FOLDER", "DESK_CRASH_PART"
_lock = threading.Lock()
_left, _when = 0, ""


def give(folder: Path, part: str, when: str, number: int) -> None:
    """Have the next process of a part that commits die `before` or `after` its commit of this number."""
    withdraw(folder, part)
    draft = folder / f".{part}"
    draft.write_text(f"{when} {number}")
    draft.rename(folder / part)


def withdraw(folder: Path, part: str) -> None:
    """Forget an order that nobody took, and the sign of an earlier death."""
    for path in (folder / part, folder / f"{part}.died"):
        path.unlink(missing_ok=True)


def was_obeyed(folder: Path, part: str) -> bool:
    """Whether a process has died of the last order."""
    return (folder / f"{part}.died").exists()


def count_commit() -> str:
    """Count one commit of this process: `before` or `after` when it is the one to die at, else an empty string."""
    global _left
    folder, part = os.environ.get(FOLDER), os.environ.get(PART)
    if not folder or not part:
        return ""
    with _lock:
        if not _left:
            _take(Path(folder), part)
        if not _left:
            return ""
        _left -= 1
        return "" if _left else _when


def die() -> None:
    """End this process as kill -9 does, and leave a sign of it."""
    (Path(os.environ[FOLDER]) / f"{os.environ[PART]}.died").touch()
    os.kill(os.getpid(), signal.SIGKILL)


def _take(folder: Path, part: str) -> None:
    """Take the order if there is one; renaming a file is what only one process can do."""
    global _left, _when
    mine = folder / f"{part}.{os.getpid()}"
    with contextlib.suppress(FileNotFoundError):
        (folder / part).rename(mine)
        _when, number = mine.read_text().split()
        _left = int(number)
        mine.unlink()
