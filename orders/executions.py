"""Reports become facts, and facts move orders and positions; the only way they move.

A report that can change what the account holds or has entered takes the account's and the
symbol's exposure rows first, as intake does, then the order's row.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import asdict, replace
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from brokers.messages import CancelRejected, ExecutionReport
from brokers.models import BrokerAccount
from orders import lifecycle
from orders.booking import book_execution
from orders.models import BrokerMessage, Execution, Order, OrderRequest
from orders.moving import lock_order, record_change, settle_reservation, state_of
from orders.replacement import as_one_order
from orders.twins import twin_of
from risk import exposure
from tradingdesk.fix import ExecType, OrdStatus, RequestKind, RequestState, WorkingAs
from tradingdesk.statements import Param, Select, insert, together, update

_CHANGING = frozenset({ExecType.REPLACED, ExecType.RESTATED})
_ENDING = _CHANGING | {ExecType.CANCELED, ExecType.REJECTED, ExecType.EXPIRED, ExecType.DONE_FOR_DAY}
_ENDED = frozenset(
    {OrdStatus.CANCELED, OrdStatus.REJECTED, OrdStatus.EXPIRED, OrdStatus.REPLACED, OrdStatus.DONE_FOR_DAY}
)
_TOLD_AGAIN = "trade_again"
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

_ORDER = Param("order", Order._meta.pk)
_unanswered_of = Select(OrderRequest.objects.filter(order=_ORDER).unanswered().order_by("id"))
_executions_of = Select(
    Execution.objects.filter(Q(order=_ORDER) | Q(account=Param("account"), exec_id=Param("exec_id")))
    .defer("raw", "text")
    .order_by()
)
_other_names_of = Select(BrokerMessage.objects.filter(order=_ORDER, kind=_TOLD_AGAIN).defer("raw").order_by("id"))
_of_account = OrderRequest.objects.filter(broker_name=Param("account")).select_related("order").order_by()
_requests_of_client_ids = Select(_of_account.filter(client_order_id__in=[Param("one"), Param("other")]))
_requests_of_broker_id = Select(_of_account.filter(broker_order_id=Param("broker_order_id")))


def apply_report(*, account: BrokerAccount, report: ExecutionReport) -> Execution | None:
    """Store one execution report and move its order and position; the only way they move.

    Takes the account's lock where exposure can change, as intake does, so risk never counts a
    fill twice or not at all. Returns the new Execution; None for any other report, and for an
    exec_id that is known: brokers replay.

    Raises:
        Order.DoesNotExist: no order of ours; reconciliation adopts it as external.
    """
    order, request = find_order(account, report)
    if lifecycle.fact_is_trade(report):
        with transaction.atomic():
            return _apply_trade(account, order, report)
    if _says_nothing_new(order, report):
        return None
    fact = as_one_order(order, request, report)
    if isinstance(fact, CancelRejected):
        apply_cancel_rejected(account=account, rejected=fact)
    elif fact is not None:
        with transaction.atomic():
            _apply_state(account, order, fact, told_as=report.broker_order_id)
    return None


def apply_cancel_rejected(*, account: BrokerAccount, rejected: CancelRejected) -> None:
    """Store that a cancel or replace was not done, and move the order back to how it works.

    What says nothing new leaves no row: brokers replay.

    Raises:
        Order.DoesNotExist: no order of ours.
    """
    order, _ = find_order(account, rejected)
    with transaction.atomic():
        row = exposure.lock_for_report(account.broker_name, order.symbol)
        order = lock_order.first(order=order.pk)
        before = state_of(order)
        refused = _refuse_request(order, rejected)
        order.apply(rejected)
        _fit_reservation(order)
        moved = settle_reservation(order, row)
        if not refused and not moved and state_of(order) == before:
            return
        update(order)
        _store_message(account, order, rejected, "cancel_rejected")
        kind = "order.cancel_rejected" if rejected.response_to == RequestKind.CANCEL else "order.replace_rejected"
        record_change(kind, order, before, rejected.text)


def find_order(account: BrokerAccount, fact: ExecutionReport | CancelRejected) -> tuple[Order, OrderRequest | None]:
    """Find the desk's order by any id it has had, a request's or the broker's, and the request that had it.

    Raises:
        Order.DoesNotExist: none of them is ours.
    """
    ids = [one for one in (fact.client_order_id, getattr(fact, "orig_client_order_id", "")) if one]
    found = _requests_of_client_ids(account=account.pk, one=ids[0], other=ids[-1]) if ids else []
    if not found and fact.broker_order_id:
        found = _requests_of_broker_id(account=account.pk, broker_order_id=fact.broker_order_id)
    if found:
        request = min(found, key=lambda one: one.pk)
        return request.order, request
    return Order.objects.get(account=account, broker_order_id=fact.broker_order_id or None), None


def _apply_state(account: BrokerAccount, order: Order, report: ExecutionReport, *, told_as: str) -> None:
    """Move an order by a report that is no trade; a report that says nothing new leaves no row.

    `told_as` is the id the broker told it under, which a replacement's request keeps.
    """
    row = exposure.lock_for_report(account.broker_name, order.symbol) if _may_move_exposure(order, report) else None
    order = lock_order.first(order=order.pk)
    before = state_of(order)
    request = _accept_request(order, report, told_as=told_as)
    if report.exec_type in _CHANGING and _is_superseded(order, report):
        return
    _note_acknowledgement(order, report, request)
    order.apply(report)
    if report.exec_type == ExecType.REPLACED:
        _take_over_replacement(order, report, told_as)
    moved = False
    if row is not None:
        _fit_reservation(order)
        moved = settle_reservation(order, row)
    if report.text:
        order.text = report.text
    if request is None and not moved and state_of(order) == before:
        return
    with together():
        update(order)
        _store_message(account, order, report, report.exec_type)
        record_change(_audit_kind(order, report, before), order, before, report.text)


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


def _apply_trade(account: BrokerAccount, order: Order, report: ExecutionReport) -> Execution | None:
    row = exposure.lock_for_report(account.broker_name, order.symbol)
    found = _executions_of(order=order.pk, account=account.pk, exec_id=report.exec_id)
    if _is_among(found, account, report):
        return None
    if report.source and (report := _by_one_name(account, order, report, found)) is None:
        return None
    order = lock_order.first(order=order.pk)
    before = state_of(order)
    execution = _store_execution(account, order, report)
    trades = [*found, execution]
    _note_acknowledgement(order, report, _accept_request(order, report, told_as=report.broker_order_id))
    order.apply(report, trades)
    position_qty = book_execution(execution, trades, order)
    detail = {"exec_id": execution.exec_id, "last_qty": execution.last_qty, "last_px": execution.last_px}
    with together():
        settle_reservation(order, row, position_qty=position_qty, mark_px=report.last_px)
        update(order)
        record_change(_AUDIT_KINDS[report.exec_type], order, before, report.text, **detail)
    return execution


def _is_among(executions: Collection[Execution], account: BrokerAccount, report: ExecutionReport) -> bool:
    return any(one.account_id == account.pk and one.exec_id == report.exec_id for one in executions)


def _by_one_name(
    account: BrokerAccount, order: Order, report: ExecutionReport, found: Collection[Execution]
) -> ExecutionReport | None:
    """Give a report whose ids are those of stored trades; None when it tells one again, which is kept as a message.

    A bust that came before the trade was told under this id meant the other telling of it: the two are tied together
    by a correction that changes nothing.
    """
    told = _other_names_of(order=order.pk) if found else []
    names = {one.normalized["exec_id"]: one.normalized["exec_ref_id"] for one in told}
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
    _store_message(account, order, again, _TOLD_AGAIN)
    return None


def note_told_again(account: BrokerAccount, reports: Sequence[ExecutionReport]) -> set[str]:
    """Note those trades that are stored under another id, many in one transaction; the ids that need no more booking.

    Exposure stays unlocked, which intake would have to wait for. What a bust or correction is about is left to
    `apply_report`.
    """
    trades = [one for one in reports if one.source and one.exec_type == ExecType.TRADE]
    with transaction.atomic():
        orders = Order.objects.filter(account=account, broker_order_id__in={one.broker_order_id for one in trades})
        locked = {order.broker_order_id: order for order in orders.select_for_update().order_by("pk")}
        found, names = _told_of(order.pk for order in locked.values())
        again: list[BrokerMessage] = []
        for report in trades:
            order = locked.get(report.broker_order_id)
            if order is None or any(one.exec_ref_id for one in found[order.pk]):
                continue
            twin = twin_of(report, found[order.pk], names[order.pk])
            if twin is not None and report.exec_id not in names[order.pk]:
                names[order.pk][report.exec_id] = twin.exec_id
                again.append(_message(account, order, replace(report, exec_ref_id=twin.exec_id), _TOLD_AGAIN))
        if again:
            insert(*again)
    return {exec_id for told in names.values() for exec_id in told}


def _told_of(order_pks: Iterable[int]) -> tuple[dict[int, list[Execution]], dict[int, dict[str, str]]]:
    """Each order's executions, and the other ids that its trades were told under with the ids they are stored under."""
    pks = list(order_pks)
    executions, names = defaultdict(list), defaultdict(dict)
    for one in Execution.objects.filter(order__in=pks).defer("raw", "text").order_by():
        executions[one.order_id].append(one)
    for one in BrokerMessage.objects.filter(order__in=pks, kind=_TOLD_AGAIN).defer("raw").order_by("id"):
        names[one.order_id][one.normalized["exec_id"]] = one.normalized["exec_ref_id"]
    return executions, names


