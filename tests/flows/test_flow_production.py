"""The whole arrow as separate processes on PostgreSQL and Redis, with the brokers' worker killed in the middle."""

import os
import signal

import pytest

from tests.brokers.sandbox_records import records
from tests.flows.order_flow import Clients, change_some, mid_prices, orders, surely_taken
from tests.flows.running_desk import RunningDesk, eventually
from tests.flows.settling import compare, settle

pytestmark = [pytest.mark.flow, pytest.mark.server, pytest.mark.slow]

SEED, ORDERS = 20131007, 200
WORKER = "brokers@"


def kill_worker_at(point: str, desk: RunningDesk, sandbox, clients: Clients, bodies: list[dict]) -> str:
    """Send orders, kill the brokers' worker while the venue holds one of them, and see it ask again; that order."""
    held = surely_taken(bodies)
    sandbox.admin.hold(point, operation="new_order", client_order_id=held)
    sending = clients.sending(bodies)
    sandbox.admin.wait_for_held(1, timeout=30)
    os.kill(desk.children(WORKER)[0], signal.SIGKILL)
    eventually(lambda: desk.order(held)["acknowledged_at"], f"the desk finds out about {held}")
    sandbox.admin.release()
    sending.join(120)
    assert not sending.is_alive()
    return held


def test_desk_and_venue_agree_after_the_worker_was_killed_mid_send(
    sandbox, desk_env, own_pg_url, own_redis_url, new_desk
):
    env = desk_env(own_pg_url, own_redis_url, **sandbox.addresses)
    desk = new_desk(env)
    desk.start()
    bodies = list(orders(SEED, ORDERS, mid_prices(sandbox), records(sandbox)))
    clients = Clients(desk)
    clients.send(bodies[:50])
    held = [
        kill_worker_at("request_received", desk, sandbox, clients, bodies[50:100]),
        kill_worker_at("before_answer", desk, sandbox, clients, bodies[100:150]),
    ]
    clients.send(bodies[150:])
    clients.close()
    changed = change_some(desk, clients.of(200, 201))
    settle(desk, sandbox)
    assert desk.stop() == 0
    found = compare(sandbox, env)
    assert found["orders"] == ORDERS
    assert len(clients.of(200, 201)) >= ORDERS * 3 // 4
    assert all(changed.values())
    assert {ord_type for ord_type, _ in found["kinds_acknowledged"]} == {
        "market",
        "limit",
        "stop",
        "stop_limit",
        "trailing_stop",
    }
    assert {tif for _, tif in found["kinds_acknowledged"]} == {"day", "gtc", "ioc", "fok"}
    for name in held:
        at_venue = [raw for record in records(sandbox).values() for raw in record["orders"]]
        assert sum(raw["client_order_id"] == name for raw in at_venue) == 1
    assert "Traceback" not in desk.log
