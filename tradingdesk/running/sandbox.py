"""The sandbox brokers beside the desk, for accounts that refer to `${SANDBOX_URL}` or `${SANDBOX_TWS_PORT}`."""

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tradingdesk.config.references import REFERENCE
from tradingdesk.running.children import Child, manage

URL_NAME, TWS_NAME = "SANDBOX_URL", "SANDBOX_TWS_PORT"
ADDRESSES = {URL_NAME, TWS_NAME}
SECRETS = ("api_key", "secret_key")
START_SECONDS = 60.0
LOOK_EVERY = 0.02


class SandboxFailed(Exception):
    """The sandbox brokers did not start."""


def sandbox_keys(config: Path, profile: Path) -> dict[str, str] | None:
    """Variables that the configuration's sandbox accounts refer to, with the sandbox's dummy keys as values.

    None when no account is at the sandbox. A variable that an account elsewhere refers to as well is left
    alone: it belongs to that account.
    """
    accounts = _accounts(config)
    ours = {name: account for name, account in accounts.items() if ADDRESSES & _references(account)}
    if not ours:
        return None
    known = _accounts(profile, section="accounts")
    elsewhere = {name for key, account in accounts.items() if key not in ours for name in _references(account)}
    found = dict(_keys(ours, known))
    return {name: value for name, value in found.items() if name not in elsewhere}


class SandboxBrokers(Child):
    """The process of the sandbox brokers; started again, it has the address that it had."""

    def __init__(self, folder: Path, profile: Path):
        self.ready_file = folder / "ready.json"
        self.arguments = ["--profile", str(profile), "--storage", str(folder), "--ready-file", str(self.ready_file)]
        self.port = self.tws_port = 0
        super().__init__("the sandbox brokers", [])

    def start(self) -> None:
        """See `Child.start`."""
        self.ready_file.parent.mkdir(parents=True, exist_ok=True)
        self.ready_file.unlink(missing_ok=True)
        ports = ["--port", str(self.port), "--tws-port", str(self.tws_port)]
        self.command = manage("sandbox_brokers", "--verbosity", "0", *ports, *self.arguments)
        super().start()

    def wait_until_ready(self) -> dict[str, str]:
        """Wait until it serves; the variables that say where.

        Raises:
            SandboxFailed: it ended, or takes too long.
        """
        deadline = time.monotonic() + START_SECONDS
        while not self.ready_file.exists():
            if not self.is_running:
                raise SandboxFailed(f"the sandbox brokers ended with {self.process.returncode}")
            if time.monotonic() > deadline:
                raise SandboxFailed(f"the sandbox brokers are not ready after {START_SECONDS:.0f} s")
            time.sleep(LOOK_EVERY)
        ready = json.loads(self.ready_file.read_text(encoding="utf-8"))
        self.port, self.tws_port = ready["port"], next(iter(ready["tws"].values()), 0)
        return {URL_NAME: ready["url"], TWS_NAME: str(self.tws_port)}


def _accounts(path: Path, section: str = "brokers") -> dict[str, dict[str, Any]]:
    """The accounts of a file as far as they can be read; its mistakes are told by those who load it."""
    try:
        found = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get(section) or {}
        return {name: account for name, account in found.items() if isinstance(account, dict)}
    except (OSError, yaml.YAMLError, AttributeError):
        return {}


def _references(account: Mapping[str, Any]) -> set[str]:
    return {name for value in account.values() for name in REFERENCE.findall(str(value))}


def _keys(accounts: Mapping[str, Mapping], known: Mapping[str, Mapping]) -> Iterator[tuple[str, str]]:
    for name, account in accounts.items():
        for key in SECRETS:
            reference = REFERENCE.fullmatch(str(account.get(key, "")))
            if reference and name in known:
                yield reference[1], known[name][key]
