"""Reading what a plan is made from: accounts, what they hold, prices, limits. The same few statements at every size."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from brokers import market as brokers_market
from brokers.adapter import Capabilities
from brokers.messages import BrokerError
from brokers.models import BrokerAccount, Instrument, Listing
from brokers.registry import adapter_class
from orders.decision import price_problem, quote_of, read_exposure, read_market
from orders.models import ReconciliationBreak
from orders.rebalancing.configuration import Rebalancing, rebalancing_in_force
from orders.rebalancing.words import ZERO
from risk import fx
from risk.exposure import account_key, holding_of
from risk.models import ExposureTotal
from risk.rulebook import current_rulebook
from risk.rules import Denial, Place, Rulebook
from tradingdesk.fields import MONEY_PLACES, fit

STRATEGY = "rebalancing"
Key = tuple[str, str]  # an account and a symbol
_COUNTS = Q(symbol="") | ~Q(position_qty=0) | ~Q(gross=0)


@dataclass(slots=True)
class Known:
    """What the desk knows, as of `now`. `in_doubt` are symbols of an account on which desk and broker do not agree.

    `gross` is the gross exposure of each account, held and entered; `rates` is what one of each account's currency
    costs in the base currency, without those that nobody knows.
    """

    now: datetime
    settings: Rebalancing
    book: Rulebook
    accounts: list[BrokerAccount]
    capabilities: Mapping[str, Capabilities]
    totals: Mapping[str, ExposureTotal]
    holdings: Mapping[Key, ExposureTotal]
    listings: Mapping[Key, Listing]
    unreflected: Mapping[str, Decimal]
    failing_since: Mapping[str, datetime]
    rates: Mapping[str, Decimal]
    in_doubt: Mapping[str, set[str]] = field(default_factory=dict)
    gross: Mapping[str, Decimal] = field(default_factory=dict)

    def __post_init__(self):
        self.gross = {account.pk: self._gross_of(account.pk) for account in self.accounts}

    @property
    def total_value(self) -> Decimal:
        """Portfolio value over all enabled accounts, as the gate counts it: 0, not known, while a rate is missing."""
        return fx.total_value(self.accounts, self.rates)

    def buying_power_of(self, account: BrokerAccount) -> Decimal:
        """What an account may still buy for, in the base currency; 0 while its currency has no rate."""
        left = account.buying_power - (self.unreflected.get(account.pk) or ZERO)
        return fit(max(left, ZERO) * self.rates.get(account.currency, ZERO), MONEY_PLACES)

    def price_problem(self, key: Key) -> Denial | None:
        """Why the quote of a symbol at an account cannot be used; None when it can."""
        return price_problem(quote_of(self.listings.get(key)), self.book, self.where(*key), self.now)

    def where(self, broker_name: str, symbol: str = "") -> Place:
        """What an order of a plan belongs to, at an account: the limits of each scope apply to it."""
        adapter = next(one.adapter for one in self.accounts if one.pk == broker_name)
        listing = self.listings.get((broker_name, symbol))
        asset_class = listing.instrument.asset_class if listing else ""
        return Place(adapter, broker_name, STRATEGY, symbol, asset_class)

    def is_foreign(self, key: Key) -> bool:
        """Whether a symbol is priced in another currency than exposure is counted in."""
        listing = self.listings.get(key)
        return listing is not None and listing.instrument.currency != settings.DESK_BASE_CURRENCY

    def _gross_of(self, broker_name: str) -> Decimal:
        """Gross exposure of an account, with what it holds at today's prices where there are any."""
        total = self.totals.get(account_key(broker_name))
        gross = total.gross if total else ZERO
        for key, row in self.holdings.items():
            if key[0] == broker_name and not self.is_foreign(key) and self.price_problem(key) is None:
                gross += holding_of(row, quote_of(self.listings[key]).mid_px).gross() - row.gross
        return gross


def read() -> Known:
    """Read everything; asks no broker."""
    accounts = list(BrokerAccount.objects.filter(enabled=True).select_related("health").order_by("pk"))
    names = [account.pk for account in accounts]
    rows = list(ExposureTotal.objects.filter(_COUNTS, broker_name__in=names).order_by("key"))
    holdings = {(row.broker_name, row.symbol): row for row in rows if row.symbol and row.gross}
    held = {symbol for (_, symbol), row in holdings.items() if row.position_qty}
    listings = Listing.objects.filter(account__in=names, instrument__symbol__in=held)
    breaks = list(ReconciliationBreak.objects.filter(state=ReconciliationBreak.State.OPEN))
    return Known(
        now=timezone.now(),
        settings=rebalancing_in_force(),
        book=current_rulebook(),
        accounts=accounts,
        capabilities={account.pk: adapter_class(account.adapter).capabilities for account in accounts},
        totals={row.key: row for row in rows if not row.symbol},
        holdings=holdings,
        listings={
            (row.account_id, row.instrument.symbol): row for row in listings.select_related("instrument", "quote")
        },
        unreflected=_unreflected(min(held, default="")),
        failing_since=_failing_since(accounts, breaks),
        rates=fx.rates_in_force({account.currency for account in accounts}),
        in_doubt=_in_doubt(breaks),
    )


def ask_prices(known: Known) -> None:
    """Ask brokers that may be asked for prices of what is held where the kept ones cannot be used; others soon bring
    them. A broker that does not answer leaves its prices as they are.
    """
    missing = defaultdict(list)
    for key in known.listings:
        if known.price_problem(key):
            missing[key[0]].append(key[1])
    symbols = {symbol for wanted in missing.values() for symbol in wanted}
    Instrument.objects.filter(symbol__in=symbols).update(quotes_wanted_at=known.now)
    for account in known.accounts:
        if missing[account.pk] and known.capabilities[account.pk].connectionless:
            _ask(account, missing[account.pk])


def _ask(account: BrokerAccount, symbols: Iterable[str]) -> None:
    try:
        brokers_market.sync_quotes(account, symbols)
    except BrokerError:
        return  # the plan says that the price is missing


def _unreflected(symbol: str) -> Mapping[str, Decimal]:
    """Buying power held by orders that the brokers' figures do not show yet, by account; any symbol serves."""
    market = read_market(symbol) if symbol else None
    return read_exposure(market, symbol).unreflected if market else {}


def _failing_since(accounts: Iterable[BrokerAccount], breaks: Iterable[ReconciliationBreak]) -> dict[str, datetime]:
    """Since when an account's breaker has been open, or it has not been reconciled, by account."""
    found = {}
    for account in accounts:
        health = getattr(account, "health", None)
        if health is not None and not health.healthy and health.opened_at:
            found[account.pk] = health.opened_at
    blocking = [one for one in breaks if not one.safe]
    for one in sorted(blocking, key=lambda row: row.opened_at):
        if any(account.pk == one.account_id and account.unreconciled for account in accounts):
            found.setdefault(one.account_id, one.opened_at)
    return found


def _in_doubt(breaks: Iterable[ReconciliationBreak]) -> dict[str, set[str]]:
    found = defaultdict(set)
    for one in breaks:
        found[one.account_id].add(one.symbol)
    return found
