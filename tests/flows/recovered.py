"""What a desk's own database says of itself after it was brought back; runs in the desk's environment."""

from typing import Any

from orders.books import discrepancies
from orders.ids import restore_epoch
from orders.models import Order
from tests.orders.invariants import assert_books_balance
from tradingdesk.audit.models import AuditEvent
from tradingdesk.audit.protection import missing_triggers


def told() -> dict[str, Any]:
    """Its books, checked twice over, its trail, and whose orders it has."""
    assert_books_balance()
    sources = Order.objects.values_list("client_order_id", "source")
    return {
        "discrepancies": list(discrepancies()),
        "missing_triggers": missing_triggers(),
        "epoch": restore_epoch(),
        "sources": dict(sources),
        "events": [list(row) for row in AuditEvent.objects.order_by("id").values_list("id", "kind", "client_order_id")],
    }
