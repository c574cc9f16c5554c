"""Cancels and replaces, as asked for. A cancel never passes the gate; a replace passes it like an order."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from django.db import transaction

from orders import wakeups
from orders.decision import Decision, Market, decide, lock_exposure, propose, store_decision
from orders.ids import next_request_id
from orders.intake import known_market, with_prices
from orders.legs import asked_exits
from orders.models import Order, OrderRequest
from orders.moving import order_event
from orders.numerals import read_decimal
from orders.ticket import OrderTicket
from orders.tripping import trip
from orders.unsent import settle_canceled_unsent
from orders.waiting import not_approved
from risk import exposure, gate
from risk.rules import Denial, ProposedOrder
from tradingdesk.audit import trail
from tradingdesk.errors import Conflict, DeskError, InvalidInput
from tradingdesk.fix import OrderClass, OrdType, RequestKind, RequestState, Side

_REPLACEABLE = ("order_qty", "price", "stop_px", "trail_price")


class ReplaceDenied(DeskError):
    """Risk or routing does not allow the changed order; the order stands as it was."""

    http_status = 422

    def __init__(self, denials: list[dict[str, Any]]):
        first = denials[0]
        super().__init__(first["code"], first["detail"], first["field"])
        self.denials = denials


@dataclass(frozen=True, slots=True)
class Changes:
    """What a replace asks for; None leaves a value as it is."""

    order_qty: Decimal | None = None
    price: Decimal | None = None
    stop_px: Decimal | None = None
    trail_price: Decimal | None = None

    def given(self) -> dict[str, Decimal]:
        """Only what is asked to change."""
        return {name: getattr(self, name) for name in _REPLACEABLE if getattr(self, name) is not None}


def parse_changes(body: Mapping[str, Any]) -> Changes:
    """Read a replace's body.

    Raises:
        InvalidInput: a field is unknown or wrong, or nothing would change.
    """
    if not isinstance(body, Mapping):
        raise InvalidInput("INVALID_BODY", "give one JSON object")
    for name in body:
        if name not in _REPLACEABLE:
            allowed = ", ".join(_REPLACEABLE)
            raise InvalidInput(
                "UNKNOWN_FIELD", f"{str(name)[:40]!r} cannot be replaced; give {allowed}", str(name)[:40]
            )
    changes = Changes(**{name: read_decimal(name, value) for name, value in body.items() if value is not None})
    if not changes.given():
        raise InvalidInput("NOTHING_TO_REPLACE", f"give at least one of {', '.join(_REPLACEABLE)}")
    return changes


def request_cancel(*, order: Order, actor: str, reason: str = "") -> OrderRequest | None:
    """Ask for a cancel; None when the order was never sent and is cancelled here and now.

    A second call while a cancel is on its way gives that one. Locks the order's row.

    Raises:
        Conflict: the order is closed.
    """
    if order.parent_id and order.broker_order_id is None:
        order = order.parent  # a leg that the broker has not named goes with the order that it was placed with
    with transaction.atomic():
        if settle_canceled_unsent(order, actor=actor, reason=reason):
            return None
        order = Order.objects.locked().get(pk=order.pk)
        _refuse_closed(order)
        waiting = order.requests.unanswered().filter(kind=RequestKind.CANCEL).first()
        if waiting is not None:
            return waiting
        request = _enqueue(order, RequestKind.CANCEL, "C", asked_by=actor)
        _record("order.cancel_requested", order, actor, reason)
        return request


def request_replace(*, order: Order, changes: Changes, actor: str, reason: str = "") -> OrderRequest:
    """Ask for a change of a working order; until it is answered, the worse of old and new is reserved.

    Locks the order's row, then the exposure rows.

    Raises:
        Conflict: the order is closed, not acknowledged yet, or another replace is on its way.
        InvalidInput: a value does not go with the order's type, or is below what has traded.
        ReplaceDenied: risk or routing refuses the changed order.
    """
    _check_changes(order, changes)
    ticket = replace(ticket_of(order), broker_name=order.account_id or "", **changes.given())
    market = with_prices(known_market(ticket), ticket)
    with transaction.atomic():
        order = Order.objects.locked().get(pk=order.pk)
        proposed = propose(ticket, market, user=actor, order_pk=order.pk)
        held = lock_exposure(market, proposed)
        _refuse_unreplaceable(order, changes)
        denials, taken = _judge(order, ticket, market, held, proposed)
        if not denials:
            more = {"buying_power_held": taken or None, **changes.given()}
            request = _enqueue(order, RequestKind.REPLACE, "R", asked_by=actor, **more)
            _record(
                "order.replace_requested", order, actor, reason, {name: f"{v:f}" for name, v in changes.given().items()}
            )
            return request
    raise ReplaceDenied(denials)


def ticket_of(order: Order) -> OrderTicket:
    """The order as it would be asked for now."""
    return OrderTicket(
        symbol=order.symbol,
        side=Side(order.side),
        order_qty=order.order_qty,
        notional=order.notional if order.order_qty is None else None,
        ord_type=OrdType(order.ord_type),
        price=order.price,
        stop_px=order.stop_px,
        trail_price=order.trail_price,
        trail_percent=order.trail_percent,
        time_in_force=order.time_in_force,
        extended_hours=order.extended_hours,
        order_class=OrderClass(order.order_class) if order.parent_id is None else OrderClass.SIMPLE,
        **asked_exits(order),
        broker_name=order.preferred_broker,
        strategy=order.strategy,
        list_id=order.list_id,
    )


def _judge(
    order: Order, ticket: OrderTicket, market: Market, held: exposure.Exposure, proposed: ProposedOrder
) -> tuple[list[dict], Decimal]:
    """Judge the changed order, store the decision, and hold the worse of old and new if it is allowed.

    What stands against it, and the buying power that it takes beyond what the order took before.
    """
    proposed = replace(proposed, cum_qty=order.cum_qty, replaces=True, **_held(order))
    decision = decide(ticket, market, held, proposed, only=order.account_id)
    decision.denials = decision.denials or _not_approved(order, decision)
    if not decision.allowed:
        trip(order, decision)
    store_decision(order, decision, about=RequestKind.REPLACE)
    taken = Decimal(0)
    if decision.allowed and order.parent_id is None:
        taken = _hold_worse(order, held, decision.verdict.accounts[order.account_id])
    return [denial.as_dict() for denial in decision.denials], taken


def _not_approved(order: Order, decision: Decision) -> list[Denial]:
    """The soft limits that nobody has let the order pass: a change waits for nobody, it is denied."""
    passes = "enter a new order in its place, which another person may approve"
    return [replace(one, passes=passes) for one in not_approved(order, decision.to_approve)]


def _held(order: Order) -> dict[str, Decimal]:
    """What an order holds already; a leg closes what its entry has come to hold, for which one of them reserves."""
    if order.parent_id is None:
        return {
            "held_qty": order.reserved_qty,
            "held_notional": order.reserved_notional,
            "held_px": order.reserve_px,
        }
    return {"held_qty": order.leaves_qty, "held_notional": Decimal("Infinity")}


def _hold_worse(order: Order, held: exposure.Exposure, verdict: gate.AccountVerdict) -> Decimal:
    """Hold the worse of old and new; the buying power that it takes beyond what the order took before."""
    from_qty, from_notional = order.reserved_qty, order.reserved_notional
    order.reserve_total_qty = max(order.reserve_total_qty, verdict.reserve_qty)
    order.reserve_px = max(order.reserve_px, verdict.reserve_px)
    order.refresh_reservation()
    exposure.move(
        held.symbols[order.account_id],
        side=Side(order.side),
        qty=order.reserved_qty - from_qty,
        notional=order.reserved_notional - from_notional,
    )
    order.save()
    return verdict.buying_power_needed


def _enqueue(order: Order, kind: RequestKind, mark: str, **values: Any) -> OrderRequest:
    number = order.requests.filter(kind=kind).count() + 1
    request = OrderRequest.objects.create(
        order=order,
        broker_name=order.account_id,
        kind=kind,
        client_order_id=next_request_id(order.client_order_id, mark, number),
        orig_client_order_id=_current_client_order_id(order),
        broker_order_id=order.broker_order_id or "",
        send_before=None,
        **values,
    )
    wakeups.send_soon(request)
    return request


def _current_client_order_id(order: Order) -> str:
    """The id the broker knows the working order by: the last accepted replace's, or the one it was sent under."""
    taken = order.requests.exclude(kind=RequestKind.CANCEL).filter(
        state=RequestState.ACCEPTED, broker_order_id=order.broker_order_id
    )
    return taken.order_by("-id").values_list("client_order_id", flat=True).first() or order.client_order_id


