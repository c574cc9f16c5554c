"""Accounts at brokers, what they may trade, at which prices, and how they are."""

from datetime import datetime, timedelta
from decimal import Decimal

from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone

from brokers.breaker import BreakerState
from tradingdesk.fields import ExactDecimalField, MoneyField, PriceField, QuantityField
from tradingdesk.fix import AssetClass, Side

CLOCK_KNOWN_FOR = timedelta(minutes=2)


class BrokerAccount(models.Model):
    """One configured account at one broker; `broker_name` is its name everywhere.

    `settings` holds what the adapter needs; secrets in it are references (`${NAME}`), never values.
    Figures are the broker's own, in `currency`, as of `last_updated`.
    """

    class Status(models.TextChoices):
        UNKNOWN = "unknown"
        ACTIVE = "active"
        BLOCKED = "blocked"

    broker_name = models.CharField(
        max_length=64, primary_key=True, validators=[RegexValidator(r"\A[a-z][a-z0-9_]*\Z", "lower case, digits and _")]
    )
    adapter = models.CharField(max_length=64)
    enabled = models.BooleanField(default=True)
    allocation_percent = models.DecimalField(
        max_digits=9, decimal_places=6, default=Decimal(0), help_text="share of capital, 0 to 1"
    )
    paper_trading = models.BooleanField(default=True)
    settings = models.JSONField(default=dict, blank=True)
    account_id = models.CharField(max_length=64, blank=True, default="")
    currency = models.CharField(max_length=8, default="USD")
    portfolio_value = MoneyField(default=Decimal(0))
    equity = MoneyField(default=Decimal(0))
    cash = MoneyField(default=Decimal(0))
    buying_power = MoneyField(default=Decimal(0))
    initial_margin = MoneyField(null=True, blank=True, help_text="what the broker asks for what is held and entered")
    maintenance_margin = MoneyField(null=True, blank=True, help_text="what equity must not fall below")
    exchange_rates = models.JSONField(
        default=dict, blank=True, db_default={}, help_text="units of the account's currency for one of another, as told"
    )
    shorting_enabled = models.BooleanField(default=False)
    status = models.CharField(max_length=16, choices=Status, default=Status.UNKNOWN)
    last_updated = models.DateTimeField(null=True, blank=True)
    unreconciled = models.TextField(
        blank=True, default="", editable=False, help_text="why orders that increase exposure are refused here"
    )
    session_open = models.BooleanField(null=True, blank=True, editable=False, help_text="at the market, as it was read")
    session_changes_at = models.DateTimeField(null=True, blank=True, editable=False)
    clock_drift_ms = models.IntegerField(
        null=True, blank=True, editable=False, help_text="how far the broker's clock is ahead of ours"
    )
    clock_read_at = models.DateTimeField(null=True, blank=True, editable=False)
    executions_cursor = models.CharField(max_length=128, blank=True, default="", editable=False)
    instruments_synced_at = models.DateTimeField(null=True, blank=True, editable=False)
    history_through = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="trades up to here came from a legacy database; the broker's telling of them is left alone",
    )

    class Meta:
        db_table = "broker_accounts"
        ordering = ["broker_name"]

    def __str__(self) -> str:
        return self.broker_name

    def is_session_open(self, now: datetime) -> bool | None:
        """Whether the market is open, by the clock that was last read; None where nobody has read it lately."""
        if not self._knows_clock(now):
            return None
        return self.session_open != (now >= self.session_changes_at)

    def known_clock_drift(self, now: datetime) -> Decimal | None:
        """Seconds that the broker's clock is ahead of ours; None where nobody has read it lately."""
        return Decimal(self.clock_drift_ms) / 1000 if self._knows_clock(now) else None

    def _knows_clock(self, now: datetime) -> bool:
        return self.clock_read_at is not None and now - self.clock_read_at <= CLOCK_KNOWN_FOR

    def has_history_of(self, when: datetime) -> bool:
        """Whether a trade of this time came with a legacy database."""
        return self.history_through is not None and when <= self.history_through


