"""The life of a plan: proposed, approved by somebody else, rejected, stopped or expired. Each step is in the trail."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from brokers.models import Instrument
from orders.ids import order_id_prefix
from orders.intake import preview_order
from orders.models import RebalanceLeg, RebalancePlan
from orders.rebalancing.causes import ASKED, Cause, find_causes
from orders.rebalancing.configuration import rebalancing_in_force
from orders.rebalancing.drafting import Draft, DraftLeg, draft, ticket_for
from orders.rebalancing.reading import Known, ask_prices, read
from orders.rebalancing.words import NotSolved, Problem
from orders.wakeups import ADVANCE_REBALANCING, wake
from tradingdesk.audit import trail
from tradingdesk.errors import Conflict, require_reason
from tradingdesk.fields import plain
from tradingdesk.queues import DESK_QUEUE

log = logging.getLogger(__name__)

SYSTEM = "system:rebalancing"
FIRM_IS_FULL = "GROSS_EXPOSURE_EXCEEDS_LIMIT"
DENIED = "WOULD_BE_DENIED"
State = RebalancePlan.State


def preview() -> Draft:
    """Draft what would bring the book back now; stores nothing. Brokers are asked for prices that are missing.

    Raises:
        Conflict: the solver found no answer in its time.
    """
    return _drafted(Cause(ASKED), _known_with_prices())


def propose(*, actor: str, reason: str) -> RebalancePlan:
    """Store a plan for the book as it is, to be approved by somebody else.

    Raises:
        InvalidInput: no reason.
        Conflict: a plan that was asked for is open, orders of a plan are under way, or there is nothing to do.
    """
    require_reason(reason)
    if RebalancePlan.objects.filter(state__in=RebalancePlan.RUNNING).exists():
        raise Conflict("PLAN_IS_PLACED", "orders of a plan are under way; wait until it has ended")
    expire_plans()
    made = _drafted(Cause(ASKED, reason=reason), _known_with_prices())
    if not made.legs and not made.problems:
        raise Conflict("NOTHING_TO_REBALANCE", "every account is within its limits and its share")
    return _store(made, actor=actor, lasts=None)


def propose_where_due() -> list[RebalancePlan]:
    """Store a plan for each cause that holds and has none open; place it where the configuration says so.

    While orders of a plan are under way, the book is in motion and nothing is proposed.
    """
    expire_plans()
    known = read()
    if not known.settings.propose or RebalancePlan.objects.filter(state__in=RebalancePlan.RUNNING).exists():
        return []
    due = list(_without_plan(find_causes(known)))
    if not due:
        return []
    known = _known_with_prices()
    made = [_propose_for(cause, known) for cause in due]
    return [plan for plan in made if plan is not None]


def approve(*, plan: RebalancePlan, actor: str, reason: str) -> RebalancePlan:
    """Have the orders of a proposed plan placed, leaving ones first. Locks the plan's row.

    Raises:
        InvalidInput: no reason.
        Conflict: it is not open any more or too old, its own proposer asks, it has no orders, another plan's orders
            are under way, or the book has changed by another plan since.
    """
    require_reason(reason)
    try:
        with transaction.atomic():
            plan = _locked(plan)
            _refuse_approval(plan, actor)
            _decide(plan, State.PLACING, actor=actor, reason=reason, kind="rebalance.approved")
            advance_soon(plan)
    except IntegrityError as error:
        raise Conflict("PLAN_IS_PLACED", "orders of another plan are under way; wait until it has ended") from error
    return plan


def reject(*, plan: RebalancePlan, actor: str, reason: str) -> RebalancePlan:
    """End a proposed plan without orders. Locks the plan's row.

    Raises:
        InvalidInput: no reason; Conflict: it is not open any more.
    """
    require_reason(reason)
    with transaction.atomic():
        plan = _locked(plan)
        _refuse_decided(plan)
        plan.ended_at = timezone.now()
        _decide(plan, State.REJECTED, actor=actor, reason=reason, kind="rebalance.rejected")
    return plan


def stop(*, plan: RebalancePlan, actor: str, reason: str) -> RebalancePlan:
    """Place no further order of a plan, and ask for cancels of those that work. Locks the plan's row.

    Raises:
        InvalidInput: no reason; Conflict: no orders of it are being placed.
    """
    require_reason(reason)
    with transaction.atomic():
        plan = _locked(plan)
        if plan.state != State.PLACING:
            raise Conflict("PLAN_NOT_PLACED", f"{plan} is {plan.state}: there is nothing to stop")
        before, plan.state = plan.state, State.STOPPING
        plan.save(update_fields=["state"])
        record("rebalance.stopping", plan, actor=actor, reason=reason, before=before)
        advance_soon(plan)
    return plan


def expire_plans() -> int:
    """End proposed plans that nobody decided on in time; how many."""
    overdue = RebalancePlan.objects.filter(state=State.PROPOSED, expires_at__lte=timezone.now())
    return sum(_expire(pk) for pk in list(overdue.values_list("pk", flat=True)))


def _expire(plan_pk: int) -> bool:
    with transaction.atomic():
        plan = RebalancePlan.objects.select_for_update().get(pk=plan_pk)
        if plan.state != State.PROPOSED:
            return False
        plan.state, plan.ended_at = State.EXPIRED, timezone.now()
        plan.save(update_fields=["state", "ended_at"])
        record("rebalance.expired", plan, actor=SYSTEM, reason="nobody decided in time", before=State.PROPOSED)
    return True


def advance_soon(plan: RebalancePlan) -> None:
    """Have the plan's orders placed or watched, after the commit at hand; beat does so, too, now and then."""
    transaction.on_commit(lambda: wake(ADVANCE_REBALANCING, plan.pk, queue=DESK_QUEUE))


