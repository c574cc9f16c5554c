"""The orders that belong to one another: a bracket's, "oco" or "oto" order's exits, each an order of its own.

They are made with the order that they are placed with (their `parent`), under ids of their own; the broker's ids for
them come with its answer. The parent is judged and reserved for once. What its entry has come to hold is
reserved for one of its exits at a time: only one of them is meant to trade.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from brokers.messages import ExecutionReport, NewLeg
from brokers.models import BrokerAccount
from orders.exits import StopLoss, TakeProfit, closing_side
from orders.ledger import Ledger
from orders.models import Order, OrderRequest
from orders.moving import record_change, settle_reservation, state_of
from orders.ticket import OrderTicket
from risk import exposure
from tradingdesk.errors import Conflict
from tradingdesk.fix import (
    ClosedAs,
    ExecType,
    LegRole,
    OrderClass,
    OrdStatus,
    OrdType,
    RequestKind,
    RequestState,
)
from tradingdesk.statements import insert, update

# How an order stands that has not ended; what it is of is as good as a restatement then.
_STANDING = frozenset(
    {
        OrdStatus.NEW,
        OrdStatus.PARTIALLY_FILLED,
        OrdStatus.FILLED,
        OrdStatus.DONE_FOR_DAY,
        OrdStatus.SUSPENDED,
    }
)
_SHARED = (
    "account_id",
    "preferred_broker",
    "instrument_id",
    "symbol",
    "order_qty",
    "time_in_force",
    "order_class",
    "strategy",
    "source",
    "submitted_by_id",
    "asked_by",
    "request_id",
    "received_at",
    "created_at",
)


def exit_columns(ticket: OrderTicket) -> dict[str, Decimal | None]:
    """What a ticket asks of its exits, as the columns of an order's row."""
    profit, loss = ticket.take_profit, ticket.stop_loss
    return {
        "take_profit_px": profit.limit_price if profit else None,
        "stop_loss_px": loss.stop_price if loss else None,
        "stop_loss_limit_px": loss.limit_price if loss else None,
    }


def asked_exits(order: Order) -> dict[str, TakeProfit | StopLoss | None]:
    """What was asked of an order's exits, as the fields of a ticket."""
    profit, stop, limit = order.take_profit_px, order.stop_loss_px, order.stop_loss_limit_px
    return {
        "take_profit": None if profit is None else TakeProfit(limit_price=profit),
        "stop_loss": None if stop is None else StopLoss(stop_price=stop, limit_price=limit),
    }


def refuse_taken_ids(order: Order) -> None:
    """Make sure that the ids of an order's legs are free.

    Raises:
        Conflict: another order has one of them.
    """
    ids = [f"{order.client_order_id}-L{number}" for number in (1, 2)] if order.is_linked else []
    taken = Order.objects.filter(client_order_id__in=ids).first() if ids else None
    if taken is not None:
        detail = f"client_order_id={taken}, of one of this order's legs, belongs to another order"
        raise Conflict("DUPLICATE_CLIENT_ORDER_ID", detail, "client_order_id")


def add_legs(order: Order, ticket: OrderTicket) -> None:
    """Write the legs of an order that was just accepted; nothing for a simple one."""
    if order.is_linked:
        insert(*_legs_of(order, ticket))


def _legs_of(order: Order, ticket: OrderTicket) -> Iterator[Order]:
    shared = {name: getattr(order, name) for name in _SHARED}
    for number, (role, prices) in enumerate(_exits(ticket), 1):
        leg = Order(
            client_order_id=f"{order.client_order_id}-L{number}",
            parent=order,
            leg_role=role,
            side=closing_side(ticket),
            **prices,
            **shared,
        )
        leg.reserve_px = leg.price or leg.stop_px
        leg.refresh_status()
        yield leg


def _exits(ticket: OrderTicket) -> Iterator[tuple[LegRole, dict[str, Any]]]:
    """The exits that are legs: an "oco" order takes the profit itself."""
    profit, loss = ticket.take_profit, ticket.stop_loss
    if profit is not None and ticket.order_class != OrderClass.OCO:
        yield LegRole.TAKE_PROFIT, {"ord_type": OrdType.LIMIT, "price": profit.limit_price}
    if loss is not None:
        kind = OrdType.STOP if loss.limit_price is None else OrdType.STOP_LIMIT
        yield LegRole.STOP_LOSS, {"ord_type": kind, "price": loss.limit_price, "stop_px": loss.stop_price}


def legs_to_send(order: Order) -> tuple[NewLeg, ...]:
    """The legs that go out with an order."""
    legs = order.legs.order_by("pk") if order.is_linked else ()
    return tuple(NewLeg(leg.client_order_id, LegRole(leg.leg_role), leg.price, leg.stop_px) for leg in legs)


