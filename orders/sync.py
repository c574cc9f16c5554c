"""Reading an account at its broker: executions, orders, figures and prices; whatever moved is applied.

Every read may fail; what failed is read again at the next turn, and "no answer" changes nothing.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from brokers import market
from brokers.gateway import Gateway, gateway_for
from brokers.messages import BrokerError, ExecutionReport
from brokers.models import BrokerAccount, Instrument, Quote
from orders.executions import apply_report
from orders.external import adopt_external
from orders.models import Order, OrderRequest, Position
from risk import exposure
from risk.models import ExposureTotal
from tradingdesk.fix import RequestKind, RequestState

log = logging.getLogger(__name__)

FIGURES_EVERY = timedelta(seconds=5)
ORDERS_EVERY = timedelta(seconds=10)
INSTRUMENTS_EVERY = timedelta(hours=12)
QUOTES_WANTED_FOR = timedelta(minutes=15)

_locks: dict[str, threading.Lock] = {}
_orders_read_at: dict[str, datetime] = {}


def sync_account(broker_name: str, *, thorough: bool = False) -> bool:
    """Read what is due at an account and apply it; False when another thread is at it.

    `thorough` reads everything whether due or not.
    """
    lock = _locks.setdefault(broker_name, threading.Lock())
    if not lock.acquire(blocking=False):
        return False
    try:
        _sync(BrokerAccount.objects.get(pk=broker_name), thorough)
        return True
    finally:
        lock.release()


def _sync(account: BrokerAccount, thorough: bool) -> None:
    now = timezone.now()
    if thorough or _older(account.instruments_synced_at, INSTRUMENTS_EVERY, now):
        _attempt("instruments", account, lambda: market.sync_instruments(account))
    working = Order.objects.open().filter(account=account).exists()
    if thorough or working or _older(_orders_read_at.get(account.broker_name), ORDERS_EVERY, now):
        _attempt("executions", account, lambda: sync_executions(account))
        _attempt("orders", account, lambda: sync_orders(account))
    if thorough or _older(account.last_updated, FIGURES_EVERY, now):
        _attempt("figures", account, lambda: market.sync_account_figures(account))
    _attempt("quotes", account, lambda: refresh_prices(account))


def sync_executions(account: BrokerAccount) -> int:
    """Apply every execution since the last one we read, in order; how many were new."""
    gateway = gateway_for(account)
    new = 0
    for report in gateway.executions(after_id=account.executions_cursor):
        new += _apply_any(account, gateway, report)
        if report.exec_id != account.executions_cursor:
            account.executions_cursor = report.exec_id
            BrokerAccount.objects.filter(pk=account.pk).update(executions_cursor=report.exec_id)
    return new


def sync_orders(account: BrokerAccount) -> None:
    """Bring working orders in line with the broker's: those it lists, and ours that it lists no more."""
    gateway = gateway_for(account)
    asked_at = timezone.now()
    listed = gateway.open_orders()
    for report in listed:
        _apply_any(account, gateway, report)
    seen = {report.broker_order_id for report in listed}
    ours = Order.objects.open().filter(account=account, broker_order_id__isnull=False, acknowledged_at__lt=asked_at)
    for broker_order_id in _ids_to_read(ours, seen):
        report = gateway.read_order(broker_order_id)
        if report is not None:
            _apply_any(account, gateway, report)
    _orders_read_at[account.broker_name] = asked_at


def refresh_prices(account: BrokerAccount) -> None:
    """Read quotes of what is held, working or lately asked for, and value positions by them."""
    symbols = _wanted_symbols(account)
    if not symbols:
        return
    quotes = market.sync_quotes(account, symbols)
    prices = {quote.listing.instrument_id: quote for quote in quotes if quote.is_sound()}
    held = ExposureTotal.objects.filter(broker_name=account.broker_name, symbol__in=symbols).exclude(position_qty=0)
    by_symbol = dict(Instrument.objects.filter(symbol__in=symbols).values_list("symbol", "pk"))
    for symbol in held.values_list("symbol", flat=True):
        quote = prices.get(by_symbol[symbol])
        if quote is not None:
            _revalue(account.broker_name, symbol, quote)


def _revalue(broker_name: str, symbol: str, quote: Quote) -> None:
    with transaction.atomic():
        row = exposure.lock_for_report(broker_name, symbol)
        if row.mark_px != quote.mid_px:
            exposure.revalue(row, quote.mid_px)


def _wanted_symbols(account: BrokerAccount) -> set[str]:
    since = timezone.now() - QUOTES_WANTED_FOR
    return {
        *Instrument.objects.filter(quotes_wanted_at__gte=since).values_list("symbol", flat=True),
        *Position.objects.filter(account=account, closed_at=None).values_list("symbol", flat=True),
        *Order.objects.open().filter(account=account).values_list("symbol", flat=True),
    }


def _ids_to_read(ours: Iterable[Order], seen: set[str]) -> list[str]:
    """Broker ids of our working orders that the broker did not list, and of replacements on their way."""
    replacements = OrderRequest.objects.filter(
        order__in=ours.filter(status="pending_replace"), kind=RequestKind.REPLACE, state=RequestState.ACCEPTED
    )
    ids = [*ours.values_list("broker_order_id", flat=True), *replacements.values_list("broker_order_id", flat=True)]
    return [one for one in ids if one not in seen]


def _apply_any(account: BrokerAccount, gateway: Gateway, report: ExecutionReport) -> bool:
    """Apply a report; one of an order that we do not know by this id is looked up at the broker, then adopted."""
    try:
        return apply_report(account=account, report=report) is not None
    except Order.DoesNotExist:
        pass
    whole = gateway.read_order(report.broker_order_id) or report
    try:
        apply_report(account=account, report=whole)
    except Order.DoesNotExist:
        adopt_external(account=account, report=whole)
    return whole is report or apply_report(account=account, report=report) is not None


def _attempt(what: str, account: BrokerAccount, read: Callable[[], object]) -> None:
    try:
        read()
    except BrokerError as error:
        log.warning("%s: reading %s failed: %s", account.broker_name, what, error.text)


def _older(at: datetime | None, limit: timedelta, now: datetime) -> bool:
    return at is None or now - at >= limit
