"""What calls for a plan, and into which range each account's exposure shall come. Pure over what was read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from brokers.models import BrokerAccount
from orders.rebalancing.halted import kept_from_adding, stopped_by
from orders.rebalancing.reading import Known
from orders.rebalancing.words import ZERO, Book, Problem
from risk.exposure import account_key
from risk.models import Control
from tradingdesk.fields import plain

ASKED = "asked"
OVER_LIMIT, DRIFT, BROKER_FAILED = "over_limit", "drift", "broker_failed"
# What is entered meanwhile, and prices that move, take of what a broker lets the desk buy.
_BUYING_POWER_USED = Decimal("0.95")
_PART = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a plan is needed; `key` is stored with it, and at most one open plan has it.

    A broker's failure is a cause of its own; a limit and drift are answered for all accounts by one plan.
    """

    kind: str
    broker_name: str = ""
    reason: str = ""

    @property
    def key(self) -> str:
        """The kind, with the account that it is about."""
        return f"{self.kind}:{self.broker_name}" if self.broker_name else self.kind


def find_causes(known: Known) -> Iterator[Cause]:
    """Every cause that holds now: failed brokers first, as their plans look at limits and drift, too."""
    for name, since in known.failing_since.items():
        lasted = known.now - since
        if lasted >= timedelta(seconds=known.settings.failed_after):
            yield Cause(BROKER_FAILED, name, f"{_failure(known, name)}, for {int(lasted.total_seconds())} s")
    for kind, found in ((OVER_LIMIT, _over_limit(known)), (DRIFT, _drifted(known))):
        if texts := list(found):
            yield Cause(kind, reason="; ".join(texts))


def _over_limit(known: Known) -> Iterator[str]:
    for account in known.accounts if known.total_value > 0 else ():
        share, limit = known.gross[account.pk] / known.total_value, limit_of(known, account.pk)
        if limit is not None and share > limit:
            yield f"{account.pk}: broker_share={_part(share)}, max={plain(limit)}"


def _drifted(known: Known) -> Iterator[str]:
    for account in known.accounts if known.settings.max_drift is not None else ():
        drift = _drift_of(known, account)
        if abs(drift) > known.settings.max_drift:
            side = "above" if drift > 0 else "below"
            most = plain(known.settings.max_drift)
            yield f"{account.pk}: {_part(abs(drift))} {side} its share of the exposure, max={most}"


def books_for(cause: Cause, known: Known) -> list[Book]:
    """Each account with the range that the plan shall bring it into."""
    return [_book(cause, known, account) for account in known.accounts]


def limit_of(known: Known, broker_name: str) -> Decimal | None:
    """The share of the portfolio that an account may reach: its limit, or how far it may drift above its own."""
    where = known.where(broker_name)
    most, drift = (
        known.book.limit(one, where) for one in (Control.MAX_BROKER_ALLOCATION, Control.MAX_ALLOCATION_DRIFT)
    )
    share = next(account.allocation_percent for account in known.accounts if account.pk == broker_name)
    return min((one for one in (most, None if drift is None else share + drift) if one is not None), default=None)


def firm_room(known: Known) -> Decimal | None:
    """What gross exposure of the desk may grow by; None without a limit."""
    limit = known.book.limit(Control.PORTFOLIO_RISK_LIMIT)
    return None if limit is None else limit - sum((known.gross[one.pk] for one in known.accounts), ZERO)


def _book(cause: Cause, known: Known, account: BrokerAccount) -> Book:
    name, gross = account.pk, known.gross[account.pk]
    ranges = [_under_limit(known, name, gross)]
    if known.settings.max_drift is not None and cause.kind != OVER_LIMIT:
        ranges.append(_near_share(known, account, gross))
    most, least = min(top for _, top in ranges), max(bottom for bottom, _ in ranges)
    if cause.kind == BROKER_FAILED and cause.broker_name == name and _is_left(known, account):
        most = least = ZERO
    stuck = cannot_trade(known, account)
    return Book(
        broker_name=name,
        gross=gross,
        most=most,
        least=min(least, most),
        buying_power=known.buying_power_of(account) * _BUYING_POWER_USED,
        cannot_give=stuck,
        cannot_take=stuck or _cannot_hold_more(known, account),
    )


