"""A demo trader: a few small orders a minute through the desk's API, as any client would place them."""

import json
import logging
import random
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

log = logging.getLogger(__name__)

SYMBOLS = ("IBM", "BAC")
PAUSE_SECONDS = (6.0, 18.0)
TIMEOUT = 10.0
CENT = Decimal("0.01")
ORD_TYPES = ("market", "market", "limit", "limit", "stop", "trailing_stop")
STRATEGY = "demo"


class DemoTrader(threading.Thread):
    """Trades until told to stop; what the desk refuses is told once and not minded."""

    def __init__(self, url: str, token: str, *, chance: random.Random | None = None):
        super().__init__(name="demo trader", daemon=True)
        self.url, self.token = url, token
        self.chance = chance or random.Random()
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End after the order at hand."""
        self._stopping.set()

    def run(self) -> None:
        """Place an order, wait a little, and again."""
        while not self._stopping.is_set():
            try:
                self.trade()
            except (OSError, ValueError) as error:
                log.warning("demo trader: %s", error)
            self._stopping.wait(self.chance.uniform(*PAUSE_SECONDS))

    def trade(self) -> dict[str, Any]:
        """Place one order; the desk's answer."""
        symbol, side = self.chance.choice(SYMBOLS), self.chance.choice(("buy", "buy", "sell"))
        order = {"symbol": symbol, "side": side, "order_qty": str(self.chance.randint(1, 20)), "strategy": STRATEGY}
        return self._post(order | self._terms(symbol, side))

    def _terms(self, symbol: str, side: str) -> dict[str, str]:
        """A type and its prices around the last trade of ours; market until there is one."""
        px = self._last_px(symbol)
        ord_type = (
            self.chance.choice(("market", "market", "limit", "limit", "stop", "trailing_stop")) if px else "market"
        )
        ahead = 1 if side == "buy" else -1
        if ord_type == "limit":
            return {"ord_type": ord_type, "price": _beside(px, ahead * self.chance.choice((-4, -1, 1)))}
        if ord_type == "stop":
            return {"ord_type": ord_type, "stop_px": _beside(px, ahead * 10)}
        if ord_type == "trailing_stop":
            return {"ord_type": ord_type, "trail_percent": "0.5"}
        return {"ord_type": ord_type}

    def _last_px(self, symbol: str) -> Decimal | None:
        answer = self._call("GET", f"/api/v1/executions/?symbol={symbol}&page_size=1")
        traded = [Decimal(row["last_px"]) for row in answer.get("results", []) if row["symbol"] == symbol]
        return traded[0] if traded else None

    def _post(self, order: Mapping[str, str]) -> dict[str, Any]:
        return self._call("POST", "/api/v1/orders/", order)

    def _call(self, method: str, path: str, body: Mapping[str, str] | None = None) -> dict[str, Any]:
        data = json.dumps(body).encode() if body is not None else None
        headers = {"Authorization": f"Token {self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code != 422:
                raise
            return json.load(error)  # denied: an answer like another


def _beside(px: Decimal, basis_points: int) -> str:
    return str((px * (1 + Decimal(basis_points) / 10_000)).quantize(CENT, ROUND_HALF_UP))
