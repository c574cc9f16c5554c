"""Reading what is held at every broker, and what it is worth in the base currency."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.utils import timezone

from brokers import bars
from brokers.models import BrokerAccount, Instrument, Quote
from risk.models import ExposureTotal
from risk.portfolio import histories, rates
from risk.portfolio.histories import Closes
from risk.portfolio.rates import Rate
from risk.portfolio.words import Holding, Problem, ProposedTrade
from tradingdesk.errors import InvalidInput
from tradingdesk.fields import MONEY_PLACES, fit, plain

LOOK_BACK = timedelta(days=histories.MOST_DAYS * 3 // 2 + 30)
UNCLASSIFIED = "unclassified"

Told = Mapping[str, Mapping[str, Closes]]


@dataclass(frozen=True, slots=True)
class Known:
    """What was read for one report."""

    accounts: dict[str, BrokerAccount]
    instruments: dict[str, Instrument]
    rates: dict[str, Rate]
    told: Told
    now: datetime


def read(rows: Iterable[ExposureTotal], trade: ProposedTrade | None) -> Known:
    """Read accounts, instruments, rates and daily closes of what is held and of a trade's symbol.

    Raises:
        InvalidInput: no broker lists the trade's symbol.
    """
    symbols = {row.symbol for row in rows} | ({trade.symbol} if trade else set())
    instruments = {one.symbol: one for one in Instrument.objects.filter(symbol__in=symbols)}
    if trade is not None and trade.symbol not in instruments:
        raise InvalidInput("UNKNOWN_SYMBOL", f"symbol={trade.symbol} is not listed at any broker", "symbol")
    now = timezone.now()
    if trade is not None:
        Instrument.objects.filter(symbol=trade.symbol).update(quotes_wanted_at=now)
    accounts = {account.pk: account for account in BrokerAccount.objects.all()}
    base = settings.DESK_BASE_CURRENCY
    currencies = {one.currency for one in instruments.values()} | {one.currency for one in accounts.values()}
    known_rates = rates.rates({*currencies, "USD"}, base, now)
    pairs = {rate.pair for rate in known_rates.values() if rate.pair}
    told = bars.closes(symbols | pairs, since=now.date() - LOOK_BACK)
    return Known(accounts, instruments, known_rates, told, now)


def counting(known: Known) -> list[BrokerAccount]:
    """The accounts that count: enabled, and in a currency that has a rate."""
    return [one for one in known.accounts.values() if one.enabled and one.currency in known.rates]


def unusable(known: Known) -> Iterable[Problem]:
    """Accounts whose figures cannot be used."""
    for account in known.accounts.values():
        name, currency = account.broker_name, account.currency
        if account.enabled and currency not in known.rates:
            detail = f"{name}: no quote of {currency} in {settings.DESK_BASE_CURRENCY}"
            yield Problem("NO_FX_RATE", detail, broker_name=name)
        if account.enabled and account.last_updated is None:
            yield Problem("ACCOUNT_NOT_READ", f"{name}: its figures were never read", broker_name=name)


def worth(account: BrokerAccount, known: Known) -> Decimal:
    """The account's value in the base currency, by its broker's own figures."""
    return fit(account.portfolio_value * known.rates[account.currency].px, MONEY_PLACES)


def valued(row: ExposureTotal, known: Known) -> Holding | Problem:
    where, account = {"symbol": row.symbol, "broker_name": row.broker_name}, known.accounts.get(row.broker_name)
    held, instrument = (
        f"{row.symbol}: {plain(row.position_qty)} at {row.broker_name}",
        known.instruments.get(row.symbol),
    )
    if account is None or not account.enabled:
        return Problem("ACCOUNT_DISABLED", f"{held} do not count, as the account is disabled", **where)
    if instrument is None:
        return Problem("UNKNOWN_SYMBOL", f"{held}: no broker lists it any more", **where)
    if instrument.currency not in known.rates:
        detail = f"{held}: no quote of {instrument.currency} in {settings.DESK_BASE_CURRENCY}"
        return Problem("NO_FX_RATE", detail, **where)
    mark_px = row.mark_px or last_close(row.symbol, known)
    if not mark_px:
        return Problem("MISSING_PRICE", f"{held}: neither a quote nor a daily bar tells what it is worth", **where)
    return Holding(
        broker_name=row.broker_name,
        broker=account.adapter,
        symbol=row.symbol,
        sector=instrument.sector or UNCLASSIFIED,
        currency=instrument.currency,
        asset_class=instrument.asset_class,
        qty=row.position_qty,
        mark_px=mark_px,
        value=fit(row.position_qty * mark_px * known.rates[instrument.currency].px, MONEY_PLACES),
    )


def market_px(symbol: str, known: Known) -> Decimal:
    """What a symbol trades at: the middle of the newest sound quote of the last days, else its last close."""
    quotes = Quote.objects.filter(listing__instrument__symbol=symbol, received_at__gte=known.now - rates.MAX_AGE)
    sound = next((quote for quote in quotes.order_by("-received_at") if quote.is_sound()), None)
    return sound.mid_px if sound is not None else last_close(symbol, known)


def last_close(symbol: str, known: Known) -> Decimal:
    """The latest daily close that any account has; 0 where there is none."""
    told = [max(closes.items()) for closes in known.told.get(symbol, {}).values()]
    return Decimal(str(max(told)[1])) if told else Decimal(0)
