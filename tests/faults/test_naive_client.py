"""The comparison sees what it is there for: a client that sends and then records loses orders and places some twice."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.brokers.sandbox_process import SandboxProcess, start_sandbox
from tests.brokers.sandbox_records import as_tws_shows
from tests.environment import ROOT
from tests.faults.naive import read_books
from tests.faults.verdict import disagreements
from tests.services import die_with_parent

pytestmark = pytest.mark.slow

NAMES = [f"naive-{number}" for number in range(6)]
ORDER = {"symbol": "IBM", "side": "buy", "type": "limit", "time_in_force": "gtc", "qty": "1", "limit_price": "100"}
TESTS, KINDS = ("calm", "dropped", "killed"), ("alpaca", "interactive_brokers")
PROFILES = {
    **{f"alpaca_{test}": {"api_key": f"K-{test}", "secret_key": f"S-{test}", "starting_cash": 10**6} for test in TESTS},
    **{
        f"interactive_brokers_{test}": {"kind": "interactive_brokers", "tws": {"account_id": f"DU200000{number}"}}
        for number, test in enumerate(TESTS)
    },
}
END_S = 60


@pytest.fixture(scope="module")
def venue(tmp_path_factory) -> Iterator[SandboxProcess]:
    """Brokers of both kinds with an account for each test."""
    with start_sandbox(tmp_path_factory.mktemp("sandbox"), speed=0, accounts=PROFILES) as running:
        yield running


@pytest.fixture(params=KINDS)
def account(request) -> Callable[[str], str]:
    """Names the account of a test at one of the brokers."""
    return lambda test: f"{request.param}_{test}"


def client(venue: SandboxProcess, account: str, folder: Path) -> subprocess.Popen:
    """The naive client at its work."""
    (folder / "orders").write_text("\n".join(json.dumps({"client_order_id": name} | ORDER) for name in NAMES))
    at_tws = account in venue.tws_accounts
    broker = [str(venue.tws_port(account))] if at_tws else [venue.url, *venue.keys(account)]
    command = [sys.executable, "-m", "tests.faults.naive", folder / "orders", folder / "books", *broker]
    return subprocess.Popen(command, cwd=ROOT, preexec_fn=die_with_parent())


def found(venue: SandboxProcess, account: str, folder: Path) -> list[str]:
    """What the comparison says of the client's books."""
    at_tws = account in venue.tws_accounts
    record = as_tws_shows(venue.admin.tws(account).record()) if at_tws else venue.admin.record(account)
    return list(disagreements(read_books(folder / "books", account), {account: record}))


def test_naive_client_beside_a_good_broker_has_nothing_to_find(venue, account, tmp_path):
    assert client(venue, account("calm"), tmp_path).wait(END_S) == 0
    assert found(venue, account("calm"), tmp_path) == []


def test_naive_client_whose_answer_is_dropped_has_the_order_twice_and_does_not_know(venue, account, tmp_path):
    name = account("dropped")
    for _ in range(2):
        venue.admin.fault("drop", when="after", operation="new_order", account=name)
    assert client(venue, name, tmp_path).wait(END_S) == 0
    assert found(venue, name, tmp_path) == [
        f"{name}: naive-0 was wanted once and placed 3 times",
        f"{name}: naive-0~0 is at the venue (new) and unknown here",
        f"{name}: naive-0~1 is at the venue (new) and unknown here",
    ]


def test_naive_client_killed_before_the_answer_came_loses_the_order(venue, account, tmp_path):
    name = account("killed")
    venue.admin.hold("before_answer", operation="new_order", account=name, client_order_id="naive-3~0")
    process = client(venue, name, tmp_path)
    venue.admin.wait_for_held(1, timeout=30)
    process.kill()
    process.wait()
    venue.admin.release()
    assert found(venue, name, tmp_path) == [f"{name}: naive-3~0 is at the venue (new) and unknown here"]
