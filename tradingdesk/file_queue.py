"""A message queue in a folder, for the desk that needs no server: Celery's transport on files.

kombu's own file-system transport can hand out a message that is only half written, which ends the worker,
and lists every queue's messages to find one's. Here a message appears whole, by a rename, in its queue's
own folder. Only direct queues exist: no broadcasts, so no remote control.
"""

import contextlib
import itertools
import os
import shutil
import time
from pathlib import Path
from queue import Empty

from kombu.transport import virtual
from kombu.utils.json import dumps, loads

LONGEST_WAIT = 0.5

_numbers = itertools.count()


class Channel(virtual.Channel):
    """Queues as folders below the transport option `folder`."""

    supports_fanout = False
    do_restore = False

    @property
    def folder(self) -> Path:
        """Where the queues are."""
        return Path(self.connection.client.transport_options["folder"])

    def _put(self, queue: str, message: dict, **kwargs) -> None:
        name = f"{time.time_ns():020d}-{os.getpid()}-{next(_numbers)}"
        place = self.folder / queue
        draft = place / f".{name}"
        try:
            draft.write_text(dumps(message))
        except FileNotFoundError:
            place.mkdir(parents=True, exist_ok=True)
            draft.write_text(dumps(message))
        draft.rename(place / name)

    def _get(self, queue: str, timeout: float | None = None) -> dict:
        place = self.folder / queue
        for name in self._waiting(queue):
            taken = place / f".taken-{name}"
            with contextlib.suppress(FileNotFoundError):
                (place / name).rename(taken)
                message = taken.read_text()
                taken.unlink()
                return loads(message)
        raise Empty

    def _size(self, queue: str) -> int:
        return len(self._waiting(queue))

    def _purge(self, queue: str) -> int:
        names = self._waiting(queue)
        for name in names:
            (self.folder / queue / name).unlink(missing_ok=True)
        return len(names)

    def _delete(self, queue: str, *args, **kwargs) -> None:
        shutil.rmtree(self.folder / queue, ignore_errors=True)

    def _has_queue(self, queue: str, **kwargs) -> bool:
        return True

    def _lookup(self, exchange: str, routing_key: str, default: str | None = None) -> list[str]:
        """Every queue of the desk has the name that messages are sent to."""
        return [routing_key]

    def _waiting(self, queue: str) -> list[str]:
        """Names of the messages, oldest first."""
        try:
            return sorted(name for name in os.listdir(self.folder / queue) if not name.startswith("."))
        except FileNotFoundError:
            return []


class Transport(virtual.Transport):
    """Polls the folders; looks up often enough that a worker is told quickly to stop."""

    Channel = Channel
    default_port = 0
    driver_type = driver_name = "files"

    def driver_version(self) -> str:
        return "1"

    def drain_events(self, connection, timeout: float | None = None):
        """Deliver one message; raises socket.timeout after at most half a second without one."""
        return super().drain_events(connection, timeout=min(timeout or LONGEST_WAIT, LONGEST_WAIT))
