"""What an order's page shows: each kind of fact, bounded, and all of them in the order the desk learnt of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from orders.models import BrokerMessage, Execution, Order, OrderRequest, Position, SignalDecision
from tradingdesk.audit.models import AuditEvent
from tradingdesk.backoffice import shown

SHOWN_AT_MOST = 200
# Events that only repeat what a fact on the page tells with more detail.
TOLD_BY_FACTS = ("order.new", "order.routed", "order.denied", "execution", "risk.decision")


@dataclass(slots=True)
class Section:
    """The latest rows of one kind, oldest first, and how many there are in all."""

    rows: list[Any]
    total: int

    @property
    def left_out(self) -> int:
        """How many older rows are not shown."""
        return self.total - len(self.rows)


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of the timeline, by the desk's own clock: brokers' clocks do not agree with it to the millisecond."""

    at: datetime
    icon: str
    what: str
    detail: str = ""
    tone: str = ""


@dataclass(slots=True)
class Life:
    """Everything about one order that its page shows."""

    risk: Section
    routing: Section
    requests: Section
    executions: Section
    messages: Section
    events: Section
    legs: list[Order] = field(default_factory=list)
    positions: list[Position] = field(default_factory=list)
    origin: list[SignalDecision] = field(default_factory=list)
    timeline: list[Moment] = field(default_factory=list)


def life_of(order: Order, *, may_see_trail: bool) -> Life:
    """Read an order's life: one query a section, whatever has happened (and one more for a section cut short)."""
    events = AuditEvent.objects.filter(client_order_id=order.client_order_id).exclude(client_order_id="")
    life = Life(
        risk=_latest(order.risk_decisions.order_by("-id")),
        routing=_latest(order.routing_decisions.order_by("-id")),
        requests=_latest(order.requests.order_by("-id")),
        executions=_latest(order.executions.order_by("-transact_time", "-id")),
        messages=_latest(order.messages.order_by("-id")),
        events=_latest((events if may_see_trail else events.none()).order_by("-id")),
    )
    if order.is_linked and order.parent_id is None:
        life.legs = list(order.legs.order_by("pk"))
    if order.signal_id is not None:
        life.origin = list(order.signal.decisions.order_by("decided_at", "id")[:SHOWN_AT_MOST])
    life.positions = _positions(order, life.executions.rows)
    life.timeline = sorted(_moments(order, life), key=lambda moment: moment.at)
    return life


def _latest(newest_first: QuerySet) -> Section:
    rows = list(newest_first[: SHOWN_AT_MOST + 1])
    total = len(rows) if len(rows) <= SHOWN_AT_MOST else newest_first.count()
    return Section(rows[:SHOWN_AT_MOST][::-1], total)


def _positions(order: Order, executions: list[Execution]) -> list[Position]:
    """The account's positions that this order's fills were part of."""
    if not executions:
        return []
    first, last = executions[0].transact_time, executions[-1].transact_time
    during = Q(opened_at__lte=last) & (Q(closed_at=None) | Q(closed_at__gte=first))
    held = Position.objects.filter(during, account_id=order.account_id, symbol=order.symbol)
    return list(held.select_related("trade_log").order_by("-opened_at")[:5])


def _moments(order: Order, life: Life) -> Iterator[Moment]:
    asker = order.submitted_by or order.asked_by
    who = f"by {asker} " if asker else ""
    yield Moment(order.received_at, "input", "Received", f"{who}via {order.source}")
    for decision in life.risk.rows:
        yield _risk_moment(decision)
    for decision in life.routing.rows:
        yield Moment(decision.decided_at, "alt_route", f"Routed to {decision.chosen or 'nobody'}", decision.reason)
    for request in life.requests.rows:
        yield from _request_moments(request)
    for execution in life.executions.rows:
        yield _execution_moment(execution)
    for message in life.messages.rows:
        yield _message_moment(message)
    for event in life.events.rows:
        if not event.kind.startswith(TOLD_BY_FACTS):
            yield Moment(event.happened_at, "history_edu", event.kind, f"{event.actor} {event.reason}".strip())


def _risk_moment(decision) -> Moment:
    codes = ", ".join(dict.fromkeys(denial["code"] for denial in decision.denials))
    if decision.allowed:
        return Moment(decision.decided_at, "verified_user", f"Risk allowed the {decision.about} order", tone="good")
    return Moment(decision.decided_at, "gpp_bad", f"Risk denied the {decision.about} order", codes, "bad")


def _request_moments(request: OrderRequest) -> Iterator[Moment]:
    yield Moment(
        request.queued_at, "outbox", f"Request to {request.broker_name}: {request.kind}", request.client_order_id
    )
    if request.sent_at:
        yield Moment(request.sent_at, "send", f"Sent: {request.kind}", f"attempt {request.attempts}")
    if request.answered_at:
        tone = "bad" if request.state == "refused" else ""
        yield Moment(
            request.answered_at, "mark_email_read", f"Answered: {request.kind} {request.state}", request.text, tone
        )


def _execution_moment(execution: Execution) -> Moment:
    what = (
        f"{execution.get_exec_type_display()}: {shown.number(execution.last_qty)} at {shown.number(execution.last_px)}"
    )
    tone = "good" if execution.exec_type == "trade" else "bad"
    detail = f"{execution.exec_id}, at the broker {shown.stamp(execution.transact_time)}"
    return Moment(execution.received_at, "swap_horiz", what, detail, tone)


def _message_moment(message: BrokerMessage) -> Moment:
    what = f"{message.account_id} says {message.kind}" + (f", {message.status}" if message.status else "")
    return Moment(message.received_at, "forum", what, message.text)
