"""The outbox's other end: claim a request, talk to the broker, and never send twice what may have been taken.

A claim (`sending`, holder) is committed before the socket is touched; no transaction stays open
across a network call. A request that is found `sending` or `unknown` is asked about first.
"""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import OuterRef, Subquery
from django.utils import timezone

from brokers import lease
from brokers.gateway import gateway_for
from brokers.lease import this_process
from brokers.messages import (
    CancelOrder,
    CancelRejected,
    ExecutionReport,
    NewOrder,
    NotSupported,
    OrderRefused,
    OutcomeUnknown,
    ReplaceOrder,
    TryLater,
)
from brokers.models import Listing
from orders import lifecycle, sync, wakeups
from orders.executions import apply_cancel_rejected, apply_report
from orders.held_back import is_held_back
from orders.legs import legs_to_send
from orders.models import Order, OrderRequest
from orders.moving import lock_order
from orders.unsent import settle_refused
from risk.exposure import FIRM_KEY
from risk.models import ExposureTotal
from risk.rulebook import current_rulebook, rulebook
from risk.rules import Rulebook
from tradingdesk.fix import OrderClass, OrdType, RequestKind, RequestState, Side, TimeInForce
from tradingdesk.statements import Param, Select, update_if

log = logging.getLogger(__name__)

# Longer than any call's own time-outs together: a claim older than this has no living holder.
CALL_TIMEOUT = timedelta(seconds=25)
# After this the bytes of a send cannot reach the broker any more: its time-outs and ours are over.
LATE_ARRIVAL = timedelta(seconds=60)
FIRST_QUESTION_AFTER = 0.5
LONGEST_PAUSE = 15.0
NEVER_SENT_TOO_OLD = "NEVER_SENT_TOO_OLD"

_listed = Listing.objects.filter(account=OuterRef("order__account"), instrument=OuterRef("order__instrument"))
_with_order = OrderRequest.objects.select_related("order__account").annotate(
    broker_symbol=Subquery(_listed.values("broker_symbol")),
    rules_version=Subquery(ExposureTotal.objects.filter(key=FIRM_KEY).values("rules_version")),
)
_request = Select(_with_order.filter(pk=Param("request", OrderRequest._meta.pk)))


def send_request(request_pk: int) -> None:
    """Bring one request forward: send it if nobody did, else find out what became of it.

    Safe to call any number of times, by any number of workers.
    """
    request = request_to_send(request_pk)
    if request.state == RequestState.QUEUED:
        _send(request)
    elif request.state in (RequestState.SENDING, RequestState.UNKNOWN):
        resolve(request)


def request_to_send(request_pk: int) -> OrderRequest:
    """Read a request with its order, the broker's symbol for it, and the version of the rules in force."""
    (request,) = _request(request=request_pk)
    return request


def resolve(request: OrderRequest) -> None:
    """Find out what became of a request whose outcome is not known, by asking the broker before anything else."""
    if _is_being_sent_here(request) or (request.not_before and request.not_before > timezone.now()):
        return
    try:
        report = _ask(request)
    except (OrderRefused, OutcomeUnknown) as error:
        _mark_unknown(request, f"no answer yet: {error.text}")
        return
    if report is not None:
        _take_answer(request, report)
    elif request.kind != RequestKind.NEW:
        _send_again(request)
    else:
        _resolve_unknown_id(request)


def _resolve_unknown_id(request: OrderRequest) -> None:
    """The broker answered that it has no such order: send the same again, close it, or wait for more proof."""
    now = timezone.now()
    if now >= request.send_before:
        if now - request.sent_at > LATE_ARRIVAL:
            close_never_sent(request, f"{NEVER_SENT_TOO_OLD}: the broker still does not have it")
        else:
            _mark_unknown(request, "too old to send again; waiting until a late arrival is impossible")
    elif gateway_for(request.order.account).capabilities.unique_client_order_ids or _old_connection_is_closed(request):
        _send_again(request)
    else:
        _mark_unknown(request, "the broker does not refuse repeated ids, so it is not sent again on this connection")


def _old_connection_is_closed(request: OrderRequest) -> bool:
    """Whether what sent it is gone, and we hold the account: then the broker's complete answer is the last word."""
    gateway = gateway_for(request.order.account)
    sender_is_gone = request.holder != this_process() or gateway.is_sent_on_closed(request.wire_ref)
    return sender_is_gone and lease.is_ours(request.broker_name)


def close_never_sent(request: OrderRequest, text: str) -> None:
    """Close an order that no broker has, as expired; only with proof that it was never taken."""
    settle_refused(request, text, expired=True)


