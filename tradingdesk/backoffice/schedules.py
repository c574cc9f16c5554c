"""The desk's schedules (django-celery-beat) in the site's look."""

from django.contrib import admin
from django_celery_beat.admin import ClockedScheduleAdmin, CrontabScheduleAdmin, PeriodicTaskAdmin, PeriodicTaskForm
from django_celery_beat.admin import TaskSelectWidget as PlainTaskSelectWidget
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from tradingdesk.backoffice.admins import AuditedAdmin

for _model in (PeriodicTask, IntervalSchedule, CrontabSchedule, SolarSchedule, ClockedSchedule):
    admin.site.unregister(_model)


class TaskSelectWidget(UnfoldAdminSelectWidget, PlainTaskSelectWidget):
    """The registered tasks, in the site's look."""


class DeskPeriodicTaskForm(PeriodicTaskForm):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["task"].widget = UnfoldAdminTextInputWidget()
        self.fields["regtask"].widget = TaskSelectWidget()


@admin.register(PeriodicTask)
class DeskPeriodicTaskAdmin(PeriodicTaskAdmin, AuditedAdmin):
    """What runs when."""

    form = DeskPeriodicTaskForm
    date_hierarchy = None
    list_display = ("name", "task", "enabled", "interval", "crontab", "last_run_at", "total_run_count")
    list_filter = ("enabled",)
    actions = ("enable_tasks", "disable_tasks")

    @admin.action(description="Enable selected tasks", permissions=["change"])
    def enable_tasks(self, request, queryset):
        self._record_all(request, queryset, "enabled")
        super().enable_tasks(request, queryset)

    @admin.action(description="Disable selected tasks", permissions=["change"])
    def disable_tasks(self, request, queryset):
        self._record_all(request, queryset, "disabled")
        super().disable_tasks(request, queryset)

    def _record_all(self, request, queryset, what: str) -> None:
        for task in queryset:
            self.record_change(request, task, "changed", [{what: {}}])


@admin.register(IntervalSchedule)
class DeskIntervalScheduleAdmin(AuditedAdmin):
    """Every so often."""


@admin.register(CrontabSchedule)
class DeskCrontabScheduleAdmin(CrontabScheduleAdmin, AuditedAdmin):
    """At times of the clock."""


@admin.register(SolarSchedule)
class DeskSolarScheduleAdmin(AuditedAdmin):
    """At times of the sun."""


@admin.register(ClockedSchedule)
class DeskClockedScheduleAdmin(ClockedScheduleAdmin, AuditedAdmin):
    """Once."""
