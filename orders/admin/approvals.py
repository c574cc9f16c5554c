"""The queue of approvals: orders that soft limits hold back until a second person has decided."""

from __future__ import annotations

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from orders.admin.shared import order_keys, order_link
from orders.approvals import approve_order, is_own, refuse_order
from orders.models import Approval, Order
from tradingdesk.backoffice import shown
from tradingdesk.backoffice.admins import ReadOnlyAdmin
from tradingdesk.backoffice.forms import ReasonForm, carry_out
from tradingdesk.backoffice.lists import DayRangeFilter
from tradingdesk.fix import OrdStatus

CHANGELIST = "admin:orders_approval_changelist"
TEMPLATE = "admin/orders/approval/decide.html"
MAY_DECIDE = "orders.approve_order"
STATE_LABELS = {
    "waiting": "warning",
    "approved": "success",
    "refused": "danger",
    "denied": "danger",
    "expired": "default",
    "withdrawn": "default",
}


@admin.register(Approval)
class ApprovalAdmin(ReadOnlyAdmin):
    """Who may approve opens one and decides it; nobody decides on an order of his own."""

    note = "Held orders are decided by another person than the one who entered them."
    list_display = (
        "state_label",
        order_link,
        "what",
        "breaks_in_short",
        "asked_by",
        shown.column("asked_at", "asked (UTC)", show=shown.stamp),
        "time_left",
        "decided_by",
        "reason",
    )
    list_display_links = ("state_label",)
    list_filter = (("state", ChoicesDropdownFilter), ("asked_at", DayRangeFilter))
    list_select_related = ("order",)
    search_fields = ("order__client_order_id", "order__symbol")
    search_help_text = "Order"
    sortable_by = ()

    def search_by(self, term: str) -> Q:
        return Q(order__in=order_keys(term))

    @display(description="state", label=STATE_LABELS)
    def state_label(self, row: Approval) -> str:
        return row.state

    @admin.display(description="what")
    def what(self, row: Approval) -> str:
        return in_short(row.order)

    @admin.display(description="soft limits")
    def breaks_in_short(self, row: Approval) -> str:
        return ", ".join(dict.fromkeys(one["code"] for one in row.breaks))

    @admin.display(description="time left")
    def time_left(self, row: Approval) -> str:
        if not row.is_waiting:
            return shown.EMPTY
        seconds = int((row.expires_at - timezone.now()).total_seconds())
        return f"{seconds // 60}:{seconds % 60:02}" if seconds > 0 else "over"

    def change_view(self, request, object_id, form_url="", extra_context=None) -> HttpResponse:
        row = self.viewed(request, object_id)
        if row is None or not row.is_waiting or not request.user.has_perm(MAY_DECIDE):
            return super().change_view(request, object_id, form_url, extra_context)
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        return self._decide(request, row)

    def _decide(self, request: HttpRequest, row: Approval) -> HttpResponse:
        form = ReasonForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            stage = refuse_order if "_refuse" in request.POST else approve_order
            given = {"order": row.order, "actor": request.user.get_username(), "reason": form.cleaned_data["reason"]}
            order = carry_out(form, lambda: stage(**given))
            if order is not None:
                self.message_user(request, *_told(order))
                return redirect("admin:orders_order_change", order.pk)
            row.refresh_from_db()  # it may have ended, or pass other limits by now
        own = is_own(row, row.order, request.user.get_username())
        context = {"approval": row, "order": row.order, "form": form, "what": in_short(row.order), "own": own}
        return self.page(request, TEMPLATE, title=f"Approve {row.order}?", back=reverse(CHANGELIST), **context)


def in_short(order: Order) -> str:
    """An order in a few words."""
    size = shown.money(order.notional) + " of" if order.order_qty is None else shown.number(order.order_qty)
    price = f" at {shown.number(order.price)}" if order.price is not None else ""
    return f"{order.side} {size} {order.symbol} {order.ord_type}{price}"


def _told(order: Order) -> tuple[str, int]:
    if order.status != OrdStatus.DENIED:
        return f"{order} was approved and goes to {order.account_id}.", messages.SUCCESS
    return f"{order} is denied: nothing was sent.", messages.WARNING
