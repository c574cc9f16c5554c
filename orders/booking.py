"""Executions become positions and trade logs; called under the account's and the symbol's locks."""

from collections.abc import Iterable
from decimal import Decimal

from brokers.models import Instrument
from orders.lifecycle import chronological, live_trades
from orders.models import Execution, Order, Position, TradeLog
from orders.round_trips import RoundTrip, book, fold
from tradingdesk.fix import ExecType
from tradingdesk.statements import Param, Select, store

_last_position = Select(
    Position.objects.filter(account=Param("account"), instrument=Param("instrument", Instrument._meta.pk))
    .select_related("trade_log")
    .order_by("-opened_at", "-id")[:1]
)


def book_execution(execution: Execution, trades: Iterable[Execution], order: Order) -> Decimal:
    """Book one new execution; the signed quantity that the account then holds.

    `trades` are all executions of its order. A trade that comes in its turn goes on from the
    stored row; a bust, a correction, or one that comes late folds the instrument's executions anew.
    """
    last = _last_position.first(account=execution.account_id, instrument=execution.instrument_id)
    if _in_turn(execution, trades, last):
        open_row = last if last is not None and last.is_open else None
        return _store(book(_trip_of(open_row), execution), [open_row] if open_row else [], execution, order)
    return _fold_anew(execution)


def _in_turn(execution: Execution, trades: Iterable[Execution], last: Position | None) -> bool:
    if execution.exec_type != ExecType.TRADE:
        return False
    if any(trade.exec_ref_id == execution.exec_id for trade in trades):
        return False
    return last is None or (last.last_trade_at, last.last_exec_id) < chronological(execution)


def _fold_anew(execution: Execution) -> Decimal:
    """Fold every execution of the account and instrument, and bring the stored rows in line."""
    history = Execution.objects.filter(account_id=execution.account_id, instrument_id=execution.instrument_id)
    trips = fold(live_trades(history.defer("raw", "text")))
    rows = list(
        Position.objects.filter(account_id=execution.account_id, instrument_id=execution.instrument_id)
        .select_related("trade_log")
        .order_by("opened_at", "id")
    )
    for surplus in rows[len(trips) :]:
        surplus.delete()
    return _store(trips, rows[: len(trips)], execution, None)


def _store(trips: list[RoundTrip], rows: list[Position], execution: Execution, order: Order | None) -> Decimal:
    """Write trips over rows, one for one, new rows for the rest; closed ones first, so that one at most is open."""
    for trip, row in zip(trips, rows + [None] * (len(trips) - len(rows)), strict=True):
        row = row or Position(
            account_id=execution.account_id, instrument_id=execution.instrument_id, symbol=execution.symbol
        )
        is_new = row.pk is None
        _store_position(row, trip)
        log = TradeLog(position=row, account_id=row.account_id, symbol=row.symbol) if is_new else row.trade_log
        _store_log(log, trip, order)
    return trips[-1].qty if trips else Decimal(0)


def _store_position(row: Position, trip: RoundTrip) -> None:
    for name in (
        "qty",
        "avg_px",
        "realized_pnl",
        "commission",
        "opened_at",
        "closed_at",
        "last_trade_at",
        "last_exec_id",
    ):
        setattr(row, name, getattr(trip, name))
    store(row)


def _store_log(log: TradeLog, trip: RoundTrip, order: Order | None) -> None:
    if log.order_id != trip.order_pk:
        opener = order if order is not None and order.pk == trip.order_pk else Order.objects.get(pk=trip.order_pk)
        log.order, log.strategy = opener, opener.strategy
    log.direction = TradeLog.Direction.LONG if trip.direction > 0 else TradeLog.Direction.SHORT
    for name in ("entry_qty", "entry_px", "exit_qty", "exit_px", "commission", "opened_at", "closed_at"):
        setattr(log, name, getattr(trip, name))
    log.gross_pnl = trip.realized_pnl
    log.net_pnl = trip.realized_pnl - trip.commission
    store(log)


def _trip_of(row: Position | None) -> RoundTrip | None:
    """The stored row as the value that booking goes on from."""
    if row is None:
        return None
    log = row.trade_log
    return RoundTrip(
        direction=1 if log.direction == TradeLog.Direction.LONG else -1,
        opened_at=row.opened_at,
        last_trade_at=row.last_trade_at,
        last_exec_id=row.last_exec_id,
        qty=row.qty,
        avg_px=row.avg_px,
        entry_qty=log.entry_qty,
        entry_px=log.entry_px,
        exit_qty=log.exit_qty,
        exit_px=log.exit_px,
        realized_pnl=row.realized_pnl,
        commission=row.commission,
        order_pk=log.order_id,
    )
