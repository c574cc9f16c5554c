"""Alpaca at the sandbox's server."""

from __future__ import annotations

import socket
from decimal import Decimal
from typing import Any

from alpaca.trading.client import TradingClient

from tests.conformance import sandbox
from tests.conformance.harness import Fault
from tradingdesk.fix import Side

NO_JSON = Fault("no-json", False, {"action": "error", "when": "before", "status": 200, "body": '{"half": '})
# The second request finds the id taken: the adapter answers with the order that has it.
ARRIVES_TWICE = Fault("arrives-twice", True, {"action": "echo", "when": "after"}, None)


class Harness(sandbox.SandboxHarness):
    """A margin account, so that there is short selling."""

    name = "alpaca"
    account = "alpaca_margin"
    no_order_id = "00000000-0000-4000-8000-000000000001"
    send_faults = (*sandbox.SEND_FAULTS, ARRIVES_TWICE)
    read_faults = (*sandbox.READ_FAULTS, NO_JSON)
    operations = {
        "find_order": "find_order",
        "read_order": "get_order",
        "open_orders": "list_orders",
        "executions": "activities",
        "positions": "positions",
        "account": "account",
        "clock": "clock",
        "instruments": "asset",
        "quotes": "data.latest_quotes",
        "daily_bars": "data.bars",
    }
    events = {"trade": "fill", "new": "new", "canceled": "canceled"}

    def settings(self, *, impatient: bool = False) -> dict[str, Any]:
        api_key, secret_key = self.sandbox.keys(self.account)
        keys = {"api_key": api_key, "secret_key": secret_key, "base_url": self.sandbox.url}
        return keys | ({"read_timeout": sandbox.TIMEOUT_S} if impatient else {})

    def wrong_settings(self) -> dict[str, dict[str, Any]]:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            nobody = f"http://127.0.0.1:{taken.getsockname()[1]}"
        return {"wrong keys": {"secret_key": "not-this-one"}, "nobody listens": {"base_url": nobody}}

    def record(self) -> dict[str, Any]:
        return self.admin.record(self.account)

    def place_by_hand(self, side: Side, qty: Decimal, price: Decimal) -> str:
        client = TradingClient(*self.sandbox.keys(self.account), url_override=self.sandbox.url, raw_data=True)
        body = {"symbol": self.symbol, "side": side, "qty": str(qty), "limit_price": str(price)}
        return client.post("/orders", body | {"type": "limit", "time_in_force": "day"})["id"]

    def fill(self, broker_order_id: str, qty: Decimal, px: Decimal) -> None:
        self.admin.fill(broker_order_id, qty, px)

    def cancel_by_hand(self, broker_order_id: str) -> None:
        self.admin.act(broker_order_id, "cancel")

    def reject(self, broker_order_id: str) -> None:
        self.admin.act(broker_order_id, "reject")
