"""The kill switch: its page, halts in force and past, what became of their cancels, and closing everything."""

from dataclasses import dataclass, field

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from orders.admin.shared import order_link
from orders.flattening import PositionToClose, positions_to_close
from orders.halting import CONFIRM_FLATTEN, CancelCounts, counts_by_broker, counts_of, flatten, stop
from orders.models import HaltCancel
from risk.halts import halts_in_force, resume
from risk.models import Halt, HaltedScope, Level, Operation
from risk.triggers import declared
from tradingdesk.audit.models import AuditEvent
from tradingdesk.backoffice import shown
from tradingdesk.backoffice.admins import ReadOnlyAdmin
from tradingdesk.backoffice.forms import ChoiceField, ReasonForm, TextField, carry_out
from tradingdesk.backoffice.lists import DayRangeFilter

SWITCH = "admin:risk_halt_switch"


class StoppedForm(ReasonForm):
    """What a halt is about."""

    scope = ChoiceField(choices=HaltedScope.choices, initial=HaltedScope.FIRM)
    scope_key = TextField(required=False, label="Account or symbol", help_text="empty for the firm", max_length=64)


class HaltForm(StoppedForm):
    """A stop of trading."""

    level = ChoiceField(choices=Level.choices, initial=Level.FREEZE)
    operation = ChoiceField(
        choices=Operation.choices, empty="–", required=False, help_text="where one operation is rejected"
    )
    field_order = ("level", "operation", "scope", "scope_key", "reason")


class FlattenForm(StoppedForm):
    """Closing everything; the word is typed, so that nobody does it by a slip."""

    confirm = TextField(label=f"Type {CONFIRM_FLATTEN}", required=False, max_length=20)
    field_order = ("scope", "scope_key", "reason", "confirm")


@dataclass(slots=True)
class HaltShown:
    """One halt in force with what it has done so far."""

    halt: Halt
    counts: CancelCounts
    by_broker: dict[str, CancelCounts] = field(default_factory=dict)
    held: list[PositionToClose] = field(default_factory=list)

    @property
    def counts_cancels(self) -> bool:
        """Whether this halt cancels."""
        return self.halt.level == Level.CANCEL_ALL or self.halt.flatten


