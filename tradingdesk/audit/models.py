"""The one trail: everything that happened, whoever caused it."""

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils import timezone

from tradingdesk.facts import Fact


class AuditEvent(Fact):
    """One thing that happened, written in the transaction that made it so.

    `kind` names it: what it is about, and what happened to that (`order.new`, `order.denied`, `config.changed`).
    It names a broker in plain text and points at nothing, so it outlives what it tells about.
    On PostgreSQL the table has `xact_id` (xid8) too, filled by the database.
    """

    happened_at = models.DateTimeField(default=timezone.now)
    recorded_at = models.DateTimeField(default=timezone.now, editable=False)
    actor = models.CharField(max_length=150)
    kind = models.CharField(max_length=40)
    entity = models.CharField(max_length=40, blank=True, default="")
    entity_key = models.CharField(max_length=80, blank=True, default="")
    broker_name = models.CharField(max_length=64, blank=True, default="")
    client_order_id = models.CharField(max_length=48, blank=True, default="")
    symbol = models.CharField(max_length=32, blank=True, default="")
    before = models.JSONField(null=True, blank=True, encoder=DjangoJSONEncoder)
    after = models.JSONField(null=True, blank=True, encoder=DjangoJSONEncoder)
    request_id = models.CharField(max_length=64, blank=True, default="")
    reason = models.TextField(blank=True, default="")

    class Meta:
        db_table = "audit_events"
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["client_order_id"], name="audit_order", condition=~models.Q(client_order_id="")),
            models.Index(fields=["broker_name", "id"], name="audit_broker"),
            models.Index(fields=["kind", "id"], name="audit_kind"),
            models.Index(fields=["symbol", "id"], name="audit_symbol"),
            models.Index(fields=["actor", "id"], name="audit_actor"),
            models.Index(fields=["happened_at"], name="audit_happened"),
            models.Index(fields=["request_id"], name="audit_request", condition=~models.Q(request_id="")),
            models.Index(fields=["entity", "entity_key"], name="audit_entity"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.entity_key or self.client_order_id}"
