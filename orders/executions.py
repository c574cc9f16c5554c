"""Reports become facts, and facts move orders and positions; the only way they move.

Rows are locked in the order that `orders.moving` tells.
"""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from brokers.messages import CancelRejected, ExecutionReport
from brokers.models import BrokerAccount
from orders import lifecycle
from orders.booking import book_execution
from orders.ledger import TOLD_AGAIN, Ledger
from orders.legs import as_told, link_legs, settle_exits, take_last_size, with_family
from orders.lookup import find_order, find_orders
from orders.models import Execution, Order, OrderRequest
from orders.moving import change_event, lock_order, message_of, record_change, settle_reservation, state_of
from orders.replacement import as_one_order, taken_over
from orders.twins import twin_of
from risk import exposure
from risk.exposure import Shift
from tradingdesk.fix import ExecType, OrdStatus, RequestKind, RequestState, Side, WorkingAs
from tradingdesk.statements import insert, update

_CHANGING = frozenset({ExecType.REPLACED, ExecType.RESTATED})
_ENDING = _CHANGING | {ExecType.CANCELED, ExecType.REJECTED, ExecType.EXPIRED, ExecType.DONE_FOR_DAY}
_ENDED = frozenset(
    {OrdStatus.CANCELED, OrdStatus.REJECTED, OrdStatus.EXPIRED, OrdStatus.REPLACED, OrdStatus.DONE_FOR_DAY}
)
_FIRST = frozenset({ExecType.NEW, ExecType.PENDING_NEW})
_PLAIN = _FIRST | {ExecType.ORDER_STATUS}
_AUDIT_KINDS = {
    ExecType.NEW: "order.accepted",
    ExecType.PENDING_NEW: "order.accepted",
    ExecType.TRADE: "execution",
    ExecType.TRADE_CANCEL: "execution.bust",
    ExecType.TRADE_CORRECT: "execution.correct",
    ExecType.PENDING_CANCEL: "order.pending_cancel",
    ExecType.PENDING_REPLACE: "order.pending_replace",
    ExecType.CANCELED: "order.cancelled",
    ExecType.REPLACED: "order.replaced",
    ExecType.REJECTED: "order.rejected",
    ExecType.EXPIRED: "order.expired",
    ExecType.DONE_FOR_DAY: "order.done_for_day",
    ExecType.SUSPENDED: "order.suspended",
    ExecType.RESTATED: "order.restated",
    ExecType.ORDER_STATUS: "order.status",
}
# A re-read tells that something happened, not what it was called; the state it ended in does.
_AUDIT_KINDS_BY_STATUS = {
    OrdStatus.NEW: "order.accepted",
    OrdStatus.CANCELED: "order.cancelled",
    OrdStatus.REJECTED: "order.rejected",
    OrdStatus.EXPIRED: "order.expired",
    OrdStatus.DONE_FOR_DAY: "order.done_for_day",
    OrdStatus.SUSPENDED: "order.suspended",
    OrdStatus.PENDING_CANCEL: "order.pending_cancel",
    OrdStatus.PENDING_REPLACE: "order.pending_replace",
}


def apply_reports(*, account: BrokerAccount, reports: Sequence[ExecutionReport]) -> None:
    """Apply reports in their order, runs of acknowledgements and trades in one transaction each.

    All that `apply_report` says holds; when this raises, some of them may not have been applied.

    Raises:
        Order.DoesNotExist: one is about no order of ours.
    """
    run: list[tuple[Order, ExecutionReport]] = []
    alone: set[int] = set()
    for (order, request), told in zip(find_orders(account, reports), reports, strict=True):
        report = as_told(order, request, told)
        if order.pk not in alone and _goes_with_others(order, request, report):
            run.append((order, report))
            continue
        alone.add(order.pk)
        _apply_run(account, run)
        apply_report(account=account, report=report)
        run = []
    _apply_run(account, run)


def apply_report(
    *, account: BrokerAccount, report: ExecutionReport, asked: OrderRequest | None = None
) -> Execution | None:
    """Store one execution report and move its order and position; the only way they move.

    Exposure moves with it, under the locks that intake takes, so risk never counts a fill twice or not at all.
    `asked` is the request, with its order, that the report answers: where that is plain, the order is not looked for.
    Returns the new Execution; None for any other report, and for an exec_id that is known: brokers replay.

    Raises:
        Order.DoesNotExist: no order of ours; reconciliation adopts it as external.
    """
    plain = asked is not None and _is_first_answer(asked, report)
    order, request = (asked.order, asked) if plain else find_order(account, report)
    execution = _apply_alone(account, order, request, as_told(order, request, report))
    for leg in link_legs(order, report.legs):
        apply_report(account=account, report=leg)
    return execution


