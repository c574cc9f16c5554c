"""The life of an order as rules over values: no database, no clock.

An order is a fold over facts. The status has the precedence of FIX 4.4 appendix D, with one
difference that busts demand: `filled` is derived from `cum_qty`, never stored as closed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from brokers.messages import CancelRejected, ExecutionReport
from tradingdesk.fields import MONEY_PLACES, fit
from tradingdesk.fix import ClosedAs, ExecType, OrdStatus, TimeInForce, WorkingAs

CLOSED = frozenset(
    {OrdStatus.FILLED, OrdStatus.CANCELED, OrdStatus.REPLACED, OrdStatus.REJECTED, OrdStatus.EXPIRED, OrdStatus.DENIED}
)
OPEN = frozenset(OrdStatus) - CLOSED
IN_FLIGHT = frozenset({OrdStatus.PENDING})
CANCELLABLE = OPEN - {OrdStatus.PENDING_CANCEL}

_PENDING = frozenset({WorkingAs.PENDING_CANCEL, WorkingAs.PENDING_REPLACE})
_RESTING = frozenset({WorkingAs.DONE_FOR_DAY, WorkingAs.SUSPENDED, WorkingAs.PENDING_APPROVAL})
_LIVE_EXEC_TYPES = frozenset({ExecType.TRADE, ExecType.TRADE_CORRECT})

# What a report says about the broker's book; a trade only says that the order works.
_WORKING_BY_EXEC_TYPE = {
    ExecType.NEW: WorkingAs.NEW,
    ExecType.RESTATED: WorkingAs.NEW,
    ExecType.REPLACED: WorkingAs.NEW,
    ExecType.PENDING_CANCEL: WorkingAs.PENDING_CANCEL,
    ExecType.PENDING_REPLACE: WorkingAs.PENDING_REPLACE,
    ExecType.DONE_FOR_DAY: WorkingAs.DONE_FOR_DAY,
    ExecType.SUSPENDED: WorkingAs.SUSPENDED,
}
_WORKING_BY_STATUS = {
    OrdStatus.NEW: WorkingAs.NEW,
    OrdStatus.PARTIALLY_FILLED: WorkingAs.NEW,
    OrdStatus.FILLED: WorkingAs.NEW,
    OrdStatus.PENDING_CANCEL: WorkingAs.PENDING_CANCEL,
    OrdStatus.PENDING_REPLACE: WorkingAs.PENDING_REPLACE,
    OrdStatus.DONE_FOR_DAY: WorkingAs.DONE_FOR_DAY,
    OrdStatus.SUSPENDED: WorkingAs.SUSPENDED,
}
_CLOSED_BY_EXEC_TYPE = {
    ExecType.CANCELED: ClosedAs.CANCELED,
    ExecType.REJECTED: ClosedAs.REJECTED,
    ExecType.EXPIRED: ClosedAs.EXPIRED,
}
_CLOSED_BY_STATUS = {
    OrdStatus.CANCELED: ClosedAs.CANCELED,
    OrdStatus.REJECTED: ClosedAs.REJECTED,
    OrdStatus.EXPIRED: ClosedAs.EXPIRED,
}


class OrderState(Protocol):
    """What the rules read and move; `orders.models.Order` is one."""

    order_qty: Decimal | None
    cum_qty: Decimal
    time_in_force: str
    working_as: str | None
    working_at: datetime | None
    closed_as: str | None


class Fill(Protocol):
    """What the rules read of a trade, bust or correction; `orders.models.Execution` is one."""

    exec_id: str
    exec_ref_id: str
    exec_type: str
    side: str
    last_qty: Decimal
    last_px: Decimal
    commission: Decimal | None
    order_id: int
    transact_time: datetime


@dataclass(frozen=True, slots=True)
class Trade:
    """A trade as it stands: the figures of the last word on it, under the id and time of the first.

    So a correction changes a trade where it stands among the others, however late it is made.
    `standing_exec_id` is the execution that the figures are from.
    """

    exec_id: str
    transact_time: datetime
    standing_exec_id: str
    side: str
    last_qty: Decimal
    last_px: Decimal
    commission: Decimal | None
    order_id: int


def status_of(order: OrderState) -> OrdStatus:
    """Fold the order's status from how it was closed, how it works, and what has traded."""
    if order.closed_as:
        return OrdStatus(order.closed_as)
    if order.working_as in _PENDING or order.working_as in _RESTING:
        return OrdStatus(order.working_as)
    if order.order_qty is not None and order.cum_qty >= order.order_qty:
        return OrdStatus.FILLED
    if order.cum_qty > 0:
        return OrdStatus.PARTIALLY_FILLED
    return OrdStatus.NEW if order.working_as else OrdStatus.PENDING


def leaves_of(order: OrderState) -> Decimal | None:
    """Units that may still trade: none once closed, or once a day order is done for the day."""
    if order.closed_as or (order.working_as == WorkingAs.DONE_FOR_DAY and order.time_in_force != TimeInForce.GTC):
        return Decimal(0)
    if order.order_qty is None:
        return None
    return max(order.order_qty - order.cum_qty, Decimal(0))


def apply(order: OrderState, fact: ExecutionReport | CancelRejected) -> None:
    """Move how the order works or closed by one fact; what traded is `totals_of`'s business.

    The broker's older word never overwrites its newer one, but that all has traded ends what was
    pending whenever it was said; nothing but a bust (which shows in the totals) opens what is closed.
    """
    working, closed = _meaning_of(fact)
    if isinstance(fact, CancelRejected) and order.working_as in _PENDING:
        working = working or WorkingAs.NEW
    if closed and not order.closed_as:
        order.closed_as = closed
    if fact_is_trade(fact):
        order.working_as = order.working_as or WorkingAs.NEW
    elif working and (_says_that_all_traded(fact, order) or not _is_older(fact, order)):
        order.working_as, order.working_at = working, max(fact.transact_time, order.working_at or fact.transact_time)
    if isinstance(fact, ExecutionReport):
        _learn_quantity(order, fact)


