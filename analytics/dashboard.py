"""The first page of the back office: a few bounded reads over indexes, whatever the tables hold."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db.models import Count, DecimalField, F, Q, Sum
from django.http import HttpRequest
from django.utils import timezone

from brokers.models import BrokerAccount
from orders.models import Execution, Order
from risk.fx import converted, rates_in_force, sum_if_known
from risk.models import Control, ExposureTotal, Halt, Limit, Scope
from tradingdesk.audit.models import AuditEvent
from tradingdesk.fix import ExecType

LATEST = 10
HOURS = range(24)
ZERO = Decimal(0)
# Unfold's own defaults hide the axis of values.
CHART_OPTIONS = json.dumps(
    {
        "responsive": True,
        "maintainAspectRatio": False,
        "animation": False,
        "plugins": {
            "legend": {"display": True, "align": "end", "labels": {"boxWidth": 10, "boxHeight": 10, "color": "#9ca3af"}}
        },
        "scales": {
            "x": {"grid": {"display": False}, "ticks": {"color": "#9ca3af"}},
            "y": {"beginAtZero": True, "grid": {"tickWidth": 0}, "ticks": {"color": "#9ca3af", "precision": 0}},
        },
    }
)


@dataclass(slots=True)
class AccountLine:
    """One account's figures beside what it should carry. Shares are of 1; None when nothing is held, or not known."""

    account: BrokerAccount
    share: Decimal | None
    gross: Decimal = ZERO
    open_orders: int = 0

    @property
    def healthy(self) -> bool | None:
        """How its connection does; None before the first call."""
        health = getattr(self.account, "health", None)
        return None if health is None else health.healthy


@dataclass(slots=True)
class Usage:
    """How much of a limit is used; `limit` None: none is set, and nothing trades, or it is not known (`unknown`)."""

    label: str
    used: Decimal
    limit: Decimal | None
    unknown: bool = False

    @property
    def percent(self) -> int:
        """Share in use, 0 to 100 (a full bar beyond)."""
        return min(100, int(self.used * 100 / self.limit)) if self.limit else 0

    @property
    def is_tight(self) -> bool:
        """Whether nine tenths are in use."""
        return self.limit is not None and self.used >= self.limit * Decimal("0.9")


@dataclass(slots=True)
class Overview:
    """What the page shows; a part that the person may not see is left empty.

    Sums are in the base currency; None, not known, while a rate is missing, whose currencies `without_rate` has.
    """

    currency: str = field(default_factory=lambda: settings.DESK_BASE_CURRENCY)
    without_rate: list[str] = field(default_factory=list)
    accounts: list[AccountLine] = field(default_factory=list)
    total: dict[str, Decimal | None] = field(default_factory=dict)
    orders: dict[str, Any] = field(default_factory=dict)
    fills: dict[str, Any] = field(default_factory=dict)
    usages: list[Usage] = field(default_factory=list)
    halts: list[Halt] = field(default_factory=list)
    events: list[AuditEvent] = field(default_factory=list)


def dashboard_callback(request: HttpRequest, context: dict) -> dict:
    """Add the desk's figures to the index page, as far as the person may see them."""
    overview = overview_for(request.user.has_perm)
    charts = {"shares_chart": _shares_chart(overview.accounts), "fills_chart": _fills_chart(overview.fills)}
    return {**context, "overview": overview, **charts, "chart_options": CHART_OPTIONS, "is_fullwidth": "1"}


def overview_for(may: Callable[[str], bool]) -> Overview:
    """Read the overview; `may` tells which permissions the person has. One query a part, always."""
    overview = Overview()
    if may("brokers.view_brokeraccount"):
        _add_accounts(overview)
    if may("orders.view_order"):
        _add_orders(overview)
    if may("orders.view_execution"):
        overview.fills = _fills_today()
    if may("risk.view_exposuretotal") and may("risk.view_limit"):
        _add_usages(overview)
    if may("risk.view_halt"):
        overview.halts = list(Halt.objects.filter(cleared_at=None)[:LATEST])
    if may("tradingdesk.view_auditevent"):
        overview.events = list(AuditEvent.objects.all()[:LATEST])
    return overview


def _add_accounts(overview: Overview) -> None:
    accounts = list(BrokerAccount.objects.select_related("health"))
    enabled = [account for account in accounts if account.enabled]
    rates = rates_in_force({account.currency for account in enabled})
    overview.without_rate = sorted({account.currency for account in enabled} - rates.keys())
    names = ("portfolio_value", "equity", "cash", "buying_power")
    overview.total = {
        name: sum_if_known(converted(getattr(one, name), rates.get(one.currency)) for one in enabled) for name in names
    }
    whole = overview.total["portfolio_value"]
    for account in accounts:
        value = converted(account.portfolio_value, rates.get(account.currency))
        overview.accounts.append(AccountLine(account, value / whole if whole and account.enabled else None))


