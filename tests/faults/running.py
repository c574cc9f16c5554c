"""The desk's processes, each to be killed and started by itself; the command lines are those of `manage.py desk`."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tests.environment import ROOT
from tests.faults.catalogue import PARTS
from tests.faults.crashing_postgresql import orders as crash_orders
from tests.flows.running_desk import RunningDesk
from tests.services import die_with_parent
from tradingdesk.running.children import Child
from tradingdesk.running.processes import desk_processes

T = TypeVar("T")
STOP_S, ABORT_S = 30.0, 5.0
LOOK_EVERY_S = 0.05


class Part:
    """One process of the desk, with what it starts itself in its group."""

    def __init__(self, name: str, child: Child, env: dict[str, str], log: Path):
        self.name, self.command, self.log = name, child.command, log
        self.env = env | child.env | {crash_orders.PART: name, "PYTHONFAULTHANDLER": "1"}
        self.process: subprocess.Popen | None = None
        self.deaths = 0

    @property
    def is_running(self) -> bool:
        """Whether it is there now."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start it; to be called by the main thread, with which it ends."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent(),
            )

    def signal(self, number: int) -> None:
        """Send a signal to all of it."""
        if self.process is not None and self.is_running:
            os.killpg(self.process.pid, number)

    def kill(self) -> None:
        """End all of it without warning, and wait for its end."""
        self.signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait(STOP_S)

    def abort(self) -> None:
        """End it so that what its threads are at goes to the log, and what is left of its group with it."""
        self.process.send_signal(signal.SIGABRT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(ABORT_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(STOP_S)

    def tend(self) -> None:
        """Start it again if it has ended by itself."""
        if self.process is not None and not self.is_running:
            self.deaths += 1
            self.start()


class FaultyDesk(RunningDesk):
    """A desk as single processes on a database server and a message broker."""

    def __init__(self, folder: Path, env: dict[str, str], queues: list[str]):
        super().__init__(folder, env)
        self.crashes = folder / "crashes"
        self.crashes.mkdir()
        env = env | {crash_orders.FOLDER: str(self.crashes), "PORT": str(self.port)}
        names = {"web": "web", "worker": "worker", "brokers' worker": "brokers", "beat": "beat"}
        children = desk_processes("127.0.0.1", self.port, queues)
        self.parts = {names[one.name]: Part(names[one.name], one, env, folder / "desk.log") for one in children}
        assert set(self.parts) == set(PARTS)

    def start(self) -> None:
        """Start all parts and wait until the API answers."""
        for part in self.parts.values():
            part.start()
        self.eventually(self.answers, "the desk answers", 60)

    def answers(self) -> bool:
        """Whether the API is there."""
        try:
            return self.call("GET", "/healthz")[0] == 200
        except (OSError, ValueError):
            return False

    def tend(self) -> None:
        """Start again what has died."""
        for part in self.parts.values():
            part.tend()

    def stop(self, number: int = signal.SIGTERM) -> list[str]:
        """End all parts as a service manager would; those that did not end by themselves."""
        for part in self.parts.values():
            if part.process is not None and part.is_running:
                part.process.send_signal(number)
        return [part.name for part in self.parts.values() if _had_to_be_killed(part)]

    def kill(self) -> None:
        """End all parts without warning."""
        for part in self.parts.values():
            part.kill()

    def eventually(self, condition: Callable[[], T], what: str, within: float) -> T:
        """Wait until the condition gives something true, starting again what dies meanwhile; fail when it does not."""
        deadline = time.monotonic() + within
        while not (found := condition()):
            assert time.monotonic() < deadline, f"not within {within} s: {what}"
            self.tend()
            time.sleep(LOOK_EVERY_S)
        return found


def _had_to_be_killed(part: Part) -> bool:
    try:
        part.process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        part.abort()
        return True
    return False