def _send(request: OrderRequest) -> None:
    now = timezone.now()
    if request.not_before and request.not_before > now:
        return
    if request.kind == RequestKind.NEW and request.send_before <= now:
        _expire_unsent(request, now)
        return
    if request.kind != RequestKind.NEW and not _address(request):
        return
    if _is_halted(request, rulebook(request.rules_version or 0)):
        return
    try:
        wire_ref = _next_wire_ref(request)
    except TryLater as error:
        _requeue(request, error)
        return
    if _claim(request, RequestState.QUEUED, now, wire_ref=wire_ref):
        _deliver(request)


def _expire_unsent(request: OrderRequest, now: datetime) -> None:
    """Close an order that waited too long, under a claim, so that no other worker sends it meanwhile."""
    if _claim(request, RequestState.QUEUED, now):
        request.sent_at = None
        request.save(update_fields=["sent_at"])
        close_never_sent(request, f"{NEVER_SENT_TOO_OLD}: waited past {request.send_before:%H:%M:%S}")


def _is_halted(request: OrderRequest, rules: Rulebook) -> bool:
    """Whether a halt keeps the request from being sent; cancels always go out."""
    return request.kind != RequestKind.CANCEL and is_held_back(request, rules)


def _address(request: OrderRequest) -> bool:
    """Give a cancel or replace the broker's id of the order as it stands; False while there is none yet."""
    request.broker_order_id = request.order.broker_order_id or ""
    if request.broker_order_id:
        OrderRequest.objects.filter(pk=request.pk).update(broker_order_id=request.broker_order_id)
        return True
    _pause(request, FIRST_QUESTION_AFTER, "the broker has not acknowledged the order yet")
    return False


def _send_again(request: OrderRequest) -> None:
    if _is_halted(request, current_rulebook()):
        _mark_unknown(request, "halted: not sent again")
        return
    try:
        wire_ref = _next_wire_ref(request)
    except TryLater as error:
        _mark_unknown(request, error.text)
        return
    in_doubt = {name: getattr(request, name) for name in ("holder", "sent_at", "wire_ref")}
    if _claim(request, request.state, timezone.now(), wire_ref=wire_ref):
        _deliver(request, in_doubt=in_doubt)


def _next_wire_ref(request: OrderRequest) -> str:
    """What identifies a new order on the wire besides its id, stored with the claim; a cancel keeps what it has."""
    return gateway_for(request.order.account).next_wire_ref() if request.kind == RequestKind.NEW else request.wire_ref


def _claim(request: OrderRequest, state: str, now: datetime, *, wire_ref: str = "") -> bool:
    """Claim a request that is still in `state` and held by whom we saw; committed before anything is sent."""
    seen = {"state": state, "holder": request.holder, "attempts": request.attempts}
    request.state, request.holder, request.sent_at = RequestState.SENDING, this_process(), now
    request.wire_ref, request.attempts = wire_ref, request.attempts + 1
    return update_if(request, seen, "state", "holder", "sent_at", "wire_ref", "attempts")


def _deliver(request: OrderRequest, *, in_doubt: Mapping[str, Any] | None = None) -> None:
    """Talk to the broker about a claimed request, store its answer.

    `in_doubt` tells of an earlier send that may yet arrive; where this one was not made, that stays the one in doubt.
    """
    try:
        answer = _tell(request)
    except TryLater as error:
        if in_doubt:
            _mark_unknown(request, error.text, **in_doubt)
        else:
            _requeue(request, error)
    except (NotSupported, OrderRefused) as error:
        _take_refusal(request, error)
    except OutcomeUnknown as error:
        log.warning("outcome of %s %s at %s is not known: %s", request.kind, request, request.broker_name, error.text)
        _mark_unknown(request, error.text)
    else:
        _take_answer(request, answer)


def _tell(request: OrderRequest) -> ExecutionReport | None:
    gateway = gateway_for(request.order.account)
    if request.kind == RequestKind.NEW:
        return gateway.submit(new_order_message(request))
    if request.kind == RequestKind.CANCEL:
        return gateway.cancel(_cancel_message(request))
    return gateway.replace(_replace_message(request))


def _ask(request: OrderRequest) -> ExecutionReport | None:
    """Ask the broker what it knows; for a cancel, how the order stands."""
    gateway = gateway_for(request.order.account)
    if request.kind == RequestKind.CANCEL:
        report = gateway.read_order(request.broker_order_id)
        return None if report is None or report.status in lifecycle.CANCELLABLE else report
    return gateway.find_order(request.client_order_id)


def _take_answer(request: OrderRequest, answer: ExecutionReport | None) -> None:
    account = request.order.account
    if request.kind == RequestKind.CANCEL:
        _answer_cancel(request)
    if answer is not None and not _is_applied(request, answer):
        return
    if sync.hears(account.broker_name):
        return
    if answer is None:
        wakeups.sync_soon(account.broker_name, countdown=0.25)
    elif _trades_at_once(request.order):
        wakeups.sync_soon(account.broker_name, countdown=0.25, reads=wakeups.TRADED)