def _is_first_answer(request: OrderRequest, report: ExecutionReport) -> bool:
    """Whether a report acknowledges a new order by its id: that means the same however the order stands by now."""
    is_named = report.client_order_id == request.client_order_id
    return is_named and request.kind == RequestKind.NEW and report.exec_type in _FIRST


def _apply_alone(
    account: BrokerAccount, order: Order, request: OrderRequest | None, report: ExecutionReport
) -> Execution | None:
    if lifecycle.fact_is_trade(report):
        if replaced := taken_over(order, request, report):
            _apply_alone(account, order, request, replaced)
        return _apply_run(account, [(order, report)])[0]
    if _says_nothing_new(order, report):
        return None
    fact = as_one_order(order, request, report)
    if isinstance(fact, CancelRejected):
        apply_cancel_rejected(account=account, rejected=fact)
    elif fact is not None:
        with transaction.atomic():
            ledger = Ledger(account, with_family([order]))
            _apply_state(ledger, ledger.orders[order.pk], fact, told_as=report.broker_order_id)
            settle_exits(ledger)
            ledger.close()
    return None


def apply_cancel_rejected(*, account: BrokerAccount, rejected: CancelRejected) -> None:
    """Store that a cancel or replace was not done, and move the order back to how it works.

    What says nothing new leaves no row: brokers replay.

    Raises:
        Order.DoesNotExist: no order of ours.
    """
    order, _ = find_order(account, rejected)
    with transaction.atomic():
        order = lock_order.first(order=order.pk)
        before = state_of(order)
        refused = _refuse_request(order, rejected)
        order.apply(rejected)
        _fit_reservation(order)
        shifts = settle_reservation(order)
        if not refused and not shifts and state_of(order) == before:
            return
        update(order)
        insert(message_of(account, order, rejected, "cancel_rejected"))
        kind = "order.cancel_rejected" if rejected.response_to == RequestKind.CANCEL else "order.replace_rejected"
        record_change(kind, order, before, rejected.text)
        exposure.move_all(account.broker_name, shifts)


def _goes_with_others(order: Order, request: OrderRequest | None, report: ExecutionReport) -> bool:
    """Tell whether a report is a plain step in the life of an order, that reads nothing but what a ledger has."""
    if report.exec_type == ExecType.TRADE:
        return taken_over(order, request, report) is None
    plain = report.exec_type in _PLAIN and not report.legs and not _may_move_exposure(order, report)
    return plain and as_one_order(order, request, report) is report


def _apply_run(account: BrokerAccount, run: Sequence[tuple[Order, ExecutionReport]]) -> list[Execution | None]:
    """Apply trades and plain reports in one transaction; what each made."""
    run = [(order, report) for number, (order, report) in enumerate(run) if _is_news(run[:number], order, report)]
    trades = [(order.pk, report) for order, report in run if lifecycle.fact_is_trade(report)]
    if not run:
        return []
    with transaction.atomic():
        ledger = Ledger(account, with_family(order for order, _ in run), trades)
        made = [_apply_one(ledger, ledger.orders[order.pk], report) for order, report in run]
        settle_exits(ledger)
        ledger.close()
    return made


def _is_news(before: Sequence[tuple[Order, ExecutionReport]], order: Order, report: ExecutionReport) -> bool:
    """Whether a report may move its order, where nothing before it in its run is about the same order."""
    if lifecycle.fact_is_trade(report) or any(other.pk == order.pk for other, _ in before):
        return True
    return not _says_nothing_new(order, report)


def _apply_one(ledger: Ledger, order: Order, report: ExecutionReport) -> Execution | None:
    if lifecycle.fact_is_trade(report):
        return _apply_trade(ledger, order, report)
    return _apply_state(ledger, order, report, told_as=report.broker_order_id)


