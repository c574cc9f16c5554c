"""`make bench`: measure, say it, and write `bench-results.json` (CONTRIBUTING says what the names mean)."""

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path

from tests import environment
from tests.benchmarks.deployment import Deployment, deployed
from tests.benchmarks.migration import migration_rows
from tests.benchmarks.order_path import OrderPath, Sizes
from tests.benchmarks.results import Result, table, write
from tests.benchmarks.risk_gate import GateSizes, risk_gate
from tests.benchmarks.stream_latency import stream_to_booked

FULL = Sizes(rounds=3, one=60, eight=300, burst=800, warm_up=600)
QUICK = Sizes(rounds=1, one=5, eight=16, burst=48, warm_up=8)
BOOKINGS = {FULL: 400, QUICK: 20}
STREAMED = {FULL: 60, QUICK: 4}
MIGRATED = {FULL: 50_000, QUICK: 400}  # orders; other tables have a fifth of that
GATE = {
    FULL: GateSizes(),
    QUICK: GateSizes(controls=20, open_orders=20, positions=40, history=400, decisions=20, rounds=1),
}
STAGE_SECONDS = 600


def main() -> None:
    """Run every benchmark."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few orders: shows that it runs, not how fast the desk is")
    parser.add_argument("--history", type=int, help="orders of the past that the risk gate decides beside")
    parser.add_argument("--output", type=Path, default=environment.ROOT / "bench-results.json")
    arguments = parser.parse_args()
    sizes = QUICK if arguments.quick else FULL
    with tempfile.TemporaryDirectory(prefix="desk-bench-") as folder, deployed(Path(folder)) as desk:
        booked = _executions_booked(desk, sizes)
        streamed = stream_to_booked(desk, Path(folder) / "sqlite", sizes.rounds, STREAMED[sizes])
        path = OrderPath(desk, sizes)
        path.run()
    gate = GATE[sizes] if arguments.history is None else replace(GATE[sizes], history=arguments.history)
    of_gate, asked = risk_gate(gate)
    results = {
        **_order_path(path),
        "executions_booked": booked,
        **streamed,
        **of_gate,
        "migration_rows": migration_rows(MIGRATED[sizes]),
    }
    write(results, arguments.output)
    print(table(results))
    print(_where_the_time_goes(path.cpu_ms))
    print(asked)


def _executions_booked(desk: Deployment, sizes: Sizes) -> Result:
    count = BOOKINGS[sizes]
    code = f"from tests.benchmarks.booking import main; main({count}, {sizes.rounds}, {desk.spare_url!r})"
    said = environment.manage("shell", "--verbosity=0", "-c", code, env=desk.spare_env, timeout=STAGE_SECONDS)
    rounds = json.loads(said.rpartition("booked:")[2])
    return Result.of("1/s", rounds, count * sizes.rounds)


def _order_path(path: OrderPath) -> dict[str, Result]:
    sizes = path.sizes
    units = {"order_path_1": ("ms", sizes.one), "order_path_8": ("ms", sizes.eight)}
    bursts = ("orders_accepted_32", "orders_accepted_while_sending_32", "orders_acknowledged_32")
    units |= dict.fromkeys(bursts, ("1/s", sizes.burst))
    return {name: Result.of(unit, path.rounds[name], n * sizes.rounds) for name, (unit, n) in units.items()}


def _where_the_time_goes(cpu_ms: dict[str, float]) -> str:
    parts = [f"{role} {ms:.1f}" for role, ms in sorted(cpu_ms.items(), key=lambda one: -one[1]) if ms >= 0.05]
    total = f"{sum(cpu_ms.values()):.1f} ms of processor time, from HTTP to the fill"
    return f"\nAn order of the last burst took {total}: {', '.join(parts)}"


if __name__ == "__main__":
    main()
