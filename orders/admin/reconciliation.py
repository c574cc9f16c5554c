"""Where desk and broker do not agree: the work queue, and the comparisons it comes from."""

from datetime import timedelta

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from orders.admin.shared import account_names, order_link, symbols_like
from orders.models import ReconciliationBreak, ReconciliationMemory, ReconciliationRun
from orders.reconcile import breaks
from orders.reconcile.resolution import ACCEPT, KEEP, resolve_break
from tradingdesk.backoffice import shown
from tradingdesk.backoffice.admins import AppendOnlyAdmin, ReadOnlyAdmin
from tradingdesk.backoffice.forms import ChoiceField, ReasonForm, carry_out
from tradingdesk.backoffice.lists import DayRangeFilter

CHANGELIST = "admin:orders_reconciliationbreak_changelist"
MAY_RESOLVE = "orders.resolve_break"


class ResolutionForm(ReasonForm):
    """Whose word counts, and why."""

    take = ChoiceField(
        label="Decision",
        choices=[(ACCEPT, "Accept the broker's word (books what that takes)"), (KEEP, "Keep the desk's word")],
    )
    field_order = ("take", "reason")


@admin.register(ReconciliationBreak)
class ReconciliationBreakAdmin(ReadOnlyAdmin):
    """Differences that wait for a person; while an unsafe one is open, nothing may add exposure at its account."""

    note = "A break closes by itself when desk and broker agree again."
    list_display = (
        "state_label",
        "account",
        "kind_label",
        "symbol",
        order_link,
        "desk_value",
        "broker_value",
        "proposal",
        "age",
        "owner",
        shown.column("opened_at", "opened (UTC)", show=shown.stamp),
        "resolution",
    )
    list_display_links = ("state_label", "account")
    list_filter = (
        ("state", ChoicesDropdownFilter),
        ("account", RelatedDropdownFilter),
        ("kind", ChoicesDropdownFilter),
        ("opened_at", DayRangeFilter),
    )
    list_select_related = ("account", "order", "owner")
    actions = ("take_over",)
    search_fields = ("symbol",)
    search_help_text = "Symbol"
    sortable_by = ()

    def search_by(self, term: str) -> Q:
        return Q(account__in=account_names()) & symbols_like(term)

    @display(description="state", label={"blocks": "danger", "open": "warning", "resolved": "success"})
    def state_label(self, row: ReconciliationBreak) -> str:
        if not row.is_open:
            return "resolved"
        return "open" if row.safe else "blocks"

    @admin.display(description="what")
    def kind_label(self, row: ReconciliationBreak) -> str:
        return row.get_kind_display()

    @admin.display(description="proposed repair")
    def proposal(self, row: ReconciliationBreak) -> str:
        return row.proposal

    @admin.display(description="age")
    def age(self, row: ReconciliationBreak) -> str:
        seconds = ((row.resolved_at or timezone.now()) - row.opened_at).total_seconds()
        return str(timedelta(seconds=int(seconds)))

    def has_resolve_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(MAY_RESOLVE)

    @admin.action(description="Take over: I look after these", permissions=["resolve"])
    def take_over(self, request: HttpRequest, queryset) -> None:
        """Make the person the owner of each open one."""
        for row in queryset.filter(state=ReconciliationBreak.State.OPEN).select_related("owner", "order"):
            with transaction.atomic():
                breaks.assign(row, owner=request.user, actor=request.user.get_username())
            self.message_user(request, f"{row}: yours")

    def change_view(self, request, object_id, form_url="", extra_context=None) -> HttpResponse:
        row = self.viewed(request, object_id)
        if row is None or not row.is_open or not self.has_resolve_permission(request):
            return super().change_view(request, object_id, form_url, extra_context)
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        return self._resolve(request, row)

    def _resolve(self, request: HttpRequest, row: ReconciliationBreak) -> HttpResponse:
        form: forms.Form = ResolutionForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            actor = request.user.get_username()
            done = carry_out(form, lambda: resolve_break(row=row, **form.cleaned_data, actor=actor))
            if done is not None:
                self.message_user(request, f"{done}: resolved")
                return redirect(CHANGELIST)
        lead = f"{row.account_id}: {row.text}. Open since {shown.stamp(row.opened_at)} UTC. Proposed: {row.proposal}."
        context = {"form": form, "back": reverse(CHANGELIST), "lead": lead, "button": "Resolve"}
        return self.page(request, "admin/desk/form.html", title=f"Resolve {row}", **context)


@admin.register(ReconciliationRun)
class ReconciliationRunAdmin(AppendOnlyAdmin):
    """Each comparison of the desk with a broker, the latest first."""

    list_display = (
        shown.column("started_at", "started (UTC)", show=shown.stamp),
        "account",
        "complete",
        "orders_compared",
        "positions_compared",
        "fills_repaired",
        "orders_adopted",
        "differences",
        "breaks_opened",
        "breaks_closed",
    )
    list_filter = (("account", RelatedDropdownFilter), "complete", ("started_at", DayRangeFilter))
    list_select_related = ("account",)
    sortable_by = ()


@admin.register(ReconciliationMemory)
class ReconciliationMemoryAdmin(ReadOnlyAdmin):
    """What the next comparison of each account goes on from."""

    list_display = (
        "account",
        shown.column("complete_at", "last complete (UTC)", show=shown.stamp),
        shown.column("cash", show=shown.money),
    )
    list_select_related = ("account",)
    sortable_by = ()