def record(kind: str, plan: RebalancePlan, *, actor: str, reason: str, before: str = "", **detail) -> None:
    """Write one step of a plan to the trail."""
    trail.record(
        trail.event(
            kind,
            actor=actor,
            entity="rebalance_plan",
            entity_key=str(plan.pk),
            before={"state": before} if before else None,
            after={"state": plan.state, "cause": plan.cause, **detail},
            reason=reason,
        )
    )


def _known_with_prices() -> Known:
    ask_prices(read())
    return read()


def _drafted(cause: Cause, known: Known) -> Draft:
    try:
        made = draft(cause, known)
    except NotSolved as error:
        raise Conflict("NOT_SOLVED", f"no plan was found in time: {error}") from error
    made.problems += [problem for leg in made.legs for problem in _denials(leg)]
    return made


def _denials(leg: DraftLeg) -> Iterator[Problem]:
    """What the gate has against an order now; one that enters comes after others have made room in the firm's limit."""
    for denial in preview_order(ticket=ticket_for(leg), actor=SYSTEM).denials:
        if leg.role == RebalanceLeg.Role.CLOSE or denial["code"] != FIRM_IS_FULL:
            what = f"{leg.side} {plain(leg.order_qty)} {leg.symbol} at {leg.broker_name}"
            said = f"{denial['code']}: {denial['detail']}"
            yield Problem(DENIED, f"{what}: {said}", leg.broker_name, leg.symbol)


def _without_plan(causes: Iterable[Cause]) -> Iterator[Cause]:
    taken = set(RebalancePlan.objects.filter(state__in=RebalancePlan.OPEN).values_list("cause", flat=True))
    return (cause for cause in causes if cause.key not in taken)


def _propose_for(cause: Cause, known: Known) -> RebalancePlan | None:
    """Store a plan, and place it where the configuration allows; None when another process was quicker."""
    try:
        made = _drafted(cause, known)
        plan = _store(made, actor=SYSTEM, lasts=known.settings.expires_after)
    except Conflict as conflict:
        log.warning("no plan for %s: %s", cause.key, conflict)
        return None
    log.warning("%s is proposed with %s orders: %s", plan, len(made.legs), cause.reason)
    if _may_place(known, made):
        try:
            return approve(plan=plan, actor=SYSTEM, reason="the configuration has plans placed (rebalancing.place)")
        except Conflict as conflict:
            log.warning("%s waits for a person: %s", plan, conflict)
    return plan


