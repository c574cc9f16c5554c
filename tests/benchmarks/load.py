"""Clients of the desk, in a process of their own that costs little: orders over kept-alive connections.

`python -m tests.benchmarks.load` reads a plan (`Plan`, as JSON) from its input and prints `Outcome` as JSON.
It does without an HTTP library: on two cores the clients take time away from what they measure.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from urllib.parse import urlsplit

import psycopg

from tests.environment import ROOT

WATCH_SECONDS = 0.004
GIVE_UP_SECONDS = 120


@dataclass
class Plan:
    """What to send. With `paced`, a client waits until its order is filled before it sends the next."""

    url: str
    token: str
    database_url: str
    prefix: str
    clients: int
    orders: int
    paced: bool = False


@dataclass
class Outcome:
    """What came of it: answers by status code, and the time from the first request to the last answer."""

    seconds: float
    statuses: dict[str, int] = field(default_factory=dict)


def send(plan: Plan) -> Outcome:
    """Run a plan in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.load"]
    done = subprocess.run(command, input=json.dumps(asdict(plan)), capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"the load generator failed:\n{done.stderr}")
    outcome = Outcome(**json.loads(done.stdout))
    if outcome.statuses.get("201", 0) + outcome.statuses.get("200", 0) != plan.orders:
        raise RuntimeError(f"{plan.prefix}: not every order was accepted: {outcome.statuses}")
    return outcome


async def run(plan: Plan) -> Outcome:
    """Send the plan's orders, each from whichever client is free."""
    numbers = iter(range(plan.orders))
    statuses: Counter[str] = Counter()
    watch = _Watch() if plan.paced else None
    watching = asyncio.create_task(watch.run(plan.database_url)) if watch else None
    connections = [_Connection(plan) for _ in range(plan.clients)]
    await asyncio.gather(*(connection.open() for connection in connections))
    began = time.perf_counter()
    await asyncio.gather(*(_client(plan, connection, numbers, statuses, watch) for connection in connections))
    seconds = time.perf_counter() - began
    if watching:
        watching.cancel()
    return Outcome(seconds, dict(statuses))


async def _client(plan: Plan, connection: "_Connection", numbers, statuses: Counter, watch: "_Watch | None") -> None:
    for number in numbers:
        client_order_id = f"{plan.prefix}-{number}"
        status = await connection.post(_body(client_order_id, number))
        statuses[status] += 1
        if watch and status in ("200", "201"):
            await watch.filled(client_order_id)


def _body(client_order_id: str, number: int) -> bytes:
    symbol = ("IBM", "BAC")[number % 2]
    order = {"client_order_id": client_order_id, "symbol": symbol, "side": "buy", "order_qty": "1"}
    return json.dumps(order).encode()


class _Connection:
    """One client's kept-alive connection; one that the server has closed meanwhile is opened again."""

    def __init__(self, plan: Plan):
        self.address = urlsplit(plan.url)
        self.head = (
            f"POST /api/v1/orders/ HTTP/1.1\r\nHost: {self.address.netloc}\r\nAuthorization: Token {plan.token}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        )

    async def open(self) -> None:
        """Connect."""
        self.reader, self.writer = await asyncio.open_connection(self.address.hostname, self.address.port)

    async def post(self, body: bytes) -> str:
        """Send one order; the status code of the answer. The same order twice is one order, so it may be sent again."""
        try:
            return await self._post(body)
        except (asyncio.IncompleteReadError, ConnectionError):
            await self.open()
            return await self._post(body)

    async def _post(self, body: bytes) -> str:
        self.writer.write(f"{self.head}{len(body)}\r\n\r\n".encode() + body)
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
        await self.reader.readexactly(int(head.partition("content-length:")[2].partition("\r\n")[0]))
        return head.split(" ", 2)[1]


class _Watch:
    """Looks in the database which orders are filled: cheaper than asking the desk for each."""

    def __init__(self):
        self.waiting: dict[str, asyncio.Event] = {}

    async def filled(self, client_order_id: str) -> None:
        """Wait until the order is filled."""
        event = self.waiting[client_order_id] = asyncio.Event()
        await asyncio.wait_for(event.wait(), GIVE_UP_SECONDS)

    async def run(self, database_url: str) -> None:
        """Look again and again, for everyone at once."""
        query = "SELECT client_order_id FROM orders WHERE client_order_id = ANY(%s) AND status = 'filled'"
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
            while True:
                await asyncio.sleep(WATCH_SECONDS)
                if not self.waiting:
                    continue
                cursor = await connection.execute(query, [list(self.waiting)])
                for (client_order_id,) in await cursor.fetchall():
                    self.waiting.pop(client_order_id).set()


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(run(Plan(**json.load(sys.stdin)))))))
