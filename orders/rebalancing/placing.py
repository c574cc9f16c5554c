"""Carrying out a plan: a leg enters an account only once what left the other is known. Safe to run twice, or be killed.

What a leg asks for, and under which id, is committed before intake is called; intake gives the same order for the same
id. So whoever comes after a kill asks for the same again, and nothing is placed twice.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal

from django.db import transaction
from django.utils import timezone

from orders.changes import request_cancel
from orders.intake import submit_order
from orders.models import Order, RebalanceLeg, RebalancePlan
from orders.rebalancing.places import free_qty
from orders.rebalancing.plans import SYSTEM, record
from orders.rebalancing.reading import STRATEGY
from orders.rebalancing.words import ZERO
from orders.ticket import OrderTicket
from risk.exposure import symbol_key
from risk.models import ExposureTotal
from tradingdesk.errors import Conflict, DeskError
from tradingdesk.fields import plain
from tradingdesk.fix import OrdStatus, Side

log = logging.getLogger(__name__)

ATTEMPTS = 3
AGAIN_AFTER = timedelta(seconds=20)
# A leg of a stopped plan that was on its way into intake then has an order after this, or has none.
IN_INTAKE_AT_MOST = timedelta(seconds=60)
_MOVING = ("state", "attempt", "wanted_qty", "cum_qty", "sent_at", "not_before", "order", "text")
Leg, Role = RebalanceLeg.State, RebalanceLeg.Role


def advance_running() -> int:
    """Bring every plan forward whose orders are placed or watched; how many there are."""
    running = list(RebalancePlan.objects.filter(state__in=RebalancePlan.RUNNING).values_list("pk", flat=True))
    for pk in running:
        advance(pk)
    return len(running)


def advance(plan_pk: int) -> None:
    """Bring one plan as far as it can go now: book what its orders did, place what may be placed, end it.

    Locks the plan's row, then those of its legs, and holds none while an order is submitted or cancelled.
    """
    for leg in _take_up(plan_pk):
        _submit(leg)
    for order in _overdue(plan_pk):
        _cancel(order)
    _conclude(plan_pk)


def _take_up(plan_pk: int) -> list[RebalanceLeg]:
    """Note how the legs' orders stand, and commit what each next order asks for; the legs to submit."""
    now = timezone.now()
    with transaction.atomic():
        plan = RebalancePlan.objects.select_for_update().get(pk=plan_pk)
        if not plan.is_running:
            return []
        legs = _booked(plan)
        if plan.state == RebalancePlan.State.STOPPING:
            for leg in legs:
                _stand_down(leg, now)
        else:
            _begin_what_may(legs, now)
        RebalanceLeg.objects.bulk_update(legs, _MOVING)
        return [leg for leg in legs if leg.state == Leg.SENDING]


def _booked(plan: RebalancePlan) -> list[RebalanceLeg]:
    """The plan's legs, locked, as their orders stand now."""
    legs = list(plan.legs.select_for_update().order_by("number"))
    orders = orders_by_leg(legs)
    for leg in legs:
        _book(leg, orders[leg.number])
    return legs


def _begin_what_may(legs: Sequence[RebalanceLeg], now: datetime) -> None:
    """Give each leg whose time has come its next attempt."""
    closing = {leg.move: leg for leg in legs if leg.role == Role.CLOSE}
    waiting = {symbol_key(leg.account_id, leg.symbol) for leg in closing.values() if leg.state == Leg.WAITING}
    held = ExposureTotal.objects.in_bulk(waiting) if waiting else {}
    for leg in legs:
        _reopen(leg, closing[leg.move])
        if leg.state == Leg.WAITING and (leg.not_before is None or leg.not_before <= now):
            wanted = _leaving(leg, legs, held) if leg.role == Role.CLOSE else _entering(leg, closing[leg.move])
            _begin(leg, wanted, now)


