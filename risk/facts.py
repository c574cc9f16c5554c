"""What the totals take of an instrument: its sector, what its currency costs, and its beta."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal

from brokers.models import Instrument
from risk.fx import rates_in_force
from risk.models import ExposureTotal


@dataclass(frozen=True, slots=True)
class Facts:
    """Of one instrument. `fx_rate` is base currency for one of its own; None where it is not known, as `beta`."""

    sector: str = ""
    fx_rate: Decimal | None = None
    beta: Decimal | None = None


def facts_kept(row: ExposureTotal) -> Facts:
    """What a symbol's total counts with."""
    return Facts(row.sector, row.fx_rate, row.beta)


def facts_of(symbols: Collection[str]) -> dict[str, Facts]:
    """What is known of these symbols now; an instrument that the desk does not have is left out."""
    if not symbols:
        return {}
    columns = ("symbol", "sector", "currency", "beta")
    known = list(Instrument.objects.filter(symbol__in=symbols).values_list(*columns))
    rates = rates_in_force({currency for _, _, currency, _ in known})
    return {symbol: Facts(sector, rates.get(currency), beta) for symbol, sector, currency, beta in known}