def _may_place(known: Known, made: Draft) -> bool:
    """Whether the desk may place this without a person: what would leave and could not enter is one's to decide on."""
    most = known.settings.max_cost
    denied = any(problem.code == DENIED for problem in made.problems)
    return known.settings.place and bool(made.legs) and not denied and (most is None or made.cost <= most)


def _store(made: Draft, *, actor: str, lasts: int | None) -> RebalancePlan:
    settings = rebalancing_in_force()
    now = timezone.now()
    plan = RebalancePlan(
        cause=made.cause.key,
        reason=made.cause.reason,
        proposed_by=actor,
        proposed_at=now,
        expires_at=now + timedelta(seconds=lasts or settings.expires_after),
        total_value=made.total_value,
        turnover=made.turnover,
        cost=made.cost,
        order_seconds=settings.order_timeout,
        accounts=made.accounts,
        problems=[problem.as_dict() for problem in made.problems],
    )
    try:
        with transaction.atomic():
            plan.save()
            RebalanceLeg.objects.bulk_create(_legs_of(plan, made))
            detail = {"legs": len(made.legs), "cost": plain(made.cost)}
            record("rebalance.proposed", plan, actor=actor, reason=plan.reason, **detail)
    except IntegrityError as error:
        raise Conflict("PLAN_IS_OPEN", f"a plan for {made.cause.key} is open; decide on it first") from error
    return plan


def _legs_of(plan: RebalancePlan, made: Draft) -> list[RebalanceLeg]:
    symbols = {leg.symbol for leg in made.legs}
    instruments = dict(Instrument.objects.filter(symbol__in=symbols).values_list("symbol", "pk"))
    prefix = order_id_prefix()
    return [
        RebalanceLeg(
            plan=plan,
            account_id=leg.broker_name,
            instrument_id=instruments[leg.symbol],
            client_order_id=f"{prefix}-rb{plan.pk}-{leg.number}",
            **{name: value for name, value in asdict(leg).items() if name != "broker_name"},
        )
        for leg in made.legs
    ]


def _refuse_approval(plan: RebalancePlan, actor: str) -> None:
    _refuse_decided(plan)
    if plan.expires_at <= timezone.now():
        raise Conflict("PLAN_EXPIRED", f"{plan} was good until {plan.expires_at:%Y-%m-%d %H:%M:%S} UTC; propose again")
    if actor.casefold() == plan.proposed_by.casefold() and actor != SYSTEM:
        raise Conflict("OWN_PLAN", f"{actor} proposed {plan}: somebody else approves it")
    if not plan.legs.exists():
        raise Conflict("NOTHING_TO_PLACE", f"{plan} has no orders; it says what cannot be done")
    later = (
        RebalancePlan.objects.exclude(pk=plan.pk).filter(decided_at__gte=plan.proposed_at).exclude(state=State.REJECTED)
    )
    if other := later.first():
        raise Conflict("PLAN_IS_STALE", f"{other} was placed since {plan} was made; propose again")


def _refuse_decided(plan: RebalancePlan) -> None:
    if plan.state != State.PROPOSED:
        raise Conflict("PLAN_NOT_OPEN", f"{plan} is {plan.state}")


def _decide(plan: RebalancePlan, state: str, *, actor: str, reason: str, kind: str) -> None:
    before, plan.state = plan.state, state
    plan.decided_by, plan.decided_at, plan.decision_reason = actor, timezone.now(), reason
    plan.save()
    record(kind, plan, actor=actor, reason=reason, before=before)


def _locked(plan: RebalancePlan) -> RebalancePlan:
    return RebalancePlan.objects.select_for_update().get(pk=plan.pk)