def _refuse_closed(order: Order) -> None:
    if not order.is_open:
        raise Conflict("ORDER_CLOSED", f"the order is {order.status}: nothing is left to cancel or replace")


def _check_changes(order: Order, changes: Changes) -> None:
    allowed = {OrdType.LIMIT: {"price"}, OrdType.STOP: {"stop_px"}, OrdType.STOP_LIMIT: {"price", "stop_px"}}
    fields = allowed.get(order.ord_type, set()) | {"order_qty"}
    if order.ord_type == OrdType.TRAILING_STOP and order.trail_price is not None:
        fields.add("trail_price")
    for name in changes.given():
        if name not in fields:
            raise InvalidInput("FIELD_NOT_ALLOWED", f"{name} does not go with {order.ord_type} orders", name)
    if order.is_linked and changes.order_qty is not None:
        detail = f"the quantity of an {order.order_class} order cannot be replaced: cancel it and place another"
        raise Conflict("NOT_REPLACEABLE", detail, "order_qty")
    if order.order_qty is None:
        raise Conflict("NOT_REPLACEABLE", "an order by notional cannot be replaced: cancel it and place another")


def _refuse_unreplaceable(order: Order, changes: Changes) -> None:
    _refuse_closed(order)
    if order.broker_order_id is None:
        raise Conflict("NOT_ACKNOWLEDGED", "the broker has not acknowledged the order yet: try again shortly")
    if order.requests.unanswered().exists() or order.status in ("pending_replace", "pending_cancel"):
        raise Conflict("REQUEST_PENDING", "another request about this order is on its way: wait for its answer")
    if changes.order_qty is not None and changes.order_qty <= order.cum_qty:
        detail = f"order_qty={changes.order_qty}, already traded={order.cum_qty}: give more, or cancel"
        raise InvalidInput("QUANTITY_BELOW_TRADED", detail, "order_qty")


def _record(kind: str, order: Order, actor: str, reason: str, after: dict | None = None) -> None:
    trail.record(order_event(kind, order, actor=actor, after=after, reason=reason))
