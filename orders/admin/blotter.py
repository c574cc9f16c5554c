"""The blotter: every order, the newest first; the way to the ticket and to each order's page."""

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import path
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter, RelatedDropdownFilter
from unfold.decorators import action, display

from orders import lifecycle
from orders.admin.order_page import cancel_view, order_view, replace_view
from orders.admin.shared import SIDE_LABELS, STATUS_LABELS, orders_named
from orders.admin.ticket import ticket_view
from orders.changes import request_cancel
from orders.models import Order
from tradingdesk.backoffice import shown
from tradingdesk.backoffice.admins import ReadOnlyAdmin
from tradingdesk.backoffice.lists import DayRangeFilter, value_filter
from tradingdesk.errors import DeskError
from tradingdesk.fix import OrdStatus

REPORTED_AT_MOST = 25
STATUS_GROUPS = {"open": lifecycle.OPEN, "in_flight": lifecycle.IN_FLIGHT, "closed": lifecycle.CLOSED}


class StatusFilter(DropdownFilter):
    """By named set or single status, or only what is in doubt."""

    title = "status"
    parameter_name = "status"

    def lookups(self, request, model_admin):
        groups = [
            ("open", "any open"),
            ("in_flight", "any in flight"),
            ("in_doubt", "in doubt"),
            ("closed", "any closed"),
        ]
        return groups + OrdStatus.choices

    def queryset(self, request, queryset):
        wanted = self.value()
        if wanted == "in_doubt":
            return queryset.open().outcome_unknown()
        if wanted in STATUS_GROUPS:
            return queryset.filter(status__in=STATUS_GROUPS[wanted])
        return queryset.filter(status=wanted) if wanted in OrdStatus.values else queryset


@admin.register(Order)
class OrderAdmin(ReadOnlyAdmin):
    """Orders are entered by the ticket, changed and cancelled by requests; nothing here is edited."""

    list_display = (
        shown.column("created_at", "time (UTC)", show=shown.stamp),
        "symbol",
        "side_label",
        "quantity",
        "type_and_price",
        "status_label",
        "broker",
        "filled",
        "strategy",
        "client_order_id",
    )
    list_display_links = ("created_at", "symbol", "client_order_id")
    list_filter = (
        StatusFilter,
        ("account", RelatedDropdownFilter),
        value_filter("symbol", "symbol"),
        ("side", ChoicesDropdownFilter),
        value_filter("strategy", "strategy"),
        ("created_at", DayRangeFilter),
    )
    search_fields = ("client_order_id", "broker_order_id", "symbol")
    search_help_text = "Order id, broker's id or symbol"
    sortable_by = ()
    actions = ("cancel",)

    def search_by(self, term: str) -> Q:
        return orders_named(term)

    @display(description="side", label=SIDE_LABELS)
    def side_label(self, order: Order) -> str:
        return order.side

    @display(description="status", label=STATUS_LABELS)
    def status_label(self, order: Order):
        label = order.get_status_display() + (" – in doubt" if order.outcome_unknown else "")
        return order.status, label

    @admin.display(description="quantity")
    def quantity(self, order: Order) -> str:
        return shown.money(order.notional) if order.order_qty is None else shown.number(order.order_qty)

    @admin.display(description="type and price")
    def type_and_price(self, order: Order) -> str:
        return " ".join([order.get_ord_type_display(), *prices_of(order), order.time_in_force])

    @admin.display(description="filled")
    def filled(self, order: Order) -> str:
        if order.avg_px is None:
            return shown.number(order.cum_qty)
        return f"{shown.number(order.cum_qty)} at {shown.number(round(order.avg_px, 4))}"

    @admin.display(description="broker")
    def broker(self, order: Order) -> str:
        return order.account_id or shown.EMPTY

    def has_add_permission(self, request) -> bool:
        return self.may(request, "add")

    def has_cancel_permission(self, request) -> bool:
        return self.may(request, "cancel")

    def get_urls(self):
        pages = (("cancel", cancel_view), ("replace", replace_view))
        own = [
            path(f"<path:object_id>/{word}/", self._page_url(view), name=f"orders_order_{word}") for word, view in pages
        ]
        return [*own, *super().get_urls()]

    def _page_url(self, view):
        def shown_by_admin(request: HttpRequest, object_id: str) -> HttpResponse:
            return view(self, request, object_id)

        return self.admin_site.admin_view(shown_by_admin)

    def add_view(self, request, form_url="", extra_context=None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        return ticket_view(self, request)

    def change_view(self, request, object_id, form_url="", extra_context=None) -> HttpResponse:
        return order_view(self, request, object_id)

    @action(description="Ask the brokers to cancel", permissions=["cancel"])
    def cancel(self, request: HttpRequest, queryset: QuerySet) -> None:
        """Cancel the chosen orders one by one, and tell of each."""
        outcomes = [_cancel(order, request.user.get_username()) for order in queryset.select_related("account")]
        for level, text in outcomes[:REPORTED_AT_MOST]:
            self.message_user(request, text, level)
        done = sum(level == messages.SUCCESS for level, _ in outcomes)
        if len(outcomes) > REPORTED_AT_MOST:
            self.message_user(
                request, f"{done} of {len(outcomes)} orders: cancelled or cancel requested", messages.INFO
            )


def prices_of(order: Order) -> list[str]:
    """The prices an order names, in words."""
    named = (("", order.price), ("stop ", order.stop_px), ("trail ", order.trail_price))
    found = [f"{word}{shown.number(value)}" for word, value in named if value is not None]
    return found + ([f"trail {shown.number(order.trail_percent)} %"] if order.trail_percent is not None else [])


def _cancel(order: Order, actor: str) -> tuple[int, str]:
    """Request one cancel; what to tell the person."""
    try:
        request = request_cancel(order=order, actor=actor, reason="cancelled in the back office's list")
    except DeskError as error:
        return messages.ERROR, f"{order}: {error.detail} ({error.code})"
    return messages.SUCCESS, f"{order}: cancel requested" if request else f"{order}: cancelled before it was sent"
