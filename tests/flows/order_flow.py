"""Orders of every kind from a seed, as many clients would send them, and what people do to them afterwards."""

import itertools
import json
import random
import threading
import time
import urllib.request
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from http.client import HTTPException
from typing import Any

from tests.brokers.sandbox_process import SandboxProcess
from tests.flows.running_desk import RunningDesk

SYMBOLS = ("IBM", "BAC")
CLIENTS = 6
# Each kind of order once, as (type, time in force, how it stands to the market, how its size is given).
KINDS = (
    *(("market", tif, "", "whole") for tif in ("day", "gtc", "ioc", "fok")),
    ("market", "day", "", "fraction"),
    ("market", "day", "", "notional"),
    *(("limit", tif, "through", "whole") for tif in ("day", "gtc", "ioc", "fok")),
    *(("limit", tif, "away", "whole") for tif in ("day", "gtc", "ioc", "fok")),
    ("limit", "gtc", "near", "whole"),
    *(("stop", tif, where, "whole") for tif in ("day", "gtc") for where in ("near", "away")),
    *(("stop_limit", tif, where, "whole") for tif in ("day", "gtc") for where in ("near", "away")),
    ("trailing_stop", "day", "near", "whole"),
    ("trailing_stop", "gtc", "away", "whole"),
)
RESTING = {"away", "near"}
DISTANCE = {"through": Decimal("-0.01"), "near": Decimal("0.0004"), "away": Decimal("0.05"), "": Decimal(0)}


def orders(seed: int, count: int, mids: dict[str, Decimal], accounts: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Bodies of orders: each kind again and again, over accounts, symbols and sides."""
    chance = random.Random(seed)
    kinds, names = itertools.cycle(KINDS), itertools.cycle([*accounts, ""])
    for number in range(count):
        ord_type, time_in_force, where, size = next(kinds)
        symbol = chance.choice(SYMBOLS)
        side = chance.choice(("buy", "buy", "buy", "sell"))
        body = {
            "client_order_id": f"flow-{seed}-{number:03d}-{where or 'now'}",
            "symbol": symbol,
            "side": side,
            "ord_type": ord_type,
            "time_in_force": time_in_force,
            "strategy": "flow",
            **_size(size, chance, mids[symbol]),
            **_prices(ord_type, side, DISTANCE[where], mids[symbol]),
        }
        name = next(names)
        yield body | ({"broker_name": name} if name else {})


def surely_taken(bodies: Iterable[dict[str, Any]]) -> str:
    """An order that desk and venue take whatever became of the others; not the very first one.

    A buy at the cash account: it holds nothing short, and an order that crosses zero would be refused.
    """
    sure = {"broker_name": "alpaca", "side": "buy"}
    return [body["client_order_id"] for body in bodies if body.get("price") and body | sure == body][1]


def mid_prices(sandbox: SandboxProcess) -> dict[str, Decimal]:
    """What the venue shows now, between bid and offer."""
    key, secret = sandbox.keys("alpaca")
    headers = {"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret}
    url = f"{sandbox.url}/v2/stocks/quotes/latest?symbols={','.join(SYMBOLS)}"
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
        quotes = json.loads(answer.read(), parse_float=Decimal)["quotes"]
    return {symbol: Decimal(quotes[symbol]["bp"] + quotes[symbol]["ap"]) / 2 for symbol in SYMBOLS}


class Clients:
    """Several clients that send orders side by side, and remember how each was answered."""

    def __init__(self, desk: RunningDesk):
        self.desk = desk
        self.pool = ThreadPoolExecutor(CLIENTS)
        self.answers: dict[str, int] = {}
        self.bodies: dict[str, dict[str, Any]] = {}

    def send(self, bodies: Iterable[dict[str, Any]]) -> None:
        """Send these orders; returns when all are answered."""
        list(self.pool.map(self._send, bodies))

    def sending(self, bodies: Iterable[dict[str, Any]]) -> threading.Thread:
        """Begin to send these orders; join the thread to wait for the answers."""
        thread = threading.Thread(target=self.send, args=(bodies,), daemon=True)
        thread.start()
        return thread

    def close(self) -> None:
        """Send no more."""
        self.pool.shutdown(cancel_futures=True)

    def of(self, *statuses: int) -> list[str]:
        """Ids of the orders that were answered with one of these."""
        return sorted(name for name, status in self.answers.items() if status in statuses)

    def _send(self, body: dict[str, Any]) -> None:
        """Send one order as a careful client does: no answer means the same again."""
        name = body["client_order_id"]
        self.bodies[name] = body
        for _ in range(200):
            try:
                self.answers[name], answer = self.desk.call("POST", "/api/v1/orders/", body)
            except (OSError, HTTPException):
                time.sleep(0.2)
                continue
            assert self.answers[name] in (200, 201, 422), answer
            return
        raise AssertionError(f"{name} was never answered")


def change_some(desk: RunningDesk, names: Iterable[str]) -> dict[str, int]:
    """Cancel every third resting order and replace every other third; how often each was taken."""
    taken = {"cancel": 0, "replace": 0}
    resting = [name for name in names if name.rpartition("-")[2] in RESTING]
    for number, name in enumerate(resting):
        order = desk.order(name)
        if order["status"] not in ("new", "partially_filled") or number % 3 == 2:
            continue
        what = "replace" if number % 3 else "cancel"
        if what == "cancel":
            status, answer = desk.call("DELETE", f"/api/v1/orders/{name}/")
        else:
            status, answer = desk.call("PATCH", f"/api/v1/orders/{name}/", _changed(order))
        assert status in (202, 409, 422), answer
        taken[what] += status == 202
    return taken


def _changed(order: dict[str, Any]) -> dict[str, str]:
    """Other terms for a working order: a price a little nearer where it has one, else one more share."""
    if order["ord_type"] == "limit":
        step = Decimal("0.01") if order["side"] == "buy" else Decimal("-0.01")
        return {"price": str(Decimal(order["price"]) + step)}
    return {"order_qty": str(Decimal(order["order_qty"]) + 1)}


def _size(size: str, chance: random.Random, mid: Decimal) -> dict[str, str]:
    if size == "fraction":
        return {"order_qty": f"{chance.randint(1, 9)}.{chance.randint(1, 999):03d}"}
    if size == "notional":
        return {"notional": str(chance.randint(50, 2000))}
    return {"order_qty": str(chance.randint(1, 40))}


def _prices(ord_type: str, side: str, distance: Decimal, mid: Decimal) -> dict[str, str]:
    """Prices at a distance from the market: a limit rests on the near side of it, a stop on the far side."""
    toward = -1 if side == "buy" else 1
    limit, stop = _cents(mid * (1 + toward * distance)), _cents(mid * (1 - toward * distance))
    if ord_type == "limit":
        return {"price": limit}
    if ord_type == "stop":
        return {"stop_px": stop}
    if ord_type == "stop_limit":
        return {"stop_px": stop, "price": _cents(mid * (1 - toward * (distance + Decimal("0.01"))))}
    if ord_type == "trailing_stop":
        return {"trail_percent": str(max(distance * 100, Decimal("0.05")).normalize())}
    return {}


def _cents(px: Decimal) -> str:
    return str(px.quantize(Decimal("0.01")))
