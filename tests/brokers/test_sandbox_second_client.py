"""The sandbox is not shaped to one client: alpaca-trade-api 3.2.0 works against it too.

Its requirements (urllib3 1, websockets 10) do not go together with the project's, so it gets an environment of its
own, built once under pytest's cache.
"""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.brokers.sandbox_process import start_sandbox

PACKAGE = "alpaca-trade-api==3.2.0"
SCRIPT = Path(__file__).with_name("sandbox_second_client.py")
INSTALL_S, RUN_S = 300, 120

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def python(pytestconfig) -> Path:
    """The interpreter that has the second client; skips, with the reason, where it cannot be installed."""
    folder = Path(pytestconfig.cache.mkdir("alpaca_trade_api")) / f"{PACKAGE}-{sys.implementation.cache_tag}"
    interpreter = folder / "bin" / "python"
    complete = folder / "complete"
    if not complete.exists():
        venv.create(folder, with_pip=True, clear=True)
        command = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE]
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S, check=False)
        if done.returncode:
            pytest.skip(f"{PACKAGE} cannot be installed here: pip ended with {done.returncode}")
        complete.touch()
    return interpreter


def test_older_official_client_trades_with_the_sandbox(tmp_path, python):
    with start_sandbox(tmp_path, speed=0) as sandbox:
        sandbox.admin.push_quote("IBM", "181.90", "182.00")
        command = [python, SCRIPT, sandbox.url, *sandbox.keys("alpaca")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_S, check=False)
        assert done.returncode == 0, done.stderr
        seen = json.loads(done.stdout)
    assert seen["orders"] == {
        "answered": "pending_new",
        "filled": ["filled", "3", "182"],
        "found": True,
        "replaced": ["4", "151", True],
        "canceled": "canceled",
        "old": "replaced",
        "open": ["trailing_stop"],
        "all": 4,
        "duplicate": [422, 40010001, "client_order_id must be unique"],
        "unknown": [404, 40410000, "order not found for nobody"],
        "wrong": [422, 40010001, "invalid side"],
    }
    assert seen["books"] == {
        "account": ["ACTIVE", "USD"],
        "configured": True,
        "position": ["3", "182", "long"],
        "fills": [["3", "182", "buy"]],
        "closed": ["sell", "3"],
        "left": [],
    }
    assert seen["market_data"] == {
        "open": True,
        "calendar": True,
        "assets": ["AAPL", "BAC"],
        "asset": ["NYSE", True],
        "quote": [181.9, 182.0],
        "quotes": ["BAC", "IBM"],
        "trade": 181.95,
        "bars": True,
        "snapshot": 182.0,
    }
