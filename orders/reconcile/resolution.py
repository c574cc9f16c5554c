"""Ending a break by a person's decision: take the broker's word, or keep the desk's."""

from dataclasses import replace
from decimal import Decimal

from django.db import transaction
from django.utils import timezone

from brokers.messages import ExecutionReport
from brokers.models import Listing
from orders.executions import apply_report
from orders.models import Execution, Order, Position, ReconciliationBreak, ReconciliationMemory
from orders.reconcile.adjustments import ADJUSTMENT, Adjustment, adjustments
from orders.reconcile.breaks import close, lock_memory, refresh_block
from orders.reconcile.compare import POSITIONS, BreakKind
from tradingdesk.errors import Conflict, InvalidInput, require_reason
from tradingdesk.fix import ExecType, OrdStatus, OrdType, Side

ACCEPT, KEEP = "accept", "keep"


def resolve_break(*, row: ReconciliationBreak, take: str, reason: str, actor: str) -> ReconciliationBreak:
    """End a break: `accept` the broker's word, booking what that takes, or `keep` the desk's.

    A difference that was kept opens no break again while it stays just so. Locks the account's memory, then what
    the booking locks.

    Raises:
        InvalidInput: no reason, or neither of the two decisions.
        Conflict: the break is resolved already, or there is nothing to book for this kind.
    """
    if take not in (ACCEPT, KEEP):
        raise InvalidInput("INVALID_CHOICE", f"take={take[:20]!r}: give {ACCEPT} or {KEEP}", "take")
    require_reason(reason, "the break ends so")
    with transaction.atomic():
        memory = lock_memory(row.account)
        row = ReconciliationBreak.objects.select_related("account", "order").get(pk=row.pk)
        if not row.is_open:
            raise Conflict("ALREADY_RESOLVED", f"{row} was resolved by {row.resolved_by} at {row.resolved_at:%H:%M:%S}")
        if take == ACCEPT:
            _accept(row, memory, actor, reason)
        elif row.kind == BreakKind.CASH:
            _move_cash(row, memory)
        resolution = row.Resolution.ACCEPTED if take == ACCEPT else row.Resolution.KEPT
        close(row, resolution, actor=actor, reason=reason)
        refresh_block(row.account)
    return row


def _accept(row: ReconciliationBreak, memory: ReconciliationMemory, actor: str, reason: str) -> None:
    raw = {"booked_by": actor, "reason": reason, "break": row.pk}
    if row.kind in POSITIONS:
        _adjust_position(row, raw)
    elif row.kind == BreakKind.CASH:
        _move_cash(row, memory)
    elif row.kind == BreakKind.FILL_UNKNOWN:
        _bust_fills(row, raw)
    elif row.kind == BreakKind.ORDER_UNKNOWN_THERE:
        _close_order(row, raw)
    else:
        raise Conflict("NOTHING_TO_ACCEPT", f"{row.kind}: {row.proposal}; or keep the desk's word")


def _adjust_position(row: ReconciliationBreak, raw: dict) -> None:
    """Book the difference as it was found, on what is held now: what has traded since stays."""
    listing = Listing.objects.filter(account=row.account, instrument__symbol=row.symbol).first()
    if listing is None:
        detail = f"symbol={row.symbol} is not listed at {row.account_id}: sync its instruments, then accept"
        raise Conflict("UNKNOWN_SYMBOL", detail)
    held = Position.objects.filter(account=row.account, instrument=listing.instrument_id, closed_at=None).first()
    ours, our_px = (held.qty, held.avg_px) if held else (Decimal(0), Decimal(0))
    theirs = ours + Decimal(row.detail["offset"])
    bookings = adjustments(ours, our_px, theirs, Decimal(row.detail.get("avg_px") or our_px))
    for number, booking in enumerate(bookings, 1):
        _book(row, listing, booking, f"{ADJUSTMENT}{row.pk}-{number}", raw)


def _book(row: ReconciliationBreak, listing: Listing, booking: Adjustment, name: str, raw: dict) -> None:
    """Write an order that was never sent and its one execution, so that the position stays a fold over executions."""
    now, qty = timezone.now(), abs(booking.qty)
    Order.objects.create(
        client_order_id=name,
        account=row.account,
        broker_order_id=name,
        instrument_id=listing.instrument_id,
        symbol=row.symbol,
        side=Side.BUY if booking.qty > 0 else Side.SELL,
        order_qty=qty,
        ord_type=OrdType.MARKET,
        source=Order.Source.ADJUSTMENT,
        acknowledged_at=now,
        text=raw["reason"],
    )
    report = _report(name, ExecType.TRADE, raw, status=OrdStatus.FILLED)
    apply_report(
        account=row.account,
        report=replace(report, exec_id=name, last_qty=qty, last_px=booking.px, cum_qty=qty),
    )


def _bust_fills(row: ReconciliationBreak, raw: dict) -> None:
    """Bust the executions that the broker does not list, if they are what the difference comes from."""
    fills = Execution.objects.filter(account=row.account, exec_id__in=row.detail.get("exec_ids") or [])
    if sum((fill.last_qty for fill in fills), Decimal(0)) != -Decimal(row.detail["offset"]):
        detail = "the fills that the broker does not list do not make up the difference: ask the broker, then keep"
        raise Conflict("FILLS_NOT_FOUND", detail)
    for number, fill in enumerate(fills, 1):
        report = _report(fill.broker_order_id, ExecType.TRADE_CANCEL, raw)
        name = f"{ADJUSTMENT}{row.pk}-{number}"
        apply_report(account=row.account, report=replace(report, exec_id=name, exec_ref_id=fill.exec_id))


def _close_order(row: ReconciliationBreak, raw: dict) -> None:
    report = _report(row.order.broker_order_id, ExecType.CANCELED, raw, status=OrdStatus.CANCELED)
    apply_report(account=row.account, report=report)


def _move_cash(row: ReconciliationBreak, memory: ReconciliationMemory) -> None:
    """Count the difference as explained; what comes after it is compared as ever."""
    if memory.cash is not None:
        memory.cash += Decimal(row.detail["offset"])
        memory.save(update_fields=["cash"])


def _report(broker_order_id: str, exec_type: ExecType, raw: dict, **facts) -> ExecutionReport:
    text = f"reconciliation: {raw['reason']}"
    return ExecutionReport(exec_type, broker_order_id, timezone.now(), text=text, raw=raw, **facts)
