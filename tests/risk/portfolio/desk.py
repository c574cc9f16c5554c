"""A desk that holds something, with daily bars, for the tests of its portfolio's risk."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.utils import timezone

from brokers.models import BrokerAccount, DailyBar, Instrument, Listing
from risk.models import ExposureTotal
from tests import factories


def listing(symbol: str, broker_name: str = "alpaca", **instrument) -> Listing:
    """An instrument at an account."""
    account = factories.BrokerAccountFactory(broker_name=broker_name)
    made = factories.ListingFactory(account=account, instrument=factories.InstrumentFactory(symbol=symbol))
    if instrument:
        Instrument.objects.filter(pk=made.instrument_id).update(**instrument)
    return made


def holds(symbol: str, qty, mark_px, broker_name: str = "alpaca", **instrument) -> ExposureTotal:
    """An open position, as the running totals have it."""
    listing(symbol, broker_name, **instrument)
    held = {"position_qty": Decimal(str(qty)), "mark_px": Decimal(str(mark_px))}
    where = {"broker_name": broker_name, "symbol": symbol}
    row, _ = ExposureTotal.objects.update_or_create(key=f"2:{broker_name}:{symbol}", defaults=where | held)
    return row


def days_before(last: date, count: int) -> list[date]:
    """As many weekdays up to a day, oldest first."""
    days = (last - timedelta(days=back) for back in range(count * 2))
    return sorted([day for day in days if day.isoweekday() < 6][:count])


def tell(symbol: str, closes: Sequence[float], broker_name: str = "alpaca", *, last: date | None = None) -> None:
    """Give a listing daily bars that end yesterday, or on another day."""
    made = listing(symbol, broker_name)
    last = last or timezone.now().date() - timedelta(days=1)
    now: datetime = timezone.now()
    DailyBar.objects.bulk_create(
        DailyBar(listing=made, day=day, volume=1, feed="iex", received_at=now, **prices(px))
        for day, px in zip(days_before(last, len(closes)), closes, strict=True)
    )


def prices(px: float) -> dict[str, Decimal]:
    """A bar that did not move."""
    value = round(Decimal(str(px)), 4)
    return {"open_px": value, "high_px": value, "low_px": value, "close_px": value}


def account(broker_name: str, **figures) -> BrokerAccount:
    """An account with the broker's own figures."""
    made = factories.BrokerAccountFactory(broker_name=broker_name)
    BrokerAccount.objects.filter(pk=made.pk).update(**figures)
    return made
