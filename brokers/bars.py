"""Daily bars as the brokers tell them, kept for everyone to read."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import F, FloatField, Q
from django.db.models.functions import Cast
from django.utils import timezone

from brokers.gateway import gateway_for
from brokers.messages import BarState
from brokers.models import BrokerAccount, DailyBar, Listing
from brokers.registry import adapter_class
from tradingdesk.fields import fit

MARKET = ZoneInfo("America/New_York")
# Some 690 trading days: enough for two years and a half of returns.
KEPT = timedelta(days=1000)
READ_EVERY = timedelta(hours=6)
_PRICES = ("open_px", "high_px", "low_px", "close_px", "volume")
_FIELDS = [*_PRICES, "feed", "received_at"]


def sync_daily_bars(account: BrokerAccount, symbols: Iterable[str]) -> int:
    """Read the days of those of these desk symbols that were not read lately, the longest ago first; how many were.

    As many at a time as the adapter allows. All of a listing's days are read, as a split or a dividend changes them;
    the day that runs is left for tomorrow. Where a broker tells none, what it told before stays.
    """
    at_once = adapter_class(account.adapter).capabilities.daily_bars_at_once
    now = timezone.now()
    due = list(_due(account, symbols, now)[:at_once])
    if not due:
        return 0
    today = now.astimezone(MARKET).date()
    span = {"start": today - KEPT, "end": today - timedelta(days=1)}
    told = gateway_for(account).daily_bars([listing.broker_symbol for listing in due], **span)
    by_symbol: dict[str, list[BarState]] = defaultdict(list)
    for bar in told:
        by_symbol[bar.symbol].append(bar)
    with transaction.atomic():
        for listing in due:
            _store(listing, by_symbol[listing.broker_symbol], now)
        Listing.objects.filter(pk__in=[listing.pk for listing in due]).update(daily_bars_read_at=now)
    return len(due)


def _due(account: BrokerAccount, symbols: Iterable[str], now: datetime):
    listings = Listing.objects.filter(account=account, instrument__symbol__in=list(symbols))
    lately = Q(daily_bars_read_at=None) | Q(daily_bars_read_at__lt=now - READ_EVERY)
    return listings.filter(lately).order_by(F("daily_bars_read_at").asc(nulls_first=True), "pk")


def _store(listing: Listing, bars: list[BarState], now: datetime) -> None:
    """Write the days that are new or have changed, and drop those that the broker has no more."""
    rows = {bar.day: _row(listing, bar, now) for bar in bars}
    if not rows:
        return
    kept = {row.day: row for row in DailyBar.objects.filter(listing=listing)}
    changed = [row for day, row in rows.items() if day not in kept or _differs(row, kept[day])]
    DailyBar.objects.bulk_create(
        changed, update_conflicts=True, unique_fields=["listing", "day"], update_fields=_FIELDS, batch_size=500
    )
    DailyBar.objects.filter(pk__in=[kept[day].pk for day in kept.keys() - rows.keys()]).delete()


def _row(listing: Listing, bar: BarState, now: datetime) -> DailyBar:
    values = {name: fit(getattr(bar, name)) for name in _PRICES}
    return DailyBar(listing=listing, day=bar.day, feed=bar.feed[:16], received_at=now, **values)


def _differs(row: DailyBar, kept: DailyBar) -> bool:
    return any(getattr(row, name) != getattr(kept, name) for name in (*_PRICES, "feed"))


def closes(symbols: Iterable[str], *, since: date) -> dict[str, dict[str, dict[date, float]]]:
    """Closing prices by desk symbol, account and day, as floats: for statistics, never for money."""
    found: dict[str, dict[str, dict[date, float]]] = defaultdict(lambda: defaultdict(dict))
    rows = DailyBar.objects.filter(listing__instrument__symbol__in=list(symbols), day__gte=since, close_px__gt=0)
    px = Cast("close_px", FloatField())  # by the database: a Decimal for each row would take most of the time
    columns = ("listing__instrument__symbol", "listing__account_id", "day", px)
    for symbol, broker_name, day, close_px in rows.order_by().values_list(*columns):
        found[symbol][broker_name][day] = close_px
    return found
