from decimal import Decimal

from django.conf import settings
from django.db import models
from django.utils import timezone

from brokers.models import BrokerAccount, Instrument
from orders import lifecycle
from orders.models.legacy import LEGACY, LEGACY_ID, legacy_id_once
from orders.models.signal import Signal
from orders.querysets import OrderQuerySet
from tradingdesk.fields import MoneyField, PriceField, QuantityField
from tradingdesk.fix import ClosedAs, LegRole, OrderClass, OrdStatus, OrdType, Side, TimeInForce, WorkingAs


class Order(models.Model):
    """One order of the desk, from the moment it was asked for.

    It is a fold over facts: `status` follows from `closed_as`, `working_as` and `cum_qty`
    (`lifecycle.status_of`), `cum_qty` and `avg_px` from its executions. A replace keeps the row;
    the ids it has had at the broker are in its requests. `reserved_qty` and `reserved_notional`
    are what it still holds of the exposure totals (`lifecycle.reservation_of`);
    `buying_power_held` is what it takes of the account until the broker's own figure counts it; what a replace takes
    beyond that is its request's.
    The exits of a bracket, "oco" or "oto" order are orders of their own, its `legs` (`orders.legs`);
    `take_profit_px`, `stop_loss_px` and `stop_loss_limit_px` are what was asked of them.
    """

    class Source(models.TextChoices):
        API = "api"
        ADMIN = "admin"
        COMMAND = "command"
        MANAGER = "manager"
        REBALANCING = "rebalancing"
        EXTERNAL = "external"
        ADJUSTMENT = "adjustment"
        LEGACY = "legacy"

    client_order_id = models.CharField(max_length=48, unique=True)
    account = models.ForeignKey(
        BrokerAccount,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        db_column="broker_name",
        db_index=False,  # the indexes below begin with it
        related_name="orders",
    )
    preferred_broker = models.CharField(max_length=64, blank=True, default="")
    broker_order_id = models.CharField(max_length=64, null=True, blank=True)
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, db_index=False, related_name="orders")
    symbol = models.CharField(max_length=32)
    side = models.CharField(max_length=4, choices=Side)
    order_qty = QuantityField(null=True, blank=True, help_text="null while a notional order's quantity is not known")
    notional = MoneyField(null=True, blank=True)
    ord_type = models.CharField(max_length=16, choices=OrdType)
    price = PriceField(null=True, blank=True)
    stop_px = PriceField(null=True, blank=True)
    trail_price = PriceField(null=True, blank=True)
    trail_percent = PriceField(null=True, blank=True)
    time_in_force = models.CharField(max_length=4, choices=TimeInForce, default=TimeInForce.DAY)
    extended_hours = models.BooleanField(default=False)
    order_class = models.CharField(max_length=8, choices=OrderClass, default=OrderClass.SIMPLE)
    take_profit_px = PriceField(null=True, blank=True)
    stop_loss_px = PriceField(null=True, blank=True)
    stop_loss_limit_px = PriceField(null=True, blank=True)
    parent = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, db_index=False, related_name="legs"
    )
    leg_role = models.CharField(max_length=16, blank=True, default="")
    strategy = models.CharField(max_length=64, blank=True, default="")
    list_id = models.CharField(
        max_length=48, blank=True, default="", db_default="", help_text="the parent order that it is a part of"
    )

    status = models.CharField(max_length=16, choices=OrdStatus, default=OrdStatus.PENDING)
    working_as = models.CharField(max_length=16, choices=WorkingAs, null=True, blank=True)
    working_at = models.DateTimeField(null=True, blank=True)
    closed_as = models.CharField(max_length=16, choices=ClosedAs, null=True, blank=True)
    cum_qty = QuantityField(default=Decimal(0))
    avg_px = PriceField(null=True, blank=True)
    text = models.TextField(blank=True, default="")
    denials = models.JSONField(default=list, blank=True)

    reserve_total_qty = QuantityField(default=Decimal(0), help_text="quantity the reservation started from")
    reserve_px = PriceField(default=Decimal(0), help_text="worst price the reservation counts with")
    reserved_qty = QuantityField(default=Decimal(0))
    reserved_notional = MoneyField(default=Decimal(0))
    buying_power_held = MoneyField(default=Decimal(0))
    outcome_unknown_since = models.DateTimeField(null=True, blank=True)
    send_before = models.DateTimeField(null=True, blank=True)

    source = models.CharField(max_length=16, choices=Source, default=Source.API)
    submitted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, db_index=False, related_name="+"
    )
    asked_by = models.CharField(
        max_length=150, blank=True, default="", db_default="", help_text="who asked for it, whoever acts on it later"
    )
    body_hash = models.CharField(max_length=64, blank=True, default="")
    request_id = models.CharField(max_length=64, blank=True, default="")
    received_at = models.DateTimeField(default=timezone.now)
    created_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True, blank=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    signal = models.ForeignKey(
        Signal, on_delete=models.PROTECT, null=True, blank=True, db_index=False, related_name="orders"
    )
    legacy_id = models.BigIntegerField(null=True, blank=True, editable=False, help_text=LEGACY_ID)
    legacy = models.JSONField(null=True, blank=True, editable=False, help_text=LEGACY)

    objects = OrderQuerySet.as_manager()

    class Meta:
        db_table = "orders"
        ordering = ["-created_at", "-id"]
        permissions = [
            ("cancel_order", "Can cancel orders"),
            ("approve_order", "Can approve or refuse orders of others that pass soft limits"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "broker_order_id"],
                condition=models.Q(broker_order_id__isnull=False),
                name="order_broker_order_id_once",
            ),
            models.CheckConstraint(
                condition=models.Q(order_qty__gt=0) | models.Q(notional__gt=0), name="order_has_a_positive_size"
            ),
            legacy_id_once("order_legacy_id_once"),
        ]
        indexes = [
            models.Index(fields=["account", "symbol"], name="order_account_symbol"),
            models.Index(fields=["account", "status"], name="order_account_status"),
            models.Index(fields=["created_at", "id"], name="order_created"),
            models.Index(fields=["symbol", "created_at"], name="order_symbol_created"),
            models.Index(fields=["status", "created_at"], name="order_status_created"),
            models.Index(
                fields=["strategy", "created_at"], name="order_strategy_created", condition=~models.Q(strategy="")
            ),
            models.Index(fields=["list_id"], name="order_list", condition=~models.Q(list_id="")),
            models.Index(fields=["account", "acknowledged_at"], name="order_account_acknowledged"),
            models.Index(
                fields=["instrument", "account"],
                name="order_working_in",
                condition=models.Q(closed_at=None, account__isnull=False),
            ),
            models.Index(fields=["parent"], name="order_parent", condition=models.Q(parent__isnull=False)),
            models.Index(fields=["signal"], name="order_signal", condition=models.Q(signal__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.client_order_id

    @property
    def broker_name(self) -> str | None:
        """Name of the account it was routed to."""
        return self.account_id

    @property
    def is_linked(self) -> bool:
        """Whether it is one of a bracket, "oco" or "oto" order."""
        return self.order_class != OrderClass.SIMPLE

    @property
    def leg_role_label(self) -> str:
        """What a leg is for, as people read it; "" for an order that is no leg."""
        return LegRole(self.leg_role).label if self.leg_role else ""

    @property
    def leaves_qty(self) -> Decimal | None:
        """Units still working; None while a notional order's quantity is not known."""
        return lifecycle.leaves_of(self)

    @property
    def is_open(self) -> bool:
        """Whether it may still trade or be in doubt."""
        return self.status in lifecycle.OPEN

    @property
    def is_cancellable(self) -> bool:
        """Whether a cancel makes sense now."""
        return self.status in lifecycle.CANCELLABLE

    @property
    def outcome_unknown(self) -> bool:
        """Whether the desk does not know if the broker took its last request."""
        return self.outcome_unknown_since is not None

    def apply(self, fact, trades=None) -> None:
        """Move this order, in memory, by one fact; `trades` are all its executions when they changed.

        The only mutator: `fact` is an `ExecutionReport` or `CancelRejected`.
        """
        lifecycle.apply(self, fact)
        if trades is not None:
            self.cum_qty, self.avg_px = lifecycle.totals_of(trades)
        self.refresh_status()

    def refresh_reservation(self) -> None:
        """Work out again what the order still holds of the exposure totals."""
        self.reserved_qty, self.reserved_notional = lifecycle.reservation_of(self)

    def refresh_status(self) -> None:
        """Fold the status again, and note when the order closed or opened again."""
        self.status = lifecycle.status_of(self)
        if self.status in lifecycle.CLOSED:
            self.closed_at = self.closed_at or timezone.now()
        else:
            self.closed_at = None