def with_family(orders: Iterable[Order]) -> list[Order]:
    """The orders, and those that they are linked with: locked together, as a fill of one may move the others."""
    orders = list(orders)
    keys = {order.parent_id or order.pk for order in orders if order.is_linked}
    if not keys:
        return orders
    family = Order.objects.filter(Q(pk__in=keys) | Q(parent__in=keys)).order_by()
    return list({order.pk: order for order in [*orders, *family]}.values())


def as_told(order: Order, request: OrderRequest | None, report: ExecutionReport) -> ExecutionReport:
    """Read a report of a linked order: a leg's own id at the broker says nothing, and its quantity may have shrunk.

    What one exit fills is taken from the other, which a re-read may be the first to tell.
    """
    if not order.is_linked:
        return report
    if order.parent_id and (request is None or request.kind == RequestKind.NEW):
        report = replace(report, client_order_id=order.client_order_id)
    shrunk = report.order_qty is not None and report.order_qty != order.order_qty
    as_it_stands = report.exec_type == ExecType.ORDER_STATUS and report.status in _STANDING
    if shrunk and as_it_stands and report.broker_order_id == order.broker_order_id:
        return replace(report, exec_type=ExecType.RESTATED)
    return report


def take_last_size(order: Order, report: ExecutionReport) -> None:
    """Take over the size of a linked order that has ended, where its end is the first to tell that it had shrunk."""
    ended = order.is_linked and order.closed_as and report.broker_order_id == order.broker_order_id
    if ended and report.order_qty and order.order_qty and report.order_qty < order.order_qty:
        order.order_qty = max(report.order_qty, order.cum_qty)


def link_legs(order: Order, reports: Iterable[ExecutionReport]) -> list[ExecutionReport]:
    """Give an order's legs the broker's ids that came with its answer; the reports of those that are known then."""
    return [report for report in reports if _is_linked(order, report)]


def _is_linked(order: Order, report: ExecutionReport) -> bool:
    known = Q(broker_order_id=report.broker_order_id)
    if Order.objects.filter(known, account=order.account_id).exists():
        return True
    if OrderRequest.objects.filter(known, broker_name=order.account_id).exists():
        return True
    leg = order.legs.filter(leg_role=report.leg_role, broker_order_id=None, account=order.account_id).first()
    try:
        return leg is not None and _name(leg, report.broker_order_id)
    except IntegrityError:
        return True  # whoever heard of it at the same time has named it


@transaction.atomic
def _name(leg: Order, broker_order_id: str) -> bool:
    """Note what the broker calls a leg; its request, which was told with its order's, remembers this for ever."""
    now = timezone.now()
    request = OrderRequest(
        order=leg,
        broker_name=leg.account_id,
        kind=RequestKind.NEW,
        client_order_id=leg.client_order_id,
        broker_order_id=broker_order_id,
        state=RequestState.ACCEPTED,
        order_qty=leg.order_qty,
        price=leg.price,
        stop_px=leg.stop_px,
        time_in_force=leg.time_in_force,
        sent_at=leg.parent.sent_at or now,
        answered_at=now,
    )
    insert(request)
    return bool(Order.objects.filter(pk=leg.pk, broker_order_id=None).update(broker_order_id=broker_order_id))


def unnamed_legs(account: BrokerAccount, acknowledged_before: datetime) -> QuerySet[Order]:
    """Legs that the broker has not named although it has the order that they went out with."""
    legs = Order.objects.in_flight().filter(account=account, broker_order_id=None)
    return legs.filter(parent__acknowledged_at__lt=acknowledged_before).select_related("parent")


def settle_exits(ledger: Ledger) -> None:
    """Reserve what an entry has come to hold for one of its exits, the first that is open; none for the others.

    An "oco" order reserves for itself; its stop takes over once it is closed.
    """
    for parent in [one for one in ledger.orders.values() if one.is_linked]:
        left = to_close(parent)
        for leg in [one for one in ledger.orders.values() if one.parent_id == parent.pk and one.closed_at is None]:
            leg.reserve_total_qty, left = min(leg.order_qty, left), Decimal(0)
            if ledger.settle(leg):
                ledger.moved(leg)


def to_close(parent: Order) -> Decimal:
    """How much the exits of an order have to close by now."""
    if parent.order_class == OrderClass.OCO:
        return parent.order_qty if parent.closed_at else Decimal(0)
    return parent.cum_qty


@transaction.atomic
def close_legs(order: Order, closed_as: ClosedAs, text: str, *, actor: str = "") -> None:
    """Close those legs of an order that no broker has, as the order itself was, and give back what they reserve."""
    if not order.is_linked:
        return
    shifts: list[exposure.Shift] = []
    kinds = {ClosedAs.CANCELED: "order.cancelled", ClosedAs.EXPIRED: "order.expired"}
    for leg in order.legs.locked().filter(closed_at=None, broker_order_id=None):
        before = state_of(leg)
        leg.closed_as, leg.text = closed_as, text
        leg.refresh_status()
        shifts += settle_reservation(leg)
        update(leg)
        record_change(kinds.get(closed_as, "order.rejected"), leg, before, text, actor=actor)
    exposure.move_all(order.account_id, shifts)
