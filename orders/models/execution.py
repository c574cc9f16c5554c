from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils import timezone

from brokers.models import BrokerAccount, Instrument
from orders.models.order import Order
from tradingdesk.facts import Fact
from tradingdesk.fields import MoneyField, PriceField, QuantityField
from tradingdesk.fix import ExecType, Side


class Execution(Fact):
    """One trade, bust or correction, as the broker reported it; known by `exec_id` within its account.

    A bust or correction names what it is about in `exec_ref_id`; which trades count follows from
    the whole set (`lifecycle.live_trades`).
    """

    account = models.ForeignKey(
        BrokerAccount,
        on_delete=models.PROTECT,
        db_column="broker_name",
        db_index=False,  # the indexes below begin with it
        related_name="executions",
    )
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="executions")
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="executions")
    symbol = models.CharField(max_length=32)
    exec_id = models.CharField(max_length=128)
    exec_ref_id = models.CharField(max_length=128, blank=True, default="")
    exec_type = models.CharField(
        max_length=16,
        choices=[(kind.value, kind.label) for kind in (ExecType.TRADE, ExecType.TRADE_CANCEL, ExecType.TRADE_CORRECT)],
    )
    side = models.CharField(max_length=4, choices=Side)
    last_qty = QuantityField()
    last_px = PriceField()
    cum_qty = QuantityField(null=True, blank=True, help_text="the broker's figure after it")
    commission = MoneyField(null=True, blank=True)
    broker_order_id = models.CharField(max_length=64)
    transact_time = models.DateTimeField()
    received_at = models.DateTimeField(default=timezone.now)
    text = models.TextField(blank=True, default="")
    raw = models.JSONField(default=dict, encoder=DjangoJSONEncoder)

    class Meta:
        db_table = "executions"
        ordering = ["-transact_time", "-id"]
        constraints = [models.UniqueConstraint(fields=["account", "exec_id"], name="execution_once")]
        indexes = [
            models.Index(fields=["account", "instrument", "transact_time"], name="execution_account_symbol"),
            models.Index(fields=["transact_time", "id"], name="execution_time"),
            models.Index(fields=["symbol", "transact_time"], name="execution_symbol_time"),
        ]

    def __str__(self) -> str:
        return f"{self.account_id} {self.exec_id}"


class BrokerMessage(Fact):
    """Every report that is not a trade, raw and in our words."""

    account = models.ForeignKey(
        BrokerAccount, on_delete=models.PROTECT, db_column="broker_name", db_index=False, related_name="+"
    )
    order = models.ForeignKey(Order, on_delete=models.PROTECT, null=True, blank=True, related_name="messages")
    kind = models.CharField(max_length=16)
    broker_order_id = models.CharField(max_length=64, blank=True, default="")
    client_order_id = models.CharField(max_length=48, blank=True, default="")
    status = models.CharField(max_length=16, blank=True, default="")
    transact_time = models.DateTimeField()
    received_at = models.DateTimeField(default=timezone.now)
    text = models.TextField(blank=True, default="")
    normalized = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    raw = models.JSONField(default=dict, encoder=DjangoJSONEncoder)

    class Meta:
        db_table = "broker_messages"
        ordering = ["-id"]
        indexes = [models.Index(fields=["account", "received_at"], name="message_account_time")]

    def __str__(self) -> str:
        return f"{self.kind} {self.broker_order_id}"
