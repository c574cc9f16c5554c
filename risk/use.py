"""How much of each limit is in use now. Amounts are in the base currency, shares from 0 to 1."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from django.db.models import Sum

from brokers.models import BrokerAccount
from risk.fx import sum_or_unknown, worth
from risk.gate import share_of
from risk.models import Control, EquityMark, ExposureTotal, Limit, Scope

TIGHT = Decimal("0.9")
_LOSSES = {Control.MAX_DAILY_LOSS, Control.MAX_DRAWDOWN}


@dataclass(frozen=True, slots=True)
class Figures:
    """What limits are measured against: totals by enabled account, and the portfolio's value over them.

    Gross exposure by sector and by symbol, and what losses are measured from, are there where a limit needs them.
    """

    gross: Mapping[str, Decimal]
    total_value: Decimal
    accounts: Mapping[str, BrokerAccount] = field(default_factory=dict)
    totals: Mapping[str, ExposureTotal] = field(default_factory=dict)
    sectors: Mapping[str, Decimal] = field(default_factory=dict)
    symbols: Mapping[str, Decimal] = field(default_factory=dict)
    marks: Mapping[tuple[str, str], EquityMark] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """What a limit is compared with, in its own unit; `where` names what comes nearest to it."""

    value: Decimal
    where: str = ""


@dataclass(frozen=True, slots=True)
class LimitUse:
    """One limit and how it stands; `found` None: there is nothing to measure between orders."""

    limit: Limit
    found: Found | None

    @property
    def share(self) -> Decimal | None:
        """How much of the limit is in use; above 1 it is passed. None where there is nothing to measure."""
        if self.found is None or not self.limit.value:
            return None
        return self.found.value / self.limit.value

    @property
    def percent(self) -> int | None:
        """The length of the bar; of a floor, how much of what is wanted is there."""
        return None if self.share is None else min(100, max(0, int(self.share * 100)))

    @property
    def is_floor(self) -> bool:
        """Whether this much is wanted at least, where others say what is allowed at most."""
        return self.limit.control in FLOORS

    @property
    def is_passed(self) -> bool:
        """Whether the limit does not hold: a greatest value is passed, a floor not reached."""
        if self.found is None:
            return False
        return self.found.value < self.limit.value if self.is_floor else self.found.value > self.limit.value

    @property
    def is_tight(self) -> bool:
        """Whether little is left, or a floor is not reached."""
        if self.found is None:
            return False
        return self.is_passed if self.is_floor else self.found.value >= self.limit.value * TIGHT


def use_of_limits(limits: Iterable[Limit]) -> list[LimitUse]:
    """Measure these limits, with two queries however many they are, and one for each kind of total that they need."""
    limits = list(limits)
    figures = read_figures({limit.control for limit in limits})
    return [LimitUse(limit, _found(limit, figures)) for limit in limits]


def read_figures(controls: Collection[str]) -> Figures:
    """Read what the limits of these controls are measured against."""
    accounts = {one.broker_name: one for one in BrokerAccount.objects.filter(enabled=True)}
    values = worth(list(accounts.values()))
    totals = {row.broker_name: row for row in ExposureTotal.objects.accounts().filter(broker_name__in=list(values))}
    return Figures(
        gross={name: totals[name].gross if name in totals else Decimal(0) for name in values},
        total_value=sum_or_unknown(values.values()),
        accounts=accounts,
        totals=totals,
        sectors=_gross_by("sector", accounts) if Control.MAX_SECTOR_EXPOSURE in controls else {},
        symbols=_gross_by("symbol", accounts) if Control.MAX_SYMBOL_EXPOSURE in controls else {},
        marks={mark.place: mark for mark in EquityMark.objects.all()} if controls & _LOSSES else {},
    )


def _gross_by(column: str, accounts: Iterable[str]) -> dict[str, Decimal]:
    """Gross exposure over all enabled accounts by sector or symbol."""
    rows = ExposureTotal.objects.filter(broker_name__in=list(accounts)).exclude(**{column: ""})
    kind = rows.sectors() if column == "sector" else rows.symbols()
    return dict(kind.order_by().values_list(column).annotate(total=Sum("gross")))


def _found(limit: Limit, figures: Figures) -> Found | None:
    measure = MEASURED.get(limit.control)
    return measure(limit, figures) if measure else None


def _gross(limit: Limit, figures: Figures) -> Found | None:
    return Found(sum(figures.gross.values(), Decimal(0)))


def _allocation(limit: Limit, figures: Figures) -> Found | None:
    """The account's share; of a limit for several accounts, which holds for each, that of the one nearest to it."""
    if figures.total_value <= 0:
        return None
    shares = {
        name: share_of(gross, figures.total_value)
        for name, gross in figures.gross.items()
        if _is_about(limit, figures.accounts[name])
    }
    return _nearest(limit, shares)


