"""What the desk must not exceed, who said so, and how much of it is in use."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import ROUND_UP, Decimal

from django.db import models
from django.utils import timezone

from tradingdesk.fields import QUANTITY_PLACES, ExactDecimalField, MoneyField, PriceField, QuantityField


def _sum(help_text: str) -> MoneyField:
    return MoneyField(default=Decimal(0), db_default=Decimal(0), help_text=help_text)


class Scope(models.TextChoices):
    """What a limit or halt is about; `scope_key` names which one (empty for the firm)."""

    FIRM = "firm"
    BROKER = "broker"  # every account of one adapter
    ACCOUNT = "account"
    STRATEGY = "strategy"
    SYMBOL = "symbol"
    ASSET_CLASS = "asset_class"
    USER = "user"
    USER_ACCOUNT = "user_account"  # a user at an account: "ann alpaca"
    USER_STRATEGY = "user_strategy"  # a user with a strategy: "ann momentum"


class HaltedScope(models.TextChoices):
    """The scopes that a halt can be about."""

    FIRM = Scope.FIRM.value
    ACCOUNT = Scope.ACCOUNT.value
    SYMBOL = Scope.SYMBOL.value


class Level(models.TextChoices):
    """How much a halt stops; cancels go through on every level."""

    REJECT = "reject", "one operation is rejected"
    FREEZE = "freeze", "frozen: nothing new"
    REDUCE_ONLY = "reduce_only", "nothing that increases exposure"
    CANCEL_ALL = "cancel_all", "cancel all and stop"
    DRAIN = "drain", "draining: what works may finish"


class Operation(models.TextChoices):
    """What a halt of level `reject` rejects."""

    NEW = "new", "new orders"
    REPLACE = "replace", "replaces"
    MARKET = "market", "market orders"
    SHORT_SALE = "short_sale", "short sales"


class Control(models.TextChoices):
    """The names of the controls; what each one is stands beside its check, in `risk.controls`."""

    MAX_ORDER_QTY = "max_order_qty"
    MAX_ORDER_NOTIONAL = "max_order_notional"
    PORTFOLIO_RISK_LIMIT = "portfolio_risk_limit"
    MAX_BROKER_ALLOCATION = "max_broker_allocation"
    MIN_BROKER_DIVERSIFICATION = "min_broker_diversification"
    MAX_QUOTE_AGE = "max_quote_age"
    MAX_QUOTE_LAG = "max_quote_lag"
    MAX_APPROVAL_WAIT = "max_approval_wait"
    RESTRICTED = "restricted"
    MAX_NET_EXPOSURE = "max_net_exposure"
    MAX_SYMBOL_EXPOSURE = "max_symbol_exposure"
    MAX_SECTOR_EXPOSURE = "max_sector_exposure"
    MAX_BETA_EXPOSURE = "max_beta_exposure"
    MAX_ALLOCATION_DRIFT = "max_allocation_drift"
    MAX_MARGIN_USE = "max_margin_use"
    MAX_ADV_SHARE = "max_adv_share"
    MAX_DISPLAYED_RATIO = "max_displayed_ratio"
    PRICE_COLLAR = "price_collar"
    DUPLICATE_WINDOW = "duplicate_window"
    MAX_MESSAGES_PER_SECOND = "max_messages_per_second"
    MAX_MESSAGES_PER_MINUTE = "max_messages_per_minute"
    NO_SELF_CROSS = "no_self_cross"
    NO_SHORT_SALES = "no_short_sales"
    HARD_TO_BORROW = "hard_to_borrow"
    PERMISSION_REQUIRED = "permission_required"
    PERMITTED = "permitted"
    SESSION_ONLY = "session_only"
    MAX_CLOCK_DRIFT = "max_clock_drift"
    MAX_DAILY_LOSS = "max_daily_loss"
    MAX_DRAWDOWN = "max_drawdown"
    MAX_CHILDREN_PER_PARENT = "max_children_per_parent"
    MAX_NOTIONAL_PER_PARENT = "max_notional_per_parent"
    MAX_REPEATED_EXECUTIONS = "max_repeated_executions"


def control_choices() -> list[tuple[str, str]]:
    """Give a limit's column its choices, so that a new control needs no migration."""
    return Control.choices