def _book(leg: RebalanceLeg, orders: Iterable[Order]) -> None:
    """Take up what the leg's orders have traded, and whether the last one has ended."""
    if not leg.attempt:
        return
    leg.cum_qty = sum((order.cum_qty for order in orders), ZERO)
    leg.order = next((one for one in orders if one.client_order_id == leg.attempt_id(leg.attempt)), None)
    if leg.order is None or leg.state not in (Leg.SENDING, Leg.WORKING):
        return
    leg.state = Leg.WORKING
    if leg.order.is_open:
        return
    if leg.order.status == OrdStatus.FILLED:
        leg.state = Leg.DONE
        leg.text = ""
        return
    leg.text = leg.order.text or f"its order was {leg.order.status}"
    if leg.role == Role.OPEN and leg.attempt < ATTEMPTS:
        leg.state, leg.not_before = Leg.WAITING, timezone.now() + AGAIN_AFTER
    else:
        leg.state = Leg.SHORT


def _reopen(leg: RebalanceLeg, closing: RebalanceLeg) -> None:
    """Let a leg go on that was done before a late fill at the other account: a cancel may come after a trade."""
    if leg.role == Role.OPEN and leg.has_ended and leg.attempt < ATTEMPTS and _entering(leg, closing):
        leg.state = Leg.WAITING


def _entering(leg: RebalanceLeg, closing: RebalanceLeg) -> Decimal | None:
    """What a leg that enters asks for next: what has left; None while that is not known."""
    return _in_steps(leg, closing.cum_qty - leg.cum_qty) if closing.has_ended else None


def _leaving(leg: RebalanceLeg, legs: Iterable[RebalanceLeg], held: Mapping[str, ExposureTotal]) -> Decimal:
    """What a leg that leaves asks for: what is held, in no working order, and promised to no leg that is on its way.

    So that the legs together never open a position the other way round.
    """
    row = held.get(symbol_key(leg.account_id, leg.symbol))
    if row is None or (row.position_qty > 0) != (leg.side == Side.SELL):
        return ZERO
    beside = (one for one in legs if (one.role, one.account_id, one.symbol) == (leg.role, leg.account_id, leg.symbol))
    promised = sum((one.wanted_qty for one in beside if one.state == Leg.SENDING), ZERO)
    return min(leg.order_qty, _in_steps(leg, max(free_qty(row) - promised, ZERO)))


def _in_steps(leg: RebalanceLeg, qty: Decimal) -> Decimal:
    return (qty / leg.step).to_integral_value(ROUND_FLOOR) * leg.step


def _begin(leg: RebalanceLeg, wanted: Decimal | None, now: datetime) -> None:
    """Give the leg its next attempt, or end it where nothing is left to ask for; None: that is not known yet."""
    if wanted is None:
        return
    if wanted <= 0:
        leg.state = Leg.SHORT if leg.attempt else Leg.LEFT_OUT
        leg.text = leg.text or _nothing_left(leg)
        return
    leg.attempt, leg.wanted_qty, leg.state = leg.attempt + 1, wanted, Leg.SENDING
    leg.sent_at, leg.order = now, None


def _nothing_left(leg: RebalanceLeg) -> str:
    if leg.role == Role.CLOSE:
        return f"{leg.account_id} does not hold that {leg.symbol} any more, outside working orders"
    return "nothing left the other account"


def _stand_down(leg: RebalanceLeg, now: datetime) -> None:
    """End a leg of a stopped plan that has no working order, once it can get none any more."""
    on_its_way = leg.state == Leg.SENDING and leg.sent_at > now - IN_INTAKE_AT_MOST
    if leg.state in (Leg.WAITING, Leg.SENDING) and not on_its_way:
        leg.state = Leg.SHORT if leg.cum_qty else Leg.LEFT_OUT
        leg.text = leg.text or "the plan was stopped"


def _submit(leg: RebalanceLeg) -> None:
    """Put the leg's order through intake, as any order; the same id gives the order that is there."""
    if leg.plan.state != RebalancePlan.State.PLACING:
        return
    try:
        submit_order(ticket=_ticket(leg), actor=SYSTEM, source=Order.Source.REBALANCING)
    except DeskError as refusal:
        _refused(leg, str(refusal))


