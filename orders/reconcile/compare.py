"""What differs between the desk and a broker: functions of values, no database, no clock.

"No answer" is never "nothing there": a part of the broker's snapshot that is None yields no difference. What is on
its way (`settled` false, `unsettled` symbols) is left out, and a difference counts only once it was found twice.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from brokers.messages import ExecutionReport, PositionState
from orders.lifecycle import CLOSED
from tradingdesk.fields import plain
from tradingdesk.fix import OrdStatus

Agreed = Mapping[str, str | None] | None
Suspected = Mapping[str, Sequence[str]]


class BreakKind(StrEnum):
    """What kind of difference it is. `_here` and `_there`: at the desk and at the broker."""

    ORDER_UNKNOWN_HERE = "order_unknown_here"
    ORDER_UNKNOWN_THERE = "order_unknown_there"
    STATUS = "status"
    QUANTITY = "quantity"
    FILL_MISSING = "fill_missing"
    FILL_UNKNOWN = "fill_unknown"
    POSITION = "position"
    CASH = "cash"
    TRANSFER_OR_CORPORATE_ACTION = "transfer_or_corporate_action"
    COMMISSION = "commission"


# Reading the broker again mends these; what they do to holdings shows as a break of its own, which does block. A
# commission that was never told makes no order unsafe.
SAFE = frozenset({BreakKind.STATUS, BreakKind.QUANTITY, BreakKind.FILL_MISSING, BreakKind.COMMISSION})
POSITIONS = frozenset({BreakKind.POSITION, BreakKind.TRANSFER_OR_CORPORATE_ACTION})

_ON_ITS_WAY = frozenset({OrdStatus.PENDING, OrdStatus.PENDING_CANCEL, OrdStatus.PENDING_REPLACE})

PROPOSALS = {
    BreakKind.ORDER_UNKNOWN_HERE: "sync the account's instruments so that the order can be adopted, or cancel it there",
    BreakKind.ORDER_UNKNOWN_THERE: "close the order here: the broker answers that it has none",
    BreakKind.STATUS: "read the order again; the desk does so by itself",
    BreakKind.QUANTITY: "read the order again; the desk does so by itself",
    BreakKind.FILL_MISSING: "read the fills again; the desk does so by itself",
    BreakKind.FILL_UNKNOWN: "bust the fill here: the broker does not count it",
    BreakKind.POSITION: "resolve breaks of fills first; then book an adjustment to the broker's quantity",
    BreakKind.CASH: "take the broker's cash as the new starting point",
    BreakKind.TRANSFER_OR_CORPORATE_ACTION: "book an adjustment to the broker's quantity, after a look at its notices",
    BreakKind.COMMISSION: "the broker tells it no more: note it from its statement, then keep the desk's word",
}


@dataclass(frozen=True, slots=True)
class DeskOrder:
    """An order as the desk has it. `settled`: nothing about it is on its way, in doubt, or came while reading.

    `fills` are executions of it that the broker did not list. `cum_under_id` is what traded under its present id, for
    an order that was replaced: brokers count from there, or go on from before.
    """

    broker_order_id: str
    client_order_id: str
    symbol: str
    status: OrdStatus
    order_qty: Decimal | None
    cum_qty: Decimal
    settled: bool = True
    fills: tuple[str, ...] = ()
    cum_under_id: Decimal | None = None

    def traded(self, cum_qty: Decimal) -> bool:
        """Tell whether a broker's cumulative quantity is what traded here."""
        return cum_qty in (self.cum_qty, self.cum_under_id)

    def asks_for(self, order_qty: Decimal) -> bool:
        """Tell whether a broker's order quantity is the order's; nothing to tell while it has none."""
        if self.order_qty is None:
            return True
        under_id = self.cum_qty if self.cum_under_id is None else self.cum_under_id
        return order_qty in (self.order_qty, self.order_qty - self.cum_qty + under_id)