class AccountHealth(models.Model):
    """How the connection to one account has done lately; written by the process that talks to it.

    The breaker's columns are a `brokers.breaker.Breaker`, which says what they mean; `healthy` is "the breaker is
    closed", and what routing reads.
    """

    account = models.OneToOneField(
        BrokerAccount, on_delete=models.CASCADE, db_column="broker_name", primary_key=True, related_name="health"
    )
    healthy = models.BooleanField(default=True)
    consecutive_failures = models.PositiveIntegerField(default=0)
    breaker_state = models.CharField(max_length=16, choices=BreakerState, default=BreakerState.CLOSED)
    opened_at = models.DateTimeField(null=True, blank=True)
    probe_at = models.DateTimeField(null=True, blank=True)
    times_opened = models.PositiveIntegerField(default=0)
    window_began_at = models.DateTimeField(null=True, blank=True)
    window_calls = models.PositiveIntegerField(default=0)
    window_failures = models.PositiveIntegerField(default=0)
    last_ok_at = models.DateTimeField(null=True, blank=True)
    last_error_at = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(blank=True, default="")
    latency_ms = models.FloatField(null=True, blank=True, help_text="of the last answered call")
    connected = models.BooleanField(null=True, blank=True, help_text="as its holder last said; null: never connected")
    last_message_at = models.DateTimeField(null=True, blank=True, help_text="when the broker last spoke unasked")
    latency_p50_ms = models.FloatField(null=True, blank=True, help_text="of calls answered in the last minutes")
    latency_p95_ms = models.FloatField(null=True, blank=True)
    latency_p99_ms = models.FloatField(null=True, blank=True)
    budget_limit = models.PositiveIntegerField(null=True, blank=True, help_text="requests that the broker takes")
    budget_remaining = models.PositiveIntegerField(null=True, blank=True)
    budget_resets_at = models.DateTimeField(null=True, blank=True)

    # Workers call their brokers every few seconds; an account nobody has called for this long has no worker.
    SILENT_AFTER = timedelta(seconds=60)

    class Meta:
        db_table = "account_health"
        verbose_name_plural = "account health"

    def __str__(self) -> str:
        return f"{self.account_id}: {'healthy' if self.healthy else 'down'}"

    @property
    def is_silent(self) -> bool:
        """Whether the broker has not answered anybody for a while, or never."""
        return self.last_ok_at is None or timezone.now() - self.last_ok_at >= self.SILENT_AFTER

    @property
    def is_connected(self) -> bool | None:
        """Whether the long-lived connection is open, and its holder alive; None where there never was one."""
        return None if self.connected is None else self.connected and not self.is_silent

    @property
    def requests_left(self) -> int | None:
        """Requests that the broker takes now: all of them once the budget was renewed; None while that is not known."""
        renewed = self.budget_resets_at is not None and self.budget_resets_at <= timezone.now()
        return self.budget_limit if renewed else self.budget_remaining

    @property
    def error_rate(self) -> Decimal | None:
        """Share of calls that failed, of those in the breaker's window; None while there were none."""
        return Decimal(self.window_failures) / self.window_calls if self.window_calls else None


class AccountLease(models.Model):
    """Which process holds an account's long-lived connection; `brokers.lease` takes, keeps and gives it back."""

    account = models.OneToOneField(
        BrokerAccount, on_delete=models.CASCADE, db_column="broker_name", primary_key=True, related_name="lease"
    )
    holder = models.CharField(max_length=128, blank=True, default="")
    taken_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "account_leases"

    def __str__(self) -> str:
        return f"{self.account_id}: {self.holder or 'nobody'}"


class AccountSnapshot(models.Model):
    """What an account was worth at a moment; those of a legacy database's `system_metrics` have its id.

    `metrics` are other figures of that moment, by their names at the source.
    """

    account = models.ForeignKey(
        BrokerAccount, on_delete=models.PROTECT, db_column="broker_name", db_index=False, related_name="snapshots"
    )
    taken_at = models.DateTimeField()
    equity = MoneyField(null=True, blank=True)
    cash = MoneyField(null=True, blank=True)
    daily_pnl = MoneyField(null=True, blank=True)
    metrics = models.JSONField(default=dict, blank=True)
    legacy_id = models.BigIntegerField(null=True, blank=True, editable=False)

    class Meta:
        db_table = "account_snapshots"
        ordering = ["-taken_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "legacy_id"],
                condition=models.Q(legacy_id__isnull=False),
                name="account_snapshot_legacy_id_once",
            )
        ]
        indexes = [
            models.Index(fields=["account", "taken_at"], name="account_snapshot_taken"),
            models.Index(fields=["taken_at", "id"], name="account_snapshot_time"),
        ]

    def __str__(self) -> str:
        return f"{self.account_id} {self.taken_at:%Y-%m-%d %H:%M:%S}"


