"""What currencies cost in the base currency: the middle of the brokers' quotes of a pair, and its daily closes.

Where no broker quotes a pair, what a broker counts an account's own currencies with stands in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from brokers.models import BrokerAccount, Quote
from risk.portfolio.histories import Closes
from tradingdesk.fields import fit

SPELLINGS = ("{}/{}", "{}.{}", "{}{}")
MAX_AGE = timedelta(days=3)  # over a weekend


@dataclass(frozen=True, slots=True)
class Rate:
    """Units of the base currency for one of another. `pair` is the symbol it was quoted as.

    `pair` is "" for the base itself, and for a rate that an account was told, which has no history.
    """

    px: Decimal
    pair: str = ""
    is_inverse: bool = False
    told_at: datetime | None = None
    account: str = ""

    @property
    def source(self) -> str:
        """The pair, or the account, that it is from."""
        return self.pair or self.account

    def history(self, closes: Mapping[str, Mapping[str, Closes]]) -> Closes:
        """The rate's own daily closes, by the account that has most; empty where none were told."""
        told = closes.get(self.pair, {})
        longest = max(told.values(), key=len, default={})
        return {day: 1 / px for day, px in longest.items()} if self.is_inverse else longest


def spellings(currency: str, base: str) -> dict[str, bool]:
    """The symbols that a pair may have; True where it is the other way round."""
    return {
        **{text.format(currency, base): False for text in SPELLINGS},
        **{text.format(base, currency): True for text in SPELLINGS},
    }


def rates(currencies: Iterable[str], base: str, now: datetime) -> dict[str, Rate]:
    """The latest rate of each currency that has a sound quote or was told for an account; others are left out."""
    found, others = {base: Rate(Decimal(1))}, sorted(set(currencies) - {base})
    told = _told(base, now) if others else {}
    for currency in others:
        if rate := _quoted(currency, base, now) or told.get(currency):
            found[currency] = rate
    return found


def _quoted(currency: str, base: str, now: datetime) -> Rate | None:
    pairs = spellings(currency, base)
    quotes = Quote.objects.filter(listing__instrument__symbol__in=pairs, received_at__gte=now - MAX_AGE)
    newest = quotes.select_related("listing__instrument").order_by("-received_at")
    sound = next((quote for quote in newest if quote.is_sound()), None)
    if sound is None:
        return None
    pair = sound.listing.instrument.symbol
    px = fit(1 / sound.mid_px) if pairs[pair] else sound.mid_px
    return Rate(px, pair, pairs[pair], told_at=sound.received_at)


def _told(base: str, now: datetime) -> dict[str, Rate]:
    """What brokers count the currencies of accounts with; the latest telling counts."""
    found: dict[str, Rate] = {}
    for account in BrokerAccount.objects.filter(enabled=True, last_updated__gte=now - MAX_AGE).order_by("last_updated"):
        told = {name: Decimal(rate) for name, rate in account.exchange_rates.items()} | {account.currency: Decimal(1)}
        if told.get(base):
            one = {"told_at": account.last_updated, "account": account.broker_name}
            found |= {name: Rate(fit(px / told[base]), **one) for name, px in told.items() if px > 0}
    return found