def _add_orders(overview: Overview) -> None:
    in_doubt = Count("pk", filter=Q(outcome_unknown_since__isnull=False))
    rows = Order.objects.open().order_by().values("account_id").annotate(open=Count("pk"), in_doubt=in_doubt)
    by_account = {row["account_id"]: row for row in rows}
    for line in overview.accounts:
        line.open_orders = by_account.get(line.account.pk, {}).get("open", 0)
    overview.orders = {
        "open": sum(row["open"] for row in by_account.values()),
        "in_doubt": sum(row["in_doubt"] for row in by_account.values()),
        "latest": list(Order.objects.all()[:LATEST]),
    }


def _fills_today() -> dict[str, Any]:
    """Count today's trades (UTC) by the hour, in one pass over the index of their time; with their worth."""
    midnight = timezone.now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    value = Sum(F("last_qty") * F("last_px"), output_field=DecimalField(max_digits=38, decimal_places=9))
    by_hour = {f"hour_{hour}": Count("pk", filter=_in_hour(midnight, hour)) for hour in HOURS}
    today = Execution.objects.filter(transact_time__gte=midnight, exec_type=ExecType.TRADE)
    found = today.order_by().values("instrument__currency").annotate(count=Count("pk"), value=value, **by_hour)
    rows = {row["instrument__currency"]: row for row in found}
    rates = rates_in_force(rows.keys())
    return {
        "count": sum(row["count"] for row in rows.values()),
        "value": sum_if_known(converted(row["value"], rates.get(currency)) for currency, row in rows.items()),
        "without_rate": sorted(rows.keys() - rates.keys()),
        "hours": [sum(row[f"hour_{hour}"] for row in rows.values()) for hour in HOURS],
    }


def _in_hour(midnight: datetime, hour: int) -> Q:
    start = midnight + timedelta(hours=hour)
    return Q(transact_time__gte=start, transact_time__lt=start + timedelta(hours=1))


def _add_usages(overview: Overview) -> None:
    totals = dict(ExposureTotal.objects.filter(key__startswith="1:").values_list("broker_name", "gross"))
    hard = Limit.objects.filter(control__in=[Control.PORTFOLIO_RISK_LIMIT, Control.MAX_BROKER_ALLOCATION], hard=True)
    limits = {(limit.control, limit.scope, limit.scope_key): limit.value for limit in hard}
    gross = sum(totals.values(), ZERO)
    overview.usages.append(Usage("Gross exposure", gross, limits.get((Control.PORTFOLIO_RISK_LIMIT, Scope.FIRM, ""))))
    whole = overview.total.get("portfolio_value")
    for line in overview.accounts:
        line.gross = totals.get(line.account.pk, ZERO)
        limit = _share_limit(limits, line, whole)
        overview.usages.append(Usage(f"Exposure at {line.account.pk}", line.gross, limit, unknown=whole is None))


def _share_limit(limits: dict, line: AccountLine, whole: Decimal | None) -> Decimal | None:
    """An account's largest exposure as an amount: the tighter share, of the total portfolio value."""
    keys = ((Scope.FIRM, ""), (Scope.BROKER, line.account.adapter), (Scope.ACCOUNT, line.account.pk))
    shares = [
        limits[Control.MAX_BROKER_ALLOCATION, *key] for key in keys if (Control.MAX_BROKER_ALLOCATION, *key) in limits
    ]
    return min(shares) * whole if shares and whole else None


def _shares_chart(lines: list[AccountLine]) -> str:
    enabled = [line for line in lines if line.account.enabled]
    actual = [float((line.share or ZERO) * 100) for line in enabled]
    target = [float(line.account.allocation_percent * 100) for line in enabled]
    return json.dumps(
        {
            "labels": [line.account.pk for line in enabled],
            "datasets": [
                _bars("share of portfolio value, %", actual, "var(--color-primary-600)"),
                _bars("target, %", target, "var(--color-base-400)"),
            ],
        }
    )


def _fills_chart(fills: dict[str, Any]) -> str:
    bars = _bars("fills", fills.get("hours", []), "var(--color-primary-600)")
    return json.dumps({"labels": [f"{hour:02}" for hour in HOURS], "datasets": [bars]})


def _bars(label: str, values: list, colour: str) -> dict:
    return {"label": label, "data": values, "backgroundColor": colour, "borderRadius": 3, "maxBarThickness": 44}
