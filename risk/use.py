"""How much of each limit is in use now. Amounts are in the base currency, shares from 0 to 1."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Sum

from brokers.models import BrokerAccount
from risk.fx import worth
from risk.gate import share_of
from risk.models import Control, ExposureTotal, Limit, Scope

TIGHT = Decimal("0.9")


@dataclass(frozen=True, slots=True)
class Figures:
    """What limits are measured against: gross exposure by enabled account, and the portfolio's value over them."""

    gross: Mapping[str, Decimal]
    total_value: Decimal


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
        """The length of the bar."""
        return None if self.share is None else min(100, max(0, int(self.share * 100)))

    @property
    def is_floor(self) -> bool:
        """Whether this much is wanted at least, where others say what is allowed at most."""
        return self.limit.control in FLOORS

    @property
    def is_tight(self) -> bool:
        """Whether little is left, or a floor is not reached."""
        if self.found is None:
            return False
        if self.is_floor:
            return self.found.value < self.limit.value
        return self.found.value >= self.limit.value * TIGHT


def use_of_limits(limits: Iterable[Limit]) -> list[LimitUse]:
    """Measure these limits, with two queries however many they are."""
    figures = read_figures()
    return [LimitUse(limit, _found(limit, figures)) for limit in limits]


def read_figures() -> Figures:
    """Read what limits are measured against."""
    accounts = list(BrokerAccount.objects.filter(enabled=True))
    values = worth(accounts)
    totals = ExposureTotal.objects.accounts().filter(broker_name__in=list(values)).order_by()
    gross = dict(totals.values_list("broker_name").annotate(total=Sum("gross")))
    total = Decimal(0) if None in values.values() else sum(values.values(), Decimal(0))
    return Figures({name: gross.get(name, Decimal(0)) for name in values}, total)


def _found(limit: Limit, figures: Figures) -> Found | None:
    measure = MEASURED.get(limit.control)
    return measure(limit, figures) if measure else None


def _gross(limit: Limit, figures: Figures) -> Found | None:
    return Found(sum(figures.gross.values(), Decimal(0)))


def _allocation(limit: Limit, figures: Figures) -> Found | None:
    """The account's share; of the firm's limit, which holds for each account, the one that is nearest to it."""
    names = [limit.scope_key] if limit.scope == Scope.ACCOUNT else list(figures.gross)
    gross = {name: figures.gross[name] for name in names if name in figures.gross}
    if not gross or figures.total_value <= 0:
        return None
    nearest = max(gross, key=gross.__getitem__)
    return Found(share_of(gross[nearest], figures.total_value), "" if limit.scope == Scope.ACCOUNT else nearest)


def _accounts(limit: Limit, figures: Figures) -> Found | None:
    return Found(Decimal(len(figures.gross)))


FLOORS = {Control.MIN_BROKER_DIVERSIFICATION}
MEASURED: dict[str, Callable[[Limit, Figures], Found | None]] = {
    Control.PORTFOLIO_RISK_LIMIT: _gross,
    Control.MAX_BROKER_ALLOCATION: _allocation,
    Control.MIN_BROKER_DIVERSIFICATION: _accounts,
}
