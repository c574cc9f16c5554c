"""`manage.py desk` as people meet it: it starts from nothing, takes orders at once, and ends with all its children."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from functools import partial

import pytest

from tests.environment import ROOT, manage
from tests.flows.running_desk import RunningDesk, descendants, eventually

pytestmark = [pytest.mark.flow, pytest.mark.slow]

ACCOUNTS = ["alpaca", "alpaca_margin", "interactive_brokers"]
MARKET_BUY = {"symbol": "IBM", "side": "buy", "order_qty": "5", "ord_type": "market", "broker_name": "alpaca"}


def place(desk: RunningDesk, **changes) -> dict:
    status, order = desk.call("POST", "/api/v1/orders/", MARKET_BUY | changes)
    assert status == 201, order
    return order


def second_desk(desk: RunningDesk, env: dict[str, str], port: int) -> subprocess.CompletedProcess:
    command = [sys.executable, "manage.py", "desk", "--port", str(port)]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=90)


def test_desk_starts_from_nothing_fills_an_order_and_ends_with_its_children(new_desk, desk_env):
    desk = new_desk(desk_env())
    desk.start()
    order = place(desk)
    filled = desk.order_in(order["client_order_id"], "filled")
    assert (filled["cum_qty"], filled["leaves_qty"]) == ("5", "0")
    assert [row["broker_name"] for row in desk.all("/api/v1/brokers/")] == ACCOUNTS
    assert stat.S_IMODE((desk.data / "credentials.json").stat().st_mode) == 0o600
    assert desk.credentials["url"] == desk.url
    for word in ("username", "password", "token", "url"):
        assert desk.credentials[word] in desk.log
    children = descendants(desk.process.pid)
    assert any("sandbox_brokers" in command for command in children.values())
    assert desk.stop() == 0
    assert not set(children) & set(descendants(os.getpid()))
    assert "Traceback" not in desk.log
    assert "ERROR" not in desk.log


def test_second_start_has_the_same_credentials_orders_and_broker_side(new_desk, migrated_env):
    desk = new_desk(migrated_env())
    desk.start()
    before = desk.credentials
    order = place(desk, ord_type="limit", price="100.00", time_in_force="gtc")
    desk.order_in(order["client_order_id"], "new")
    assert desk.stop(signal.SIGINT) == 0
    desk.start()
    assert desk.credentials == before
    assert desk.call("DELETE", f"/api/v1/orders/{order['client_order_id']}/")[0] == 202
    desk.order_in(order["client_order_id"], "canceled")
    assert len(desk.all("/api/v1/config/history/")) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_desk_that_is_told_to_stop_while_it_starts_ends_with_its_children_and_starts_again(
    new_desk, migrated_env, number
):
    desk = new_desk(migrated_env())
    desk.begin()
    [sandbox] = eventually(lambda: desk.children("sandbox_brokers"), "the sandbox brokers are being started")

    assert desk.stop(number) == 0

    eventually(lambda: sandbox not in descendants(os.getpid()), "the sandbox brokers end")
    assert "stopped before it was ready" in desk.log
    assert "the desk is ready" not in desk.log
    assert "Traceback" not in desk.log
    desk.start()
    place(desk)


def test_second_desk_on_the_same_data_or_port_is_refused_in_one_line(new_desk, migrated_env, sandbox, tmp_path):
    env = migrated_env(**sandbox.addresses)
    desk = new_desk(env)
    desk.start()
    same_data = second_desk(desk, env, desk.port + 1)
    assert same_data.returncode == 1
    assert same_data.stderr.splitlines() == [
        f"CommandError: a desk is running on {desk.data} already (process {desk.process.pid})"
    ]
    same_port = second_desk(desk, env | {"DESK_DATA_DIR": str(tmp_path / "another")}, desk.port)
    assert same_port.returncode == 1
    assert len(same_port.stderr.splitlines()) == 1
    assert desk.answers()


def test_desk_that_is_told_to_stop_finishes_the_send_at_hand(new_desk, migrated_env, sandbox):
    env = migrated_env(**sandbox.addresses)
    desk = new_desk(env)
    desk.start()
    sandbox.admin.hold("before_answer", operation="new_order")
    order = place(desk, ord_type="limit", price="100.00", time_in_force="gtc")
    sandbox.admin.wait_for_held(1, timeout=30)
    desk.process.send_signal(signal.SIGTERM)
    eventually(lambda: "stopping" in desk.log, "it was told")
    sandbox.admin.release()
    assert desk.stop() == 0
    desk.start()
    desk.order_in(order["client_order_id"], "new")
    assert len(sandbox.admin.requests("new_order")) == 1
    assert sandbox.admin.requests("find_order") == []


def test_sandbox_that_dies_is_started_again_where_it_was(new_desk, migrated_env):
    desk = new_desk(migrated_env())
    desk.start()
    order = place(desk, ord_type="limit", price="100.00", time_in_force="gtc")
    desk.order_in(order["client_order_id"], "new")
    [first] = desk.children("sandbox_brokers")
    os.kill(first, signal.SIGKILL)
    eventually(lambda: desk.children("sandbox_brokers") not in ([], [first]), "another one is started")
    assert desk.call("DELETE", f"/api/v1/orders/{order['client_order_id']}/")[0] == 202
    desk.order_in(order["client_order_id"], "canceled")
    assert desk.stop() == 0


def test_commands_beside_the_desk_reach_its_brokers(new_desk, migrated_env):
    env = migrated_env()
    desk = new_desk(env)
    desk.start()
    assert "alpaca: active, " in manage("sync_broker", "alpaca", env=env)
    manage("place_order", "BAC", "buy", "3", "--client-order-id", "by-hand", env=env)
    assert desk.order_in("by-hand", "filled")["cum_qty"] == "3"


def test_demo_trader_places_orders(new_desk, migrated_env):
    desk = new_desk(migrated_env(), "--demo")
    desk.start()
    orders = eventually(lambda: desk.all("/api/v1/orders/?strategy=demo"), "an order of its own")
    assert {order["symbol"] for order in orders} <= {"IBM", "BAC"}
    assert desk.stop() == 0
    assert "demo trader:" not in desk.log


def test_wrong_configuration_ends_the_start_with_its_line(migrated_env, tmp_path):
    config = tmp_path / "desk.yaml"
    config.write_text("brokers:\n  alpaca:\n    allocation_percent: 0.5\n")
    command = [sys.executable, "manage.py", "desk", "--port", "0"]
    env = migrated_env(DESK_CONFIG=str(config))
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=90)
    assert done.returncode == 2
    assert f"{config}:" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(params=["embedded", pytest.param("processes", marks=pytest.mark.server)])
def any_env(request) -> Callable[..., dict[str, str]]:
    """The environment of a desk of threads, or of processes on PostgreSQL and Redis."""
    if request.param == "embedded":
        return request.getfixturevalue("migrated_env")
    servers = [request.getfixturevalue(name) for name in ("own_pg_url", "own_redis_url")]
    return partial(request.getfixturevalue("desk_env"), *servers)


def test_account_that_is_added_while_the_desk_runs_trades_and_streams_within_moments(
    new_desk, any_env, sandbox, tmp_path
):
    whole = (ROOT / "config" / "desk.yaml").read_text()
    before, margin = whole.index("  alpaca_margin:"), whole.index("# Where the desk keeps its data.")
    config = tmp_path / "desk.yaml"
    config.write_text((whole[:before] + whole[margin:]).replace("allocation_percent: 0.5", "allocation_percent: 1"))
    keys = dict(zip(("ALPACA_MARGIN_API_KEY", "ALPACA_MARGIN_SECRET_KEY"), sandbox.keys("alpaca_margin"), strict=True))
    env = any_env(**sandbox.addresses, DESK_CONFIG=str(config), **keys)
    desk = new_desk(env)
    desk.start()
    assert [row["broker_name"] for row in desk.all("/api/v1/brokers/")] == ["alpaca"]

    config.write_text(whole)
    manage("load_config", str(config), env=env)

    def lists_what_it_trades() -> bool:
        status, _ = desk.call("POST", "/api/v1/orders/preview/", MARKET_BUY | {"broker_name": "alpaca_margin"})
        accounts = {row["broker_name"]: row for row in desk.all("/api/v1/brokers/")}
        return status == 200 and accounts["alpaca_margin"]["status"] == "active"

    eventually(lists_what_it_trades, "the new account's worker reads it")
    order = place(desk, broker_name="alpaca_margin")
    assert desk.order_in(order["client_order_id"], "filled")["cum_qty"] == "5"
    eventually(lambda: sandbox.admin.listens("alpaca_margin"), "the new account's stream is open")
