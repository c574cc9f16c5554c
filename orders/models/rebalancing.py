"""Plans that bring the book back over the brokers, and the orders that carry them out."""

from decimal import Decimal

from django.db import models
from django.utils import timezone

from brokers.models import BrokerAccount, Instrument
from orders.models.order import Order
from tradingdesk.fields import ExactDecimalField, MoneyField, PriceField, QuantityField
from tradingdesk.fix import Side


class RebalancePlan(models.Model):
    """What to move between accounts, why, and what became of it; it moves in `orders.rebalancing` only.

    `cause` says what it answers: "asked", "over_limit", "drift", or "broker_failed:alpaca". `accounts` has each one's
    gross exposure and share before and after; `problems` is what the plan cannot do.
    """

    class State(models.TextChoices):
        PROPOSED = "proposed"
        PLACING = "placing"
        STOPPING = "stopping"
        DONE = "done"
        INCOMPLETE = "incomplete"
        STOPPED = "stopped"
        REJECTED = "rejected"
        EXPIRED = "expired"

    OPEN = (State.PROPOSED, State.PLACING, State.STOPPING)
    RUNNING = (State.PLACING, State.STOPPING)

    cause = models.CharField(max_length=80)
    state = models.CharField(max_length=12, choices=State, default=State.PROPOSED)
    reason = models.TextField(help_text="why it was proposed")
    proposed_by = models.CharField(max_length=150)
    proposed_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    decided_by = models.CharField(max_length=150, blank=True, default="")
    decided_at = models.DateTimeField(null=True, blank=True)
    decision_reason = models.TextField(blank=True, default="")
    ended_at = models.DateTimeField(null=True, blank=True)
    text = models.TextField(blank=True, default="", help_text="what came of it")
    total_value = MoneyField(help_text="of the portfolio, when it was planned")
    turnover = MoneyField(default=Decimal(0), help_text="value of both orders of every move")
    cost = MoneyField(default=Decimal(0), help_text="fees and half spreads of all orders, estimated")
    order_seconds = models.PositiveIntegerField(default=300, help_text="after which an open order of it is cancelled")
    accounts = models.JSONField(default=list, blank=True)
    problems = models.JSONField(default=list, blank=True)

    class Meta:
        db_table = "rebalance_plans"
        ordering = ["-id"]
        permissions = [("approve_rebalanceplan", "Can approve, reject and stop rebalancing plans")]
        constraints = [
            models.UniqueConstraint(
                fields=["cause"],
                condition=models.Q(state__in=["proposed", "placing", "stopping"]),
                name="rebalance_plan_open_once",
            ),
            models.UniqueConstraint(
                fields=["state"], condition=models.Q(state="placing"), name="rebalance_plan_one_at_a_time"
            ),
        ]
        indexes = [models.Index(fields=["state", "id"], name="rebalance_plan_state")]

    def __str__(self) -> str:
        return f"plan {self.pk} ({self.cause})"

    @property
    def is_proposed(self) -> bool:
        """Whether it waits for a decision, which may have come too late."""
        return self.state == self.State.PROPOSED

    @property
    def is_running(self) -> bool:
        """Whether orders of it are placed or watched."""
        return self.state in self.RUNNING


class RebalanceLeg(models.Model):
    """One order of a plan: `close` leaves an account, and the `open` leg of the same `move` enters another after it.

    Its orders have ids made from `client_order_id` and the attempt, so that none is placed twice. `order_qty` is what
    was planned, `wanted_qty` what the attempt at hand asks for, `cum_qty` what all attempts have brought.
    """

    class Role(models.TextChoices):
        CLOSE = "close"
        OPEN = "open"

    class State(models.TextChoices):
        WAITING = "waiting"
        SENDING = "sending"
        WORKING = "working"
        DONE = "done"
        SHORT = "short"
        LEFT_OUT = "left_out"

    ENDED = (State.DONE, State.SHORT, State.LEFT_OUT)

    plan = models.ForeignKey(RebalancePlan, on_delete=models.CASCADE, related_name="legs")
    number = models.PositiveIntegerField()
    move = models.PositiveIntegerField()
    role = models.CharField(max_length=5, choices=Role)
    account = models.ForeignKey(BrokerAccount, on_delete=models.PROTECT, db_column="broker_name", related_name="+")
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="+")
    symbol = models.CharField(max_length=32)
    side = models.CharField(max_length=4, choices=Side)
    order_qty = QuantityField()
    step = QuantityField(default=Decimal(1), help_text="quantities are multiples of it")
    px = PriceField(help_text="far touch when it was planned")
    fees = MoneyField(default=Decimal(0))
    half_spread = MoneyField(default=Decimal(0))
    share_before = ExactDecimalField(help_text="of the account's gross exposure in the portfolio's value")
    share_after = ExactDecimalField()
    client_order_id = models.CharField(max_length=40, unique=True)
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    attempt = models.PositiveIntegerField(default=0)
    wanted_qty = QuantityField(null=True, blank=True)
    cum_qty = QuantityField(default=Decimal(0))
    sent_at = models.DateTimeField(null=True, blank=True)
    not_before = models.DateTimeField(null=True, blank=True)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    text = models.TextField(blank=True, default="")

    class Meta:
        db_table = "rebalance_legs"
        ordering = ["plan", "number"]
        constraints = [models.UniqueConstraint(fields=["plan", "number"], name="rebalance_leg_once")]

    def __str__(self) -> str:
        return f"{self.side} {self.order_qty.normalize():f} {self.symbol} at {self.account_id}"

    @property
    def cost(self) -> Decimal:
        """Fees and half the spread, estimated."""
        return self.fees + self.half_spread

    @property
    def has_ended(self) -> bool:
        """Whether nothing more is done about it."""
        return self.state in self.ENDED

    def attempt_id(self, attempt: int) -> str:
        """The client_order_id of an attempt."""
        return self.client_order_id if attempt == 1 else f"{self.client_order_id}.{attempt}"

    @classmethod
    def of_order(cls, order: Order) -> "RebalanceLeg | None":
        """The leg that an order was placed for, whichever its attempt."""
        if order.source != Order.Source.REBALANCING:
            return None
        ids = [order.client_order_id, order.client_order_id.rpartition(".")[0]]
        return cls.objects.select_related("plan").filter(client_order_id__in=ids).first()

    @property
    def attempt_ids(self) -> list[str]:
        """The ids of all attempts so far."""
        return [self.attempt_id(number) for number in range(1, self.attempt + 1)]
