"""From a trade at the broker to its commit here, over the account's stream, beside a bare client of the same stream.

The sandbox fills one resting order after the other; its own time of the trade is the beginning. The desk's end is when
another connection to its database sees the execution, the bare client's (at an account of its own) when its handler has
the message.
"""

import json
import shutil
import sqlite3
import statistics
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import yaml
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, TimeInForce
from alpaca.trading.requests import LimitOrderRequest

from tests import environment
from tests.benchmarks.deployment import ACCOUNTS, BARE_ACCOUNTS, PLENTY, PRICES, Deployment
from tests.benchmarks.results import Result
from tests.brokers.sandbox_process import SandboxProcess, start_sandbox
from tests.brokers.stream_clients import Heard, trade_updates
from tests.flows.running_desk import RunningDesk, eventually

ACCOUNT = "alpaca"
BARE = BARE_ACCOUNTS[0]  # the desk adopts whatever it finds at its own
_BARE = {"api_key": BARE, "secret_key": "opens-nothing"}
RESTING = {"symbol": "IBM", "side": "buy", "order_qty": "1", "ord_type": "limit", "price": "150.00"}
LOOK_EVERY_S = 0.001
BOOKED = "SELECT transact_time FROM executions WHERE broker_order_id = "
Call = Callable[..., dict[str, Any]]
Ask = Callable[[str], float | None]


class Timed(Heard):
    """What a bare client heard, and how many milliseconds after it happened."""

    def __init__(self) -> None:
        super().__init__()
        self.after_ms: dict[str, float] = {}

    async def take(self, message: Any) -> None:
        """Keep a message, and the delay of a fill by the order's id."""
        now, update = time.time(), message["data"]
        if update["event"] == "fill":
            self.after_ms[update["order"]["id"]] = (now - _seconds(update["timestamp"])) * 1000
        await super().take(message)


def stream_to_booked(desk: Deployment, folder: Path, rounds: int, count: int) -> dict[str, Result]:
    """Measure both databases."""
    return {
        "stream_to_booked_postgresql": on_postgresql(desk, rounds, count),
        "stream_to_booked_sqlite": on_sqlite(folder, rounds, count),
    }


def on_postgresql(desk: Deployment, rounds: int, count: int) -> Result:
    """Measure the desk that runs."""
    with psycopg.connect(desk.database_url, autocommit=True) as database:

        def traded_at(broker_order_id: str) -> float | None:
            row = database.execute(f"{BOOKED}%s", [broker_order_id]).fetchone()
            return row and row[0].timestamp()

        return _measure(desk.sandbox, _client(desk.url, desk.token), traded_at, rounds, count)


def on_sqlite(folder: Path, rounds: int, count: int) -> Result:
    """Measure an embedded desk of its own, beside a sandbox of its own."""
    folder.mkdir()
    with ExitStack() as stack:
        sandbox = stack.enter_context(start_sandbox(folder, speed=0, verbosity=0, accounts={BARE: _BARE}))
        desk = stack.enter_context(_embedded(folder, sandbox))
        database = stack.enter_context(closing(sqlite3.connect(desk.data / "trading.db")))

        def traded_at(broker_order_id: str) -> float | None:
            row = database.execute(f"{BOOKED}?", [broker_order_id]).fetchone()
            return row and _seconds(f"{row[0]}+00:00")

        return _measure(sandbox, _client(desk.url, desk.credentials["token"]), traded_at, rounds, count)


@contextmanager
def _embedded(folder: Path, sandbox: SandboxProcess) -> Iterator[RunningDesk]:
    settings = yaml.safe_load((environment.ROOT / "config" / "desk.yaml").read_text(encoding="utf-8"))
    settings["risk"] |= {"max_quote_age": PLENTY, "max_quote_lag": PLENTY}
    config = folder / "desk.yaml"
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    for symbol, (bid, ask) in PRICES.items():
        sandbox.admin.push_quote(symbol, bid, ask)
    keys = {f"{prefix}_API_KEY": sandbox.keys(name)[0] for name, prefix in ACCOUNTS.items()}
    keys |= {f"{prefix}_SECRET_KEY": sandbox.keys(name)[1] for name, prefix in ACCOUNTS.items()}
    more = {"DESK_CONFIG": str(config), "DESK_LOG_LEVEL": "WARNING", **sandbox.addresses, **keys}
    desk = RunningDesk(folder, environment.desk_env(folder / "data", **more))
    desk.data.mkdir()
    shutil.copy(environment.migrated_sqlite(), desk.data / "trading.db")
    desk.start()
    try:
        wanted = RESTING | {"broker_name": ACCOUNT}
        eventually(lambda: desk.call("POST", "/api/v1/orders/preview/", wanted)[0] == 200, "the account trades")
        yield desk
    finally:
        desk.stop()


def _measure(sandbox: SandboxProcess, call: Call, traded_at: Ask, rounds: int, count: int) -> Result:
    eventually(lambda: sandbox.admin.listens(ACCOUNT), "the desk listens")
    bare = TradingClient(*sandbox.keys(BARE), url_override=sandbox.url)
    with trade_updates(sandbox, BARE, heard=Timed()) as heard:
        _desk_ms(sandbox, call, traded_at)  # a first one that finds nothing ready
        found = [
            [(_desk_ms(sandbox, call, traded_at), _bare_ms(sandbox, bare, heard)) for _ in range(count)]
            for _ in range(rounds)
        ]
    medians = [tuple(statistics.median(side) for side in zip(*one, strict=True)) for one in found]
    return Result.of("ms", medians, rounds * count)


def _desk_ms(sandbox: SandboxProcess, call: Call, traded_at: Ask) -> float:
    """Have the broker fill an order of the desk's; milliseconds until its execution was seen to be committed."""
    name = call(RESTING | {"broker_name": ACCOUNT})["client_order_id"]
    order = eventually(lambda: _working(call(name=name)), f"{name} works")
    sandbox.admin.fill(order["broker_order_id"], 1, 150)
    while (began := traded_at(order["broker_order_id"])) is None:
        time.sleep(LOOK_EVERY_S)
    return (time.time() - began) * 1000


def _bare_ms(sandbox: SandboxProcess, bare: TradingClient, heard: Timed) -> float:
    """The same for an order of the bare client's, until it heard of it."""
    wanted = LimitOrderRequest(symbol="IBM", side=OrderSide.BUY, qty=1, limit_price=150, time_in_force=TimeInForce.DAY)
    order_id = str(bare.submit_order(wanted).id)
    sandbox.admin.fill(order_id, 1, 150)
    return eventually(lambda: heard.after_ms.get(order_id), "the bare client hears the trade")


def _working(order: dict[str, Any]) -> dict[str, Any] | None:
    return order if order["status"] == "new" else None


def _seconds(timestamp: str) -> float:
    """Seconds of the epoch of a moment as text, cut to microseconds."""
    return datetime.fromisoformat(timestamp).timestamp()


def _client(url: str, token: str) -> Call:
    """A client of the API: with a body it places an order, with a name it reads one."""

    def call(body: dict[str, str] | None = None, *, name: str = "") -> dict[str, Any]:
        path, data = (f"{name}/", None) if body is None else ("", json.dumps(body).encode())
        headers = {"Authorization": f"Token {token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{url}/api/v1/orders/{path}", data, headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    return call
