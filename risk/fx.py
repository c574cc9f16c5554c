"""What currencies cost in the base currency, kept for the gate: a rate that is missing or old is none."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from decimal import Decimal

from django.conf import settings
from django.db.models import DateTimeField
from django.utils import timezone

from brokers.models import BrokerAccount, Instrument
from risk.models import ExchangeRate
from risk.portfolio import rates
from tradingdesk.fields import MONEY_PLACES, fit
from tradingdesk.statements import Param, Select, together

ZERO, ONE = Decimal(0), Decimal(1)

_in_force = Select(
    ExchangeRate.objects.filter(base_currency=Param("base"), told_at__gte=Param("since", DateTimeField()))
    .order_by()
    .values_list("currency", "rate")
)


def is_foreign(currencies: Iterable[str]) -> bool:
    """Whether any of these is not the base currency."""
    return any(currency != settings.DESK_BASE_CURRENCY for currency in currencies)


def ask_rates(currencies: Collection[str]) -> Callable[[], dict[str, Decimal]]:
    """Ask in a block of `together` what one of each of these costs; what has no rate is left out.

    Nothing is asked while all of them are the base currency.
    """
    base = {settings.DESK_BASE_CURRENCY: ONE}
    if not is_foreign(currencies):
        return lambda: base
    told = _in_force.later(base=settings.DESK_BASE_CURRENCY, since=timezone.now() - rates.MAX_AGE)
    return lambda: dict(told()) | base


def rates_in_force(currencies: Collection[str]) -> dict[str, Decimal]:
    """Base currency for one of each of these; what has no rate is left out."""
    with together():
        told = ask_rates(currencies)
    return told()


def total_value(accounts: Iterable[BrokerAccount], known: Mapping[str, Decimal]) -> Decimal:
    """Portfolio value of these accounts; 0, which is not known, where one is in a currency without a rate."""
    return sum_or_unknown(converted(account.portfolio_value, known.get(account.currency)) for account in accounts)


def worth(accounts: Collection[BrokerAccount], figure: str = "portfolio_value") -> dict[str, Decimal | None]:
    """One of the accounts' figures by name; None where the currency has no rate."""
    known = rates_in_force({account.currency for account in accounts})
    return {one.broker_name: converted(getattr(one, figure), known.get(one.currency)) for one in accounts}


def sum_if_known(values: Iterable[Decimal | None]) -> Decimal | None:
    """Add up amounts; None where one is not known."""
    values = list(values)
    return None if None in values else sum(values, ZERO)


def sum_or_unknown(values: Iterable[Decimal | None]) -> Decimal:
    """Add up what is known of every account; 0 where something is not."""
    return sum_if_known(values) or ZERO


def converted(value: Decimal, rate: Decimal | None) -> Decimal | None:
    """An amount at a rate; None, which is not known, without one."""
    return None if rate is None else fit(value * rate, MONEY_PLACES)


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
