"""FIX's order state change matrices, played through the functions that production uses.

The expectations come from the oracle file of the reference data, and from the further scenarios of
the same appendix in `fix_scenarios.py`. What is a counterparty's duty in them is tested on the sandbox.
"""

import json
from decimal import Decimal

import pytest

from orders.changes import parse_changes, request_cancel, request_replace
from orders.intake import submit_order
from orders.models import Order, OrderRequest
from orders.ticket import parse_ticket
from tests import environment
from tests.orders.desk import Counterparty, roomy_desk, sent, submit
from tests.orders.fix_scenarios import MORE_SCENARIOS
from tests.orders.invariants import assert_books_balance
from tradingdesk.errors import Conflict, InvalidInput
from tradingdesk.fix import ExecType, OrdStatus

pytestmark = pytest.mark.django_db

ORACLE = environment.SHARED / "data" / "oracles" / "fix_order_state_matrices.json"
EXEC_TYPES = {
    "PendingNew": ExecType.PENDING_NEW,
    "New": ExecType.NEW,
    "AcceptedForBidding": ExecType.NEW,
    "Stopped": ExecType.NEW,
    "Trade": ExecType.TRADE,
    "PartialFill": ExecType.TRADE,
    "Fill": ExecType.TRADE,
    "TradeCancel": ExecType.TRADE_CANCEL,
    "TradeCorrect": ExecType.TRADE_CORRECT,
    "PendingCancel": ExecType.PENDING_CANCEL,
    "PendingReplace": ExecType.PENDING_REPLACE,
    "Canceled": ExecType.CANCELED,
    "Replaced": ExecType.REPLACED,
    "Replace": ExecType.REPLACED,
    "Rejected": ExecType.REJECTED,
    "Expired": ExecType.EXPIRED,
    "DoneForDay": ExecType.DONE_FOR_DAY,
    "Calculated": ExecType.DONE_FOR_DAY,
    "Suspended": ExecType.SUSPENDED,
    "Restated": ExecType.RESTATED,
    "OrderStatus": ExecType.ORDER_STATUS,
}
STATUSES = {
    "PendingNew": OrdStatus.PENDING,
    "New": OrdStatus.NEW,
    "AcceptedForBidding": OrdStatus.NEW,
    "Stopped": OrdStatus.NEW,
    "PartiallyFilled": OrdStatus.PARTIALLY_FILLED,
    "Filled": OrdStatus.FILLED,
    "PendingCancel": OrdStatus.PENDING_CANCEL,
    "PendingReplace": OrdStatus.PENDING_REPLACE,
    "Canceled": OrdStatus.CANCELED,
    "Rejected": OrdStatus.REJECTED,
    "Expired": OrdStatus.EXPIRED,
    "DoneForDay": OrdStatus.DONE_FOR_DAY,
    "Calculated": OrdStatus.DONE_FOR_DAY,
    "Suspended": OrdStatus.SUSPENDED,
}


def scenarios() -> list:
    """Every scenario there is, by its name in the appendix; a skipped one where the oracle is absent."""
    more = [pytest.param(scenario, id=name) for name, scenario in MORE_SCENARIOS.items()]
    if not ORACLE.is_file():
        skip = pytest.mark.skip(reason=f"no oracle at {ORACLE}; set DESK_SHARED")
        return [pytest.param({}, id="oracle", marks=skip), *more]
    told = json.loads(ORACLE.read_text())["scenarios"]
    return [pytest.param(scenario, id=f"oracle-{name}") for name, scenario in told.items()] + more


