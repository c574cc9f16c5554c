"""The counterparty's side of FIX's order state scenarios, played on the sandbox's engine.

Each scenario of the oracle file is driven as written: what comes in is asked of the engine, what the market or the
venue's staff do in it is done to the engine, and after each row that goes out the order stands as the row says.
"""

from __future__ import annotations

import json
import os
from decimal import Decimal
from pathlib import Path

import pytest

from brokers.sandbox.book import Order, Refused
from tests.brokers.sandbox_market import Market
from tradingdesk.fix import OrdStatus

SHARED = Path(os.environ.get("DESK_SHARED", Path(__file__).parents[3] / "shared"))
ORACLE = SHARED / "data" / "oracles" / "fix_order_state_matrices.json"
SCENARIOS = json.loads(ORACLE.read_text(encoding="utf-8"))["scenarios"] if ORACLE.exists() else {}
STATUS = {
    "New": OrdStatus.NEW,
    "PartiallyFilled": OrdStatus.PARTIALLY_FILLED,
    "Filled": OrdStatus.FILLED,
    "DoneForDay": OrdStatus.DONE_FOR_DAY,
    "Canceled": OrdStatus.CANCELED,
    "Rejected": OrdStatus.REJECTED,
    "PendingCancel": OrdStatus.PENDING_CANCEL,
    "PendingReplace": OrdStatus.PENDING_REPLACE,
}
# A venue may refuse where another accepts. Alpaca does not replace a filled order, and takes no possible resends:
# the rows from there on are the desk's matter alone.
ENDS_BEFORE = {"J.1.a": "ReplaceRequest"}


class Counterparty:
    """One scenario in play. `links` maps the client's ids to the engine's orders."""

    def __init__(self) -> None:
        self.market = Market()
        self.market.quote(98, 100, 0, 0)
        self.links: dict[str, Order] = {}
        self.exec_ids: dict[str, str] = {}
        self.refused: list[str] = []
        self.wire: list[dict] = []

    def play(self, rows: list[dict], end: str | None) -> None:
        for row in rows:
            if row["msg"] == end:
                return
            if row["dir"] == "in":
                self.wire.append(row)
                self.read("NewOrder")
            else:
                self.do(row)
                self.check(row)

    def read(self, *messages: str) -> None:
        """Take what is on the wire, if it is one of these; a fill may pass a cancel that is still on its way."""
        while self.wire and self.wire[0]["msg"] in messages:
            row = self.wire.pop(0)
            try:
                getattr(self, f"take_{row['msg']}")(row)
            except Refused as refused:
                self.refused.append(refused.reason)

    def take_NewOrder(self, row: dict) -> None:
        order = self.market.send("buy", row["order_qty"], "limit", price=200, client_order_id=row["clord"])
        self.links[row["clord"]] = order

    def take_CancelRequest(self, row: dict) -> None:
        self.links[row["clord"]] = self.links[row["orig"]]
        self.market.cancel(self.links[row["orig"]])

    def take_ReplaceRequest(self, row: dict) -> None:
        old = self.links[row["orig"]]
        self.links[row["clord"]] = self.market.replace(old, order_qty=row["order_qty"], client_order_id=row["clord"])

    def do(self, row: dict) -> None:
        """Do what makes the venue say this."""
        doing = getattr(self, f"do_{row.get('exec_type', row['msg'])}", None)
        if doing:
            doing(row)

    def do_New(self, row: dict) -> None:
        if self.links[row["clord"]].status is OrdStatus.PENDING:
            self.market.step()

    def do_Trade(self, row: dict) -> None:
        px = Decimal(row.get("last_px", 100))
        order = self.working(row["clord"])
        trade = self.market.engine.force_fill(order, Decimal(row["last_qty"]), px, self.market.tick())
        self.exec_ids[row.get("exec_id", trade.exec_id)] = trade.exec_id

    def do_Canceled(self, row: dict) -> None:
        if row.get("orig"):
            self.market.step()
        else:
            self.market.engine.cancel_unasked(self.links[row["clord"]], self.market.tick())

    def do_Replaced(self, row: dict) -> None:
        self.read("ReplaceRequest")
        self.market.step()

    def do_PendingCancel(self, row: dict) -> None:
        self.read("CancelRequest")

    def do_PendingReplace(self, row: dict) -> None:
        self.read("ReplaceRequest")

    def do_CancelReject(self, row: dict) -> None:
        self.read("CancelRequest", "ReplaceRequest")
        order = self.links[row["orig"]]
        if self.refused:
            assert self.refused.pop() in ("not_replaceable", "not_cancelable")
        else:
            self.market.engine.refuse_cancel(order, self.market.tick())

    def do_DoneForDay(self, row: dict) -> None:
        self.market.engine.pause(self.links[row["clord"]], self.market.tick(), OrdStatus.DONE_FOR_DAY)

    def do_Restated(self, row: dict) -> None:
        self.market.engine.open_session(self.market.tick())

    def do_Rejected(self, row: dict) -> None:
        if row["ord_status"] == "Rejected":
            self.market.engine.reject(self.links[row["clord"]], self.market.tick())
        else:
            assert self.refused.pop() == "duplicate_client_order_id"

    def do_OrderStatus(self, row: dict) -> None:
        assert self.refused.pop() == "duplicate_client_order_id"

    def do_TradeCancel(self, row: dict) -> None:
        bust = self.market.engine.bust(self.exec_ids[row["exec_ref"]], self.market.tick())
        self.exec_ids[row["exec_id"]] = bust.exec_id

    def do_TradeCorrect(self, row: dict) -> None:
        qty, px = Decimal(row["last_qty"]), Decimal(row["last_px"])
        fixed = self.market.engine.correct(self.exec_ids[row["exec_ref"]], qty, px, self.market.tick())
        self.exec_ids[row["exec_id"]] = fixed.exec_id

    def working(self, client_order_id: str) -> Order:
        """The order that carries the fills: while a replacement is pending, the one to be replaced."""
        order = self.links[client_order_id]
        return self.market.engine.orders[order.replaces] if order.status is OrdStatus.PENDING else order

    def check(self, row: dict) -> None:
        order = self.working(row["orig"] if row["msg"] == "CancelReject" else row["clord"])
        assert order.status is STATUS[row["ord_status"]], row
        if row["msg"] == "CancelReject":
            return
        assert (order.order_qty, order.cum_qty) == (row["order_qty"], row["cum_qty"]), row
        if order.is_open and order.status is not OrdStatus.DONE_FOR_DAY:
            assert order.leaves() == row["leaves_qty"], row
        if "avg_px" in row:
            assert order.avg_px == row["avg_px"], row


@pytest.mark.skipif(not SCENARIOS, reason=f"no reference scenarios at {ORACLE}")
@pytest.mark.parametrize("name", SCENARIOS or ["none"])
def test_venue_does_its_duty_in(name):
    counterparty = Counterparty()
    counterparty.play(SCENARIOS[name]["rows"], ENDS_BEFORE.get(name))
    assert counterparty.refused == []


def test_filled_order_is_not_replaced_as_alpaca_does_not():
    market = Market()
    market.quote(99, 100)
    order = market.order("buy", 10)
    with pytest.raises(Refused, match="not_replaceable"):
        market.replace(order, order_qty=12)
