"""What the totals are weighed with, brought up to date: rates of currencies, betas, sectors.

The gate never works any of it out: it reads columns that stand beside what it counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from brokers import bars
from brokers.models import Instrument
from risk import exposure
from risk.facts import facts_kept, facts_of
from risk.fx import refresh_rates
from risk.models import ExposureTotal
from risk.portfolio import betas, histories
from tradingdesk.fields import fit

LOOK_BACK = timedelta(days=betas.MOST_DAYS * 3 // 2 + 30)
LOOKED_AT_FOR = timedelta(minutes=15)
SYMBOLS_AT_ONCE = 50  # of each more than a year of bars, from every account that tells them


def refresh_measures() -> int:
    """Bring rates and betas up to date, and then the totals; how many symbols' totals changed."""
    refresh_rates()
    refresh_betas()
    return refresh_totals()


def refresh_betas() -> None:
    """Work out the betas of what is held, entered or lately looked at, once for each day of the benchmark.

    The benchmark is read like a symbol that somebody looks at. What has too few or too old bars has no beta.
    """
    now, benchmark = timezone.now(), settings.DESK_BETA_BENCHMARK
    if not Instrument.objects.filter(symbol=benchmark).update(quotes_wanted_at=now):
        return
    told = bars.closes([benchmark], since=now.date() - LOOK_BACK)
    market = histories.longest(told.get(benchmark, {}))
    if not market:
        return
    due = [one for one in _looked_at() if one.beta_as_of is None or one.beta_as_of < max(market)]
    for first in range(0, len(due), SYMBOLS_AT_ONCE):
        _refresh_betas_of(due[first : first + SYMBOLS_AT_ONCE], market, now.date())


def _refresh_betas_of(instruments: Sequence[Instrument], market: Mapping[date, float], today: date) -> None:
    told = bars.closes([one.symbol for one in instruments], since=today - LOOK_BACK)
    changed = []
    for one in instruments:
        found = betas.beta(histories.longest(told.get(one.symbol, {})), market, today)
        value, as_of = (fit(Decimal(found.value), 6), found.as_of) if found else (None, None)
        if (value, as_of) != (one.beta, one.beta_as_of):
            one.beta, one.beta_as_of = value, as_of
            changed.append(one)
    Instrument.objects.bulk_update(changed, ["beta", "beta_as_of"])


def _looked_at() -> Iterable[Instrument]:
    symbols = ExposureTotal.objects.symbols().exclude(gross=0).values("symbol")
    lately = timezone.now() - LOOKED_AT_FOR
    counted = Instrument.objects.filter(symbol__in=symbols) | Instrument.objects.filter(quotes_wanted_at__gte=lately)
    return counted.distinct().order_by("pk")


def refresh_totals() -> int:
    """Put every total at its instrument's present rate, beta and sector; how many changed."""
    rows = list(ExposureTotal.objects.symbols())
    facts = facts_of({row.symbol for row in rows})
    outdated = [row for row in rows if facts_kept(row) != facts.get(row.symbol, facts_kept(row))]
    for row in outdated:
        with transaction.atomic():
            locked = exposure.lock_for_report(row.broker_name, row.symbol)
            exposure.restate(locked, facts[row.symbol])
    return len(outdated)
