"""What currencies cost in the base currency: the middle of the brokers' quotes of a pair, and its daily closes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from brokers.models import Quote
from risk.portfolio.histories import Closes
from tradingdesk.fields import fit

SPELLINGS = ("{}/{}", "{}.{}", "{}{}")
MAX_AGE = timedelta(days=3)  # over a weekend


@dataclass(frozen=True, slots=True)
class Rate:
    """Units of the base currency for one of another. `pair` is the symbol it was quoted as; "" is the base itself."""

    px: Decimal
    pair: str = ""
    is_inverse: bool = False

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
    """The latest rate of each currency that has a sound quote; those without one are left out."""
    found = {base: Rate(Decimal(1))}
    for currency in sorted(set(currencies) - {base}):
        pairs = spellings(currency, base)
        quotes = Quote.objects.filter(listing__instrument__symbol__in=pairs, received_at__gte=now - MAX_AGE)
        newest = quotes.select_related("listing__instrument").order_by("-received_at")
        sound = next((quote for quote in newest if quote.is_sound()), None)
        if sound is not None:
            pair = sound.listing.instrument.symbol
            px = fit(1 / sound.mid_px) if pairs[pair] else sound.mid_px
            found[currency] = Rate(px, pair, pairs[pair])
    return found