class Play:
    """One scenario: the desk asks, the broker tells, and after each report the order is as the matrix says."""

    def __init__(self, scenario: dict, counterparty: type[Counterparty] = Counterparty):
        self.title, self.rows, self.counterparty = scenario["title"], scenario["rows"], counterparty
        self.orders: dict[str, Counterparty] = {}
        self.requests: dict[str, OrderRequest] = {}

    def run(self) -> None:
        for number, row in enumerate(self.rows, 1):
            if row["dir"] == "in":
                self._ask(row)
            else:
                self._tell(row, number)
            assert_books_balance()

    def _ask(self, row: dict) -> None:
        kind = row["msg"]
        if kind == "NewOrder":
            self._submit(row)
        elif kind in ("CancelRequest", "ReplaceRequest"):
            self._change(row)

    def _submit(self, row: dict) -> None:
        if row["clord"] in self.orders:
            self._submit_again(row)
            return
        tif = next((word for word in ("gtc", "ioc", "fok") if word in self.title.lower()), "day")
        order = submit(client_order_id=row["clord"], order_qty=str(row["order_qty"]), price="100", time_in_force=tif)
        sent(order)
        self.orders[row["clord"]] = self.counterparty(order)

    def _submit_again(self, row: dict) -> None:
        """The desk's own duty: the same id and body is the same order, another body is refused."""
        body = {"symbol": "IBM", "side": "buy", "ord_type": "limit", "price": "100", "time_in_force": "day"}
        ticket = parse_ticket(body | {"client_order_id": row["clord"], "order_qty": str(row["order_qty"])})
        first = self.orders[row["clord"]]
        if first.order.order_qty == row["order_qty"]:
            again = submit_order(ticket=ticket, actor="tester")
            assert (again.created, again.order.pk) == (False, first.pk)
        else:
            with pytest.raises(Conflict):
                submit_order(ticket=ticket, actor="tester")

    def _change(self, row: dict) -> None:
        """Ask for a cancel or replace. What the desk itself would not ask now, the broker tells unasked for."""
        broker = self._broker_of(row)
        self.orders[row["clord"]] = broker
        if broker is None:
            return
        try:
            request = self._request(row, broker.order)
        except (Conflict, InvalidInput):
            return
        assert request is not None
        self.requests[row["clord"]] = request

    def _request(self, row: dict, order: Order) -> OrderRequest:
        if row["msg"] == "CancelRequest":
            return request_cancel(order=order, actor="tester")
        other_qty = row["order_qty"] != order.order_qty
        changes = {"order_qty": str(row["order_qty"])} if other_qty else {"price": "101"}
        return request_replace(order=order, changes=parse_changes(changes), actor="tester")

    def _broker_of(self, row: dict) -> Counterparty | None:
        return self.orders.get(row["clord"]) or self.orders.get(row.get("orig"))

    def _tell(self, row: dict, number: int) -> None:
        broker = self._broker_of(row)
        request = self.requests.get(row["clord"])
        if row["msg"] == "CancelReject":
            if broker is None:
                return  # about an order that nobody has: there is no row that it could be told to
            broker.refuse(request, STATUSES[row["ord_status"]], text=row.get("reason", ""))
        else:
            client_order_id = request.client_order_id if request else row["clord"]
            broker.tell(EXEC_TYPES[row["exec_type"]], client_order_id=client_order_id, **self._facts(row, number))
        self._assert_order(broker.order, row, number)

    def _facts(self, row: dict, number: int) -> dict:
        facts = {name: row[name] for name in ("order_qty", "cum_qty") if row.get(name) is not None}
        facts["status"] = STATUSES[row["ord_status"]]
        if EXEC_TYPES[row["exec_type"]] in (ExecType.TRADE, ExecType.TRADE_CANCEL, ExecType.TRADE_CORRECT):
            facts |= {"exec_id": row.get("exec_id", f"e{number}"), "exec_ref_id": row.get("exec_ref")}
            facts |= {"last_qty": row["last_qty"], "last_px": row.get("last_px", 100)}
        return facts

    def _assert_order(self, order: Order, row: dict, number: int) -> None:
        where = f"row {number}: {row}"
        assert order.status == self._expected_status(row), where
        for name in ("order_qty", "cum_qty", "leaves_qty", "avg_px"):
            if row.get(name) is not None:
                assert getattr(order, name) == Decimal(str(row[name])), f"{name}, {where}"

    def _expected_status(self, row: dict) -> OrdStatus:
        if row["ord_status"] in ("Stopped", "AcceptedForBidding") and row.get("cum_qty"):
            return OrdStatus.PARTIALLY_FILLED  # no state of the desk's own: it works, and has traded
        return STATUSES[row.get("ours", row["ord_status"])]


@pytest.mark.parametrize("scenario", scenarios())
def test_order_is_after_each_report_as_the_matrix_says(scenario):
    roomy_desk("alpaca")

    Play(scenario).run()


class Recorder(Counterparty):
    """Keeps what it told."""

    def __init__(self, order: Order):
        super().__init__(order)
        self.told = []

    def hear(self, report):
        self.told.append(report)
        return super().hear(report)


@pytest.mark.parametrize("scenario", scenarios())
def test_every_report_of_a_matrix_again_changes_nothing(scenario):
    roomy_desk("alpaca")
    play = Play(scenario, Recorder)
    play.run()
    before = _end_state()

    for broker in set(filter(None, play.orders.values())):
        for report in list(broker.told):
            broker.hear(report)

    assert _end_state() == before
    assert_books_balance()


def _end_state() -> list:
    names = ("client_order_id", "status", "order_qty", "cum_qty", "avg_px", "working_as", "closed_as", "reserved_qty")
    orders = list(Order.objects.order_by("pk").values_list(*names))
    return orders + list(OrderRequest.objects.order_by("pk").values_list("client_order_id", "state"))
