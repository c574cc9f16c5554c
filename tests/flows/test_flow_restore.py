"""A desk is backed up while it trades, trades on, and is lost with its database; the backup brings it back.

What it did after the backup is known to the brokers alone: nothing of it is lost, and nothing is sent again.
"""

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests import services
from tests.brokers.sandbox_records import records
from tests.environment import ROOT, manage
from tests.flows.order_flow import Clients, change_some, mid_prices, orders
from tests.flows.running_desk import RunningDesk, eventually
from tradingdesk.backup.bundle import read_bundle

pytestmark = [pytest.mark.flow, pytest.mark.slow]

SEED, ORDERS, BEFORE, MEANWHILE = 20131011, 90, 30, 60
COMPARED_S = 100.0
LOOK = "import json; from tests.flows.recovered import told; print('TOLD' + json.dumps(told()))"
OPEN_THERE = {"new", "accepted", "partially_filled", "pending_new", "held", "pending_cancel", "pending_replace"}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def lives(request, tmp_path, desk_env, sandbox) -> Iterator[Callable[[], dict[str, str]]]:
    """Environments of one desk's lives: each has an empty database and data folder, and the same brokers."""
    databases, count = [], 0

    def begin() -> dict[str, str]:
        nonlocal count
        count += 1
        data = tmp_path / f"life-{count}"
        if request.param == "sqlite":
            url = f"sqlite:///{data / 'trading.db'}"
            return desk_env("", "", **sandbox.addresses, DESK_DATA_DIR=str(data), DATABASE_URL=url)
        databases.append(services.fresh_database(request.getfixturevalue("pg_url")))
        redis = services.fresh_redis(request.getfixturevalue("redis_url"))
        return desk_env(databases[-1].__enter__(), redis, **sandbox.addresses, DESK_DATA_DIR=str(data))

    yield begin
    for database in databases:
        database.__exit__(None, None, None)


def back_up_meanwhile(desk: RunningDesk, clients: Clients, bodies: list[dict], folder: Path) -> Path:
    """Back up while clients send orders, and let them end; the backup."""
    sending = clients.sending(bodies)
    manage("backup_desk", "--to", str(folder), env=desk.env)
    sending.join(120)
    assert not sending.is_alive()
    [path] = folder.glob("*.zip")
    return path


def destroy(desk: RunningDesk) -> None:
    """Kill everything and lose the database with all that lay beside it."""
    desk.kill()
    shutil.rmtree(desk.data)


def at_venue(sandbox) -> dict[str, dict[str, Any]]:
    """Every order that the brokers have, by its id there."""
    return {raw["id"]: raw for record in records(sandbox).values() for raw in record["orders"]}


