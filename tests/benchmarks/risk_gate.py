"""What a decision of the risk gate takes on a large desk, with a short history and a long one.

Both desks are databases of one durable PostgreSQL, measured by turns; the long one is a copy of the short one, with
orders of the past added. `python -m tests.benchmarks.risk_gate --history 300000` measures them alone.
"""

import argparse
import json
import statistics
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests import environment, services
from tests.benchmarks.history import add_history
from tests.benchmarks.results import Result, table

AT_MOST_S = 3600


@dataclass(frozen=True, slots=True)
class GateSizes:
    """How large the desk is, how many orders its history has, and how much to measure."""

    controls: int = 200
    open_orders: int = 1_000
    positions: int = 10_000
    history: int = 10_000_000
    decisions: int = 1_000
    rounds: int = 3


def risk_gate(sizes: GateSizes) -> tuple[dict[str, Result], str]:
    """Measure; the results, and in words how often a decision asks the database."""
    with tempfile.TemporaryDirectory(prefix="desk-bench-") as folder, ExitStack() as stack:
        server = stack.enter_context(services.postgres_server(durable=True))
        short = stack.enter_context(services.fresh_database(server))
        env = environment.desk_env(Path(folder), short)
        environment.manage("migrate", "--verbosity=0", env=env)
        built = f"build_desk({sizes.controls}, {sizes.open_orders}, {sizes.positions})"
        _run(built, env)
        long = stack.enter_context(services.fresh_database(server, template=short.rpartition("/")[2]))
        add_history(long, sizes.history)
        rounds = [(_measure(short, sizes, folder), _measure(long, sizes, folder)) for _ in range(sizes.rounds)]
    n = sizes.decisions * sizes.rounds
    results = {
        "risk_gate": Result.of("ms", [(one["desk"], one["by_hand"]) for one, _ in rounds], n),
        "risk_gate_growth": Result.of("ms", [(long["desk"], short["desk"]) for short, long in rounds], n),
    }
    return results, _words(rounds[-1][-1], statistics.median(long["by_hand"] for _, long in rounds))


def _measure(url: str, sizes: GateSizes, folder: str) -> dict:
    said = _run(f"main({sizes.decisions}, {sizes.positions // 2}, {url!r})", environment.desk_env(Path(folder), url))
    return json.loads(said.rpartition("decided:")[2])


def _run(call: str, env: dict[str, str]) -> str:
    code = f"from tests.benchmarks.deciding import build_desk, main; {call}"
    return environment.manage("shell", "--verbosity=0", "-c", code, env=env, timeout=AT_MOST_S)


def _words(asked: dict, by_hand_ms: float) -> str:
    return (
        f"A decision of the risk gate asks the database {asked['statements']} questions in {asked['round_trips']} "
        f"round trips; the same by hand took {by_hand_ms:.2f} ms with the long history."
    )


if __name__ == "__main__":
    usual = GateSizes()
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.risk_gate", description=__doc__)
    parser.add_argument("--history", type=int, default=usual.history)
    parser.add_argument("--decisions", type=int, default=usual.decisions)
    parser.add_argument("--rounds", type=int, default=usual.rounds)
    given = vars(parser.parse_args())
    results, words = risk_gate(GateSizes(**given))
    print(table(results))
    print(words)