def _ticket(leg: RebalanceLeg) -> OrderTicket:
    return OrderTicket(
        symbol=leg.symbol,
        side=Side(leg.side),
        order_qty=leg.wanted_qty,
        broker_name=leg.account_id,
        client_order_id=leg.attempt_id(leg.attempt),
        strategy=STRATEGY,
    )


def _refused(leg: RebalanceLeg, text: str) -> None:
    """Note that intake did not take the leg's order at all; what enters an account is tried again."""
    again = leg.role == Role.OPEN and leg.attempt < ATTEMPTS
    state, later = (Leg.WAITING, timezone.now() + AGAIN_AFTER) if again else (Leg.SHORT, None)
    RebalanceLeg.objects.filter(pk=leg.pk, state=Leg.SENDING, attempt=leg.attempt).update(
        state=state, not_before=later, text=text
    )


def _overdue(plan_pk: int) -> list[Order]:
    """Orders that have been open for too long, or whose plan was stopped."""
    plan = RebalancePlan.objects.get(pk=plan_pk)
    before = timezone.now() - timedelta(seconds=plan.order_seconds)
    working = plan.legs.filter(state=Leg.WORKING).select_related("order")
    stopping = plan.state == RebalancePlan.State.STOPPING
    return [leg.order for leg in working if leg.order.is_cancellable and (stopping or leg.sent_at <= before)]


def _cancel(order: Order) -> None:
    try:
        request_cancel(order=order, actor=SYSTEM, reason="its plan was stopped, or it was open for too long")
    except Conflict:
        return  # it has closed meanwhile


def _conclude(plan_pk: int) -> None:
    """Book what the orders have done by now; end the plan when every leg has ended."""
    with transaction.atomic():
        plan = RebalancePlan.objects.select_for_update().get(pk=plan_pk)
        if not plan.is_running:
            return
        legs = _booked(plan)
        RebalanceLeg.objects.bulk_update(legs, _MOVING)
        if not all(leg.has_ended for leg in legs):
            return
        before, plan.state, plan.ended_at = plan.state, _state_of(plan, legs), timezone.now()
        plan.text = "; ".join(_undone(legs)) or "every order was filled"
        plan.save(update_fields=["state", "ended_at", "text"])
        record(f"rebalance.{plan.state}", plan, actor=SYSTEM, reason=plan.text, before=before)
        if plan.state != RebalancePlan.State.DONE:
            log.error("%s is %s: %s", plan, plan.state, plan.text)


def _state_of(plan: RebalancePlan, legs: Iterable[RebalanceLeg]) -> str:
    if plan.state == RebalancePlan.State.STOPPING:
        return RebalancePlan.State.STOPPED
    done = all(leg.cum_qty == leg.order_qty for leg in legs)
    return RebalancePlan.State.DONE if done else RebalancePlan.State.INCOMPLETE


def _undone(legs: Iterable[RebalanceLeg]) -> Iterable[str]:
    """What each move lacks; what left one account and did not enter the other has changed the net position."""
    legs = list(legs)
    entered = {leg.move: leg for leg in legs if leg.role == Role.OPEN}
    for leg in (one for one in legs if one.role == Role.CLOSE):
        other = entered[leg.move]
        if leg.cum_qty != other.cum_qty:
            missing = plain(leg.cum_qty - other.cum_qty)
            yield f"{missing} {leg.symbol} left {leg.account_id} and did not enter {other.account_id}: {other.text}"
        elif leg.cum_qty != leg.order_qty:
            yield f"{plain(leg.cum_qty)} of {plain(leg.order_qty)} {leg.symbol} left {leg.account_id}: {leg.text}"


def orders_by_leg(legs: Iterable[RebalanceLeg]) -> Mapping[int, list[Order]]:
    """Every order of each leg, by the leg's number."""
    legs = list(legs)
    ids = {one: leg.number for leg in legs for one in leg.attempt_ids}
    found: dict[int, list[Order]] = {leg.number: [] for leg in legs}
    for order in Order.objects.filter(client_order_id__in=ids).order_by("id"):
        found[ids[order.client_order_id]].append(order)
    return found
