"""A desk's side for tests of the Interactive Brokers adapter: an adapter at a scripted TWS, and short messages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from brokers.adapters.interactive_brokers.adapter import Adapter
from brokers.messages import CancelOrder, ExecutionReport, NewOrder, ReplaceOrder
from tradingdesk.fix import ExecType, OrdType, Side, TimeInForce

from . import tws_messages as tws
from .scripted_tws import Line, Recorder, ScriptedTws, scripted_tws

ACCOUNT = "DU1234567"
PERM_ID = 1426086047


@dataclass
class Desk:
    """An adapter, the TWS it talks to, and what it has told."""

    adapter: Adapter
    tws: ScriptedTws
    heard: Recorder

    def told(self) -> list[tuple[str, str]]:
        """The exec types that were told, with the order's label."""
        return [(str(fact.exec_type), fact.client_order_id) for fact in self.heard.facts]

    def wait_for(self, exec_type: ExecType) -> ExecutionReport:
        """Wait until such a fact is told; the last of them."""
        self.heard.wait_until(lambda: any(fact.exec_type == exec_type for fact in self.heard.facts))
        return [fact for fact in self.heard.facts if fact.exec_type == exec_type][-1]

    def submit(self, client_order_id: str = "c-1", **terms: Any) -> ExecutionReport:
        """Send an order as the desk does: an id first, then the order."""
        wire_ref = self.adapter.next_wire_ref()
        return self.adapter.submit(limit_order(client_order_id, wire_ref=wire_ref, **terms))


@contextmanager
def desk(*, start: bool = True, settings: dict | None = None, **options: Any) -> Iterator[Desk]:
    """Connect an adapter to a TWS that acknowledges orders and has nothing else."""
    with scripted_tws(**options) as server:
        server.next_id = 7
        has_nothing(server)
        server.on(tws.PLACE_ORDER, acknowledge)
        with connected(server, start=start, **settings or {}) as made:
            yield made


@contextmanager
def connected(server: ScriptedTws, *, start: bool = True, **settings: Any) -> Iterator[Desk]:
    """Connect an adapter to this TWS."""
    values = {
        "client_id": 1,
        "account_id": ACCOUNT,
        "paper_trading": True,
        "request_timeout": 2.0,
        "answer_timeout": 1.0,
    }
    adapter, heard = Adapter(values | {"port": server.port, "commission_wait": 0.3} | settings), Recorder()
    try:
        if start:
            adapter.start(heard)
            heard.wait_until(lambda: heard.connections)
        yield Desk(adapter, server, heard)
    finally:
        adapter.close()


def has_nothing(server: ScriptedTws) -> None:
    """Answer every question completely, with nothing."""
    server.on(tws.ALL_OPEN_ORDERS, lambda line, _: line.send(tws.open_order_end()))
    server.on(tws.COMPLETED_ORDERS, lambda line, _: line.send(tws.completed_orders_end()))
    server.on(tws.EXECUTIONS, lambda line, fields: line.send(tws.executions_end(fields[2])))


def acknowledge(line: Line, fields: list[str]) -> None:
    """Take an order, as a Gateway does at once."""
    echo(line, fields, "PreSubmitted")
    echo(line, fields, "Submitted")


def echo(line: Line, fields: list[str], status: str, **values: Any) -> None:
    """Send a placed order back with a status."""
    order = tws.placed(fields)
    names = ("symbol", "action", "quantity", "order_type", "lmt_price", "aux_price", "tif", "account", "order_ref")
    perm_id = PERM_ID + int(order["order_id"])
    line.send(tws.open_order(order["order_id"], perm_id=perm_id, status=status, client_id=line.client_id,
                             **{name: order[name] for name in names}))  # fmt: skip
    defaults = {"remaining": order["quantity"], "client_id": line.client_id}
    line.send(tws.order_status(order["order_id"], status, perm_id=perm_id, **defaults | values))


def limit_order(client_order_id: str = "c-1", **terms: Any) -> NewOrder:
    given = {
        "symbol": "AAPL",
        "side": Side.BUY,
        "ord_type": OrdType.LIMIT,
        "time_in_force": TimeInForce.DAY,
        "order_qty": Decimal(10),
        "price": Decimal("13.27"),
    }
    return NewOrder(client_order_id=client_order_id, **given | terms)


def cancel(broker_order_id: str) -> CancelOrder:
    return CancelOrder("x-1", "c-1", broker_order_id)


def replacement(broker_order_id: str, **changes: Any) -> ReplaceOrder:
    return ReplaceOrder("r-1", "c-1", broker_order_id, **changes)