def refusal(env: dict[str, str]) -> str:
    """What the desk says to an order by hand."""
    command = [sys.executable, "manage.py", "place_order", "IBM", "buy", "1", "--broker", "alpaca"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    return done.stdout + done.stderr


def look(env: dict[str, str]) -> dict[str, Any]:
    """What the desk's own database says of itself."""
    said = manage("shell", "-c", LOOK, env=env)
    return json.loads(said.rpartition("TOLD")[2])


def unlike(desk: RunningDesk, sandbox) -> list[str]:
    """What the brokers have open, traded or hold, and the desk has otherwise."""
    there, found = records(sandbox), []
    here = {order["broker_order_id"]: order for order in desk.all("/api/v1/orders/")}
    found += [
        f"{raw['client_order_id']} is {raw['status']} there, {here.get(number, {}).get('status', 'unknown')} here"
        for number, raw in at_venue(sandbox).items()
        if raw["status"] in OPEN_THERE and here.get(number, {}).get("status") not in OPEN_THERE
    ]
    found += [f"{order['client_order_id']} is in doubt" for order in here.values() if order["outcome_unknown"]]
    for name, record in there.items():
        fills = Counter((one["side"], Decimal(one["qty"]), Decimal(one["px"])) for one in record["trades"])
        booked = desk.all(f"/api/v1/executions/?broker_name={name}")
        ours = Counter((one["side"], Decimal(one["last_qty"]), Decimal(one["last_px"])) for one in booked)
        found += [f"{name}: fills {fills - ours} are not here, {ours - fills} not there"] if fills != ours else []
        held = {row["symbol"]: Decimal(row["qty"]) for row in desk.all(f"/api/v1/positions/?broker_name={name}")}
        holds = {symbol: Decimal(qty) for symbol, qty in record["positions"].items() if Decimal(qty)}
        found += [f"{name}: positions {held} here, {holds} there"] if held != holds else []
    return found


def until_alike(desk: RunningDesk, sandbox) -> None:
    """Wait until the desk has what the brokers have."""
    try:
        eventually(lambda: not unlike(desk, sandbox), "the desk has what the brokers have", COMPARED_S)
    except AssertionError:
        raise AssertionError("\n".join(unlike(desk, sandbox))) from None


def assert_sound(env: dict[str, str], backup: Path, events: list[dict[str, Any]]) -> dict[str, Any]:
    """Assert that the books balance, that facts are protected, and that the trail goes on from where it was."""
    told = look(env)
    assert told["discrepancies"] == []
    assert told["missing_triggers"] == []
    kept = read_bundle(backup).manifest.tables["audit_events"]
    was = [[event["id"], event["kind"], event["client_order_id"]] for event in reversed(events)]
    assert told["events"][:kept] == was[:kept]
    assert "desk.restored" in {kind for _, kind, _ in told["events"][kept:]}
    return told


def test_desk_that_was_lost_comes_back_with_nothing_lost_and_nothing_sent_twice(lives, sandbox, new_desk, tmp_path):
    desk = new_desk(lives())
    desk.start()
    bodies = list(orders(SEED, ORDERS, mid_prices(sandbox), records(sandbox)))
    clients = Clients(desk)
    clients.send(bodies[:BEFORE])
    backup = back_up_meanwhile(desk, clients, bodies[BEFORE:MEANWHILE], tmp_path / "backups")
    clients.send(bodies[MEANWHILE:])
    assert all(change_some(desk, clients.of(200, 201)).values())
    clients.close()
    events, credentials = desk.all("/api/v1/audit/events/"), desk.credentials
    sandbox.admin.pause()
    destroy(desk)
    before = at_venue(sandbox)

    env = lives()
    assert "the desk is back" in manage("restore_desk", str(backup), env=env)
    assert "TRADING_HALTED" in refusal(env)
    (Path(env["DESK_DATA_DIR"]) / "credentials.json").write_text(json.dumps(credentials))
    restored = new_desk(env)
    restored.start()
    until_alike(restored, sandbox)
    eventually(lambda: not in_force(restored), "every account was compared", COMPARED_S)

    assert at_venue(sandbox).keys() == before.keys()
    assert unlike(restored, sandbox) == []
    told = assert_sound(env, backup, events)
    lost = [name for name in clients.of(200, 201) if told["sources"].get(name, "external") == "external"]
    assert lost  # orders after the backup are adopted, or ended at the broker without a trade
    resent = next(name for name in lost if name in told["sources"])
    assert restored.call("POST", "/api/v1/orders/", clients.bodies[resent])[0] == 409
    assert_trades_on(restored, sandbox, before, told["epoch"])
    assert restored.stop() == 0
    assert "Traceback" not in restored.log


def in_force(desk: RunningDesk) -> list[dict[str, Any]]:
    """The halts that nobody has cleared."""
    return [halt for halt in desk.all("/api/v1/risk/halts/") if halt["cleared_at"] is None]


def may_trade(desk: RunningDesk, body: dict[str, Any]) -> bool:
    """Whether an order would be taken now."""
    return desk.call("POST", "/api/v1/orders/preview/", body)[1]["allowed"]


def assert_trades_on(desk: RunningDesk, sandbox, before: dict[str, dict[str, Any]], epoch: int) -> None:
    """Assert that new orders are taken and sent once, under ids that nobody has had."""
    sandbox.admin.resume()
    used = {raw["client_order_id"] for raw in before.values()}
    body = {"symbol": "IBM", "side": "buy", "order_qty": "3", "ord_type": "limit", "price": "100.00"}
    accounts = list(records(sandbox))
    for name in accounts:
        asked = body | {"broker_name": name}
        eventually(
            lambda asked=asked: desk.call("POST", "/api/v1/orders/preview/", asked)[1]["allowed"], f"{name} trades"
        )
    made = [desk.call("POST", "/api/v1/orders/", body | {"broker_name": name}) for name in accounts]
    assert [status for status, _ in made] == [201] * len(made), made
    for _, order in made:
        name = order["client_order_id"]
        assert name not in used
        assert epoch > 1
        assert not name.startswith("d1-")
        desk.order_in(name, "new")
        assert desk.call("PATCH", f"/api/v1/orders/{name}/", {"price": "101.00"})[0] == 202
        eventually(lambda name=name: Decimal(desk.order(name)["price"]) == 101, f"{name} is replaced")
    now = Counter(raw["client_order_id"] for raw in at_venue(sandbox).values())
    assert max(count for name, count in now.items() if name) == 1
    assert {order["client_order_id"] for _, order in made} <= set(now)
