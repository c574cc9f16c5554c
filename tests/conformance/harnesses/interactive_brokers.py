"""Interactive Brokers at the sandbox's TWS."""

from __future__ import annotations

import itertools
import socket
from dataclasses import replace
from decimal import Decimal
from typing import Any

from tests.conformance import sandbox
from tests.conformance.harness import Fault
from tradingdesk.fix import Side

# Code 100 names no request: it is silence to a question that has no number.
READ_FAULTS = [replace(fault, silent=fault.silent or fault.name == "429") for fault in sandbox.READ_FAULTS]
NO_END = Fault("no-end", False, {"action": "no_end", "when": "before"}, silent=True)
# The second request changes the order to what it is already.
ARRIVES_TWICE = Fault("arrives-twice", True, {"action": "echo", "when": "after"}, None)


class Harness(sandbox.SandboxHarness):
    """An account at a TWS of its own; every adapter gets a client id that nobody has."""

    name = account = "interactive_brokers"
    no_order_id = "4711"
    send_faults = (*sandbox.SEND_FAULTS, ARRIVES_TWICE)
    read_faults = (*READ_FAULTS, NO_END)
    operations = {
        "find_order": "all_open_orders",
        "read_order": "all_open_orders",
        "open_orders": "all_open_orders",
        "executions": "executions",
        "positions": "positions",
        "account": "account_summary",
        "clock": "current_time",
        "instruments": "contract_details",
        "quotes": "market_data",
        "daily_bars": "historical_data",
    }
    events = {"trade": "execution", "new": "order_status", "canceled": "order_status"}

    def __init__(self, sandbox_process):
        super().__init__(sandbox_process)
        self._client_ids = itertools.count(500)

    @property
    def tws(self):
        """The TWS's side of the sandbox's endpoint."""
        return self.admin.tws(self.account)

    def settings(self, *, impatient: bool = False) -> dict[str, Any]:
        place = {"port": self.sandbox.tws_port(self.account), "account_id": self.sandbox.tws_account_id(self.account)}
        waits = {"request_timeout": sandbox.TIMEOUT_S, "answer_timeout": sandbox.TIMEOUT_S} if impatient else {}
        return place | waits | {"client_id": next(self._client_ids), "paper_trading": True, "symbols": [self.symbol]}

    def wrong_settings(self) -> dict[str, dict[str, Any]]:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            nobody = taken.getsockname()[1]
        return {"another account": {"account_id": "DU7654321"}, "nobody listens": {"port": nobody}}

    def record(self) -> dict[str, Any]:
        return self.tws.record()

    def place_by_hand(self, side: Side, qty: Decimal, price: Decimal) -> str:
        word = "BUY" if side == Side.BUY else "SELL"
        placed = self.tws.place(self.symbol, word, qty, order_type="LMT", lmt_price=price, tif="DAY")
        return str(placed["perm_id"])

    def fill(self, broker_order_id: str, qty: Decimal, px: Decimal) -> None:
        self.tws.fill(int(broker_order_id), qty, px)

    def cancel_by_hand(self, broker_order_id: str) -> None:
        self.tws.cancel(int(broker_order_id))

    def reject(self, broker_order_id: str) -> None:
        order = next(one for one in self.tws.orders() if one["perm_id"] == int(broker_order_id))
        self.admin.act(order["venue_order_id"], "reject")
