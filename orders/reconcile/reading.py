"""Reading an account at its broker and here for one comparison, and mending on the way what is safe to mend.

The broker's positions and cash are read between two readings of its fills: what traded meanwhile is left to the
next comparison.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from brokers.gateway import Gateway, gateway_for
from brokers.messages import AccountState, BrokerError, ExecutionReport, PositionState
from brokers.models import BrokerAccount, Listing
from orders import lifecycle, sync
from orders.lookup import find_order
from orders.models import Execution, Order, OrderRequest, Position, ReconciliationBreak, ReconciliationMemory
from orders.moving import lock_book
from orders.reconcile.cash import Traded, traded_since
from orders.reconcile.commissions import uncharged
from orders.reconcile.compare import BrokerSnapshot, DeskOrder, DeskSnapshot
from tradingdesk.fix import OrdStatus, RequestKind, RequestState

Answer = TypeVar("Answer")

log = logging.getLogger(__name__)

FILLS_AT_LEAST = timedelta(minutes=10)
FILLS_AT_MOST = timedelta(hours=24)
OVERLAP = timedelta(minutes=5)
ORDERS_READ_AT_MOST = 50

_MAYBE_TAKEN = (RequestState.SENDING, RequestState.UNKNOWN)


@dataclass(slots=True)
class Reading:
    """Both sides of one comparison, and what was mended on the way."""

    started_at: datetime
    desk: DeskSnapshot = field(default_factory=DeskSnapshot)
    broker: BrokerSnapshot = field(default_factory=BrokerSnapshot)
    fills_repaired: int = 0
    orders_adopted: int = 0
    executions_through: int = 0


@dataclass(slots=True)
class _Orders:
    """What the broker said of orders; `unlisted` are executions of ours that it did not list, by order."""

    reports: dict[str, ExecutionReport | None] = field(default_factory=dict)
    unknown_here: list[ExecutionReport] = field(default_factory=list)
    unlisted: dict[str, list[str]] = field(default_factory=dict)


def read_both(account: BrokerAccount, memory: ReconciliationMemory) -> Reading:
    """Read desk and broker, applying missed fills and reports and adopting orders; no transaction stays open.

    What the broker does not answer for is None in the snapshot; without its fills nothing can be compared.
    """
    reading = Reading(started_at=timezone.now())
    try:
        gateway = gateway_for(account)
        reading.fills_repaired = sync.sync_executions(account)
        through = _executions_through(account)
        positions = _answer(account, "positions", gateway.positions)
        figures = _answer(account, "account", gateway.account)
        orders = _answer(account, "orders", lambda: _read_orders(account, gateway, memory, reading))
        reading.fills_repaired += sync.sync_executions(account)
    except BrokerError as error:
        log.warning("%s: nothing can be compared: %s", account.broker_name, error.text)
        return reading
    reading.orders_adopted = _adopted(account, reading)
    reading.broker = _broker_snapshot(account, orders, positions, figures)
    _read_desk(account, memory, reading, orders or _Orders(), through, figures)
    return reading


def _answer(account: BrokerAccount, what: str, ask: Callable[[], Answer]) -> Answer | None:
    try:
        return ask()
    except BrokerError as error:
        log.warning("%s: %s cannot be compared: %s", account.broker_name, what, error.text)
        return None


def _read_orders(account: BrokerAccount, gateway: Gateway, memory: ReconciliationMemory, reading: Reading) -> _Orders:
    """Ask for working orders, and one by one for those of ours that are not among them or seem to differ."""
    answer = _Orders(unlisted=_unlisted_fills(account, gateway, memory, reading))
    for report in gateway.open_orders():
        sync.apply_any(account, gateway, report)
        answer.reports[report.broker_order_id] = report
        if not _is_known(account, report):
            answer.unknown_here.append(report)
    for broker_order_id in _ids_to_ask(account, reading, answer)[:ORDERS_READ_AT_MOST]:
        report = gateway.read_order(broker_order_id)
        answer.reports[broker_order_id] = report
        if report is not None:
            sync.apply_any(account, gateway, report)
    return answer


def _unlisted_fills(
    account: BrokerAccount, gateway: Gateway, memory: ReconciliationMemory, reading: Reading
) -> dict[str, list[str]]:
    """Read the fills of the last while; apply those we lack, and give ours that the broker does not list.

    A fill is known by its id, or by its order and the broker's cumulated quantity after it.
    """
    since = _fills_since(memory, reading.started_at)
    listed = gateway.executions(after=since)
    theirs = {report.exec_id for report in listed} | {(r.broker_order_id, r.cum_qty) for r in listed if r.cum_qty}
    recent = Execution.objects.filter(account=account, transact_time__gte=since, received_at__lt=reading.started_at)
    ours = list(recent.exclude(order__source=Order.Source.ADJUSTMENT).defer("raw", "text"))
    known = {fill.exec_id for fill in ours} | {(f.broker_order_id, f.cum_qty) for f in ours if f.cum_qty}
    for report in listed:
        if report.exec_id not in known and (report.broker_order_id, report.cum_qty) not in known:
            reading.fills_repaired += sync.apply_any(account, gateway, report)
    figures = {fill.exec_id: (fill.broker_order_id, fill.cum_qty) for fill in ours}
    unlisted: dict[str, list[str]] = {}
    for trade in lifecycle.live_trades(ours):
        names = {trade.exec_id, trade.standing_exec_id}
        if not theirs & (names | {figures.get(name) for name in names}):
            unlisted.setdefault(figures[trade.standing_exec_id][0], []).append(trade.standing_exec_id)
    return unlisted


def _fills_since(memory: ReconciliationMemory, now: datetime) -> datetime:
    last = memory.complete_at or now - FILLS_AT_MOST
    return max(min(last - OVERLAP, now - FILLS_AT_LEAST), now - FILLS_AT_MOST)


def _is_known(account: BrokerAccount, report: ExecutionReport) -> bool:
    try:
        find_order(account, report)
    except Order.DoesNotExist:
        return False
    return True


def _ids_to_ask(account: BrokerAccount, reading: Reading, answer: _Orders) -> list[str]:
    """Broker ids of our working orders that were not listed, of orders with open breaks, and of suspicious fills."""
    ours = Order.objects.open().filter(account=account, acknowledged_at__lt=reading.started_at)
    broken = ReconciliationBreak.objects.filter(account=account, state="open", order__isnull=False)
    ids = [
        *broken.values_list("order__broker_order_id", flat=True),
        *answer.unlisted,
        *ours.exclude(broker_order_id=None).order_by("id").values_list("broker_order_id", flat=True),
    ]
    return [one for one in dict.fromkeys(ids) if one and one not in answer.reports]


def _broker_snapshot(
    account: BrokerAccount,
    orders: _Orders | None,
    positions: list[PositionState] | None,
    figures: AccountState | None,
) -> BrokerSnapshot:
    return BrokerSnapshot(
        orders=None if orders is None else orders.reports,
        unknown_here=() if orders is None else tuple(orders.unknown_here),
        positions=None if positions is None else _by_desk_symbol(account, positions),
        cash=None if figures is None else figures.cash,
    )


def _by_desk_symbol(account: BrokerAccount, positions: list[PositionState]) -> dict[str, PositionState]:
    """Key positions by the desk's symbols; what the account does not list keeps the broker's."""
    listings = Listing.objects.filter(account=account, broker_symbol__in=[held.symbol for held in positions])
    symbols = dict(listings.values_list("broker_symbol", "instrument__symbol"))
    return {symbols.get(held.symbol, held.symbol): held for held in positions if held.qty}


def _read_desk(
    account: BrokerAccount,
    memory: ReconciliationMemory,
    reading: Reading,
    orders: _Orders,
    through: int,
    figures: AccountState | None,
) -> None:
    """Read the desk's side under the account's lock, so that no execution is half seen."""
    with transaction.atomic():
        reading.executions_through = _executions_through(account)
        positions = dict(Position.objects.filter(account=account, closed_at=None).values_list("symbol", "qty"))
        moved = list(Execution.objects.filter(account=account, pk__gt=through).values_list("symbol", "order_id"))
        desk_orders = _desk_orders(account, reading, orders, {order_pk for _, order_pk in moved})
    known = memory.cash is not None
    traded = traded_since(account, memory.executions_through, reading.executions_through) if known else Traded()
    equity = figures.equity if figures else account.equity
    reading.desk = DeskSnapshot(
        orders=tuple(desk_orders),
        positions=positions,
        cash_expected=memory.cash + traded.cash if known else None,
        cash_allowance=traded.allowance(equity),
        unsettled=frozenset({symbol for symbol, _ in moved} | _symbols_in_doubt(account)),
        cash_settled=not moved,
        uncharged=uncharged(account, reading.started_at),
    )


def _executions_through(account: BrokerAccount) -> int:
    """The last execution's key. Executions are written under the lock of the book, so none below it is on its way."""
    with transaction.atomic():
        lock_book(account=account.pk)
        return Execution.objects.filter(account=account).aggregate(last=Max("pk"))["last"] or 0


