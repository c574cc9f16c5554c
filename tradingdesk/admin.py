"""The ground's pages in the back office: the trail, the configuration, people and schedules."""

from tradingdesk.audit.admin import AuditEventAdmin
from tradingdesk.backoffice.people import DeskGroupAdmin, DeskTokenAdmin, DeskUserAdmin
from tradingdesk.backoffice.schedules import DeskPeriodicTaskAdmin
from tradingdesk.config.admin import ConfigurationRecordAdmin

__all__ = [
    "AuditEventAdmin",
    "ConfigurationRecordAdmin",
    "DeskGroupAdmin",
    "DeskPeriodicTaskAdmin",
    "DeskTokenAdmin",
    "DeskUserAdmin",
]