def _is_applied(request: OrderRequest, answer: ExecutionReport) -> bool:
    """Apply an answer; one that does not say what it is about, as after a message that was cut off, is no answer."""
    try:
        apply_report(account=request.order.account, report=answer, asked=request)
    except Order.DoesNotExist as error:
        _mark_unknown(request, f"the answer does not name the order: {error}")
        return False
    return True


def _answer_cancel(request: OrderRequest) -> None:
    """The broker took the cancel; that the order is cancelled is told by a report of its own."""
    with transaction.atomic():
        Order.objects.filter(pk=request.order_id).update(outcome_unknown_since=None)
        OrderRequest.objects.filter(pk=request.pk).update(state=RequestState.ACCEPTED, answered_at=timezone.now())


def _take_refusal(request: OrderRequest, error: NotSupported | OrderRefused) -> None:
    if request.kind == RequestKind.NEW:
        settle_refused(request, error.text)
        return
    rejected = CancelRejected(
        response_to=RequestKind(request.kind),
        broker_order_id=request.broker_order_id,
        transact_time=timezone.now(),
        client_order_id=request.client_order_id,
        orig_client_order_id=request.orig_client_order_id,
        text=error.text,
    )
    apply_cancel_rejected(account=request.order.account, rejected=rejected)
    wakeups.sync_soon(request.broker_name)


def _requeue(request: OrderRequest, error: TryLater) -> None:
    """Proved not taken, for now: put it back with the pause that the broker asked for."""
    _pause(request, min(max(error.retry_after, FIRST_QUESTION_AFTER), LONGEST_PAUSE), error.text)


def _pause(request: OrderRequest, seconds: float, text: str) -> None:
    waiting = OrderRequest.objects.filter(pk=request.pk, state__in=[RequestState.QUEUED, RequestState.SENDING])
    with transaction.atomic():
        not_before = timezone.now() + timedelta(seconds=seconds)
        waiting.update(state=RequestState.QUEUED, holder="", text=text, not_before=not_before)
        wakeups.send_soon(request, countdown=seconds + 0.05)


def _mark_unknown(request: OrderRequest, text: str, **about: Any) -> None:
    """Keep the reservation and ask again later, ever more slowly."""
    pause = min(FIRST_QUESTION_AFTER * 2 ** min(request.attempts, 5), LONGEST_PAUSE)
    now = timezone.now()
    with transaction.atomic():
        lock_order.first(order=request.order_id)  # before the request, as reports do
        values = {"state": RequestState.UNKNOWN, "text": text, "not_before": now + timedelta(seconds=pause), **about}
        if not OrderRequest.objects.filter(pk=request.pk).unanswered().update(**values):
            return  # a report told it meanwhile
        Order.objects.filter(pk=request.order_id, outcome_unknown_since=None).update(outcome_unknown_since=now)
        wakeups.send_soon(request, countdown=pause + 0.05)


def _is_being_sent_here(request: OrderRequest) -> bool:
    """Whether another thread of this process is talking to the broker about it right now."""
    mine = request.state == RequestState.SENDING and request.holder == this_process()
    return mine and timezone.now() - request.sent_at < CALL_TIMEOUT


def _trades_at_once(order: Order) -> bool:
    return order.ord_type == OrdType.MARKET or order.time_in_force in (TimeInForce.IOC, TimeInForce.FOK)


def new_order_message(request: OrderRequest) -> NewOrder:
    """The order as the broker is told it, under the broker's own symbol (see `request_to_send`)."""
    order = request.order
    return NewOrder(
        client_order_id=request.client_order_id,
        symbol=request.broker_symbol or order.symbol,
        side=Side(order.side),
        ord_type=OrdType(order.ord_type),
        time_in_force=TimeInForce(order.time_in_force),
        order_qty=order.order_qty,
        notional=order.notional if order.order_qty is None else None,
        price=order.price,
        stop_px=order.stop_px,
        trail_price=order.trail_price,
        trail_percent=order.trail_percent,
        extended_hours=order.extended_hours,
        order_class=OrderClass(order.order_class),
        legs=legs_to_send(order),
        wire_ref=request.wire_ref,
    )


def _cancel_message(request: OrderRequest) -> CancelOrder:
    return CancelOrder(request.client_order_id, request.orig_client_order_id, request.broker_order_id)


def _replace_message(request: OrderRequest) -> ReplaceOrder:
    return ReplaceOrder(
        client_order_id=request.client_order_id,
        orig_client_order_id=request.orig_client_order_id,
        broker_order_id=request.broker_order_id,
        order_qty=request.order_qty,
        price=request.price,
        stop_px=request.stop_px,
        trail_price=request.trail_price,
        time_in_force=TimeInForce(request.time_in_force) if request.time_in_force else None,
    )
