"""Orders that someone placed at the broker without the desk: adopted, so that nothing held or working is unknown."""

from decimal import Decimal

from django.db import transaction

from brokers.messages import ExecutionReport
from brokers.models import BrokerAccount, Listing
from orders.legs import to_close
from orders.models import Order
from orders.moving import lock_book, lock_order, order_event, record_change, settle_reservation, state_of
from risk import exposure
from tradingdesk.audit import trail
from tradingdesk.fix import ClosedAs, OrderClass, OrdType, Side, TimeInForce
from tradingdesk.statements import update


class CannotAdopt(Exception):
    """The report says too little to make an order of it."""


def adopt_external(*, account: BrokerAccount, report: ExecutionReport, group: ExecutionReport | None = None) -> Order:
    """Make a row for an order of the broker's that is not ours, reserving what it may still trade.

    `report` is a re-read of the order, with its symbol, side and size; `group` is one of the order that a leg was
    placed with. Locks the account and symbol rows; of two that adopt one order at once, from the stream and from a
    read, the second finds the first one's row.

    Raises:
        CannotAdopt: the symbol is not listed here, or the report has no side or size.
    """
    listing = Listing.objects.filter(account=account, broker_symbol=report.symbol).select_related("instrument").first()
    if listing is None or report.side is None or not (report.order_qty or report.notional):
        raise CannotAdopt(f"{account.broker_name}: order {report.broker_order_id} ({report.symbol or 'no symbol'})")
    with transaction.atomic():
        lock_book(account=account.pk)
        row = exposure.lock_for_report(account.broker_name, listing.instrument.symbol)
        known = Order.objects.filter(account=account, broker_order_id=report.broker_order_id).first()
        if known is not None:
            return known
        order = _external_order(account, listing, report)
        order.apply(report)
        order.reserve_px = report.price or report.stop_px or row.mark_px
        order.reserve_total_qty = order.order_qty or _estimate(report, order.reserve_px)
        if group is not None:
            _join(order, group)
        order.refresh_reservation()
        order.save()
        exposure.move(row, side=Side(order.side), qty=order.reserved_qty, notional=order.reserved_notional)
        _record(order)
    return order


def close_replaced(*, account: BrokerAccount, old: ExecutionReport, new: ExecutionReport) -> None:
    """Close an order of the desk that somebody replaced at the broker; the successor is an adopted order of its own.

    Does nothing where the row went over to the successor, as it does when the desk asked for the replace.
    """
    both = Order.objects.filter(account=account, broker_order_id__in=[old.broker_order_id, new.broker_order_id])
    rows = {order.broker_order_id: order for order in both}
    if len(rows) < 2 or not rows[old.broker_order_id].is_open:
        return
    with transaction.atomic():
        order = lock_order.first(order=rows[old.broker_order_id].pk)
        before = state_of(order)
        order.closed_as = ClosedAs.REPLACED
        order.refresh_status()
        shifts = settle_reservation(order)
        update(order)
        record_change("order.replaced", order, before, f"replaced at the broker by {new.broker_order_id}")
        exposure.move_all(account.broker_name, shifts)


def _external_order(account: BrokerAccount, listing: Listing, report: ExecutionReport) -> Order:
    return Order(
        client_order_id=_free_id(report),
        account=account,
        broker_order_id=report.broker_order_id,
        instrument=listing.instrument,
        symbol=listing.instrument.symbol,
        side=report.side,
        order_qty=report.order_qty,
        notional=report.notional if report.order_qty is None else None,
        ord_type=report.ord_type or OrdType.MARKET,
        price=report.price,
        stop_px=report.stop_px,
        time_in_force=report.time_in_force or TimeInForce.DAY,
        order_class=report.order_class or OrderClass.SIMPLE,
        leg_role=report.leg_role or "",
        source=Order.Source.EXTERNAL,
        acknowledged_at=report.transact_time,
        sent_at=report.transact_time,
    )


def _join(leg: Order, group: ExecutionReport) -> None:
    """Link a leg with the order that it was placed with; it reserves as `orders.legs.settle_exits` has it."""
    leg.parent = Order.objects.filter(account=leg.account_id, broker_order_id=group.broker_order_id).first()
    if leg.parent is not None:
        is_first = not leg.parent.legs.filter(closed_at=None).exists()
        leg.reserve_total_qty = min(leg.order_qty, to_close(leg.parent)) if is_first else Decimal(0)


def _free_id(report: ExecutionReport) -> str:
    """Its own id if that is free and fits, else `ext-` and the broker's."""
    own = report.client_order_id
    if own and len(own) <= 48 and not Order.objects.filter(client_order_id=own).exists():
        return own
    return f"ext-{report.broker_order_id}"[:48]


def _estimate(report: ExecutionReport, px: Decimal) -> Decimal:
    return (report.notional / px).quantize(Decimal("0.000000001")) if report.notional and px else Decimal(0)


def _record(order: Order) -> None:
    after = {"broker_order_id": order.broker_order_id, "side": order.side, "order_qty": order.order_qty}
    about = {"after": after, "reason": "placed at the broker, not by the desk"}
    trail.record(order_event("order.adopted", order, actor=f"system:broker.{order.account_id}", **about))
