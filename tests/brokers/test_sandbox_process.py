"""The sandbox as a process: what survives its end, its sessions, its limits, how it starts and stops."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.requests import LimitOrderRequest, MarketOrderRequest, TrailingStopOrderRequest
from django.core.management import execute_from_command_line

from tests.brokers.sandbox_process import ROOT, SandboxProcess, start_sandbox
from tests.waiting import eventually

DEADLINE_S = 20.0

pytestmark = pytest.mark.slow  # each test starts a process of its own


def client_of(sandbox: SandboxProcess, account: str = "alpaca") -> TradingClient:
    return TradingClient(*sandbox.keys(account), url_override=sandbox.url)


def limit(client_order_id: str, **more) -> LimitOrderRequest:
    wanted = {"symbol": "IBM", "qty": 10, "side": "buy", "time_in_force": "gtc", "limit_price": 150}
    return LimitOrderRequest(**wanted, client_order_id=client_order_id, **more)


def write_session(folder: Path, *quotes: tuple[int, float, float]) -> Path:
    """A LEAN folder with one short session of IBM: (milliseconds after the opening, bid, ask)."""
    base = folder / "equity" / "usa" / "tick" / "ibm"
    base.mkdir(parents=True)
    rows = []
    for ms, bid, ask in quotes:
        rows.append(f"{34_200_000 + ms},{round(bid * 10_000)},500,0,0,P,1,0")
        rows.append(f"{34_200_000 + ms},0,0,{round(ask * 10_000)},500,P,1,0")
    with zipfile.ZipFile(base / "20131007_quote.zip", "w") as archive:
        archive.writestr("20131007_ibm_Quote_Tick.csv", "\n".join(rows) + "\n")
    return folder


def test_orders_fills_positions_and_cash_survive_a_kill(tmp_path):
    with start_sandbox(tmp_path, speed=0) as sandbox:
        trading = client_of(sandbox, "alpaca_margin")
        sandbox.admin.push_quote("IBM", "181.90", "182.00", 1000, 30)
        trading.submit_order(limit("resting"))
        trading.submit_order(MarketOrderRequest(symbol="IBM", qty=50, side="buy", time_in_force="gtc"))
        trading.submit_order(
            TrailingStopOrderRequest(symbol="BAC", qty=1, side="buy", time_in_force="gtc", trail_price=2)
        )
        sandbox.admin.push_quote("BAC", "12.00", "12.05")
        trading.submit_order(limit("gone")), trading.cancel_order_by_id(trading.get_order_by_client_id("gone").id)
        eventually(lambda: trading.get_order_by_client_id("gone").status.value == "canceled")
        exec_id = sandbox.admin.record("alpaca_margin")["executions"][0]["exec_id"]
        sandbox.admin.correct(exec_id, 29, "182.05")
        before = sandbox.admin.record("alpaca_margin")
        assert before["orders"][2]["hwm"] == "12.05"

        sandbox.restart(kill=True)

        after = sandbox.admin.record("alpaca_margin")
        assert after["orders"] == before["orders"]
        assert after["executions"] == before["executions"]
        assert (
            (after["positions"], after["cash"])
            == (before["positions"], before["cash"])
            == ({"IBM": "29"}, after["cash"])
        )
        with pytest.raises(APIError, match="must be unique"):
            trading.submit_order(limit("gone"))
        sandbox.admin.push_quote("IBM", "149.00", "149.50")
        assert trading.get_order_by_client_id("resting").filled_qty == "10"


def test_every_order_that_was_answered_is_there_after_a_kill(tmp_path):
    with start_sandbox(tmp_path, speed=0) as sandbox:
        trading = client_of(sandbox)
        for number in range(20):
            trading.submit_order(limit(f"answered-{number}"))
        sandbox.kill()
        sandbox.start()
        assert {o["client_order_id"] for o in sandbox.admin.record("alpaca")["orders"]} == {
            f"answered-{number}" for number in range(20)
        }


def test_day_order_expires_with_the_session_and_the_next_one_opens(tmp_path):
    data = write_session(tmp_path / "data", (0, 181.9, 182.0), (600, 181.8, 181.95), (1200, 181.9, 182.0))
    with start_sandbox(tmp_path, data=data, session_break_s=0.3) as sandbox:
        trading = client_of(sandbox)
        eventually(lambda: trading.get_clock().is_open)
        trading.submit_order(
            LimitOrderRequest(
                symbol="IBM", qty=1, side="buy", time_in_force="day", limit_price=1, client_order_id="day"
            )
        )
        trading.submit_order(limit("gtc"))
        eventually(lambda: trading.get_order_by_client_id("day").status.value == "expired")
        assert trading.get_order_by_client_id("gtc").status.value == "new"
        eventually(lambda: trading.get_clock().is_open)
        first = trading.get_clock()
        assert first.next_close < first.next_open


def test_session_goes_on_after_a_restart(tmp_path):
    with start_sandbox(tmp_path) as sandbox:
        trading = client_of(sandbox)
        trading.submit_order(
            LimitOrderRequest(
                symbol="IBM", qty=1, side="buy", time_in_force="day", limit_price=1, client_order_id="day"
            )
        )
        closes = trading.get_clock().next_close
        sandbox.restart(kill=True)
        assert trading.get_clock().next_close == closes
        assert trading.get_order_by_client_id("day").status.value == "new"


def test_day_order_expires_when_its_session_ended_while_the_sandbox_was_down(tmp_path):
    data = write_session(tmp_path / "data", (0, 181.9, 182.0), (5000, 181.9, 182.0))
    with start_sandbox(tmp_path, data=data, session_break_s=30) as sandbox:
        trading = client_of(sandbox)
        order = LimitOrderRequest(
            symbol="IBM", qty=1, side="buy", time_in_force="day", limit_price=1, client_order_id="day"
        )
        trading.submit_order(order)
        closes = trading.get_clock().next_close
        sandbox.kill()
        eventually(lambda: datetime.now(UTC) > closes)
        sandbox.start()
        eventually(lambda: trading.get_order_by_client_id("day").status.value == "expired")


def test_order_sent_while_the_market_is_closed_waits_as_accepted(tmp_path):
    with start_sandbox(tmp_path, speed=0) as sandbox:
        trading = client_of(sandbox)
        sandbox.admin.close_session()
        assert not trading.get_clock().is_open
        trading.submit_order(
            MarketOrderRequest(symbol="BAC", qty=1, side="buy", time_in_force="day", client_order_id="early")
        )
        eventually(lambda: trading.get_order_by_client_id("early").status.value == "accepted")
        sandbox.admin.open_session()
        eventually(lambda: trading.get_order_by_client_id("early").status.value == "filled")


def test_replay_moves_the_quotes_with_times_of_now_and_can_be_paused(tmp_path):
    with start_sandbox(tmp_path, speed=50) as sandbox:
        trading = client_of(sandbox)

        def quote() -> dict:
            return trading.get("/stocks/BAC/quotes/latest")["quote"]

        first = quote()
        eventually(lambda: quote() != first)
        sandbox.admin.pause()
        stands = quote()
        assert abs(trading.get_clock().timestamp.timestamp() - _seconds(stands["t"])) < 60
        for _ in range(20):
            assert quote() == stands
        sandbox.admin.resume()
        eventually(lambda: quote() != stands)


def test_limit_of_requests_is_told_and_kept(tmp_path):
    with start_sandbox(tmp_path, speed=0, accounts={"alpaca": {"rate_limit_per_minute": 5}}) as sandbox:
        key, secret = sandbox.keys("alpaca")
        headers = {"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret}

        def get(path: str) -> requests.Response:
            return requests.get(f"{sandbox.url}/v2{path}", headers=headers, timeout=10)

        # A calendar minute may end while this runs; what is said must be true of the minute it was said in.
        answers = [get("/account") for _ in range(12)]
        refused = [a for a in answers if a.status_code == 429]
        assert refused
        assert refused[0].json() == {"code": 42910000, "message": "rate limit exceeded"}
        assert refused[0].headers["X-RateLimit-Remaining"] == "0"
        assert {a.headers["X-RateLimit-Limit"] for a in answers} == {"5"}
        assert answers[0].headers["X-RateLimit-Remaining"] == "4"
        assert int(answers[-1].headers["X-RateLimit-Reset"]) % 60 == 0
        assert get("/stocks/quotes/latest?symbols=IBM").status_code == 200
        assert client_of(sandbox, "alpaca_margin").get_account()


def test_faults_by_chance_follow_the_profile(tmp_path):
    odds = {"alpaca": {"faults": {"error_500_before": 1.0}}}
    with start_sandbox(tmp_path, speed=0, accounts=odds) as sandbox:
        with pytest.raises(APIError) as failed:
            client_of(sandbox).submit_order(limit("never"))
        assert failed.value.status_code == 500
        assert sandbox.admin.record("alpaca")["orders"] == []
        assert client_of(sandbox, "alpaca_margin").get_account()


def test_stop_is_clean_and_prompt_even_while_something_is_held(tmp_path):
    with start_sandbox(tmp_path, speed=0) as sandbox:
        sandbox.admin.hold("request_received", operation="account")
        asking = threading.Thread(target=_ask_in_vain, args=(sandbox,), daemon=True)
        asking.start()
        sandbox.admin.wait_for_held()
        assert sandbox.stop() == 0
        asking.join(DEADLINE_S)
        assert not asking.is_alive()
    assert "Traceback" not in sandbox.log


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--speed", "-1"], 2, "invalid"),
        (["--port", "99999"], 2, "invalid"),
        (["--profile", "/nowhere.yaml"], 1, "/nowhere.yaml: No such file or directory"),
        (["--data", "/nowhere"], 1, "/nowhere: no LEAN quote files"),
        (["--test-admin", "--host", "0.0.0.0"], 1, "for loopback only"),
        (["--test-admin"], 1, "--test-admin needs a secret in SANDBOX_ADMIN_SECRET"),
    ],
)
def test_what_cannot_be_started_says_so_in_one_line(tmp_path, monkeypatch, capsys, arguments, code, said):
    monkeypatch.setenv("SANDBOX_ADMIN_SECRET", "x" if "--host" in arguments else "")
    monkeypatch.setattr("brokers.sandbox.server._serve", lambda *_: pytest.fail("it started"))
    with pytest.raises(SystemExit) as ended:
        execute_from_command_line(["manage.py", "sandbox_brokers", "--storage", str(tmp_path), *arguments])
    told = capsys.readouterr().err
    assert ended.value.code == code
    assert said in told
    assert "Traceback" not in told


def test_without_the_option_there_is_no_test_endpoint(tmp_path):
    ready = tmp_path / "ready.json"
    command = [sys.executable, "manage.py", "sandbox_brokers", "--storage", str(tmp_path), "--ready-file", str(ready)]
    environment = {**os.environ, "SANDBOX_ADMIN_SECRET": "x"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    try:
        eventually(ready.exists)
        url = requests.models.complexjson.loads(ready.read_text())["url"]
        answer = requests.get(f"{url}/sandbox/journal", headers={"X-Sandbox-Secret": "x"}, timeout=10)
        assert answer.status_code == 404
    finally:
        process.terminate()
        assert process.wait(30) == 0


def _ask_in_vain(sandbox: SandboxProcess) -> None:
    with contextlib.suppress(requests.ConnectionError):
        key, secret = sandbox.keys("alpaca")
        headers = {"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret}
        requests.get(f"{sandbox.url}/v2/account", headers=headers, timeout=DEADLINE_S)


def _seconds(stamp: str) -> float:
    return time.mktime(time.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
