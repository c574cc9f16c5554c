"""The ground's pages in the back office: the trail, the configuration, credentials, people and schedules."""

from tradingdesk.audit.admin import AuditEventAdmin
from tradingdesk.backoffice.people import DeskGroupAdmin, DeskTokenAdmin, DeskUserAdmin
from tradingdesk.backoffice.schedules import DeskPeriodicTaskAdmin
from tradingdesk.config.admin import ConfigurationRecordAdmin
from tradingdesk.credentials.admin import CredentialAdmin

__all__ = [
    "AuditEventAdmin",
    "ConfigurationRecordAdmin",
    "CredentialAdmin",
    "DeskGroupAdmin",
    "DeskPeriodicTaskAdmin",
    "DeskTokenAdmin",
    "DeskUserAdmin",
]
