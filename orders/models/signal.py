from django.core.serializers.json import DjangoJSONEncoder
from django.db import models

from brokers.models import BrokerAccount
from orders.models.legacy import LEGACY, LEGACY_ID, legacy_id_once
from tradingdesk.fields import PriceField


class Signal(models.Model):
    """What a strategy said of a symbol; most signals have no order.

    `account` is the one whose legacy database it came from; a signal of the desk's own is for any account.
    """

    account = models.ForeignKey(
        BrokerAccount,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        db_column="broker_name",
        db_index=False,  # the legacy id's index begins with it
        related_name="+",
    )
    symbol = models.CharField(max_length=32)
    direction = models.CharField(max_length=16)
    confidence_score = models.FloatField(null=True, blank=True)
    strength = models.FloatField(null=True, blank=True)
    generated_at = models.DateTimeField()
    price_at_signal = PriceField(null=True, blank=True)
    strategy_count = models.IntegerField(null=True, blank=True)
    contributing_strategies = models.JSONField(default=list, blank=True, encoder=DjangoJSONEncoder)
    status = models.CharField(max_length=20, blank=True, default="")
    legacy_id = models.BigIntegerField(null=True, blank=True, editable=False, help_text=LEGACY_ID)
    legacy = models.JSONField(null=True, blank=True, editable=False, help_text=LEGACY)

    class Meta:
        db_table = "signals"
        ordering = ["-generated_at", "-id"]
        constraints = [legacy_id_once("signal_legacy_id_once")]
        indexes = [
            models.Index(fields=["generated_at", "id"], name="signal_generated"),
            models.Index(fields=["symbol", "generated_at"], name="signal_symbol_generated"),
        ]

    def __str__(self) -> str:
        return f"{self.direction} {self.symbol} {self.generated_at:%Y-%m-%d %H:%M:%S}"


class SignalDecision(models.Model):
    """What the single-broker system's risk filter said of a signal: the decision behind a migrated order."""

    account = models.ForeignKey(
        BrokerAccount, on_delete=models.PROTECT, db_column="broker_name", db_index=False, related_name="+"
    )
    signal = models.ForeignKey(Signal, on_delete=models.PROTECT, null=True, blank=True, related_name="decisions")
    symbol = models.CharField(max_length=32)
    decided_at = models.DateTimeField()
    passed = models.BooleanField()
    rejection_reason = models.TextField(blank=True, default="")
    position_size = models.FloatField(null=True, blank=True)
    exposure_percent = models.FloatField(null=True, blank=True)
    portfolio_risk = models.FloatField(null=True, blank=True)
    sector_exposure = models.FloatField(null=True, blank=True)
    correlation_risk = models.FloatField(null=True, blank=True)
    legacy_id = models.BigIntegerField(null=True, blank=True, editable=False, help_text=LEGACY_ID)
    legacy = models.JSONField(null=True, blank=True, editable=False, help_text=LEGACY)

    class Meta:
        db_table = "signal_decisions"
        ordering = ["-decided_at", "-id"]
        constraints = [legacy_id_once("signal_decision_legacy_id_once")]
        indexes = [models.Index(fields=["decided_at", "id"], name="signal_decision_decided")]

    def __str__(self) -> str:
        return f"{'passed' if self.passed else 'rejected'} {self.symbol} {self.decided_at:%Y-%m-%d %H:%M:%S}"