def reservation_of(order) -> tuple[Decimal, Decimal]:
    """What an order still holds of the exposure totals: units, and their worst value in quote currency.

    Nothing once it cannot trade any more; while a replace is on its way, `reserve_total_qty` and
    `reserve_px` are the worse of old and new.
    """
    if status_of(order) in CLOSED or leaves_of(order) == 0:
        return Decimal(0), Decimal(0)
    qty = max(order.reserve_total_qty - order.cum_qty, Decimal(0))
    return qty, fit(qty * order.reserve_px, MONEY_PLACES)


def fact_is_trade(fact: ExecutionReport | CancelRejected) -> bool:
    """Tell whether the fact is a trade, a bust or a correction."""
    return isinstance(fact, ExecutionReport) and fact.exec_type in _LIVE_EXEC_TYPES | {ExecType.TRADE_CANCEL}


def live_trades(fills: Iterable[Fill]) -> list[Trade]:
    """Give the trades that count, oldest first, each as last corrected; none that was busted.

    Executions that name one another are one trade whatever order they came in: a bust of any of
    them ends it, else its latest correction stands.
    """
    trades = [_trade_of(family) for family in _families(list(fills))]
    return sorted((trade for trade in trades if trade is not None), key=chronological)


def totals_of(fills: Iterable[Fill]) -> tuple[Decimal, Decimal | None]:
    """Cumulated quantity and average price of what counts; no price while nothing does."""
    live = live_trades(fills)
    cum_qty = sum((fill.last_qty for fill in live), Decimal(0))
    if cum_qty == 0:
        return Decimal(0), None
    return fit(cum_qty), fit(sum((fill.last_qty * fill.last_px for fill in live), Decimal(0)) / cum_qty)


def chronological(fill: Fill | Trade) -> tuple[datetime, str]:
    """The order in which fills make positions: by the broker's time, then by id, so that arrival does not matter."""
    return fill.transact_time, fill.exec_id


def _meaning_of(fact: ExecutionReport | CancelRejected) -> tuple[WorkingAs | None, ClosedAs | None]:
    by_status = _WORKING_BY_STATUS.get(fact.status)
    if isinstance(fact, CancelRejected):
        # "Rejected" means that the broker knows no such order: not how an order of ours closed.
        return by_status, None if fact.status == OrdStatus.REJECTED else _CLOSED_BY_STATUS.get(fact.status)
    if fact.exec_type == ExecType.ORDER_STATUS:
        return by_status, _CLOSED_BY_STATUS.get(fact.status)
    if fact.exec_type == ExecType.REJECTED and fact.status not in (None, OrdStatus.REJECTED):
        return None, None  # a second order with the same id was refused; the first stands
    working = _WORKING_BY_EXEC_TYPE.get(fact.exec_type)
    if working == WorkingAs.NEW and by_status in _PENDING | _RESTING:
        working = by_status  # confirmed, while another request is still pending
    return working, _CLOSED_BY_EXEC_TYPE.get(fact.exec_type)


def _learn_quantity(order: OrderState, fact: ExecutionReport) -> None:
    """A replace or restatement changes the quantity (never below what traded); a filled notional order gets one."""
    if fact.exec_type in (ExecType.REPLACED, ExecType.RESTATED) and fact.order_qty is not None:
        order.order_qty = max(fact.order_qty, order.cum_qty)
    elif order.order_qty is None and fact.status == OrdStatus.FILLED and fact.cum_qty:
        order.order_qty = fact.cum_qty


def _says_that_all_traded(fact: ExecutionReport | CancelRejected, order: OrderState) -> bool:
    return fact.status == OrdStatus.FILLED and order.order_qty is not None and order.cum_qty >= order.order_qty


def _is_older(fact: ExecutionReport | CancelRejected, order: OrderState) -> bool:
    return order.working_at is not None and fact.transact_time < order.working_at


def _families(fills: list[Fill]) -> list[list[Fill]]:
    """Group executions that name one another, also through one that has not arrived."""
    root: dict[str, str] = {}

    def find(exec_id: str) -> str:
        while root.setdefault(exec_id, exec_id) != exec_id:
            exec_id = root[exec_id]
        return exec_id

    for fill in fills:
        if fill.exec_ref_id:
            root[find(fill.exec_id)] = find(fill.exec_ref_id)
    groups: dict[str, list[Fill]] = {}
    for fill in fills:
        groups.setdefault(find(fill.exec_id), []).append(fill)
    return list(groups.values())


def _trade_of(family: list[Fill]) -> Trade | None:
    if any(fill.exec_type == ExecType.TRADE_CANCEL for fill in family):
        return None
    first, standing = min(family, key=chronological), _standing(family)
    return Trade(
        exec_id=first.exec_id,
        transact_time=first.transact_time,
        standing_exec_id=standing.exec_id,
        side=standing.side,
        last_qty=standing.last_qty,
        last_px=standing.last_px,
        commission=standing.commission,
        order_id=standing.order_id,
    )


def _standing(family: list[Fill]) -> Fill:
    """The correction that no other corrects; where that does not tell, the latest."""
    corrections = [fill for fill in family if fill.exec_type == ExecType.TRADE_CORRECT]
    corrected = {fill.exec_ref_id for fill in corrections}
    last = [fill for fill in corrections if fill.exec_id not in corrected]
    return max(last or corrections or family, key=chronological)
