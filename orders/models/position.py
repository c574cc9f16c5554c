from decimal import Decimal

from django.db import models

from brokers.models import BrokerAccount, Instrument
from orders.models.legacy import LEGACY, LEGACY_ID, legacy_id_once
from orders.models.order import Order
from tradingdesk.fields import MoneyField, PriceField, QuantityField


class Position(models.Model):
    """What one account holds of one instrument, from flat to flat; one open row, closed ones are kept.

    A fold over executions (`orders.booking`): crossing zero closes a row and opens the next.
    `qty` is signed (short below zero); `avg_px` is the average entry price of what is held.
    """

    account = models.ForeignKey(
        BrokerAccount, on_delete=models.PROTECT, db_column="broker_name", db_index=False, related_name="positions"
    )
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="positions")
    symbol = models.CharField(max_length=32)
    qty = QuantityField(default=Decimal(0))
    avg_px = PriceField(default=Decimal(0))
    realized_pnl = MoneyField(default=Decimal(0))
    commission = MoneyField(default=Decimal(0))
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    last_trade_at = models.DateTimeField()
    last_exec_id = models.CharField(max_length=128, blank=True, default="")
    historic = models.BooleanField(
        default=False, editable=False, help_text="closed in a legacy database: executions do not change it"
    )
    legacy_id = models.BigIntegerField(null=True, blank=True, editable=False, help_text=LEGACY_ID)
    legacy = models.JSONField(null=True, blank=True, editable=False, help_text=LEGACY)

    class Meta:
        db_table = "positions"
        ordering = ["-opened_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "instrument"], condition=models.Q(closed_at=None), name="position_open_once"
            ),
            legacy_id_once("position_legacy_id_once"),
        ]
        indexes = [
            models.Index(fields=["account", "symbol"], name="position_account_symbol"),
            models.Index(fields=["opened_at", "id"], name="position_opened"),
            models.Index(
                fields=["account", "instrument", "opened_at"],
                name="position_booked",
                condition=models.Q(historic=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account_id} {self.symbol} {self.qty.normalize():f}"

    @property
    def broker_name(self) -> str:
        """Name of the account that holds it."""
        return self.account_id

    @property
    def is_open(self) -> bool:
        """Whether anything is held."""
        return self.closed_at is None


class TradeLog(models.Model):
    """One round trip: opened by the first fill, closed when the position is flat again.

    `position` is null only for a trade log that came from a legacy database without one.
    """

    class Direction(models.TextChoices):
        LONG = "long"
        SHORT = "short"

    position = models.OneToOneField(Position, on_delete=models.CASCADE, null=True, blank=True, related_name="trade_log")
    account = models.ForeignKey(
        BrokerAccount, on_delete=models.PROTECT, db_column="broker_name", db_index=False, related_name="trade_logs"
    )
    order = models.ForeignKey(
        Order, on_delete=models.PROTECT, null=True, blank=True, related_name="+", help_text="that opened it"
    )
    symbol = models.CharField(max_length=32)
    strategy = models.CharField(max_length=64, blank=True, default="")
    direction = models.CharField(max_length=5, choices=Direction)
    entry_qty = QuantityField(default=Decimal(0))
    entry_px = PriceField(default=Decimal(0), help_text="average")
    exit_qty = QuantityField(default=Decimal(0))
    exit_px = PriceField(null=True, blank=True, help_text="average")
    gross_pnl = MoneyField(default=Decimal(0))
    commission = MoneyField(default=Decimal(0))
    net_pnl = MoneyField(default=Decimal(0))
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    legacy_id = models.BigIntegerField(null=True, blank=True, editable=False, help_text=LEGACY_ID)
    legacy = models.JSONField(null=True, blank=True, editable=False, help_text=LEGACY)

    class Meta:
        db_table = "trade_logs"
        ordering = ["-opened_at", "-id"]
        constraints = [legacy_id_once("trade_log_legacy_id_once")]
        indexes = [
            models.Index(fields=["account", "symbol"], name="trade_log_account_symbol"),
            models.Index(fields=["opened_at", "id"], name="trade_log_opened"),
        ]

    def __str__(self) -> str:
        return f"{self.direction} {self.symbol} {self.entry_qty.normalize():f}"
