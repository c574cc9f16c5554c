"""What the harnesses of adapters that trade at the desk's own sandbox have in common."""

from __future__ import annotations

import contextlib
import itertools
import zipfile
from abc import abstractmethod
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from brokers.messages import TryLater
from brokers.sandbox.replay import SAMPLE_DATA
from tests.brokers.sandbox_client import SandboxAdminError
from tests.brokers.sandbox_process import SandboxProcess, start_sandbox
from tests.conformance.harness import Fault, Harness, TakenOrder
from tradingdesk.fix import OrdStatus, OrdType, Side, TimeInForce

DAILY = SAMPLE_DATA / "equity" / "usa" / "daily"
TIMEOUT_S, LATE_S = 0.5, 1.0
SEND_FAULTS = (
    Fault("accepted-then-dropped", True, {"action": "drop", "when": "after"}),
    Fault("dropped-before", False, {"action": "drop", "when": "before"}),
    Fault("answered-too-late", True, {"action": "delay", "when": "after", "seconds": LATE_S}, silent=True),
    Fault("arrives-too-late", True, {"action": "delay", "when": "before", "seconds": LATE_S}, silent=True),
    Fault("429", False, {"action": "error", "when": "before", "status": 429}, TryLater),
    Fault("500-before", False, {"action": "error", "when": "before", "status": 500}),
    Fault("500-after", True, {"action": "error", "when": "after", "status": 500}),
    Fault("504-before", False, {"action": "error", "when": "before", "status": 504}),
    Fault("504-after", True, {"action": "error", "when": "after", "status": 504}),
    Fault("disconnected-before", False, {"action": "disconnect", "when": "before"}),
    Fault("disconnected-after", True, {"action": "disconnect", "when": "after"}),
)
READ_FAULTS = (
    Fault("dropped", False, {"action": "drop", "when": "before"}),
    Fault("too-late", False, {"action": "delay", "when": "before", "seconds": LATE_S}, silent=True),
    Fault("500", False, {"action": "error", "when": "before", "status": 500}),
    Fault("504", False, {"action": "error", "when": "before", "status": 504}),
    Fault("429", False, {"action": "error", "when": "before", "status": 429}, TryLater),
    Fault("disconnected", False, {"action": "disconnect", "when": "before"}),
)
WRITES = {"submit": "new_order", "cancel": "cancel_order", "replace": "replace_order"}
OUR_STATUS = {
    "pending_new": "pending",
    "accepted": "new",
    "calculated": "done_for_day",
    "stopped": "new",
    "held": "new",
}
TERMS = {
    "qty": "order_qty",
    "notional": "notional",
    "limit_price": "price",
    "stop_price": "stop_px",
    "trail_price": "trail_price",
    "trail_percent": "trail_percent",
}
DONE = (OrdStatus.FILLED, OrdStatus.CANCELED, OrdStatus.EXPIRED, OrdStatus.REJECTED, OrdStatus.REPLACED)


class SandboxHarness(Harness):
    """An account of the sandbox. `operations` are the requests that a read makes, by the adapter's method."""

    account: ClassVar[str]
    operations: ClassVar[dict[str, str]]
    events: ClassVar[dict[str, str]]
    stream_faults = ("drop", "duplicate", "delay", "swap", "disconnect", "malformed")
    profile: ClassVar[dict[str, Any]] = {"starting_cash": 1_000_000}

    def __init__(self, sandbox: SandboxProcess):
        self.sandbox = sandbox

    @classmethod
    @contextlib.contextmanager
    def started(cls, folder: Path) -> Iterator[Harness]:
        with start_sandbox(folder, speed=0, accounts={cls.account: cls.profile}) as sandbox:
            yield cls(sandbox)

    @property
    def admin(self):
        """The sandbox's endpoint for tests."""
        return self.sandbox.admin

    @abstractmethod
    def record(self) -> dict[str, Any]:
        """All that the broker knows of the account."""

    def show(self, bid_px: Decimal, ask_px: Decimal) -> None:
        self.admin.push_quote(self.symbol, bid_px, ask_px, 100_000, 100_000)

    def closes(self) -> dict[date, Decimal]:
        """Those of the sample data, from the last weekday in New York before today backwards."""
        with zipfile.ZipFile(DAILY / f"{self.symbol.lower()}.zip") as archive:
            lines = archive.read(archive.namelist()[0]).decode("ascii").split("\n")
        rows = [line.split(",") for line in lines if line]
        today = datetime.now(ZoneInfo("America/New_York")).date()
        days = (today - timedelta(days=back) for back in itertools.count(1))
        weekdays = (day for day in days if day.isoweekday() < 6)
        return {day: Decimal(row[4]) / 10_000 for day, row in zip(weekdays, reversed(rows), strict=False)}

    def open_session(self) -> None:
        self.admin.open_session()

    def close_session(self) -> None:
        self.admin.close_session()

    def taken(self) -> list[TakenOrder]:
        orders = self.record()["orders"]
        by_id = {raw["id"]: raw for raw in orders}
        return [_taken(raw, by_id) for raw in orders if raw.get("type") and not raw["replaces"]]

    def positions(self) -> dict[str, Decimal]:
        return {symbol: Decimal(qty) for symbol, qty in self.record()["positions"].items() if Decimal(qty)}

    def cash(self) -> Decimal:
        return Decimal(self.record()["cash"])

    def arrived(self, method: str) -> int:
        return len(self.admin.requests(WRITES[method], account=self.account))

    def cancel_all(self) -> None:
        for order in self.taken():
            if order.status not in DONE:
                with contextlib.suppress(SandboxAdminError):  # it has just ended by itself
                    self.cancel_by_hand(order.broker_order_id)

    def correct_last_trade(self, px: Decimal) -> None:
        trade = self._last_trade()
        self.admin.correct(trade["exec_id"], trade["qty"], px)

    def bust_last_trade(self) -> None:
        self.admin.bust(self._last_trade()["exec_id"])

    def inject(self, fault: Fault, method: str, *, times: int | None = 1) -> None:
        operation = WRITES.get(method) or self.operations[method]
        self.admin.fault(**fault.order, operation=operation, account=self.account, times=times)

    def spoil(self, fault: str, exec_type: str) -> None:
        more = {"seconds": 0.2} if fault == "delay" else {}
        self.admin.stream_fault(fault, event=self.events[exec_type], account=self.account, **more)

    def cut(self) -> None:
        self.admin.disconnect(self.account)

    def clear(self) -> None:
        self.admin.clear()

    def _last_trade(self) -> dict[str, Any]:
        return self.admin.record(self.account)["trades"][-1]


def _taken(raw: dict[str, Any], by_id: dict[str, dict[str, Any]]) -> TakenOrder:
    first, filled = raw, Decimal(raw["filled_qty"])
    while raw["replaced_by"] and by_id[raw["replaced_by"]]["status"] != "rejected":
        raw = by_id[raw["replaced_by"]]
    given = {ours: Decimal(raw[theirs]) for theirs, ours in TERMS.items() if raw.get(theirs) is not None}
    if raw["type"] == OrdType.TRAILING_STOP:
        given.pop("stop_px", None)  # follows from the market
    return TakenOrder(
        client_order_id=first["client_order_id"],
        broker_order_id=raw["id"],
        status=OrdStatus(OUR_STATUS.get(raw["status"], raw["status"])),
        side=Side(raw["side"]),
        ord_type=OrdType(raw["type"]),
        time_in_force=TimeInForce(raw["time_in_force"]),
        cum_qty=max(Decimal(raw["filled_qty"]), filled),
        terms=given | ({"extended_hours": True} if raw["extended_hours"] else {}),
    )
