"""Orders that were never sent, at an account that went down: decided again, and sent elsewhere under a new id."""

from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from orders.changes import ticket_of
from orders.decision import Decision, Market, decide, hold, lock_exposure, propose, reserve, store_decision, who_asked
from orders.ids import next_request_id
from orders.intake import enqueue_new, known_market, with_prices
from orders.models import Order, OrderRequest
from orders.moving import order_event
from orders.ticket import OrderTicket
from orders.waiting import not_approved
from risk import exposure
from tradingdesk.audit import trail
from tradingdesk.fix import RequestKind, RequestState, Side

ACTOR = "system:router"


class _Stays(Exception):
    """The order is better off where it waits: nothing is changed."""


def waiting_at_accounts_that_are_down(now: datetime) -> QuerySet[OrderRequest]:
    """New orders that no worker ever claimed, that may go anywhere, and whose account's breaker is open."""
    return OrderRequest.objects.filter(
        kind=RequestKind.NEW,
        state=RequestState.QUEUED,
        attempts=0,
        sent_at=None,
        send_before__gt=now,
        order__preferred_broker="",
        order__account__enabled=True,
        order__account__health__healthy=False,
    )


def reroute_order(order_pk: int) -> bool:
    """Take an order that was never sent away from an account that is down, if another may take it; whether it moved.

    One transaction: locks the exposure rows as intake does, then the order's row; withdraws the request, gives the
    reservation back, decides again and puts a request with an id of its own in the other broker's outbox. Where
    nobody else may take it, or a worker has claimed it meanwhile, all stays as it was. Prices are asked for before.
    """
    order = Order.objects.select_related("instrument").get(pk=order_pk)
    ticket = ticket_of(order)
    market = with_prices(known_market(ticket), ticket)
    try:
        with transaction.atomic():
            _move(order, ticket, market)
    except _Stays:
        return False
    return True


def _move(order: Order, ticket: OrderTicket, market: Market) -> None:
    order = Order.objects.locked().select_related("instrument").get(pk=order.pk)
    proposed = propose(ticket, market, user=who_asked(order, ACTOR), order_pk=order.pk)
    held = lock_exposure(market, proposed)
    left = order.account_id
    if left not in held.symbols or order.closed_as:
        raise _Stays
    _withdraw(order)
    exposure.move(held.symbols[left], side=Side(order.side), qty=-order.reserved_qty, notional=-order.reserved_notional)
    held = lock_exposure(market, proposed)
    decision = decide(ticket, market, held, proposed)
    if not decision.allowed or decision.choice.chosen == left or not_approved(order, decision.to_approve):
        raise _Stays
    _send_elsewhere(order, decision, held)
    _record(order, left, decision)


def _withdraw(order: Order) -> None:
    """Take the request out of the outbox, so that no worker can claim it any more."""
    waiting = waiting_at_accounts_that_are_down(timezone.now()).filter(order=order)
    withdrawn = OrderRequest.objects.filter(pk__in=waiting.values("pk"), state=RequestState.QUEUED, attempts=0)
    text = "withdrawn before it was sent: the account is down, the order goes elsewhere"
    if not withdrawn.update(state=RequestState.REFUSED, text=text, answered_at=timezone.now()):
        raise _Stays


def _send_elsewhere(order: Order, decision: Decision, held: exposure.Exposure) -> None:
    order.account_id = decision.choice.chosen
    reserve(order, decision.verdict.accounts[order.account_id])
    hold(order, held.symbols[order.account_id])
    order.save()
    order.legs.update(account=order.account_id)
    store_decision(order, decision)
    number = order.requests.filter(kind=RequestKind.NEW).count() + 1
    enqueue_new(order, next_request_id(order.client_order_id, "N", number))


def _record(order: Order, left: str, decision: Decision) -> None:
    trail.record(
        order_event(
            "order.rerouted",
            order,
            actor=ACTOR,
            request_id=order.request_id,
            before={"broker_name": left},
            after={"broker_name": order.account_id},
            reason=f"{left} is down and was never sent this order; {decision.choice.reason}",
        )
    )
