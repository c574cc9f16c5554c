"""Every configuration the desk has run with."""

from django.contrib import admin

from tradingdesk.backoffice import shown
from tradingdesk.backoffice.admins import AppendOnlyAdmin
from tradingdesk.backoffice.lists import DayRangeFilter
from tradingdesk.config.models import ConfigurationRecord


@admin.register(ConfigurationRecord)
class ConfigurationRecordAdmin(AppendOnlyAdmin):
    """Versions of the configuration: who, when, from where, why, and what changed."""

    list_display = (
        "version",
        shown.column("changed_at", "changed (UTC)", show=shown.stamp),
        "changed_by",
        "source",
        "reason",
    )
    list_filter = (("changed_at", DayRangeFilter),)
    sortable_by = ()
