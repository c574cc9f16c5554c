"""What every move of an order shares: its locks, its reservation, and the event that tells what changed.

Locks are taken in the desk's order: an account's book (by whoever writes executions or positions, or adopts orders),
its orders by their keys, and exposure last (see `risk.exposure`), as intake waits for that.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from brokers.messages import CancelRejected, ExecutionReport
from brokers.models import BrokerAccount
from orders.models import BrokerMessage, Order
from risk.exposure import Shift
from tradingdesk.audit import trail
from tradingdesk.audit.models import AuditEvent
from tradingdesk.fix import Side
from tradingdesk.statements import Param, Select

lock_book = Select(
    BrokerAccount.objects.select_for_update(no_key=True).filter(pk=Param("account")).values_list("pk").order_by()
)
lock_order = Select(Order.objects.locked().filter(pk=Param("order", Order._meta.pk)))


def settle_reservation(order: Order) -> list[Shift]:
    """Bring what an order holds in line with how it stands; the change of its symbol's row, none if nothing changed.

    `exposure.move_all` makes the change.
    """
    qty_before, notional_before = order.reserved_qty, order.reserved_notional
    order.refresh_reservation()
    qty, notional = order.reserved_qty - qty_before, order.reserved_notional - notional_before
    return [Shift(order.symbol, Side(order.side), qty, notional)] if qty or notional else []


def state_of(order: Order) -> Mapping[str, Any]:
    """What reports move; two equal states mean that a report said nothing new."""
    names = (
        "status",
        "broker_order_id",
        "order_qty",
        "cum_qty",
        "avg_px",
        "working_as",
        "closed_as",
        "price",
        "stop_px",
        "trail_price",
    )
    return {name: getattr(order, name) for name in names}


def record_change(
    kind: str, order: Order, before: Mapping[str, Any], text: str, *, actor: str = "", **detail: Any
) -> None:
    """Write the event of one move."""
    trail.record(change_event(kind, order, before, text, actor=actor, **detail))


def change_event(
    kind: str, order: Order, before: Mapping[str, Any], text: str, *, actor: str = "", **detail: Any
) -> AuditEvent:
    """The event of one move: what was before and after, of what changed."""
    after = state_of(order)
    changed = {name for name in after if after[name] != before[name]}
    return order_event(
        kind,
        order,
        actor=actor or f"system:broker.{order.account_id}",
        request_id=order.request_id,
        before={name: before[name] for name in changed},
        after={**{name: after[name] for name in changed}, **detail},
        reason=text,
    )


def order_event(kind: str, order: Order, *, actor: str, **facts: Any) -> AuditEvent:
    """An event about an order, not written yet; `facts` are columns of `AuditEvent`."""
    return trail.event(
        kind,
        actor=actor,
        entity="order",
        entity_key=order.client_order_id,
        client_order_id=order.client_order_id,
        broker_name=order.account_id or "",
        symbol=order.symbol,
        **facts,
    )


def message_of(
    account: BrokerAccount, order: Order, fact: ExecutionReport | CancelRejected, kind: str
) -> BrokerMessage:
    """What a broker said about an order, as it is kept: in the desk's words, and as it came."""
    said = {field.name: getattr(fact, field.name) for field in fields(fact) if field.name not in ("raw", "legs")}
    return BrokerMessage(
        account=account,
        order=order,
        kind=kind,
        broker_order_id=fact.broker_order_id,
        client_order_id=fact.client_order_id,
        status=fact.status or "",
        transact_time=fact.transact_time,
        text=fact.text,
        normalized={name: value for name, value in said.items() if value not in (None, "")},
        raw=dict(fact.raw),
    )