def _is_left(known: Known, account: BrokerAccount) -> bool:
    """Whether everything shall leave a failed account: it is down, or not reconciled and the desk is set to do so."""
    return cannot_trade(known, account) is not None or known.settings.leave_unreconciled


def _under_limit(known: Known, name: str, gross: Decimal) -> tuple[Decimal, Decimal]:
    """Below the limit by the headroom; what is in between already may stay."""
    limit = limit_of(known, name)
    if limit is None or known.total_value <= 0:
        return ZERO, max(gross, known.total_value)
    aim = max(limit - known.settings.headroom, ZERO) * known.total_value
    return ZERO, aim if gross > limit * known.total_value else max(aim, gross)


def _near_share(known: Known, account: BrokerAccount, gross: Decimal) -> tuple[Decimal, Decimal]:
    """Nearer to its share of the exposure than drift may be, by the headroom; what is near enough may stay."""
    if cannot_trade(known, account):
        return ZERO, gross
    whole, share = _among_usable(known, account)
    narrow = max(known.settings.max_drift - known.settings.headroom, ZERO)
    low, high = max(share - narrow, ZERO) * whole, (share + narrow) * whole
    if abs(_drift_of(known, account)) > known.settings.max_drift:
        return low, high
    return min(low, gross), max(high, gross)


def _drift_of(known: Known, account: BrokerAccount) -> Decimal:
    """How far its share of the exposure is from its share of the capital, among the accounts that can trade."""
    if cannot_trade(known, account):
        return ZERO
    whole, share = _among_usable(known, account)
    return known.gross[account.pk] / whole - share if whole else ZERO


def _among_usable(known: Known, account: BrokerAccount) -> tuple[Decimal, Decimal]:
    """Gross exposure of the accounts that can trade, and the account's share of their capital."""
    usable = [one for one in known.accounts if not cannot_trade(known, one)]
    capital = sum((one.allocation_percent for one in usable), ZERO)
    whole = sum((known.gross[one.pk] for one in usable), ZERO)
    return whole, account.allocation_percent / capital if capital else ZERO


def cannot_trade(known: Known, account: BrokerAccount) -> Problem | None:
    """Why no order can be placed at an account at all."""
    name, health = account.pk, getattr(account, "health", None)
    if health is not None and not health.healthy:
        return Problem("BROKER_DOWN", f"{name} does not answer: what it holds stays there", name)
    if account.status != BrokerAccount.Status.ACTIVE:
        return Problem("ACCOUNT_NOT_ACTIVE", f"{name} has the status {account.status}", name)
    if account.currency not in known.rates:
        return Problem("NO_FX_RATE", f"{name} is in {account.currency}, which has no exchange rate", name)
    if halted := stopped_by(known.book, name):
        return Problem("TRADING_HALTED", f"{name} is halted for {halted}", name)
    return None


def _cannot_hold_more(known: Known, account: BrokerAccount) -> Problem | None:
    row = known.totals.get(account_key(account.pk))
    text = account.unreconciled or (row.unreconciled if row else "")
    if text:
        return Problem("ACCOUNT_NOT_RECONCILED", f"{account.pk} may add nothing: {text}", account.pk)
    if known.total_value <= 0 and limit_of(known, account.pk) is not None:
        return Problem("NO_PORTFOLIO_VALUE", f"{account.pk} may add nothing: the portfolio's value is not known")
    if halted := kept_from_adding(known.book, account.pk):
        return Problem("TRADING_HALTED", f"{account.pk} may add nothing: halted for {halted}", account.pk)
    return None


def _failure(known: Known, name: str) -> str:
    account = next(one for one in known.accounts if one.pk == name)
    stuck = cannot_trade(known, account) or _cannot_hold_more(known, account)
    return stuck.detail if stuck else f"{name} has failed"


def _part(share: Decimal) -> str:
    return plain(share.quantize(_PART))
