"""What runs when. Entries change as versions of the configuration, with a reason."""

from __future__ import annotations

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule

from tradingdesk.backoffice import shown
from tradingdesk.backoffice.admins import ReadOnlyAdmin
from tradingdesk.backoffice.forms import ReasonForm, carry_out
from tradingdesk.schedule.entry import Entry, own_entries
from tradingdesk.schedule.forms import EntryForm, TakeAwayForm
from tradingdesk.schedule.rows import entry_of
from tradingdesk.schedule.section import change_schedule

LIST = "admin:django_celery_beat_periodictask_changelist"

for _model in (PeriodicTask, IntervalSchedule, CrontabSchedule, SolarSchedule, ClockedSchedule):
    admin.site.unregister(_model)


@admin.register(PeriodicTask)
class DeskPeriodicTaskAdmin(ReadOnlyAdmin):
    """The entries of Celery's beat: the desk's own, and those of the configuration."""

    note = "Change the schedule here or in the file; what the configuration cannot say is only shown."
    list_display = (
        "name",
        "task",
        "when",
        "enabled",
        "whose",
        shown.column("last_run_at", "last run (UTC)", show=shown.stamp),
        "total_run_count",
    )
    list_filter = ("enabled",)
    list_select_related = ("interval", "crontab", "solar", "clocked")
    search_fields = ("name", "task")
    ordering = ("name",)
    sortable_by = ()

    @admin.display(description="when")
    def when(self, row: PeriodicTask) -> str:
        entry = entry_of(row)
        if entry is None:
            return str(row.schedule)
        return f"every {entry.every} s" if entry.every else f"{entry.crontab} ({entry.timezone})"

    @admin.display(description="from")
    def whose(self, row: PeriodicTask) -> str:
        return "the desk" if own_entries().get(row.name) == entry_of(row) else "the configuration"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "add")

    def get_urls(self):
        remove = self.admin_site.admin_view(self.remove_view)
        return [path("<path:object_id>/remove/", remove, name="schedule_entry_remove"), *super().get_urls()]

    def add_view(self, request, form_url="", extra_context=None) -> HttpResponse:
        if not self.may(request, "add"):
            raise PermissionDenied
        return self._ask(request, EntryForm(request.POST or None), title="Add to the schedule")

    def change_view(self, request, object_id, form_url="", extra_context=None) -> HttpResponse:
        row = self.viewed(request, object_id)
        entry = row and entry_of(row)
        if entry is None or not self.may(request, "change"):
            return super().change_view(request, object_id, form_url, extra_context)
        form = EntryForm(request.POST or None, name=row.name, entry=entry)
        is_own = own_entries().get(row.name) == entry
        remove = "" if is_own else reverse("admin:schedule_entry_remove", args=[row.pk])
        return self._ask(request, form, title=f"Change “{row.name}”", remove=remove)

    def remove_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Take an entry out of the configuration."""
        row = self.viewed(request, object_id)
        if row is None:
            return redirect(LIST)
        if not self.may(request, "change"):
            raise PermissionDenied
        lead = "Then it is as the desk has it." if row.name in own_entries() else "Then beat does it no more."
        form = TakeAwayForm(request.POST or None)
        return self._ask(request, form, title=f"Remove “{row.name}” from the configuration", name=row.name, lead=lead)

    def _ask(self, request: HttpRequest, form: ReasonForm, *, title: str, name: str = "", **context) -> HttpResponse:
        if request.method == "POST" and form.is_valid():
            entry = form.cleaned_data.get("entry")
            if carry_out(form, lambda: self._set(request, form, name or form.cleaned_data["name"], entry)):
                return redirect(LIST)
        context |= {"danger_url": context.pop("remove", ""), "danger": "Remove from the configuration"}
        context |= {"form": form, "button": title.split()[0], "back": reverse(LIST)}
        return self.page(request, "admin/desk/form.html", title=title, **context)

    def _set(self, request: HttpRequest, form: ReasonForm, name: str, entry: Entry | None) -> bool:
        asked = {"actor": request.user.get_username(), "reason": form.cleaned_data["reason"]}
        record = change_schedule(name, entry, **asked)
        self.message_user(request, f"{name}: {f'done, with {record}' if record else 'it is like that already'}.")
        return True
