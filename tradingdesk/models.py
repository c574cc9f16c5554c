"""The ground's tables."""

from tradingdesk.audit.models import AuditEvent
from tradingdesk.config.models import ConfigurationRecord
from tradingdesk.credentials.models import Credential

__all__ = ["AuditEvent", "ConfigurationRecord", "Credential"]
