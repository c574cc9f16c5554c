"""The auditors' consolidated trail, over all brokers."""

from django.contrib import admin
from django.db.models import Q
from django.urls import reverse
from django.utils.html import format_html

from tradingdesk.audit.models import AuditEvent
from tradingdesk.backoffice import shown
from tradingdesk.backoffice.admins import AppendOnlyAdmin
from tradingdesk.backoffice.lists import DayRangeFilter, distinct_values, value_filter


@admin.register(AuditEvent)
class AuditEventAdmin(AppendOnlyAdmin):
    """Everything that happened: who, what, when, where, and how it was before."""

    list_display = (
        shown.column("happened_at", "time (UTC)", show=shown.stamp),
        "kind",
        "actor",
        "broker_name",
        "symbol",
        "about",
        "reason_in_short",
    )
    list_display_links = ("kind",)
    list_filter = (
        value_filter("broker_name", "broker"),
        value_filter("actor", "actor"),
        value_filter("kind", "kind"),
        ("happened_at", DayRangeFilter),
    )
    search_fields = ("client_order_id", "symbol", "request_id", "entity_key")
    search_help_text = "Order, symbol, request or id"
    sortable_by = ()
    change_form_outer_after_template = "admin/tradingdesk/auditevent/after.html"
    fields = (
        shown.column("happened_at", show=shown.stamp),
        shown.column("recorded_at", show=shown.stamp),
        "actor",
        "kind",
        "entity",
        "entity_key",
        "broker_name",
        "order_link",
        "symbol",
        "request_link",
        "reason",
    )

    def search_by(self, term: str) -> Q:
        # Each part has its index: two are partial (not empty), one leads with the entity.
        return (
            Q(client_order_id=term) & ~Q(client_order_id="")
            | Q(request_id=term) & ~Q(request_id="")
            | Q(symbol=term.upper())
            | Q(entity__in=distinct_values(AuditEvent, "entity"), entity_key=term)
        )

    @admin.display(description="about")
    def about(self, event: AuditEvent) -> str:
        """The order, or whatever else it is about."""
        return self.order_link(event) if event.client_order_id else f"{event.entity} {event.entity_key}"

    @admin.display(description="order")
    def order_link(self, event: AuditEvent) -> str:
        """Link to the order's page, which the order's own search finds."""
        if not event.client_order_id:
            return shown.EMPTY
        url = reverse("admin:orders_order_changelist", query={"q": event.client_order_id})
        return format_html('<a class="text-link" href="{}">{}</a>', url, event.client_order_id)

    @admin.display(description="request")
    def request_link(self, event: AuditEvent) -> str:
        """Link to all that happened in the same request."""
        if not event.request_id:
            return shown.EMPTY
        url = reverse("admin:tradingdesk_auditevent_changelist", query={"q": event.request_id})
        return format_html('<a class="text-link" href="{}">{}</a>', url, event.request_id)

    @admin.display(description="reason")
    def reason_in_short(self, event: AuditEvent) -> str:
        return event.reason[:80] + ("…" if len(event.reason) > 80 else "")