@dataclass(frozen=True, slots=True)
class DeskSnapshot:
    """What the desk knows of one account. `positions` are signed units by desk symbol, without flat ones.

    `cash_expected` is the cash of the last agreement plus what has traded since, None before the first;
    `cash_allowance` is what fees and rounding may make of it. `unsettled` are symbols whose position moved
    while the broker was read, or may. `uncharged` are old trades whose commission was never told: symbols by id.
    """

    orders: tuple[DeskOrder, ...] = ()
    positions: Mapping[str, Decimal] = field(default_factory=dict)
    cash_expected: Decimal | None = None
    cash_allowance: Decimal = Decimal(0)
    unsettled: frozenset[str] = frozenset()
    cash_settled: bool = True
    uncharged: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BrokerSnapshot:
    """What the broker answered; None where it did not.

    `orders` maps ids of the desk's orders to their reports, None where the broker answered that it has no such
    order; an order that is missing was not asked about. `unknown_here` are working orders that could not be adopted.
    """

    orders: Mapping[str, ExecutionReport | None] | None = None
    unknown_here: tuple[ExecutionReport, ...] = ()
    positions: Mapping[str, PositionState] | None = None
    cash: Decimal | None = None

    @property
    def unread(self) -> list[str]:
        """Parts that the broker did not answer for."""
        return [name for name in ("orders", "positions", "cash") if getattr(self, name) is None]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing on which desk and broker do not agree; `key` names it within its kind and account."""

    kind: BreakKind
    key: str
    desk_value: str
    broker_value: str
    symbol: str = ""
    broker_order_id: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What it is known by from run to run."""
        return f"{self.kind}:{self.key}"

    @property
    def signature(self) -> str:
        """How far apart the two are; the same for as long as nothing new has happened."""
        offset = self.detail.get("offset")
        return str(offset) if offset is not None else f"{self.desk_value}|{self.broker_value}"

    @property
    def safe(self) -> bool:
        """Whether reading again mends it, so that it blocks nothing."""
        return self.kind in SAFE


def compare(desk: DeskSnapshot, broker: BrokerSnapshot, *, agreed: Agreed = None) -> list[Difference]:
    """Give every difference, in a stable order.

    `agreed` maps symbols to the quantity on which both last agreed, in plain text (see `agreed_after`); it tells a
    position that moved without trades from one that never agreed.
    """
    found = [
        *_order_differences(desk, broker),
        *_position_differences(desk, broker, agreed),
        *_cash_difference(desk, broker),
        *(Difference(BreakKind.COMMISSION, one, "not told", "", symbol) for one, symbol in desk.uncharged.items()),
    ]
    return sorted(found, key=lambda one: one.name)


def was_compared(desk: DeskSnapshot, broker: BrokerSnapshot, kind: str, key: str) -> bool:
    """Tell whether this comparison had an answer about a thing, so that finding no difference means something."""
    if kind in POSITIONS:
        return broker.positions is not None and key not in desk.unsettled
    if kind == BreakKind.CASH:
        return broker.cash is not None and desk.cash_expected is not None and desk.cash_settled
    if kind == BreakKind.COMMISSION:
        return True
    if broker.orders is None:
        return False
    if kind == BreakKind.ORDER_UNKNOWN_HERE:
        return True
    return key in broker.orders and any(order.broker_order_id == key and order.settled for order in desk.orders)


def suspected_after(
    found: Iterable[Difference], suspected: Suspected, desk: DeskSnapshot, broker: BrokerSnapshot, ended_at: datetime
) -> dict[str, list[str]]:
    """What the next comparison may confirm: what was found, since when, and what nobody had an answer about."""
    kept = {name: entry for name, entry in suspected.items() if not was_compared(desk, broker, *name.split(":", 1))}
    for one in found:
        known = suspected.get(one.name)
        same = known is not None and known[0] == one.signature
        kept[one.name] = [one.signature, known[1] if same else ended_at.isoformat()]
    return kept


def confirmed(found: Iterable[Difference], suspected: Suspected, asked_at: datetime) -> list[Difference]:
    """Those that a comparison which ended before `asked_at` found just so."""
    return [
        one
        for one in found
        if one.name in suspected
        and suspected[one.name][0] == one.signature
        and datetime.fromisoformat(suspected[one.name][1]) <= asked_at
    ]


def agreed_after(desk: DeskSnapshot, broker: BrokerSnapshot, agreed: Agreed) -> dict[str, str | None] | None:
    """The quantities on which both agree now, or did before they fell out.

    A symbol that is not in it was flat at both; None for one on which they never agreed; None for all before the
    first answer.
    """
    if broker.positions is None:
        return agreed if agreed is None else dict(agreed)
    after: dict[str, str | None] = {}
    for symbol in {*desk.positions, *broker.positions, *(agreed or {})}:
        ours, theirs = _quantities(desk, broker, symbol)
        before = None if agreed is None else agreed.get(symbol, "0")
        after[symbol] = plain(ours) if ours == theirs and symbol not in desk.unsettled else before
    return {symbol: qty for symbol, qty in after.items() if qty != "0"}


