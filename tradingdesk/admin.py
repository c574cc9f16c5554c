"""The ground's pages in the back office: the trail, the configuration, credentials, people and schedules."""

from tradingdesk.audit.admin import AuditEventAdmin
from tradingdesk.backoffice.people import DeskGroupAdmin, DeskTokenAdmin, DeskUserAdmin
from tradingdesk.config.admin import ConfigurationRecordAdmin
from tradingdesk.credentials.admin import CredentialAdmin
from tradingdesk.schedule.admin import DeskPeriodicTaskAdmin

__all__ = [
    "AuditEventAdmin",
    "ConfigurationRecordAdmin",
    "CredentialAdmin",
    "DeskGroupAdmin",
    "DeskPeriodicTaskAdmin",
    "DeskTokenAdmin",
    "DeskUserAdmin",
]
