"""Every configuration the desk has run with: who, when, from where, why, and what changed."""

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils import timezone

from tradingdesk.facts import Fact


class ConfigurationRecord(Fact):
    """One version of the whole configuration. Secrets are in it as `${NAME}`, never as values.

    The desk's own versions begin at 1. Those below are the changes that a legacy database told of, the latest nearest
    to 0; each has only the section it changed, and its row's id there.
    """

    version = models.IntegerField(unique=True)
    changed_at = models.DateTimeField(default=timezone.now)
    changed_by = models.CharField(max_length=150)
    source = models.CharField(max_length=255, blank=True, default="")
    reason = models.TextField(blank=True, default="")
    whole = models.JSONField(encoder=DjangoJSONEncoder)
    diff = models.JSONField(encoder=DjangoJSONEncoder)
    legacy_id = models.BigIntegerField(null=True, blank=True, editable=False)

    class Meta:
        db_table = "configuration_history"
        ordering = ["-version"]

    def __str__(self) -> str:
        return f"version {self.version}"