class Limit(models.Model):
    """One control's value for one scope, a hard and a soft one each; changed only through `risk.limits.set_limits`."""

    scope = models.CharField(max_length=16, choices=Scope, default=Scope.FIRM)
    scope_key = models.CharField(max_length=255, blank=True, default="")
    control = models.CharField(max_length=40, choices=control_choices)
    value = ExactDecimalField()
    hard = models.BooleanField(default=True)
    reason = models.TextField(blank=True, default="")
    set_by = models.CharField(max_length=150)
    set_at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "risk_limits"
        ordering = ["control", "scope", "scope_key", "-hard"]
        constraints = [models.UniqueConstraint(fields=["control", "scope", "scope_key", "hard"], name="limit_once")]

    def __str__(self) -> str:
        what = f"{self.control} {self.scope} {self.scope_key} {self.value.normalize():f}"
        return what if self.hard else f"{what} (soft)"


class Halt(models.Model):
    """A stop for the firm, an account or a symbol, as far as its level goes; cleared by a person with a reason.

    `flatten` has everything in its scope closed, besides; `trigger` names what tripped it, "" where a person set it.
    """

    scope = models.CharField(max_length=16, choices=Scope, default=Scope.FIRM)
    scope_key = models.CharField(max_length=255, blank=True, default="")
    level = models.CharField(max_length=16, choices=Level, default=Level.FREEZE, db_default=Level.FREEZE)
    operation = models.CharField(max_length=16, choices=Operation, blank=True, default="", db_default="")
    flatten = models.BooleanField(default=False, db_default=False)
    trigger = models.CharField(max_length=40, blank=True, default="", db_default="")
    reason = models.TextField()
    set_by = models.CharField(max_length=150)
    set_at = models.DateTimeField(default=timezone.now)
    cleared_by = models.CharField(max_length=150, blank=True, default="")
    cleared_at = models.DateTimeField(null=True, blank=True)
    clear_reason = models.TextField(blank=True, default="")

    class Meta:
        db_table = "risk_halts"
        ordering = ["-set_at"]
        permissions = [
            ("clear_halt", "Can clear halts (resume trading)"),
            ("flatten_halt", "Can flatten: close every position"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["scope", "scope_key", "level", "operation"],
                condition=models.Q(cleared_at=None),
                name="halt_once_while_in_force",
            )
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.scope_key}: {self.reason}"


class ExchangeRate(models.Model):
    """Units of the base currency for one of another, as last told; `source` is the pair's symbol or the account."""

    currency = models.CharField(max_length=8, primary_key=True)
    base_currency = models.CharField(max_length=8)
    rate = PriceField()
    told_at = models.DateTimeField()
    source = models.CharField(max_length=64)

    class Meta:
        db_table = "exchange_rates"
        ordering = ["currency"]

    def __str__(self) -> str:
        return f"{self.currency} {self.rate.normalize():f} {self.base_currency}"


class EquityMark(models.Model):
    """What losses are measured from, for the firm and each account; in the base currency. `risk.losses` keeps it.

    `since` is when measuring began, or a person last cleared a halt that a loss had tripped. `parts` is the equity of
    the accounts that the firm's is made of.
    """

    scope = models.CharField(max_length=16, help_text="firm or account")
    scope_key = models.CharField(max_length=64, blank=True, default="")
    equity = MoneyField()
    seen_at = models.DateTimeField(help_text="when equity was last looked at")
    day = models.DateField(help_text="the market's")
    day_start_equity = MoneyField(help_text="what was last seen on the day before")
    peak_equity = MoneyField()
    peak_at = models.DateTimeField()
    since = models.DateTimeField()
    parts = models.JSONField(default=dict, blank=True)

    class Meta:
        db_table = "equity_marks"
        ordering = ["scope", "scope_key"]
        constraints = [models.UniqueConstraint(fields=["scope", "scope_key"], name="equity_mark_once")]

    def __str__(self) -> str:
        return f"{self.scope} {self.scope_key}".strip()

    @classmethod
    def begin(cls, scope: str, scope_key: str, equity: Decimal, today: date, now: datetime) -> EquityMark:
        """Measure from here on."""
        known = {"equity": equity, "day_start_equity": equity, "peak_equity": equity}
        return cls(scope=scope, scope_key=scope_key, day=today, seen_at=now, peak_at=now, since=now, **known)

    @property
    def place(self) -> tuple[str, str]:
        """What it is about."""
        return self.scope, self.scope_key

    def see(self, equity: Decimal, today: date, now: datetime) -> None:
        """Take equity as it is now; a new day begins with what the one before ended with."""
        if today != self.day:
            self.day, self.day_start_equity = today, self.equity
        self.equity, self.seen_at = equity, now
        if equity > self.peak_equity:
            self.peak_equity, self.peak_at = equity, now

    def see_parts(self, parts: Mapping[str, Decimal], today: date, now: datetime) -> None:
        """Take the sum of parts as it is now; one that is new, or gone, is no gain and no loss."""
        if self.parts:
            come = sum((value for name, value in parts.items() if name not in self.parts), Decimal(0))
            gone = sum((Decimal(value) for name, value in self.parts.items() if name not in parts), Decimal(0))
            self.equity += come - gone
            self.day_start_equity += come - gone
            self.peak_equity += come - gone
        self.see(sum(parts.values(), Decimal(0)), today, now)
        self.parts = {name: f"{value:f}" for name, value in parts.items()}

    def restart(self, at: datetime) -> None:
        """Measure anew from what there is."""
        self.day_start_equity = self.peak_equity = self.equity
        self.since = self.peak_at = at

    def reference(self, control: str) -> Decimal:
        """What equity is held against for a control."""
        return self.day_start_equity if control == Control.MAX_DAILY_LOSS else self.peak_equity

    def lost(self, control: str) -> Decimal:
        """How much was lost, as the control measures it: an amount since yesterday, or a share of the highest."""
        loss = max(self.reference(control) - self.equity, Decimal(0))
        if control == Control.MAX_DAILY_LOSS:
            return loss
        if self.peak_equity <= 0:
            return Decimal(1) if loss else Decimal(0)
        return (loss / self.peak_equity).quantize(Decimal(1).scaleb(-QUANTITY_PLACES), ROUND_UP)


