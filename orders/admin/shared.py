"""What the orders app's lists share: labels, links and searches that rest on indexes."""

from django.db.models import Q
from django.urls import reverse
from django.utils.html import format_html

from brokers.models import BrokerAccount, Instrument
from orders.models import Order
from tradingdesk.backoffice import shown

STATUS_LABELS = {
    "pending_approval": "warning",
    "pending": "info",
    "new": "info",
    "partially_filled": "primary",
    "filled": "success",
    "pending_cancel": "warning",
    "pending_replace": "warning",
    "canceled": "default",
    "replaced": "default",
    "expired": "default",
    "done_for_day": "default",
    "suspended": "warning",
    "rejected": "danger",
    "denied": "danger",
}
STATE_LABELS = {"queued": "info", "sending": "info", "unknown": "danger", "accepted": "success", "refused": "warning"}
SIDE_LABELS = {"buy": "success", "sell": "danger"}
SYMBOLS_AT_MOST = 100


def order_link(row) -> str:
    """Link to the page of a row's order; the row's order is fetched with it."""
    if row.order_id is None:
        return shown.EMPTY
    url = reverse("admin:orders_order_change", args=[row.order_id])
    return format_html('<a class="text-link" href="{}">{}</a>', url, row.order.client_order_id)


order_link.short_description = "order"


def orders_named(term: str) -> Q:
    """Find orders by one of their own ids, the broker's id, or the symbol (exact or its beginning).

    Every part is an index seek: the broker's id is looked up per account, and a symbol's beginning
    in the small table of instruments.
    """
    return Q(client_order_id=term) | Q(account__in=account_names(), broker_order_id=term) | symbols_like(term)


def symbols_like(term: str) -> Q:
    """Find rows by `symbol`, exact or its beginning."""
    begun = Instrument.objects.filter(symbol__startswith=term.upper()).values_list("symbol", flat=True)
    return Q(symbol__in=[term.upper(), *begun.order_by("symbol")[:SYMBOLS_AT_MOST]])


def account_names() -> list[str]:
    """Every account's name: few, and they lead indexes whose second column is searched for."""
    return list(BrokerAccount.objects.values_list("pk", flat=True))


def order_keys(term: str) -> list[int]:
    """The key of the order with this client_order_id, if any: beside OR, a value leaves indexes usable."""
    return list(Order.objects.filter(client_order_id=term).values_list("pk", flat=True))