@admin.register(Halt)
class HaltAdmin(ReadOnlyAdmin):
    """Stops of trading, the latest first; clearing and flattening have permissions of their own."""

    list_display = (
        shown.column("set_at", "set (UTC)", show=shown.stamp),
        "state",
        "level_label",
        "scope",
        "scope_key",
        "reason",
        "set_by",
        shown.column("cleared_at", "cleared (UTC)", show=shown.stamp),
        "cleared_by",
        "clear_reason",
    )
    list_filter = (("level", ChoicesDropdownFilter), "scope", ("set_at", DayRangeFilter))
    search_fields = ("scope_key",)
    sortable_by = ()

    @display(description="state", label={"in force": "danger", "cleared": "success"})
    def state(self, row: Halt) -> str:
        return "cleared" if row.cleared_at else "in force"

    @admin.display(description="level")
    def level_label(self, row: Halt) -> str:
        what = f"no {row.get_operation_display()}" if row.operation else row.get_level_display()
        return f"{what}, flatten" if row.flatten else what

    def get_urls(self):
        view = self.admin_site.admin_view
        own = [
            path("switch/", view(self.switch_view), name="risk_halt_switch"),
            path("flatten/", view(self.flatten_view), name="risk_halt_flatten"),
        ]
        return [*own, *super().get_urls()]

    def has_add_permission(self, request) -> bool:
        return self.may(request, "add")

    def switch_view(self, request: HttpRequest) -> HttpResponse:
        """The state of the desk at a glance, and the ways to stop it."""
        if not self.may(request, "view"):
            raise PermissionDenied
        form = HaltForm(request.POST or None)
        if request.method == "POST" and self._halted(request, form):
            return redirect(SWITCH)
        halts = [_as_shown(halt) for halt in halts_in_force()]
        context = {
            "halts": halts,
            "form": form,
            "may": {name: self.may(request, name) for name in ("add", "clear", "flatten")},
            "triggers": [(name, about) for name, about in declared() if about is not None],
            "emergency": AuditEvent.objects.filter(kind="kill.emergency_cancel").order_by("-id").first(),
        }
        return self.page(request, "admin/orders/kill_switch.html", title="Kill switch", **context)

    def add_view(self, request, form_url="", extra_context=None) -> HttpResponse:
        if not self.may(request, "add"):
            raise PermissionDenied
        form = HaltForm(request.POST or None)
        if request.method == "POST" and self._halted(request, form):
            return redirect(SWITCH)
        lead = "It holds from the next order on; cancels still go through."
        return self._page(request, form, title="Halt trading", button="Halt trading", lead=lead)

    def flatten_view(self, request: HttpRequest) -> HttpResponse:
        """Close everything, once the word is typed."""
        if not self.may(request, "flatten"):
            raise PermissionDenied
        form = FlattenForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            made = carry_out(form, lambda: flatten(**form.cleaned_data, actor=request.user.get_username()))
            if made is not None:
                self.message_user(request, "Everything in its scope is being closed.")
                return redirect(SWITCH)
        lead = (
            "Halts what increases exposure, cancels every working order, and places closing market orders through the "
            "gate until nothing is held. The halt stays until somebody clears it."
        )
        return self._page(request, form, title="Flatten: close every position", button="Close everything", lead=lead)

    def change_view(self, request, object_id, form_url="", extra_context=None) -> HttpResponse:
        row = self.viewed(request, object_id)
        if row is None or row.cleared_at or not self.may(request, "clear"):
            return super().change_view(request, object_id, form_url, extra_context)
        form = ReasonForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            cleared = carry_out(form, lambda: resume(halt=row, **form.cleaned_data, actor=request.user.get_username()))
            if cleared is not None:
                self.message_user(request, f"Trading goes on: {cleared.scope} {cleared.scope_key}")
                return redirect(SWITCH)
        lead = f"{row} ({row.get_level_display()}) – set by {row.set_by} at {shown.stamp(row.set_at)} UTC"
        return self._page(request, form, title="Resume trading", button="Resume trading", lead=lead)

    def _halted(self, request: HttpRequest, form: forms.Form) -> bool:
        if not self.may(request, "add"):
            raise PermissionDenied
        if not form.is_valid():
            return False
        made = carry_out(form, lambda: stop(**form.cleaned_data, actor=request.user.get_username()))
        if made is not None:
            where = f"{made.get_scope_display()} {made.scope_key}".strip()
            self.message_user(request, f"Trading is halted: {where}: {made.get_level_display()}")
        return made is not None

    def _page(self, request: HttpRequest, form, **context) -> HttpResponse:
        context |= {"form": form, "back": reverse(SWITCH)}
        return self.page(request, "admin/desk/form.html", **context)


@admin.register(HaltCancel)
class HaltCancelAdmin(ReadOnlyAdmin):
    """Orders that halts wanted cancelled, and the cancel that was last asked for."""

    list_display = (
        shown.column("asked_at", "asked (UTC)", show=shown.stamp),
        "halt",
        order_link,
        "order_status",
        "request_state",
        "times_asked",
    )
    list_filter = (("asked_at", DayRangeFilter),)
    list_select_related = ("halt", "order", "request")
    sortable_by = ()

    @admin.display(description="order")
    def order_status(self, row: HaltCancel) -> str:
        return row.order.get_status_display()

    @admin.display(description="cancel")
    def request_state(self, row: HaltCancel) -> str:
        return row.request.get_state_display() if row.request else "never sent"


def _as_shown(halt: Halt) -> HaltShown:
    if halt.level != Level.CANCEL_ALL and not halt.flatten:
        return HaltShown(halt, CancelCounts())
    held = positions_to_close(halt) if halt.flatten else []
    return HaltShown(halt, counts_of(halt), counts_by_broker(halt), held)
