"""The whole arrow in the desk that needs no server, with all of it killed in the middle of a send."""

import pytest

from tests.brokers.sandbox_records import records
from tests.flows.order_flow import Clients, change_some, mid_prices, orders, surely_taken
from tests.flows.running_desk import RunningDesk, eventually
from tests.flows.settling import compare, settle

pytestmark = [pytest.mark.flow, pytest.mark.slow]

SEED, ORDERS = 20131008, 80


def kill_desk_at(point: str, desk: RunningDesk, sandbox, clients: Clients, bodies: list[dict]) -> str:
    """Send orders, kill the whole desk while the venue holds one of them, start it again; that order."""
    held = surely_taken(bodies)
    sandbox.admin.hold(point, operation="new_order", client_order_id=held)
    sending = clients.sending(bodies)
    sandbox.admin.wait_for_held(1, timeout=30)
    desk.kill()
    desk.start()
    eventually(lambda: desk.order(held)["acknowledged_at"], f"the desk finds out about {held}")
    sandbox.admin.release()
    sending.join(120)
    assert not sending.is_alive()
    return held


@pytest.mark.parametrize("point", ["request_received", "before_answer", "after_answer"])
def test_desk_and_venue_agree_after_the_whole_desk_was_killed_mid_send(point, sandbox, migrated_env, new_desk):
    env = migrated_env(**sandbox.addresses)
    desk = new_desk(env)
    desk.start()
    bodies = list(orders(SEED, ORDERS, mid_prices(sandbox), records(sandbox)))
    clients = Clients(desk)
    clients.send(bodies[:20])
    held = kill_desk_at(point, desk, sandbox, clients, bodies[20:60])
    clients.send(bodies[60:])
    clients.close()
    changed = change_some(desk, clients.of(200, 201))
    settle(desk, sandbox)
    assert desk.stop() == 0
    found = compare(sandbox, env)
    assert found["orders"] == ORDERS
    assert len(clients.of(200, 201)) >= ORDERS * 3 // 4
    assert all(changed.values())
    at_venue = [raw for record in records(sandbox).values() for raw in record["orders"]]
    assert sum(raw["client_order_id"] == held for raw in at_venue) == 1
    assert "Traceback" not in desk.log
