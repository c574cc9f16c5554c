from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils import timezone

from orders.models.order import Order
from tradingdesk.facts import Fact
from tradingdesk.fix import RequestKind


class RiskDecision(Fact):
    """The gate's answer about one order or replace: for the firm, and for each candidate account.

    `denials` are the firm's; `accounts` maps each candidate to its own. Each denial has `code`,
    `detail`, `field`, `found` and `limit`. `figures` are the numbers the answer rests on.
    """

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="risk_decisions")
    about = models.CharField(max_length=8, choices=RequestKind, default=RequestKind.NEW)
    allowed = models.BooleanField()
    denials = models.JSONField(default=list, encoder=DjangoJSONEncoder)
    accounts = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    warnings = models.JSONField(default=list, encoder=DjangoJSONEncoder)
    figures = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    decided_at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "risk_decisions"
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{'allowed' if self.allowed else 'denied'} {self.order_id}"


class RoutingDecision(Fact):
    """Which account an order went to, and why; every candidate is listed with its reason."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="routing_decisions")
    chosen = models.CharField(max_length=64, blank=True, default="")
    reason = models.TextField()
    candidates = models.JSONField(default=list, encoder=DjangoJSONEncoder)
    decided_at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "routing_decisions"
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.chosen or 'none'}: {self.reason}"