class Instrument(models.Model):
    """A thing to trade, under the desk's own symbol, whichever brokers list it."""

    symbol = models.CharField(max_length=32, unique=True)
    name = models.CharField(max_length=255, blank=True, default="")
    asset_class = models.CharField(max_length=16, choices=AssetClass, default=AssetClass.US_EQUITY)
    currency = models.CharField(max_length=8, default="USD")
    sector = models.CharField(max_length=64, blank=True, default="", help_text="as a broker or a person has it")
    beta = ExactDecimalField(
        null=True, blank=True, editable=False, help_text="of daily returns to the benchmark's; null: cannot be told"
    )
    beta_as_of = models.DateField(null=True, blank=True, editable=False, help_text="the last day that beta counts")
    quotes_wanted_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        db_table = "instruments"
        ordering = ["symbol"]

    def __str__(self) -> str:
        return self.symbol


class Listing(models.Model):
    """An instrument as one account may trade it: the broker's symbol, steps and permissions."""

    account = models.ForeignKey(
        BrokerAccount, on_delete=models.CASCADE, db_column="broker_name", related_name="listings"
    )
    instrument = models.ForeignKey(Instrument, on_delete=models.CASCADE, related_name="listings")
    broker_symbol = models.CharField(max_length=64)
    broker_instrument_id = models.CharField(max_length=64, blank=True, default="")
    exchange = models.CharField(max_length=32, blank=True, default="")
    tradable = models.BooleanField(default=True)
    fractionable = models.BooleanField(default=False)
    shortable = models.BooleanField(default=False)
    marginable = models.BooleanField(default=False)
    price_increment = PriceField(null=True, blank=True)
    min_order_qty = QuantityField(null=True, blank=True)
    daily_bars_read_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        db_table = "listings"
        constraints = [
            models.UniqueConstraint(fields=["account", "instrument"], name="listing_once"),
            models.UniqueConstraint(fields=["account", "broker_symbol"], name="listing_symbol_once"),
        ]

    def __str__(self) -> str:
        return f"{self.account_id}:{self.broker_symbol}"


class Quote(models.Model):
    """The latest best bid and offer of one listing.

    `quote_time` is the feed's own; `received_at` is when the broker last confirmed it as the latest.
    """

    listing = models.OneToOneField(Listing, on_delete=models.CASCADE, primary_key=True, related_name="quote")
    bid_px = PriceField()
    bid_size = QuantityField()
    ask_px = PriceField()
    ask_size = QuantityField()
    quote_time = models.DateTimeField()
    received_at = models.DateTimeField()
    feed = models.CharField(max_length=16, blank=True, default="")

    class Meta:
        db_table = "quotes"

    def __str__(self) -> str:
        return f"{self.listing_id}: {self.bid_px} / {self.ask_px}"

    @property
    def mid_px(self) -> Decimal:
        """Middle of bid and offer."""
        return (self.bid_px + self.ask_px) / 2

    def far_px(self, side: Side) -> Decimal:
        """The price a marketable order of this side meets."""
        return self.ask_px if side is Side.BUY else self.bid_px

    def is_sound(self) -> bool:
        """Tell whether both sides are there, positive and not crossed."""
        return self.bid_px > 0 and self.ask_px > 0 and self.bid_px <= self.ask_px

    def is_fresh(self, now: datetime, *, max_age: timedelta, max_lag: timedelta) -> bool:
        """Tell whether the broker confirmed it within `max_age` and the feed is at most `max_lag` behind."""
        return now - self.received_at <= max_age and now - self.quote_time <= max_lag


class DailyBar(models.Model):
    """One whole trading day of one listing, as its broker last told it; `day` is the market's date.

    Prices are adjusted for splits and dividends up to `received_at`: all of a listing's days are read together.
    """

    listing = models.ForeignKey(Listing, on_delete=models.CASCADE, db_index=False, related_name="daily_bars")
    day = models.DateField()
    open_px = PriceField()
    high_px = PriceField()
    low_px = PriceField()
    close_px = PriceField()
    volume = QuantityField()
    feed = models.CharField(max_length=16, blank=True, default="")
    received_at = models.DateTimeField()

    class Meta:
        db_table = "daily_bars"
        ordering = ["listing", "-day"]
        constraints = [models.UniqueConstraint(fields=["listing", "day"], name="daily_bar_once")]

    def __str__(self) -> str:
        return f"{self.listing_id} {self.day}: {self.close_px.normalize():f}"
