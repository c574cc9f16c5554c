"""Every configuration the desk has run with; two of them side by side; going back to one."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import action

from tradingdesk.backoffice import shown
from tradingdesk.backoffice.admins import AppendOnlyAdmin
from tradingdesk.backoffice.forms import carry_out
from tradingdesk.backoffice.lists import DayRangeFilter
from tradingdesk.config.changes import side_by_side
from tradingdesk.config.forms import CompareForm, ReturnForm
from tradingdesk.config.models import ConfigurationRecord
from tradingdesk.config.record import Plan, configuration_in_force, plan_return, return_to
from tradingdesk.errors import DeskError

TEMPLATES = "admin/tradingdesk/configurationrecord"
COMPARE = "admin:tradingdesk_configurationrecord_compare"


@admin.register(ConfigurationRecord)
class ConfigurationRecordAdmin(AppendOnlyAdmin):
    """Versions of the configuration: who, when, from where, why, and what changed."""

    list_display = (
        "version",
        shown.column("changed_at", "changed (UTC)", show=shown.stamp),
        "changed_by",
        "source",
        "reason",
        shown.column("diff", "changes", show=len),
        "compared",
    )
    list_filter = (("changed_at", DayRangeFilter),)
    sortable_by = ()
    fields = (
        "version",
        shown.column("changed_at", "changed (UTC)", show=shown.stamp),
        "changed_by",
        "source",
        "reason",
    )
    change_form_outer_after_template = f"{TEMPLATES}/after.html"
    actions_list = ("compare",)
    actions_detail = ("compare_with_this", "go_back")

    def has_enact_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return self.may(request, "enact")

    @admin.display(description="side by side")
    def compared(self, record: ConfigurationRecord) -> str:
        """Link to this version beside the one before it."""
        if record.version <= 1:
            return shown.EMPTY
        return format_html(
            '<a class="text-link" href="{}">with {}</a>',
            _compare_url(record.version - 1, record.version),
            record.version - 1,
        )

    @action(description="Compare versions", url_path="compare", permissions=["view"], icon="difference")
    def compare(self, request: HttpRequest) -> HttpResponse:
        """Show any two versions side by side."""
        form = CompareForm(request.GET)
        versions = form.versions()
        context: dict = {"form": form}
        if versions:
            before, after = versions
            lines = side_by_side(before.whole, after.whole)
            context |= {
                "before": before,
                "after": after,
                "count": len(lines),
                "changed": sum(line.is_changed for line in lines),
                "lines": [line for line in lines if line.is_changed or not form.cleaned_data["only"]],
                "in_force": configuration_in_force(),
                "may_go_back": self.may(request, "enact"),
            }
        return self.page(request, f"{TEMPLATES}/compare.html", title="Compare versions", **context)

    @action(description="Compare", url_path="compare", permissions=["view"], icon="difference")
    def compare_with_this(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show a version beside the one in force."""
        record, in_force = self.viewed(request, object_id), configuration_in_force()
        if record is None or in_force is None:
            return redirect("admin:tradingdesk_configurationrecord_changelist")
        return redirect(_compare_url(record.version, in_force.version))

    @action(description="Go back to this version…", url_path="go-back", permissions=["view", "enact"], icon="undo")
    def go_back(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what going back to a version would change; then, with a reason, put it in force as a new one."""
        record = self.viewed(request, object_id)
        if record is None:
            return redirect("admin:tradingdesk_configurationrecord_changelist")
        planned, refusal = _planned(record)
        in_force = configuration_in_force()
        form = ReturnForm(request.POST or None, initial={"seen": in_force.version if in_force else None})
        if request.method == "POST" and form.is_valid():
            asked = {**form.cleaned_data, "actor": request.user.get_username()}
            made = carry_out(form, lambda: return_to(record, **asked))
            if made is not None:
                self.message_user(request, f"{made} is in force: as {record} was.")
                return redirect("admin:tradingdesk_configurationrecord_change", made.pk)
            form.data = form.data.dict() | {"seen": in_force.version if in_force else ""}  # the page shows the new one
        context = {"record": record, "in_force": in_force, "planned": planned, "refusal": refusal, "form": form}
        return self.page(request, f"{TEMPLATES}/go_back.html", title=f"Go back to {record}", **context)


def _planned(record: ConfigurationRecord) -> tuple[Plan | None, list[str]]:
    """What going back would change; or what stands against it, line by line."""
    try:
        return plan_return(record), []
    except DeskError as refusal:
        return None, refusal.detail.splitlines()


def _compare_url(before: int, after: int) -> str:
    return reverse(COMPARE, query={"before": before, "after": after, "only": "on"})
