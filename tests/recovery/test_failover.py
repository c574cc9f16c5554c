"""The primary is lost: what was committed is on its synchronous standby, and the desk trades on there by itself."""

import threading
from collections import Counter
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.brokers.sandbox_process import SandboxProcess, start_sandbox
from tests.brokers.sandbox_records import records
from tests.environment import desk_env, manage
from tests.flows.conftest import new_desk  # noqa: F401
from tests.flows.running_desk import RunningDesk, eventually
from tests.recovery.cluster import PRIMARY, Cluster, Server, cluster, wait_for

pytestmark = [pytest.mark.flow, pytest.mark.server, pytest.mark.slow]

NAMES = "FIRST 1 (desk_standby)"
ONE_THAT_WRITES = {"target_session_attrs": "read-write", "connect_timeout": "3"}
FOLLOWS = "SELECT sync_state FROM pg_stat_replication WHERE application_name = 'desk_standby'"
BEFORE, ACROSS = 12, 24
RESTING = {"symbol": "IBM", "side": "buy", "order_qty": "1", "ord_type": "limit", "price": "100.00"}


@pytest.fixture
def servers() -> Iterator[Cluster]:
    with cluster() as made:
        yield made


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[SandboxProcess]:
    with start_sandbox(tmp_path) as running:
        yield running


def pair(servers: Cluster) -> tuple[Server, Server]:
    """A primary, and a standby that follows it synchronously over a slot, as docs/recovery.md says."""
    primary = servers.primary()
    url = servers.url(primary)
    primary.execute(url, "CREATE DATABASE desk")
    standby = servers.copied(primary, "standby", "--wal-method=stream", "--write-recovery-conf", "-C", "--slot=desk")
    place = f"host=127.0.0.1 port={primary.port} user=desk password={servers.password}"
    follows = {"primary_conninfo": f"{place} application_name=desk_standby", "primary_slot_name": "desk"}
    servers.start(standby, PRIMARY | follows)
    primary.execute(url, f"ALTER SYSTEM SET synchronous_standby_names = '{NAMES}'")
    primary.execute(url, "SELECT pg_reload_conf()")
    wait_for(lambda: primary.execute(url, FOLLOWS) == [("sync",)], "the standby follows synchronously")
    return primary, standby


class Client(threading.Thread):
    """Places orders one after the other, each until it is taken, and notes when it was told so."""

    def __init__(self, desk: RunningDesk, names: list[str]):
        super().__init__(daemon=True)
        self.desk, self.names, self.taken = desk, names, []

    def run(self) -> None:
        for name in self.names:
            eventually(lambda name=name: self._is_taken(name), f"{name} is taken", 120)
            self.taken.append(name)

    def _is_taken(self, name: str) -> bool:
        account = ("alpaca", "alpaca_margin")[len(self.taken) % 2]
        body = RESTING | {"client_order_id": name, "broker_name": account, "time_in_force": "gtc"}
        try:
            return self.desk.call("POST", "/api/v1/orders/", body)[0] in (200, 201)
        except (OSError, HTTPException, ValueError):
            return False


def test_what_was_committed_survives_the_primary_and_the_desk_trades_on(
    servers,
    sandbox,
    own_redis_url,
    tmp_path,
    new_desk,  # noqa: F811
):
    primary, standby = pair(servers)
    both = servers.url(primary, standby, database="desk", **ONE_THAT_WRITES)
    desk = new_desk(desk_env(tmp_path / "data", both, own_redis_url, **sandbox.addresses))
    desk.start()
    eventually(lambda: desk.call("POST", "/api/v1/orders/preview/", RESTING)[1].get("allowed"), "the desk trades")
    client = Client(desk, [f"order-{number}" for number in range(BEFORE + ACROSS)])
    client.start()
    eventually(lambda: len(client.taken) >= BEFORE, "orders flow")

    primary.kill()
    told = list(client.taken)
    standby.execute(servers.url(standby), "SELECT pg_promote()")
    alone = servers.url(standby, database="desk")
    here = {name for (name,) in standby.execute(alone, "SELECT client_order_id FROM orders")}
    assert set(told) <= here

    client.join(240)
    assert client.taken == client.names
    assert desk.process.poll() is None
    for name in client.names:
        desk.order_in(name, "new", within=120)
    there = Counter(raw["client_order_id"] for record in records(sandbox).values() for raw in record["orders"])
    assert there == Counter(client.names)
    assert desk.stop() == 0
    said = manage("shell", "-c", "from tests.flows.recovered import told; print(told()['discrepancies'])", env=desk.env)
    assert said.strip().endswith("[]")
