"""What currencies cost in the base currency, kept for the gate: a rate that is missing or old is none."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from django.conf import settings
from django.db.models import DateTimeField
from django.utils import timezone

from brokers.models import BrokerAccount, Instrument
from risk.models import ExchangeRate
from risk.portfolio import rates
from tradingdesk.statements import Later, Param, Select

ONE = Decimal(1)

_in_force = Select(
    ExchangeRate.objects.filter(base_currency=Param("base"), told_at__gte=Param("since", DateTimeField()))
    .order_by()
    .values_list("currency", "rate")
)


def is_foreign(currencies: Iterable[str]) -> bool:
    """Whether any of these is not the base currency."""
    return any(currency != settings.DESK_BASE_CURRENCY for currency in currencies)


def ask_rates() -> Later:
    """Ask for every rate in force, as pairs of currency and rate, in a block of `together`."""
    return _in_force.later(base=settings.DESK_BASE_CURRENCY, since=timezone.now() - rates.MAX_AGE)


def rates_in_force(currencies: Iterable[str]) -> dict[str, Decimal]:
    """Base currency for one of each of these; what has no rate is left out."""
    base = {settings.DESK_BASE_CURRENCY: ONE}
    if not is_foreign(currencies):
        return base
    return dict(_in_force(base=settings.DESK_BASE_CURRENCY, since=timezone.now() - rates.MAX_AGE)) | base


def refresh_rates() -> None:
    """Keep the latest rate of every currency that an account or an instrument is in.

    Pairs are asked for at the brokers that list them, as a symbol is that somebody looks at.
    """
    base, now = settings.DESK_BASE_CURRENCY, timezone.now()
    currencies = {
        *BrokerAccount.objects.filter(enabled=True).values_list("currency", flat=True).distinct(),
        *Instrument.objects.order_by().values_list("currency", flat=True).distinct(),
    } - {base, ""}
    if not currencies:
        return
    pairs = {pair for currency in currencies for pair in rates.spellings(currency, base)}
    Instrument.objects.filter(symbol__in=pairs).update(quotes_wanted_at=now)
    known = rates.rates(currencies, base, now)
    rows = [
        ExchangeRate(currency=currency, base_currency=base, rate=one.px, told_at=one.told_at, source=one.source)
        for currency, one in known.items()
        if currency != base
    ]
    fields = ["base_currency", "rate", "told_at", "source"]
    ExchangeRate.objects.bulk_create(rows, update_conflicts=True, unique_fields=["currency"], update_fields=fields)
