"""A desk of two accounts whose keys are canaries: one at the real sandbox, one at a broker that repeats them."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from brokers import gateway
from orders import sync, wakeups
from risk.rulebook import forget
from tests.brokers.sandbox_process import SandboxProcess, start_sandbox
from tests.canaries.places import PLACES, Keeper, canary
from tests.canaries.talkative import Talkative, talkative_broker
from tests.factories import trading_desk
from tradingdesk.redaction import known

GOOD, BAD = "alpaca", "alpaca_margin"
KEYS = {name: canary(name) for name in ("api_key", "secret_key")}


@dataclass
class Said:
    """What the process wrote to its log: through the desk's formatter, and one that knows nothing of secrets."""

    ours: io.StringIO = field(default_factory=io.StringIO)
    plain: io.StringIO = field(default_factory=io.StringIO)

    @property
    def text(self) -> str:
        return self.ours.getvalue() + self.plain.getvalue()


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch):
    """Have other tests not look for these canaries."""
    monkeypatch.setattr(known, "_values", known._values)
    monkeypatch.setattr(known, "_secrets", known._secrets)


@pytest.fixture
def said() -> Iterator[Said]:
    """Everything that is logged, down to DEBUG."""
    kept, root = Said(), logging.getLogger()
    desks = next(handler.formatter for handler in root.handlers if type(handler) is logging.StreamHandler)
    handlers = [logging.StreamHandler(kept.ours), logging.StreamHandler(kept.plain)]
    handlers[0].setFormatter(desks)
    level = root.level
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield kept
    root.setLevel(level)
    for handler in handlers:
        root.removeHandler(handler)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory) -> Iterator[SandboxProcess]:
    """The real sandbox; the good account's keys there are canaries."""
    with start_sandbox(tmp_path_factory.mktemp("sandbox"), speed=0, accounts={GOOD: KEYS}) as running:
        yield running


@pytest.fixture(scope="module")
def talkative() -> Iterator[Talkative]:
    with talkative_broker() as broker:
        yield broker


@pytest.fixture(params=PLACES)
def keeper(request, tmp_path: Path, monkeypatch) -> Keeper:
    """Where the keys are kept."""
    return Keeper(request.param, tmp_path, monkeypatch)


@pytest.fixture
def desk(transactional_db, keeper: Keeper, sandbox, talkative, monkeypatch):
    """Two accounts that trade, with limits and prices; nothing of an earlier test is remembered."""
    monkeypatch.setattr(sync, "_readers", {})
    monkeypatch.setattr(wakeups, "wake", lambda *args, **timing: None)
    forget()
    accounts = trading_desk(GOOD, BAD)
    for account, prefix, url in zip(accounts, ("", "bad_"), (sandbox.url, talkative.url), strict=True):
        account.settings = {
            "base_url": url,
            "stream": False,
            **{key: keeper.reference(f"{account.pk}_{key}".upper(), canary(f"{prefix}{key}")) for key in KEYS},
        }
        account.adapter = "alpaca"
        account.save()
    sandbox.admin.clear()
    sandbox.admin.push_quote("IBM", "182.44", "182.46")
    yield accounts
    gateway.close_gateways()
    forget()
