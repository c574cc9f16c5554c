"""Processes that the desk starts, starts again when they die, and ends with itself."""

import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping

from django.conf import settings

log = logging.getLogger(__name__)

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
LIVED_WELL = 60.0
PR_SET_PDEATHSIG = 1


class Child:
    """One process, kept running from `start` to `stop`."""

    def __init__(self, name: str, command: list[str], *, env: Mapping[str, str] | None = None):
        self.name, self.command = name, command
        self.env = dict(env or {})
        self.process: subprocess.Popen | None = None
        self._started_at = self._start_again_at = 0.0
        self._pause = FIRST_PAUSE

    def start(self) -> None:
        """Start it, in a session of its own: Ctrl-C is for the desk, which then tells its children in order.

        To be called by the main thread: on Linux the child is told to stop when the thread that started it ends.
        """
        self._started_at = time.monotonic()
        self.process = subprocess.Popen(
            self.command,
            cwd=settings.BASE_DIR,
            env=os.environ | self.env,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_ends_with(os.getpid()),
        )

    def tend(self) -> None:
        """Start it again if it has died, after a pause that grows while it keeps dying."""
        now = time.monotonic()
        if self.process is None or self.process.poll() is None:
            return
        if not self._start_again_at:
            self._pause = FIRST_PAUSE if now - self._started_at > LIVED_WELL else self._pause
            self._start_again_at = now + self._pause
            log.error("%s ended with %s; again in %.1f s", self.name, self.process.returncode, self._pause)
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
        elif now >= self._start_again_at:
            self._start_again_at = 0.0
            self.start()

    @property
    def is_running(self) -> bool:
        """Whether the process is there now."""
        return self.process is not None and self.process.poll() is None

    def stop(self) -> None:
        """Tell it to end; it may finish what it is at."""
        if self.is_running:
            self.process.send_signal(signal.SIGTERM)

    def wait(self, deadline: float) -> None:
        """Wait for its end; past the deadline (monotonic) it is killed with all that it started."""
        if self.process is None:
            return
        try:
            self.process.wait(max(deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            log.error("%s does not end; killing it", self.name)
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def stop_all(children: Iterable[Child], *, within: float) -> None:
    """End children, all at once, in at most so many seconds."""
    children = list(children)
    deadline = time.monotonic() + within
    for child in children:
        child.stop()
    for child in children:
        child.wait(deadline)


def manage(*arguments: str) -> list[str]:
    """The command line of one of our management commands, as a child runs it."""
    return [sys.executable, "manage.py", *arguments]


def _ends_with(parent: int) -> Callable[[], None] | None:
    """Have the kernel send SIGTERM to the child when its parent is gone, however that ended; only Linux can."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)

    def before_exec() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)

    return before_exec