def _desk_orders(account: BrokerAccount, reading: Reading, orders: _Orders, moved: set[int]) -> Iterable[DeskOrder]:
    """Our side of the orders that the broker was asked about."""
    asked = Order.objects.filter(account=account, broker_order_id__in=list(orders.reports))
    waiting = OrderRequest.objects.unanswered().filter(order__in=asked)
    in_doubt = moved | set(waiting.values_list("order_id", flat=True))
    replaced = asked.filter(requests__kind=RequestKind.REPLACE, requests__state=RequestState.ACCEPTED)
    under_id = {order.pk: _cum_under_id(order) for order in replaced.distinct()}
    for order in asked:
        yield DeskOrder(
            broker_order_id=order.broker_order_id,
            client_order_id=order.client_order_id,
            symbol=order.symbol,
            status=OrdStatus(order.status),
            order_qty=order.order_qty,
            cum_qty=order.cum_qty,
            settled=order.pk not in in_doubt and not _came_meanwhile(order, reading.started_at),
            fills=tuple(orders.unlisted.get(order.broker_order_id, ())),
            cum_under_id=under_id.get(order.pk),
        )


def _cum_under_id(order: Order) -> Decimal:
    """What traded of an order since the broker gave it the id that it has now."""
    fills = Execution.objects.filter(order=order, broker_order_id=order.broker_order_id)
    return lifecycle.totals_of(fills.defer("raw", "text"))[0]


def _came_meanwhile(order: Order, started_at: datetime) -> bool:
    return order.outcome_unknown or order.acknowledged_at is None or order.acknowledged_at >= started_at


def _symbols_in_doubt(account: BrokerAccount) -> set[str]:
    """Symbols of orders that the broker may have taken without our knowing."""
    asked = OrderRequest.objects.filter(broker_name=account.pk, kind=RequestKind.NEW, state__in=_MAYBE_TAKEN)
    return set(asked.values_list("order__symbol", flat=True))


def _adopted(account: BrokerAccount, reading: Reading) -> int:
    external = Order.objects.filter(account=account, source=Order.Source.EXTERNAL)
    return external.filter(created_at__gte=reading.started_at).count()
