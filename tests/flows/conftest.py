"""Desks and venues for the flows; what they said is shown when a test fails."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import environment
from tests.brokers.sandbox_process import SandboxProcess, start_sandbox
from tests.flows.running_desk import RunningDesk

LINES_SHOWN = 60
ACCOUNTS = {name: {"partial_fill_probability": 0.2} for name in ("alpaca", "alpaca_margin", "interactive_brokers")}


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


class NewDesk:
    """Makes desks: `new_desk(env, *arguments)`."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.made: list[RunningDesk] = []

    def __call__(self, env: dict[str, str], *arguments: str) -> RunningDesk:
        self.made.append(RunningDesk(self.folder, env, *arguments))
        return self.made[-1]


@pytest.fixture
def new_desk(tmp_path: Path) -> Iterator[NewDesk]:
    """Make desks; whatever still runs at the end is killed."""
    maker = NewDesk(tmp_path)
    yield maker
    for desk in maker.made:
        if desk.process is not None and desk.process.poll() is None:
            desk.kill()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show what the desks of a failed test said."""
    report = yield
    maker = getattr(item, "funcargs", {}).get("new_desk")
    if report.failed and maker is not None:
        said = [line for desk in maker.made if desk.process for line in desk.log.splitlines()[-LINES_SHOWN:]]
        report.sections.append(("Desk", "\n".join(said)))
    return report
