"""The comparison sees what it is there for: a client that sends and then records loses orders and places some twice."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.brokers.sandbox_process import SandboxProcess, start_sandbox
from tests.environment import ROOT
from tests.faults.naive import read_books
from tests.faults.verdict import disagreements
from tests.services import die_with_parent

pytestmark = pytest.mark.slow

NAMES = [f"naive-{number}" for number in range(6)]
ORDER = {"symbol": "IBM", "side": "buy", "type": "limit", "time_in_force": "gtc", "qty": "1", "limit_price": "100"}
ACCOUNTS = ("calm", "dropped", "killed")
END_S = 60


@pytest.fixture(scope="module")
def venue(tmp_path_factory) -> Iterator[SandboxProcess]:
    """A broker with an account for each test."""
    accounts = {name: {"api_key": f"K-{name}", "secret_key": f"S-{name}", "starting_cash": 10**6} for name in ACCOUNTS}
    with start_sandbox(tmp_path_factory.mktemp("sandbox"), speed=0, accounts=accounts) as running:
        yield running


def client(venue: SandboxProcess, account: str, folder: Path) -> subprocess.Popen:
    """The naive client at its work."""
    (folder / "orders").write_text("\n".join(json.dumps({"client_order_id": name} | ORDER) for name in NAMES))
    command = [sys.executable, "-m", "tests.faults.naive", folder / "orders", folder / "books", venue.url]
    return subprocess.Popen([*command, *venue.keys(account)], cwd=ROOT, preexec_fn=die_with_parent())


def found(venue: SandboxProcess, account: str, folder: Path) -> list[str]:
    """What the comparison says of the client's books."""
    return list(disagreements(read_books(folder / "books", account), {account: venue.admin.record(account)}))


def test_naive_client_beside_a_good_broker_has_nothing_to_find(venue, tmp_path):
    assert client(venue, "calm", tmp_path).wait(END_S) == 0
    assert found(venue, "calm", tmp_path) == []


def test_naive_client_whose_answer_is_dropped_has_the_order_twice_and_does_not_know(venue, tmp_path):
    for _ in range(2):
        venue.admin.fault("drop", when="after", operation="new_order", account="dropped")
    assert client(venue, "dropped", tmp_path).wait(END_S) == 0
    assert found(venue, "dropped", tmp_path) == [
        "dropped: naive-0 was wanted once and placed 3 times",
        "dropped: naive-0~0 is at the venue (new) and unknown here",
        "dropped: naive-0~1 is at the venue (new) and unknown here",
    ]


def test_naive_client_killed_before_the_answer_came_loses_the_order(venue, tmp_path):
    venue.admin.hold("before_answer", operation="new_order", account="killed", client_order_id="naive-3~0")
    process = client(venue, "killed", tmp_path)
    venue.admin.wait_for_held(1, timeout=30)
    process.kill()
    process.wait()
    venue.admin.release()
    assert found(venue, "killed", tmp_path) == ["killed: naive-3~0 is at the venue (new) and unknown here"]