def _apply_state(ledger: Ledger, order: Order, report: ExecutionReport, *, told_as: str) -> None:
    """Move an order by a report that is no trade; a report that says nothing new leaves no row.

    `told_as` is the id the broker told it under, which a replacement's request keeps.
    """
    may_move_exposure, before = _may_move_exposure(order, report), state_of(order)
    request = _accept_request(ledger, order, report, told_as=told_as)
    if report.exec_type in _CHANGING and _is_superseded(order, report):
        return
    _note_acknowledgement(order, report, request)
    order.apply(report)
    take_last_size(order, report)
    if report.exec_type == ExecType.REPLACED:
        _take_over_replacement(order, report, told_as)
    moved = may_move_exposure and _settle(ledger, order)
    if report.text:
        order.text = report.text
    if request is None and not moved and state_of(order) == before:
        return
    ledger.moved(order)
    ledger.add(message_of(ledger.account, order, report, report.exec_type))
    ledger.add(change_event(_audit_kind(order, report, before), order, before, report.text))


def _settle(ledger: Ledger, order: Order) -> bool:
    """Bring the reservation in line with how the order stands now; whether that moved exposure."""
    ledger.write()
    _fit_reservation(order)
    return ledger.settle(order)


def _says_nothing_new(order: Order, report: ExecutionReport) -> bool:
    """Tell, without a lock, whether a report of an acknowledged order would leave it as it was read just now.

    The answer to a request and the stream tell the same: whichever comes second ends here.
    """
    if order.acknowledged_at is None or report.client_order_id not in ("", order.client_order_id):
        return False
    if report.text or _may_move_exposure(order, report):
        return False
    before = state_of(order)
    after = copy(order)
    after.apply(report)
    return state_of(after) == before


def _audit_kind(order: Order, report: ExecutionReport, before: Mapping[str, Any]) -> str:
    if report.exec_type == ExecType.ORDER_STATUS and order.status != before["status"]:
        return _AUDIT_KINDS_BY_STATUS.get(OrdStatus(order.status), _AUDIT_KINDS[report.exec_type])
    return _AUDIT_KINDS[report.exec_type]


def _may_move_exposure(order: Order, report: ExecutionReport) -> bool:
    """Tell whether the report may end the order, change its size, or let it work again after its day was done."""
    day_was_done = order.working_as == WorkingAs.DONE_FOR_DAY
    return report.exec_type in _ENDING or report.status in _ENDED or day_was_done


def _is_superseded(order: Order, report: ExecutionReport) -> bool:
    """Tell whether this change of the order's values was told before, or a later one was."""
    told = order.messages.filter(kind__in=_CHANGING)
    again = Q(transact_time=report.transact_time, client_order_id=report.client_order_id)
    return told.filter(again | Q(transact_time__gt=report.transact_time)).exists()


def _apply_trade(ledger: Ledger, order: Order, report: ExecutionReport) -> Execution | None:
    if ledger.has_execution(report.exec_id):
        return None
    if report.source and (report := _by_one_name(ledger, order, report)) is None:
        return None
    before = state_of(order)
    execution = _execution(ledger.account, order, report)
    ledger.add_execution(execution)
    _note_acknowledgement(order, report, _accept_request(ledger, order, report, told_as=report.broker_order_id))
    order.apply(report, ledger.executions_of(order))
    position_qty = book_execution(execution, order, ledger)
    ledger.settle(order)
    ledger.shifts.append(Shift(order.symbol, Side(order.side), position_qty=position_qty, mark_px=report.last_px))
    ledger.moved(order)
    detail = {"exec_id": execution.exec_id, "last_qty": execution.last_qty, "last_px": execution.last_px}
    ledger.add(change_event(_AUDIT_KINDS[report.exec_type], order, before, report.text, **detail))
    return execution


def _by_one_name(ledger: Ledger, order: Order, report: ExecutionReport) -> ExecutionReport | None:
    """Give a report whose ids are those of stored trades; None when it tells one again, which is kept as a message.

    A bust that came before the trade was told under this id meant the other telling of it: the two are tied together
    by a correction that changes nothing.
    """
    found = ledger.executions_of(order)
    names = ledger.other_names_of(order) if found else {}
    if report.exec_id in names:
        return None
    if report.exec_type != ExecType.TRADE:
        return replace(report, exec_ref_id=names.get(report.exec_ref_id, report.exec_ref_id))
    twin = twin_of(report, found, names)
    if twin is None:
        return report
    again = replace(report, exec_ref_id=twin.exec_id)
    if any(one.exec_ref_id == report.exec_id for one in found):
        return replace(again, exec_type=ExecType.TRADE_CORRECT)
    names[report.exec_id] = twin.exec_id
    ledger.add(message_of(ledger.account, order, again, TOLD_AGAIN))
    return None


