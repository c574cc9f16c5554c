"""IBKR's own client is the judge of the sandbox's TWS: it gets what ib_async gets.

`ibapi-stable` declares no licence, so it is not among the project's requirements: it gets an environment of its own,
built once under pytest's cache, and is used by this test only.
"""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.brokers.sandbox_process import start_sandbox

PACKAGE = "ibapi-stable==10.50.2"
HERE = Path(__file__).parent
INSTALL_S, RUN_S = 300, 120
STOCK = ["DU1000001", "IBM", 8314, "SMART"]
BUY_10 = ["BUY", "10", "MKT", "DAY", "0", "life-1", *STOCK]
BUY_5 = ["BUY", "5", "LMT", "GTC", "150", "life-2", *STOCK]
BUY_4 = ["BUY", "4", "LMT", "GTC", "151", "life-2", *STOCK]
STOP_3 = ["SELL", "3", "STP", "DAY", "0", "life-3", *STOCK]
ENTRY_2 = ["BUY", "2", "LMT", "GTC", "150", "life-7", *STOCK]
PROFIT_2 = ["SELL", "2", "LMT", "GTC", "190", "life-7-L1", *STOCK]
LOSS_2 = ["SELL", "2", "STP", "GTC", "0", "life-7-L2", *STOCK]
EXIT_2 = ["SELL", "2", "LMT", "GTC", "190", "life-8", *STOCK]
STOP_2 = ["SELL", "2", "STP", "GTC", "0", "life-8-L1", *STOCK]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def python(pytestconfig) -> Path:
    """The interpreter that has IBKR's client; skips, with the reason, where it cannot be installed."""
    folder = Path(pytestconfig.cache.mkdir("ibapi")) / f"{PACKAGE}-{sys.implementation.cache_tag}"
    interpreter, complete = folder / "bin" / "python", folder / "complete"
    if not complete.exists():
        venv.create(folder, with_pip=True, clear=True)
        command = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE]
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S, check=False)
        if done.returncode:
            pytest.skip(f"{PACKAGE} cannot be installed here: pip ended with {done.returncode}")
        complete.touch()
    return interpreter


def lived(interpreter: Path, script: str, folder: Path) -> dict:
    """What a client tells of its life at a fresh sandbox."""
    folder.mkdir()
    with start_sandbox(folder, speed=0) as sandbox:
        sandbox.admin.push_quote("IBM", "181.90", "182.00")
        command = [interpreter, HERE / script, str(sandbox.tws_port()), "3"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_S, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def test_ibkrs_own_client_lives_the_life_of_an_order_and_sees_what_ib_async_sees(tmp_path, python):
    theirs = lived(python, "tws_life_ibapi.py", tmp_path / "ibapi")
    ours = lived(Path(sys.executable), "tws_life_ib_async.py", tmp_path / "ib_async")
    assert theirs == ours
    assert theirs["server_version"] == 176
    assert theirs["orders"] == ORDERS
    assert theirs["errors"] == [2104, 2106, 2158, 202, 200, 321, 103, 10148, 10147, 202, 202, 202, 202, 202]
    assert theirs["groups"] == {"life-8": ["life-8", 2], "life-8-L1": ["life-8", 2]}
    assert theirs["executions"] == [["10", "182", "10", "182", "BOT", "IBM", "life-1", "DU1000001", 3]]
    assert (theirs["commissions"], theirs["commissions_named"]) == (["1"], True)
    assert theirs["positions"] == {"IBM": ["DU1000001", "10", "182"]}
    assert theirs["completed"] == [
        ["Filled", "Filled Size: 10", "life-1", "IBM", "10"],
        ["Cancelled", "Cancelled by Trader", "life-2", "IBM", "0"],
        ["Cancelled", "Cancelled by Trader", "life-7", "IBM", "0"],
        ["Cancelled", "Cancelled by System", "life-7-L1", "IBM", "0"],
        ["Cancelled", "Cancelled by System", "life-7-L2", "IBM", "0"],
        ["Cancelled", "Cancelled by Trader", "life-8", "IBM", "0"],
        ["Cancelled", "Cancelled by Trader", "life-8-L1", "IBM", "0"],
    ]
    assert theirs["cash"] == "998179.00"
    assert theirs["contracts"] == [[8314, "IBM", "NYSE", "International Business Machines Corporation", "0.01", "1"]]
    assert theirs["ticks"]["price 1"] == "181.9"
    assert theirs["ticks"]["size 3"] == "1000"


def told(status: str, order: list, why: str = "") -> list:
    """The status of an order of which nothing has filled."""
    return ["status", status, "0", order[1], "0", "0", 3, why]


def shown(status: str, order: list, why: str = "") -> list[list]:
    """An order as it is opened, with the status that follows."""
    return [["open", status, *order], told(status, order, why)]


def cancelled(order: list) -> list[list]:
    return [told("Cancelled", order), ["error", 202]]


ORDERS = {
    "0": [
        *shown("PreSubmitted", BUY_10),
        *shown("Submitted", BUY_10),
        ["execution"],
        ["open", "Filled", *BUY_10],
        ["status", "Filled", "10", "0", "182", "182", 3, ""],
        ["error", 10148],
        ["execution"],
    ],
    "1": [
        *shown("PreSubmitted", BUY_5),
        *shown("Submitted", BUY_5),
        *shown("Submitted", BUY_4) * 2,
        told("PendingCancel", BUY_4),
        *cancelled(BUY_4),
    ],
    "2": shown("PreSubmitted", STOP_3, "trigger") * 3,
    "5": [
        *shown("PreSubmitted", ENTRY_2),
        *shown("Submitted", ENTRY_2),
        told("PendingCancel", ENTRY_2),
        *cancelled(ENTRY_2),
    ],
    "6": [*shown("PreSubmitted", PROFIT_2, "child"), *cancelled(PROFIT_2)],
    "7": [*shown("PreSubmitted", LOSS_2, "child,trigger"), *cancelled(LOSS_2)],
    "8": [
        *shown("PreSubmitted", EXIT_2),
        *shown("Submitted", EXIT_2),
        told("PendingCancel", EXIT_2),
        *cancelled(EXIT_2),
    ],
    "9": [*shown("PreSubmitted", STOP_2, "trigger") * 2, told("PendingCancel", STOP_2), *cancelled(STOP_2)],
}