class ExposureTotalQuerySet(models.QuerySet):
    """The kinds of rows."""

    def accounts(self) -> ExposureTotalQuerySet:
        """Totals of accounts."""
        return self.filter(key__startswith="1:")

    def symbols(self) -> ExposureTotalQuerySet:
        """Totals of accounts and symbols."""
        return self.filter(key__startswith="2:")

    def sectors(self) -> ExposureTotalQuerySet:
        """Totals of accounts and sectors."""
        return self.filter(key__startswith="3:")


class ExposureTotal(models.Model):
    """What is held and what is entered, kept as running totals so that its cost does not grow with history.

    One row for the firm (`key` = "0:firm": a lock and `rules_version`), one per account ("1:alpaca": `unreconciled`,
    and the sums of its symbol rows), one per account and symbol ("2:alpaca:IBM": the rest) and one per account and
    sector ("3:alpaca:Technology": the sums of its symbol rows; what has no sector is in none).
    Sorting by `key` is the order of locking: firm, account, symbol. Whoever moves a sector's row holds its account's.

    Sums (`gross` and what follows it) are in the base currency, quantities in units, prices and notionals in the
    instrument's currency. A symbol row without `fx_rate` is counted as if it were in the base currency, and noted in
    `without_rate`, for which the gate denies what adds exposure.
    """

    key = models.CharField(max_length=160, primary_key=True)
    broker_name = models.CharField(max_length=64, blank=True, default="")
    symbol = models.CharField(max_length=32, blank=True, default="")
    sector = models.CharField(max_length=64, blank=True, default="", db_default="")
    fx_rate = PriceField(null=True, blank=True, help_text="base currency for one of the instrument's; null: not known")
    beta = ExactDecimalField(null=True, blank=True, help_text="to the benchmark; null: not known")
    position_qty = QuantityField(default=Decimal(0), help_text="signed: short below zero")
    open_buy_qty = QuantityField(default=Decimal(0))
    open_sell_qty = QuantityField(default=Decimal(0))
    open_buy_notional = MoneyField(default=Decimal(0))
    open_sell_notional = MoneyField(default=Decimal(0))
    mark_px = PriceField(default=Decimal(0))
    gross = MoneyField(default=Decimal(0), help_text="worst case of what is held and entered, by side")
    net_high = _sum("held, and everything entered to buy")
    net_low = _sum("held, less everything entered to sell")
    beta_high = _sum("the higher net, times beta")
    beta_low = _sum("the lower net, times beta")
    without_rate = models.IntegerField(default=0, db_default=0, help_text="symbols here that no rate is known for")
    without_beta = models.IntegerField(default=0, db_default=0, help_text="symbols here that no beta is known for")
    rules_version = models.PositiveBigIntegerField(default=0)
    unreconciled = models.TextField(
        blank=True, default="", db_default="", help_text="on what the desk and this account's broker do not agree"
    )
    updated_at = models.DateTimeField(auto_now=True)

    objects = ExposureTotalQuerySet.as_manager()

    class Meta:
        db_table = "exposure_totals"
        ordering = ["key"]
        indexes = [models.Index(fields=["broker_name", "symbol"], name="exposure_account_symbol")]

    def __str__(self) -> str:
        return self.key
