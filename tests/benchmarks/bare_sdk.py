"""The baseline of the order path: unmodified alpaca-py and nothing else, against the same sandbox.

`python -m tests.benchmarks.bare_sdk` reads `Plan` as JSON from its input and prints `Outcome`.
"""

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field

from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, TimeInForce
from alpaca.trading.requests import MarketOrderRequest

from tests.environment import ROOT


@dataclass
class Plan:
    """What to send: each client is a thread with a session of its own. `keys` are of the accounts, used in turn."""

    url: str
    keys: list[tuple[str, str]]
    prefix: str
    clients: int
    orders: int


@dataclass
class Outcome:
    """The time from the first call to the last answer, and each call's own."""

    seconds: float
    calls_ms: list[float] = field(default_factory=list)


def send(plan: Plan) -> Outcome:
    """Run a plan in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.bare_sdk"]
    done = subprocess.run(command, input=json.dumps(asdict(plan)), capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"the bare client failed:\n{done.stderr}")
    return Outcome(**json.loads(done.stdout))


def run(plan: Plan) -> Outcome:
    """Send the plan's orders, each from whichever client is free; connections are made before."""
    sessions = [_session(plan, client) for client in range(plan.clients)]
    numbers = iter(range(plan.orders))
    began = time.perf_counter()
    with ThreadPoolExecutor(plan.clients) as threads:
        calls = list(threads.map(lambda session: _client(plan, session, numbers), sessions))
    return Outcome(time.perf_counter() - began, [one for found in calls for one in found])


def _session(plan: Plan, client: int) -> TradingClient:
    session = TradingClient(*plan.keys[client % len(plan.keys)], url_override=plan.url)
    session.get_clock()
    return session


def _client(plan: Plan, session: TradingClient, numbers) -> list[float]:
    calls = []
    for number in numbers:
        order = MarketOrderRequest(
            symbol=("IBM", "BAC")[number % 2],
            qty=1,
            side=OrderSide.BUY,
            time_in_force=TimeInForce.DAY,
            client_order_id=f"{plan.prefix}-{number}",
        )
        began = time.perf_counter()
        session.submit_order(order)
        calls.append((time.perf_counter() - began) * 1000)
    return calls


if __name__ == "__main__":
    print(json.dumps(asdict(run(Plan(**json.load(sys.stdin))))))
