"""An adapter at its counterparty, and the words that the suite's tests are written in."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from brokers.adapter import BrokerAdapter, Capabilities
from brokers.messages import BarState, CancelOrder, ExecutionReport, NewOrder, OutcomeUnknown, ReplaceOrder, TryLater
from tests.brokers.listeners import KeepingListener
from tests.conformance.harness import Harness, TakenOrder
from tests.waiting import eventually
from tradingdesk.fix import ExecType, OrdStatus, OrdType, Side, TimeInForce

T = TypeVar("T")
NUMBERS = itertools.count(1)
FAR_BELOW, FAR_ABOVE, FARTHER = Decimal(100), Decimal(300), Decimal(301)
RESTING = {"ord_type": OrdType.LIMIT, "time_in_force": TimeInForce.GTC, "price": FAR_BELOW}
ANSWERED_S = 30.0
PRICES: dict[OrdType, dict[str, Decimal]] = {
    OrdType.MARKET: {},
    OrdType.LIMIT: {"price": FAR_BELOW},
    OrdType.STOP: {"stop_px": FAR_ABOVE},
    OrdType.STOP_LIMIT: {"stop_px": FAR_ABOVE, "price": FARTHER},
    OrdType.TRAILING_STOP: {"trail_price": Decimal(20)},
}


def new_order(side: Side = Side.BUY, *, symbol: str, **terms: Any) -> NewOrder:
    """Ten at the market for the day, unless `terms` say otherwise, under an id that nobody has."""
    given = {"ord_type": OrdType.MARKET, "time_in_force": TimeInForce.DAY}
    if "notional" not in terms:
        given["order_qty"] = Decimal(10)
    given["client_order_id"] = name = f"conform-{next(NUMBERS)}"
    legs = [replace(leg, client_order_id=f"{name}-{leg.role}") for leg in terms.pop("legs", ())]
    return NewOrder(side=side, symbol=symbol, legs=tuple(legs), **given | terms)


@dataclass
class Bench:
    """One adapter that is connected; `heard` is what it told."""

    harness: Harness
    adapter: BrokerAdapter
    heard: KeepingListener = field(default_factory=KeepingListener)

    @property
    def claims(self) -> Capabilities:
        """What the adapter says it can do."""
        return self.adapter.capabilities

    def new_order(self, side: Side = Side.BUY, **terms: Any) -> NewOrder:
        """See `new_order`; with what identifies it on the wire."""
        wire_ref = self.answered(self.adapter.next_wire_ref)
        return new_order(**{"side": side, "symbol": self.harness.symbol, "wire_ref": wire_ref} | terms)

    def submit(self, side: Side = Side.BUY, **terms: Any) -> ExecutionReport:
        """Send a new order."""
        return self.adapter.submit(self.new_order(side, **terms))

    def fills(self, qty: int = 10, side: Side = Side.BUY) -> ExecutionReport:
        """Send an order that fills at once, and wait until it has; the order as it stands then."""
        report = self.submit(side, order_qty=Decimal(qty))
        return eventually(lambda: self.stands(report.client_order_id, OrdStatus.FILLED), "the fill")

    def stands(self, client_order_id: str, status: OrdStatus) -> ExecutionReport | None:
        """The order, if it is in this state."""
        found = self.find(client_order_id)
        return found if found is not None and found.status == status else None

    def find(self, client_order_id: str) -> ExecutionReport | None:
        """What the adapter finds under an id, however long it takes to get an answer."""
        return self.answered(lambda: self.adapter.find_order(client_order_id))

    def daily_bars(self, symbols: Iterable[str] = (), *, days: int = 30) -> list[BarState]:
        """Bars of these symbols, or of the harness's, of the last days before today in New York."""
        today = datetime.now(ZoneInfo("America/New_York")).date()
        span = {"start": today - timedelta(days=days), "end": today - timedelta(days=1)}
        return self.adapter.daily_bars(list(symbols) or [self.harness.symbol], **span)

    def answered(self, call: Callable[[], T]) -> T:
        """Ask until there is an answer: what is unknown, or for later, may be asked again."""
        deadline = time.monotonic() + ANSWERED_S
        while True:
            try:
                return call()
            except (OutcomeUnknown, TryLater):
                assert time.monotonic() < deadline, "there was no answer in time"
                time.sleep(0.02)

    def taken(self, client_order_id: str) -> list[TakenOrder]:
        """What the broker has taken under an id."""
        return [order for order in self.harness.taken() if order.client_order_id == client_order_id]

    def the_one_taken(self, client_order_id: str) -> TakenOrder:
        """The broker's order with this id, of which there is exactly one."""
        [order] = self.taken(client_order_id)
        return order

    def hears(self, broker_order_id: str, exec_type: ExecType) -> ExecutionReport:
        """Wait for a fact of an order on the stream."""
        return self.heard.wait_for(broker_order_id, exec_type)


def cancel_of(report: ExecutionReport) -> CancelOrder:
    """The request to cancel an order."""
    return CancelOrder(f"{report.client_order_id}-C", report.client_order_id, report.broker_order_id)


def change_of(report: ExecutionReport, **changes: Any) -> ReplaceOrder:
    """The request to change an order."""
    return ReplaceOrder(f"{report.client_order_id}-R", report.client_order_id, report.broker_order_id, **changes)


@contextmanager
def bench_for(
    harness: Harness,
    adapter_class: type[BrokerAdapter] | None = None,
    *,
    impatient: bool = False,
    listens: bool = True,
) -> Iterator[Bench]:
    """Make an adapter for the time of a block. Of those that listen, a broker may allow one at a time."""
    adapter = (adapter_class or harness.adapter_class())(harness.settings(impatient=impatient))
    bench = Bench(harness, adapter)
    try:
        if listens:
            adapter.start(bench.heard)
        if listens and adapter.capabilities.streaming:
            eventually(lambda: bench.heard.connections, "the stream")
        yield bench
    finally:
        adapter.close()


def assert_well_formed(report: ExecutionReport) -> None:
    """Check what the port promises of every report: types, signs, aware times, the vendor's own payload."""
    assert isinstance(report.exec_type, ExecType)
    assert isinstance(report.broker_order_id, str)
    assert report.broker_order_id
    assert report.transact_time.utcoffset() == timedelta(0)
    for name in ("order_qty", "notional", "price", "stop_px", "cum_qty", "leaves_qty", "avg_px", "last_qty", "last_px"):
        value = getattr(report, name)
        assert value is None or (isinstance(value, Decimal) and value.is_finite() and value >= 0), (name, value)
    assert report.status is None or isinstance(report.status, OrdStatus)
    assert report.side is None or isinstance(report.side, Side)
    is_trade = report.exec_type in (ExecType.TRADE, ExecType.TRADE_CANCEL, ExecType.TRADE_CORRECT)
    assert bool(report.exec_id) == is_trade
    assert report.raw
