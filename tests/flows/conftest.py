"""Desks and venues for the flows; what they said is shown when a test fails."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import environment
from tests.brokers.sandbox_process import SandboxProcess, start_sandbox
from tests.flows.running_desk import RunningDesk

LINES_SHOWN = 60
ACCOUNTS = {"alpaca": {"partial_fill_probability": 0.2}, "alpaca_margin": {"partial_fill_probability": 0.2}}


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[SandboxProcess]:
    """The sandbox brokers with the tests' endpoint, at the sample data's own pace."""
    with start_sandbox(tmp_path, accounts=ACCOUNTS) as running:
        yield running


@pytest.fixture
def migrated_env(desk_env: Callable[..., dict[str, str]]) -> Callable[..., dict[str, str]]:
    """`desk_env` of a desk without servers whose database is there already, which saves the start some seconds."""

    def make(**more: str) -> dict[str, str]:
        env = desk_env(**more)
        data = Path(env["DESK_DATA_DIR"])
        data.mkdir()
        shutil.copy(environment.migrated_sqlite(), data / "trading.db")
        return env

    return make


@pytest.fixture
def new_desk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., RunningDesk]]:
    """Make desks, `new_desk(env, *arguments)`; whatever still runs at the end is killed."""
    made: list[RunningDesk] = []

    def make(env: dict[str, str], *arguments: str) -> RunningDesk:
        made.append(RunningDesk(tmp_path, env, *arguments))
        return made[-1]

    yield make
    for desk in made:
        if desk.process is not None:
            request.node.add_report_section("call", "desk", "\n".join(desk.log.splitlines()[-LINES_SHOWN:]))
            if desk.process.poll() is None:
                desk.kill()
