"""Orders from HTTP to the broker's acknowledgement, in rounds that alternate with their baselines."""

import statistics
from collections import defaultdict
from dataclasses import dataclass, field

import psycopg

from tests.benchmarks import bare_sdk, load, plain_sql
from tests.benchmarks.deployment import BARE_ACCOUNTS, Deployment
from tests.flows.running_desk import eventually

BURST_CLIENTS = 32
DRAIN_SECONDS = 120
MS = "extract(epoch FROM acknowledged_at - received_at) * 1000"
PATH = f"SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY {MS}) FROM orders WHERE client_order_id LIKE %s"
SPAN = """
    SELECT extract(epoch FROM max(acknowledged_at) - min(received_at)) FROM orders WHERE client_order_id LIKE %s
"""
UNFINISHED = "SELECT count(*) FROM orders WHERE client_order_id LIKE %s AND status <> 'filled'"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much to measure: orders of one client, of eight, and of a burst of many, in each round."""

    rounds: int
    one: int
    eight: int
    burst: int
    warm_up: int


@dataclass
class OrderPath:
    """Measures a running desk; `rounds` are (desk, baseline) by the result's name."""

    desk: Deployment
    sizes: Sizes
    rounds: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    cpu_ms: dict[str, float] = field(default_factory=dict)

    def run(self) -> None:
        """Warm everything up, then measure round by round."""
        with psycopg.connect(self.desk.database_url, autocommit=True) as database:
            self.database = database
            self._send("warm", clients=BURST_CLIENTS, orders=self.sizes.warm_up)
            for number in range(self.sizes.rounds):
                self._path(f"path-{number}", clients=1, orders=self.sizes.one)
                self._path(f"path-{number}", clients=8, orders=self.sizes.eight)
                self._acceptances(f"taken-{number}")
                self._burst(f"burst-{number}")

    def _path(self, prefix: str, *, clients: int, orders: int) -> None:
        """Each client waits until its order is filled before its next, so that no more than theirs are under way."""
        prefix = f"{prefix}-{clients}"
        bare = self._bare(prefix, clients, orders)
        self._send(prefix, clients=clients, orders=orders, paced=True)
        (p50,) = self.database.execute(PATH, [f"{prefix}-%"]).fetchone()
        self.rounds[f"order_path_{clients}"].append((float(p50), statistics.median(bare.calls_ms)))

    def _acceptances(self, prefix: str) -> None:
        """Clients that send as fast as they are answered, while nobody works on what was accepted before.

        So the desk has the machine to itself for this, as the loop by hand has.
        """
        orders = self.sizes.burst
        by_hand = plain_sql.accept(self.desk.spare_url, orders)
        with self.desk.sending_stopped():
            outcome = load.send(self._plan(prefix, BURST_CLIENTS, orders))
        self._wait_until_filled(prefix)
        self.rounds["orders_accepted_32"].append((orders / outcome.seconds, by_hand))

    def _burst(self, prefix: str) -> None:
        """The same while the desk sends and books at once."""
        orders = self.sizes.burst
        bare = self._bare(prefix, BURST_CLIENTS, orders)
        before = self.desk.cpu_seconds()
        outcome = self._send(prefix, clients=BURST_CLIENTS, orders=orders)
        after = self.desk.cpu_seconds()
        self.cpu_ms = {role: 1000 * (after[role] - before[role]) / orders for role in after}
        (span,) = self.database.execute(SPAN, [f"{prefix}-%"]).fetchone()
        accepted, _ = self.rounds["orders_accepted_32"][-1]
        self.rounds["orders_accepted_while_sending_32"].append((orders / outcome.seconds, accepted))
        self.rounds["orders_acknowledged_32"].append((orders / float(span), orders / bare.seconds))

    def _send(self, prefix: str, *, clients: int, orders: int, paced: bool = False) -> load.Outcome:
        """Send orders through the desk, and wait until they are filled and it has nothing left to do."""
        outcome = load.send(self._plan(prefix, clients, orders, paced=paced))
        self._wait_until_filled(prefix)
        return outcome

    def _plan(self, prefix: str, clients: int, orders: int, *, paced: bool = False) -> load.Plan:
        desk = self.desk
        return load.Plan(desk.url, desk.token, desk.database_url, prefix, clients, orders, paced)

    def _wait_until_filled(self, prefix: str) -> None:
        def done() -> bool:
            return self.database.execute(UNFINISHED, [f"{prefix}-%"]).fetchone() == (0,)

        eventually(done, f"the orders {prefix} are filled", DRAIN_SECONDS)

    def _bare(self, prefix: str, clients: int, orders: int) -> bare_sdk.Outcome:
        keys = [self.desk.sandbox.keys(account) for account in BARE_ACCOUNTS]
        return bare_sdk.send(bare_sdk.Plan(self.desk.sandbox.url, keys, f"bare-{prefix}", clients, orders))