def _order_differences(desk: DeskSnapshot, broker: BrokerSnapshot) -> Iterable[Difference]:
    if broker.orders is None:
        return
    for report in broker.unknown_here:
        value = f"{report.side or ''} {plain(report.order_qty) or ''} {report.status or ''}".strip()
        yield Difference(
            BreakKind.ORDER_UNKNOWN_HERE, report.broker_order_id, "", value, report.symbol, report.broker_order_id
        )
    for order in desk.orders:
        if not order.settled or order.broker_order_id not in broker.orders:
            continue
        report = broker.orders[order.broker_order_id]
        if report is None:
            if order.status not in CLOSED:
                yield _of(order, BreakKind.ORDER_UNKNOWN_THERE, order.status, "no such order")
            continue
        difference = _order_difference(order, report)
        if difference is not None:
            yield difference


def _order_difference(order: DeskOrder, report: ExecutionReport) -> Difference | None:
    """The most telling difference of one order: what traded, then its size, then its state."""
    if report.cum_qty is not None and not order.traded(report.cum_qty):
        kind = BreakKind.FILL_MISSING if report.cum_qty > order.cum_qty else BreakKind.FILL_UNKNOWN
        offset = plain(report.cum_qty - order.cum_qty)
        return _of(
            order, kind, plain(order.cum_qty), plain(report.cum_qty), offset=offset, exec_ids=sorted(order.fills)
        )
    if report.order_qty is not None and not order.asks_for(report.order_qty):
        return _of(order, BreakKind.QUANTITY, plain(order.order_qty), plain(report.order_qty))
    if report.status is None or report.status in _ON_ITS_WAY or order.status in _ON_ITS_WAY:
        return None
    if report.status != order.status:
        return _of(order, BreakKind.STATUS, order.status, report.status)
    return None


def _of(order: DeskOrder, kind: BreakKind, desk_value: str, broker_value: str, **detail: Any) -> Difference:
    detail = {"client_order_id": order.client_order_id, **detail}
    return Difference(
        kind,
        order.broker_order_id,
        str(desk_value),
        str(broker_value),
        order.symbol,
        order.broker_order_id,
        detail,
    )


def _quantities(desk: DeskSnapshot, broker: BrokerSnapshot, symbol: str) -> tuple[Decimal, Decimal]:
    theirs = broker.positions.get(symbol)
    return desk.positions.get(symbol, Decimal(0)), theirs.qty if theirs else Decimal(0)


def _position_differences(desk: DeskSnapshot, broker: BrokerSnapshot, agreed: Agreed) -> Iterable[Difference]:
    if broker.positions is None:
        return
    for symbol in {*desk.positions, *broker.positions} - desk.unsettled:
        ours, theirs = _quantities(desk, broker, symbol)
        if ours == theirs:
            continue
        detail = {"offset": plain(theirs - ours)}
        if symbol in broker.positions:
            detail["avg_px"] = plain(broker.positions[symbol].avg_px)
        kind = _position_kind(symbol, ours, agreed)
        yield Difference(kind, symbol, plain(ours), plain(theirs), symbol, detail=detail)


def _position_kind(symbol: str, ours: Decimal, agreed: Agreed) -> BreakKind:
    """A transfer or corporate action moves the broker's side of what agreed, and no trade the desk's."""
    before = None if agreed is None else agreed.get(symbol, "0")
    moved_alone = before is not None and Decimal(before) == ours
    return BreakKind.TRANSFER_OR_CORPORATE_ACTION if moved_alone else BreakKind.POSITION


def _cash_difference(desk: DeskSnapshot, broker: BrokerSnapshot) -> Iterable[Difference]:
    if broker.cash is None or desk.cash_expected is None or not desk.cash_settled:
        return
    offset = broker.cash - desk.cash_expected
    if abs(offset) > desk.cash_allowance:
        detail = {"offset": plain(offset), "allowance": plain(desk.cash_allowance)}
        yield Difference(BreakKind.CASH, "cash", plain(desk.cash_expected), plain(broker.cash), detail=detail)
