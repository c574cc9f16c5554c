"""The outbox: what brokers are told, and how far each request has come."""

from django.contrib import admin
from django.db.models import Q
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter
from unfold.decorators import display

from brokers.models import BrokerAccount
from orders.admin.shared import STATE_LABELS, order_keys, order_link
from orders.models import DeskState, OrderRequest
from tradingdesk.backoffice import shown
from tradingdesk.backoffice.admins import ReadOnlyAdmin


class BrokerNameFilter(DropdownFilter):
    """By account, of a table that keeps its name as text."""

    title = "account"
    parameter_name = "broker_name"

    def lookups(self, request, model_admin):
        return [(name, name) for name in BrokerAccount.objects.values_list("pk", flat=True)]

    def queryset(self, request, queryset):
        return queryset.filter(broker_name=self.value()) if self.value() else queryset


@admin.register(OrderRequest)
class OrderRequestAdmin(ReadOnlyAdmin):
    """Requests, the newest first; `unknown` ones are in doubt and keep their reservation."""

    note = "Requests are moved by the broker's worker only."
    list_display = (
        shown.column("queued_at", "queued (UTC)", show=shown.stamp),
        "broker_name",
        "kind",
        "state_label",
        order_link,
        "client_order_id",
        "attempts",
        shown.column("sent_at", "sent (UTC)", show=shown.stamp),
        shown.column("answered_at", "answered (UTC)", show=shown.stamp),
        "text",
    )
    list_filter = (BrokerNameFilter, ("state", ChoicesDropdownFilter), ("kind", ChoicesDropdownFilter))
    list_select_related = ("order",)
    ordering = ("-id",)
    search_fields = ("client_order_id",)
    search_help_text = "Order or request id"
    sortable_by = ()

    def search_by(self, term: str) -> Q:
        return Q(client_order_id=term) | Q(order__in=order_keys(term))

    @display(description="state", label=STATE_LABELS)
    def state_label(self, request: OrderRequest) -> str:
        return request.state


@admin.register(DeskState)
class DeskStateAdmin(ReadOnlyAdmin):
    """The desk's one row about itself."""

    list_display = ("__str__", "restore_epoch")
