from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils import timezone


class MigrationRun(models.Model):
    """One migration of a legacy database into an account (`orders.migrate`); written in its transaction.

    `fingerprint` is of what the source held; `report` is what was signed off, whole. An undone run keeps its row.
    """

    broker_name = models.CharField(max_length=64)
    source = models.CharField(max_length=255, help_text="without its password")
    fingerprint = models.CharField(max_length=64)
    backup = models.CharField(max_length=255, blank=True, default="")
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(default=timezone.now)
    actor = models.CharField(max_length=150)
    report = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    undone_at = models.DateTimeField(null=True, blank=True)
    undone_by = models.CharField(max_length=150, blank=True, default="")

    class Meta:
        db_table = "migration_runs"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["broker_name", "fingerprint"],
                condition=models.Q(undone_at=None),
                name="migration_run_once_while_in_force",
            )
        ]

    def __str__(self) -> str:
        return f"{self.broker_name} {self.started_at:%Y-%m-%d %H:%M:%S}"


class QuarantinedRow(models.Model):
    """A legacy row that no rule maps: kept whole, with the reason, for a person to look at.

    `row` has the columns as text and numbers; what JSON cannot hold (bytes, NaN) is written out as text.
    """

    run = models.ForeignKey(MigrationRun, on_delete=models.CASCADE, related_name="quarantine")
    broker_name = models.CharField(max_length=64)
    source_table = models.CharField(max_length=64)
    source_id = models.CharField(max_length=64)
    reason = models.CharField(max_length=64)
    detail = models.TextField(blank=True, default="")
    row = models.JSONField(encoder=DjangoJSONEncoder)

    class Meta:
        db_table = "migration_quarantine"
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["broker_name", "source_table", "source_id"], name="quarantined_once")
        ]
        indexes = [models.Index(fields=["reason", "id"], name="quarantine_reason")]

    def __str__(self) -> str:
        return f"{self.source_table} {self.source_id}: {self.reason}"
