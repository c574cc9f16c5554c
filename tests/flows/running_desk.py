"""A desk as people run it: `manage.py desk` as a process, driven over HTTP, killed and started again."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from tests.environment import ROOT
from tests.services import die_with_parent, free_port

T = TypeVar("T")
START_S = 90.0
STOP_S = 40.0
LOOK_EVERY_S = 0.05


def eventually(condition: Callable[[], T], what: str, within: float = 60.0) -> T:
    """Wait until the condition gives something true, and give that; fail when it does not in time."""
    deadline = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        time.sleep(LOOK_EVERY_S)
    return found


class RunningDesk:
    """One desk on one data folder; after `start` it has the same address and credentials as before."""

    def __init__(self, folder: Path, env: Mapping[str, str], *arguments: str):
        self.folder, self.env, self.arguments = folder, dict(env), arguments
        self.port = free_port()
        self.process: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def data(self) -> Path:
        """Its data folder."""
        return Path(self.env["DESK_DATA_DIR"])

    @property
    def credentials(self) -> dict[str, str]:
        """What it wrote at its first start."""
        return json.loads((self.data / "credentials.json").read_text())

    @property
    def log(self) -> str:
        """All that it and its children have printed."""
        return (self.folder / "desk.log").read_text()

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.begin()
        eventually(self.answers, f"{self.url}/healthz answers", START_S)

    def begin(self) -> None:
        """Start it."""
        with (self.folder / "desk.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "desk", "--port", str(self.port), *self.arguments],
                cwd=ROOT,
                env=self.env,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=die_with_parent(),
            )

    def answers(self) -> bool:
        """Whether /healthz is 200; fails when the process has ended."""
        assert self.process.poll() is None, f"the desk ended with {self.process.returncode}:\n{self.log}"
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it as a person or a service manager would; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(STOP_S)

    def kill(self) -> None:
        """End it without warning, and wait until nothing of it is left."""
        family = descendants(self.process.pid)
        self.process.kill()
        self.process.wait(STOP_S)
        eventually(lambda: not any(_lives(pid) for pid in family), "its children end with it", STOP_S)

    def children(self, word: str) -> list[int]:
        """Processes below the desk whose command line has a word; parents before children."""
        return [pid for pid, command in descendants(self.process.pid).items() if word in command]

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        """Call the API as the first user: status and answer. A web process that is just gone is asked again."""
        data = json.dumps(body).encode() if body is not None else None
        headers = {"Authorization": f"Token {self.credentials['token']}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"{}")

    def order(self, client_order_id: str) -> dict[str, Any]:
        """An order as the API shows it."""
        status, order = self.call("GET", f"/api/v1/orders/{client_order_id}/")
        assert status == 200, order
        return order

    def all(self, path: str) -> list[dict[str, Any]]:
        """Every row of a list, page by page."""
        rows, following = [], f"{path}{'&' if '?' in path else '?'}page_size=500"
        while following:
            status, page = self.call("GET", following)
            assert status == 200, page
            rows += page["results"]
            following = (page.get("next") or "").removeprefix(self.url)
        return rows

    def order_in(self, client_order_id: str, *statuses: str, within: float = 60.0) -> dict[str, Any]:
        """Wait until an order has one of these statuses; the order."""

        def look() -> dict[str, Any] | None:
            order = self.order(client_order_id)
            return order if order["status"] in statuses else None

        return eventually(look, f"{client_order_id} is {' or '.join(statuses)}: {self.order(client_order_id)}", within)


def descendants(pid: int) -> dict[int, str]:
    """The processes below one, parents before children, with their command lines."""
    listed = subprocess.run(["ps", "-axwwo", "pid=,ppid=,command="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    children: dict[int, list[tuple[int, str]]] = {}
    for child, parent, command in ((int(row[0]), int(row[1]), row[2]) for row in rows if len(row) == 3):
        children.setdefault(parent, []).append((child, command))
    found: dict[int, str] = {}
    waiting = [pid]
    while waiting:
        for child, command in children.get(waiting.pop(0), []):
            found[child] = command
            waiting.append(child)
    return found


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