def _execution(account: BrokerAccount, order: Order, report: ExecutionReport) -> Execution:
    return Execution(
        account=account,
        order=order,
        instrument_id=order.instrument_id,
        symbol=order.symbol,
        exec_id=report.exec_id,
        exec_ref_id=report.exec_ref_id or "",
        exec_type=report.exec_type,
        side=report.side or order.side,
        last_qty=report.last_qty or Decimal(0),
        last_px=report.last_px or Decimal(0),
        cum_qty=report.cum_qty,
        commission=report.commission,
        broker_order_id=report.broker_order_id,
        transact_time=report.transact_time,
        text=report.text,
        raw=dict(report.raw),
    )


def _accept_request(ledger: Ledger, order: Order, report: ExecutionReport, *, told_as: str) -> OrderRequest | None:
    """Mark the requests that this report proves taken; the first, or None when none was waiting for proof.

    Any report of the broker about the order proves that it has the order itself; a cancel or
    replace is proved by a report that carries its id.
    """
    if order.acknowledged_at and report.client_order_id in ("", order.client_order_id):
        return None  # the order itself is proved, and this is about nothing else
    waiting = ledger.unanswered_of(order)
    proved = [one for one in waiting if one.kind == RequestKind.NEW or one.client_order_id == report.client_order_id]
    for request in proved:
        request.state = RequestState.ACCEPTED if report.exec_type != ExecType.REJECTED else RequestState.REFUSED
        request.broker_order_id = told_as
        request.answered_at = timezone.now()
        request.sent_at = request.sent_at or request.answered_at
        request.text = report.text
        ledger.answered(request)
    return proved[0] if proved else None


def _note_acknowledgement(order: Order, report: ExecutionReport, request: OrderRequest | None) -> None:
    """The first word of the broker about the order is its acknowledgement."""
    order.broker_order_id = order.broker_order_id or report.broker_order_id or None
    order.acknowledged_at = order.acknowledged_at or timezone.now()
    if request is not None:
        order.sent_at = order.sent_at or request.sent_at
        order.outcome_unknown_since = None


def _take_over_replacement(order: Order, report: ExecutionReport, told_as: str) -> None:
    """A replacement is done: the row goes on under the broker's id of it, with the values that were asked for."""
    order.broker_order_id = told_as or order.broker_order_id
    request = order.requests.filter(kind=RequestKind.REPLACE, client_order_id=report.client_order_id).first()
    if request is not None and request.state == RequestState.REFUSED:
        request.state = RequestState.ACCEPTED  # what ended it came before the word that it had taken over
        update(request, "state")
    for name in ("price", "stop_px", "trail_price", "order_qty"):
        value = (getattr(request, name) if request else None) or getattr(report, name, None)
        if value is not None:
            setattr(order, name, value)
    if order.order_qty is not None:
        order.order_qty = max(order.order_qty, order.cum_qty)
        order.reserve_total_qty = order.order_qty
    order.refresh_status()


def _refuse_request(order: Order, rejected: CancelRejected) -> bool:
    """Mark what was refused, also what was only said to be pending; False when nothing waited for that."""
    asked = order.requests.filter(kind=rejected.response_to).exclude(state=RequestState.REFUSED)
    by_name = {"client_order_id": rejected.client_order_id}
    named = asked.filter(**by_name) if rejected.client_order_id else asked.unanswered()
    values = {"state": RequestState.REFUSED, "text": rejected.text, "answered_at": timezone.now()}
    if not named.update(**values):
        return False
    order.outcome_unknown_since = None
    return True


def _fit_reservation(order: Order) -> None:
    """Reserve for the order's own size; while a replace is on its way, for no less than it asks."""
    if order.order_qty is None or order.closed_as or order.parent_id:
        return
    on_its_way = order.requests.unanswered().filter(kind=RequestKind.REPLACE)
    asked = order.working_as == WorkingAs.PENDING_REPLACE or on_its_way.exists()
    order.reserve_total_qty = max(order.order_qty, order.reserve_total_qty if asked else Decimal(0))
