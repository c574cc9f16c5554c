"""The ground of the desk: settings, vocabulary, fields, the audit trail and the configuration record."""

from tradingdesk.celery import app as celery_app

__all__ = ["celery_app"]