def _net(limit: Limit, figures: Figures) -> Found | None:
    return Found(_worst(figures, "net_high", "net_low"))


def _beta(limit: Limit, figures: Figures) -> Found | None:
    """Nothing that can be told while a beta is missing."""
    if any(row.without_beta for row in figures.totals.values()):
        return None
    return Found(_worst(figures, "beta_high", "beta_low"))


def _worst(figures: Figures, *names: str) -> Decimal:
    sums = (sum((getattr(row, name) for row in figures.totals.values()), Decimal(0)) for name in names)
    return max(map(abs, sums))


def _largest(gross: Mapping[str, Decimal], only: str) -> Found | None:
    if only:
        return Found(gross.get(only, Decimal(0)))
    nearest = max(gross, key=gross.__getitem__, default="")
    return Found(gross.get(nearest, Decimal(0)), nearest)


def _symbol(limit: Limit, figures: Figures) -> Found | None:
    return None if limit.scope == Scope.ASSET_CLASS else _largest(figures.symbols, limit.scope_key)


def _sector(limit: Limit, figures: Figures) -> Found | None:
    return _largest(figures.sectors, "")


def _drift(limit: Limit, figures: Figures) -> Found | None:
    """How far the account is above its share; of a wider limit, the account that is furthest above."""
    if figures.total_value <= 0:
        return None
    drifts = {
        name: share_of(figures.gross[name], figures.total_value) - account.allocation_percent
        for name, account in figures.accounts.items()
        if _is_about(limit, account)
    }
    return _nearest(limit, drifts)


def _margin(limit: Limit, figures: Figures) -> Found | None:
    used = {
        name: share_of(account.initial_margin, account.equity)
        for name, account in figures.accounts.items()
        if _is_about(limit, account) and account.initial_margin is not None and account.equity > 0
    }
    return _nearest(limit, used)


def _is_about(limit: Limit, account: BrokerAccount) -> bool:
    names = {Scope.FIRM: "", Scope.BROKER: account.adapter, Scope.ACCOUNT: account.broker_name}
    return names.get(limit.scope) == limit.scope_key


def _nearest(limit: Limit, found: Mapping[str, Decimal]) -> Found | None:
    if not found:
        return None
    name = max(found, key=found.__getitem__)
    return Found(found[name], "" if limit.scope == Scope.ACCOUNT else name)


def _lost(limit: Limit, figures: Figures) -> Found | None:
    mark = figures.marks.get((limit.scope, limit.scope_key))
    return Found(mark.lost(limit.control)) if mark else None


def _accounts(limit: Limit, figures: Figures) -> Found | None:
    return Found(Decimal(len(figures.gross)))


FLOORS = {Control.MIN_BROKER_DIVERSIFICATION}
MEASURED: dict[str, Callable[[Limit, Figures], Found | None]] = {
    Control.PORTFOLIO_RISK_LIMIT: _gross,
    Control.MAX_BROKER_ALLOCATION: _allocation,
    Control.MIN_BROKER_DIVERSIFICATION: _accounts,
    Control.MAX_NET_EXPOSURE: _net,
    Control.MAX_SYMBOL_EXPOSURE: _symbol,
    Control.MAX_SECTOR_EXPOSURE: _sector,
    Control.MAX_BETA_EXPOSURE: _beta,
    Control.MAX_ALLOCATION_DRIFT: _drift,
    Control.MAX_MARGIN_USE: _margin,
    Control.MAX_DAILY_LOSS: _lost,
    Control.MAX_DRAWDOWN: _lost,
}
