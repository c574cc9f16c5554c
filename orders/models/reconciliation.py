from django.conf import settings
from django.db import models
from django.utils import timezone

from brokers.models import BrokerAccount
from orders.models.order import Order
from orders.reconcile.compare import PROPOSALS, SAFE, BreakKind
from tradingdesk.facts import Fact
from tradingdesk.fields import MoneyField

KIND_CHOICES = [(kind.value, kind.value.replace("_", " ")) for kind in BreakKind]


class ReconciliationRun(Fact):
    """One comparison of the desk with one account's broker, and what came of it.

    `unread` names what the broker did not answer for; such a run opens and closes no break of that kind.
    """

    account = models.ForeignKey(
        BrokerAccount, on_delete=models.PROTECT, db_column="broker_name", related_name="reconciliation_runs"
    )
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(default=timezone.now)
    complete = models.BooleanField()
    unread = models.JSONField(default=list, blank=True)
    orders_compared = models.PositiveIntegerField(default=0)
    positions_compared = models.PositiveIntegerField(default=0)
    fills_repaired = models.PositiveIntegerField(default=0, help_text="executions that only this run brought")
    orders_adopted = models.PositiveIntegerField(default=0)
    differences = models.PositiveIntegerField(default=0)
    breaks_opened = models.PositiveIntegerField(default=0)
    breaks_closed = models.PositiveIntegerField(default=0)

    class Meta:
        db_table = "reconciliation_runs"
        ordering = ["-id"]
        indexes = [models.Index(fields=["account", "started_at"], name="reconciliation_account_time")]

    def __str__(self) -> str:
        return f"{self.account_id} {self.started_at:%Y-%m-%d %H:%M:%S}"


class ReconciliationBreak(models.Model):
    """A difference between desk and broker that waits for a person, or did; it moves in `orders.reconcile` only.

    `key` names what it is about within its kind: a broker order id, a symbol, or "cash". While an unsafe one is open,
    orders that would increase exposure at the account are refused (`BrokerAccount.unreconciled`).
    """

    class State(models.TextChoices):
        OPEN = "open"
        RESOLVED = "resolved"

    class Resolution(models.TextChoices):
        AGREED = "agreed", "desk and broker agree again"
        ACCEPTED = "accepted", "the broker's word was taken"
        KEPT = "kept", "the desk's word was kept"

    account = models.ForeignKey(BrokerAccount, on_delete=models.PROTECT, db_column="broker_name", related_name="breaks")
    kind = models.CharField(max_length=32, choices=KIND_CHOICES)
    key = models.CharField(max_length=128)
    symbol = models.CharField(max_length=64, blank=True, default="")
    order = models.ForeignKey(Order, on_delete=models.PROTECT, null=True, blank=True, related_name="breaks")
    desk_value = models.CharField(max_length=128, blank=True, default="")
    broker_value = models.CharField(max_length=128, blank=True, default="")
    signature = models.CharField(max_length=256, blank=True, default="")
    detail = models.JSONField(default=dict, blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    state = models.CharField(max_length=8, choices=State, default=State.OPEN)
    opened_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)
    resolution = models.CharField(max_length=8, choices=Resolution, blank=True, default="")
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.CharField(max_length=150, blank=True, default="")
    reason = models.TextField(blank=True, default="")

    class Meta:
        db_table = "reconciliation_breaks"
        ordering = ["-opened_at", "-id"]
        permissions = [("resolve_break", "Can resolve reconciliation breaks")]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "kind", "key"], condition=models.Q(state="open"), name="break_open_once"
            )
        ]
        indexes = [
            models.Index(fields=["account", "kind", "key", "id"], name="break_account_kind_key"),
            models.Index(fields=["opened_at", "id"], name="break_opened"),
        ]

    def __str__(self) -> str:
        return f"{self.account_id} {self.kind} {self.symbol or self.key}"

    @property
    def is_open(self) -> bool:
        """Whether it still waits."""
        return self.state == self.State.OPEN

    @property
    def safe(self) -> bool:
        """Whether reading again mends it, so that it blocks no order."""
        return self.kind in SAFE

    @property
    def proposal(self) -> str:
        """What to do about it."""
        return PROPOSALS[BreakKind(self.kind)]

    @property
    def text(self) -> str:
        """The difference in a line."""
        return (
            f"{self.kind} {self.symbol or self.key}: desk={self.desk_value or '–'}, broker={self.broker_value or '–'}"
        )


class ReconciliationMemory(models.Model):
    """What the next comparison of an account goes on from; one row an account, locked while a run is concluded.

    `suspected` and `agreed` are what `orders.reconcile.compare` says they are; `cash` is the broker's at the last
    agreement, which counts every execution up to `executions_through` (a primary key).
    """

    account = models.OneToOneField(
        BrokerAccount, on_delete=models.CASCADE, db_column="broker_name", primary_key=True, related_name="+"
    )
    suspected = models.JSONField(default=dict, blank=True)
    agreed = models.JSONField(null=True, blank=True)
    cash = MoneyField(null=True, blank=True)
    executions_through = models.BigIntegerField(default=0)
    complete_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "reconciliation_memory"
        verbose_name_plural = "reconciliation memory"

    def __str__(self) -> str:
        return str(self.account_id)
