"""Start the real sandbox as a process of its own, for tests and benchmarks.

with start_sandbox(tmp_path, speed=0) as sandbox:
    client = TradingClient(*sandbox.keys("alpaca"), url_override=sandbox.url)
    sandbox.admin.push_quote("IBM", "181.90", "182.00")
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.brokers.sandbox_client import SandboxAdmin

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_PROFILE = ROOT / "config" / "sandbox.yaml"
START_S = 60.0
STOP_S = 60.0


@dataclass
class SandboxProcess:
    """A running sandbox. After `restart` it has the same port, storage and secret."""

    folder: Path
    profile: dict[str, Any]
    arguments: list[str]
    secret: str = field(default_factory=lambda: secrets.token_hex(16))
    port: int = 0
    url: str = ""
    process: subprocess.Popen | None = None
    tws_ports: dict[str, int] = field(default_factory=dict)

    @property
    def admin(self) -> SandboxAdmin:
        """The client of its test endpoint."""
        return SandboxAdmin(self.url, self.secret)

    @property
    def accounts(self) -> list[str]:
        """The names of its accounts at Alpaca."""
        return [name for name, about in self.profile["accounts"].items() if about.get("kind", "alpaca") == "alpaca"]

    @property
    def addresses(self) -> dict[str, str]:
        """The variables by which config/desk.yaml refers to it."""
        return {"SANDBOX_URL": self.url, "SANDBOX_TWS_PORT": str(next(iter(self.tws_ports.values()), 0))}

    @property
    def tws_accounts(self) -> list[str]:
        """The names of its accounts at Interactive Brokers."""
        return list(self.tws_ports)

    def tws_port(self, account: str = "interactive_brokers") -> int:
        """The port of an account's TWS, the same after a restart."""
        return self.tws_ports[account]

    def tws_account_id(self, account: str = "interactive_brokers") -> str:
        """The account's id at Interactive Brokers."""
        return self.profile["accounts"][account]["tws"]["account_id"]

    @property
    def log(self) -> str:
        """What it has written to its output so far."""
        return (self.folder / "sandbox.log").read_text(encoding="utf-8")

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def keys(self, account: str) -> tuple[str, str]:
        """(api key, secret key) of an account."""
        about = self.profile["accounts"][account]
        return about["api_key"], about["secret_key"]

    def start(self) -> None:
        """Start the process and wait until it serves."""
        ready = self.folder / "sandbox-ready.json"
        ready.unlink(missing_ok=True)
        with (self.folder / "sandbox.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self._command(), "--port", str(self.port), "--ready-file", str(ready)],
                cwd=ROOT,
                stdout=log,
                stderr=log,
                env=os.environ | {"SANDBOX_ADMIN_SECRET": self.secret},
            )
        self._wait_for(ready)
        about = json.loads(ready.read_text(encoding="utf-8"))
        self.port, self.url, self.tws_ports = about["port"], about["url"], about["tws"]
        for name, port in self.tws_ports.items():
            self.profile["accounts"][name].setdefault("tws", {})["port"] = port

    def stop(self) -> int:
        """End it as a service manager would; its exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        """End it without warning."""
        return self._end(signal.SIGKILL)

    def restart(self, *, kill: bool = False) -> None:
        """End it (without warning if `kill`) and start it again on the same port and storage."""
        if kill:
            self.kill()
        else:
            self.stop()
        self.start()

    def _command(self) -> list[str]:
        profile = self.folder / "sandbox-profile.yaml"
        profile.write_text(yaml.safe_dump(self.profile), encoding="utf-8")
        command = [sys.executable, "manage.py", "sandbox_brokers", "--test-admin", "--profile", str(profile)]
        return [*command, "--storage", str(self.folder / "sandbox-storage"), *self.arguments]

    def _wait_for(self, ready: Path) -> None:
        deadline = time.monotonic() + START_S
        while not ready.exists():
            if self.process.poll() is not None:
                raise RuntimeError(f"the sandbox ended with {self.process.returncode}:\n{self.log}")
            if time.monotonic() > deadline:
                self.kill()
                raise TimeoutError(f"the sandbox is not ready after {START_S} s:\n{self.log}")
            time.sleep(0.02)

    def _end(self, number: signal.Signals) -> int:
        if self.process is None or self.process.poll() is not None:
            return self.process.returncode if self.process else 0
        self.process.send_signal(number)
        try:
            return self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


@contextmanager
def start_sandbox(
    folder: Path,
    *,
    speed: float = 1.0,
    data: Path | None = None,
    accounts: Mapping[str, Mapping[str, Any]] | None = None,
    port: int = 0,
    verbosity: int = 1,
    **profile: Any,
) -> Iterator[SandboxProcess]:
    """Run a sandbox in `folder` for the time of the block.

    The profile is config/sandbox.yaml without latency and without partial fills by chance, so that tests see
    what they ask for; `accounts` changes values by account name ({"alpaca": {"latency_ms": 20}}; those within "tws"
    one by one), other keyword arguments change values of the profile itself (session_break_s=0.2). At speed 0 the
    quotes stand still.
    """
    wanted = yaml.safe_load(DEFAULT_PROFILE.read_text(encoding="utf-8"))
    for about in wanted["accounts"].values():
        about |= {"latency_ms": 0, "partial_fill_probability": 0}
        if "tws" in about:
            about["tws"] |= {"status_twice_probability": 0, "filled_first_probability": 0}
    for name, changes in (accounts or {}).items():
        about = wanted["accounts"].setdefault(name, {})
        tws = about.get("tws", {}) | changes.get("tws", {})
        about |= deepcopy(dict(changes)) | ({"tws": tws} if tws else {})
    wanted |= profile
    arguments = ["--speed", str(speed), "--verbosity", str(verbosity), *(["--data", str(data)] if data else [])]
    sandbox = SandboxProcess(folder, wanted, arguments, port=port)
    sandbox.start()
    try:
        yield sandbox
    finally:
        sandbox.stop()
