"""Executions become positions and trade logs; called under the lock of the account's book."""

from collections.abc import Iterable
from decimal import Decimal

from orders.ledger import Ledger
from orders.lifecycle import chronological, live_trades
from orders.models import Execution, Order, Position, TradeLog
from orders.openings import opening_among
from orders.round_trips import LEGACY_EXEC_ID, RoundTrip, book, fold
from tradingdesk.fix import ExecType
from tradingdesk.statements import store


def book_execution(execution: Execution, order: Order, ledger: Ledger) -> Decimal:
    """Book one new execution, which the ledger has already; the signed quantity that the account then holds.

    A trade that comes in its turn goes on from the position as it is; a bust, a correction, or one
    that comes late folds the instrument's executions anew.
    """
    last = ledger.position_of(execution.instrument_id)
    if _in_turn(execution, ledger.executions_of(order), last):
        open_row = last if last is not None and last.is_open else None
        return _store(book(_trip_of(open_row), execution), [open_row] if open_row else [], execution, order, ledger)
    return _fold_anew(execution, ledger)


def _in_turn(execution: Execution, trades: Iterable[Execution], last: Position | None) -> bool:
    if execution.exec_type != ExecType.TRADE:
        return False
    if any(trade.exec_ref_id == execution.exec_id for trade in trades):
        return False
    return last is None or (last.last_trade_at, last.last_exec_id) < chronological(execution)


def _fold_anew(execution: Execution, ledger: Ledger) -> Decimal:
    """Fold every execution of the account and instrument, and bring the stored rows in line.

    What a legacy database told of begins it, and is not folded again.
    """
    ledger.write()
    history = Execution.objects.filter(account_id=execution.account_id, instrument_id=execution.instrument_id)
    positions = Position.objects.filter(
        account_id=execution.account_id, instrument_id=execution.instrument_id, historic=False
    )
    rows = list(positions.select_related("trade_log").order_by("opened_at", "id"))
    live = live_trades(history.exclude(exec_id__startswith=LEGACY_EXEC_ID).defer("raw", "text"))
    trips = fold(live, opening_among(rows))
    for surplus in rows[len(trips) :]:
        surplus.delete()
    return _store(trips, rows[: len(trips)], execution, None, ledger)


def _store(
    trips: list[RoundTrip], rows: list[Position], execution: Execution, order: Order | None, ledger: Ledger
) -> Decimal:
    """Put trips over rows, one for one, new rows for the rest; closed ones first, so that one at most is open."""
    row = None
    for trip, row in zip(trips, rows + [None] * (len(trips) - len(rows)), strict=True):
        row = row or Position(
            account_id=execution.account_id, instrument_id=execution.instrument_id, symbol=execution.symbol
        )
        is_new = row.pk is None
        _fill_position(row, trip)
        if is_new:
            ledger.write()
            store(row)
            row.trade_log = TradeLog(position=row, account_id=row.account_id, symbol=row.symbol)
        _fill_log(row.trade_log, trip, order)
        if is_new:
            store(row.trade_log)
        else:
            ledger.moved(row)
            ledger.moved(row.trade_log)
    ledger.note_position(row, execution.instrument_id)
    return trips[-1].qty if trips else Decimal(0)


def _fill_position(row: Position, trip: RoundTrip) -> None:
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


def _fill_log(log: TradeLog, trip: RoundTrip, order: Order | None) -> None:
    if log.order_id != trip.order_pk:
        opener = order if order is not None and order.pk == trip.order_pk else Order.objects.get(pk=trip.order_pk)
        log.order, log.strategy = opener, opener.strategy
    log.direction = TradeLog.Direction.LONG if trip.direction > 0 else TradeLog.Direction.SHORT
    for name in ("entry_qty", "entry_px", "exit_qty", "exit_px", "commission", "opened_at", "closed_at"):
        setattr(log, name, getattr(trip, name))
    log.gross_pnl = trip.realized_pnl
    log.net_pnl = trip.realized_pnl - trip.commission


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
