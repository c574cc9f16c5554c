"""The ground's tables."""

from tradingdesk.audit.models import AuditEvent
from tradingdesk.config.models import ConfigurationRecord

__all__ = ["AuditEvent", "ConfigurationRecord"]
