"""A desk with a soft limit, and an order that passes it, as the tests of approvals need them."""

from datetime import timedelta
from decimal import Decimal

from django.utils import timezone

from orders.approvals import approve_order
from orders.intake import submit_order
from orders.models import Approval, Order, OrderRequest
from orders.ticket import parse_ticket
from risk.limits import LimitValue, set_limits
from risk.models import Control, ExposureTotal, Scope
from tests.orders.desk import LIMIT_BUY
from tests.orders.invariants import assert_books_balance
from tradingdesk.audit.models import AuditEvent

SOFT = 50


def limit(control: Control, value, scope: Scope = Scope.FIRM, scope_key: str = "", *, hard: bool = True) -> None:
    """Set one limit, or take it away."""
    number = None if value is None else Decimal(str(value))
    set_limits([LimitValue(control, number, scope, scope_key, hard)], actor="rita", reason="test")


def soft_limit(value=SOFT) -> None:
    """Let orders of more than so many IBM pass only with a second person's word."""
    limit(Control.MAX_ORDER_QTY, value, Scope.SYMBOL, "IBM", hard=False)


def held_order(*, by="ann", **body) -> Order:
    """An order of 100 IBM that waits for approval, entered by a user or under a name."""
    person = {"actor": by} if isinstance(by, str) else {"actor": by.get_username(), "user": by}
    given = {name: value for name, value in (LIMIT_BUY | body).items() if value is not None}
    order = submit_order(ticket=parse_ticket(given), **person).order
    assert order.status == "pending_approval", order.denials
    return order


def time_passes(order: Order) -> None:
    """Let the time for its approval be over."""
    Approval.objects.filter(order=order).update(expires_at=timezone.now() - timedelta(seconds=1))


def approve(order: Order, by: str = "rita", reason: str = "hedge, checked") -> Order:
    """Approve it as somebody who did not enter it."""
    return approve_order(order=order, actor=by, reason=reason)


def as_stored(order: Order) -> Order:
    return Order.objects.get(pk=order.pk)


def trail_of(order: Order) -> list[tuple]:
    """Kind, actor and reason of its audit events, oldest first."""
    events = AuditEvent.objects.filter(client_order_id=order.client_order_id).order_by("id")
    return list(events.values_list("kind", "actor", "reason"))


def assert_nothing_goes_out(order: Order) -> None:
    """Nothing is asked of a broker for it, and nothing is reserved."""
    assert not OrderRequest.objects.filter(order=order).exists()
    assert sum(row.gross for row in ExposureTotal.objects.all()) == 0
    assert_books_balance()