def _store_execution(account: BrokerAccount, order: Order, report: ExecutionReport) -> Execution:
    execution = Execution(
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
    insert(execution)
    return execution


def _accept_request(order: Order, report: ExecutionReport, *, told_as: str) -> OrderRequest | None:
    """Mark the requests that this report proves taken; the first, or None when none was waiting for proof.

    Any report of the broker about the order proves that it has the order itself; a cancel or
    replace is proved by a report that carries its id.
    """
    if order.acknowledged_at and report.client_order_id in ("", order.client_order_id):
        return None  # the order itself is proved, and this is about nothing else
    waiting = _unanswered_of(order=order.pk)
    proved = [one for one in waiting if one.kind == RequestKind.NEW or one.client_order_id == report.client_order_id]
    for request in proved:
        request.state = RequestState.ACCEPTED if report.exec_type != ExecType.REJECTED else RequestState.REFUSED
        request.broker_order_id = told_as
        request.answered_at = timezone.now()
        request.sent_at = request.sent_at or request.answered_at
        request.text = report.text
        update(request, "state", "broker_order_id", "answered_at", "sent_at", "text")
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
    if order.order_qty is None or order.closed_as:
        return
    on_its_way = order.requests.unanswered().filter(kind=RequestKind.REPLACE)
    asked = order.working_as == WorkingAs.PENDING_REPLACE or on_its_way.exists()
    order.reserve_total_qty = max(order.order_qty, order.reserve_total_qty if asked else Decimal(0))


def _store_message(account: BrokerAccount, order: Order, fact: ExecutionReport | CancelRejected, kind: str) -> None:
    insert(_message(account, order, fact, kind))


def _message(account: BrokerAccount, order: Order, fact: ExecutionReport | CancelRejected, kind: str) -> BrokerMessage:
    normalized = {name: value for name, value in asdict(fact).items() if name != "raw" and value not in (None, "")}
    return BrokerMessage(
        account=account,
        order=order,
        kind=kind,
        broker_order_id=fact.broker_order_id,
        client_order_id=fact.client_order_id,
        status=fact.status or "",
        transact_time=fact.transact_time,
        text=fact.text,
        normalized=normalized,
        raw=dict(fact.raw),
    )
