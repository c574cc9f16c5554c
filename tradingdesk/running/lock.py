"""One desk at a time on one data folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK_FILE = "desk.lock"


class AlreadyRunning(Exception):
    """Another desk has the folder; the text is one line that says which."""


@contextmanager
def only_desk_on(folder: Path) -> Iterator[None]:
    """Hold the folder for the time of the block; the lock ends with the process, however that ends.

    Raises:
        AlreadyRunning: another desk holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK_FILE).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            owner = file.read().strip() or "?"
            raise AlreadyRunning(f"a desk is running on {folder} already (process {owner})") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
