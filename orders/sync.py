"""Reading an account at its broker: executions, orders, figures and prices; whatever moved is applied.

Every read may fail; what failed is read again at the next turn, and "no answer" changes nothing. What an open stream
tells anyway is read seldom.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import takewhile

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from brokers import bars, market
from brokers.gateway import Gateway, gateway_for
from brokers.messages import BrokerError, ExecutionReport, TryLater, late_commission
from brokers.models import BrokerAccount, Instrument, Listing, Quote
from brokers.registry import adapter_class
from orders import lifecycle, wakeups
from orders.executions import apply_report
from orders.external import CannotAdopt, adopt_external, close_replaced
from orders.legs import close_legs, unnamed_legs
from orders.models import Execution, Order, OrderRequest, Position
from orders.retold import note_told_again
from risk import exposure
from risk.controls import wants_clock
from risk.models import ExposureTotal
from risk.rulebook import current_rulebook
from tradingdesk.fix import ClosedAs, ExecType, OrdStatus, RequestKind, RequestState

log = logging.getLogger(__name__)

EXECUTIONS_EVERY = timedelta(seconds=0.8)
ORDERS_EVERY = timedelta(seconds=2)
# Where nothing works, or an open stream tells what moves.
IDLE_EVERY = timedelta(seconds=10)
FIGURES_EVERY = timedelta(seconds=5)
QUOTES_EVERY = timedelta(seconds=3)
CLOCK_EVERY = timedelta(seconds=15)
BARS_EVERY = timedelta(seconds=60)
INSTRUMENTS_EVERY = timedelta(hours=12)
QUOTES_WANTED_FOR = timedelta(minutes=15)
LEFT_TO_THE_STREAM = timedelta(seconds=5)
NOTED_TOGETHER = 50
WATCHED_AT_MOST = 100  # an account at Interactive Brokers has 100 lines of market data, unless it buys more


@dataclass(slots=True)
class _Reader:
    """One account's reading in this process: one thread reads, and goes round again for whoever asked meanwhile."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    heard: bool = False
    reading: bool = False
    again: bool = False
    asked: set[str] = field(default_factory=set)
    read_at: dict[str, datetime] = field(default_factory=dict)
    failing: dict[str, str] = field(default_factory=dict)
    rest_until: datetime | None = None

    def ask(self, reads: Iterable[str]) -> bool:
        """Ask for a round with these reads, due or not; True when the caller is to read it."""
        with self.lock:
            self.asked.update(reads)
            self.again = self.reading
            self.reading = True
            return not self.again

    def ends(self) -> bool:
        """End a round; False when somebody asked for another since it began."""
        with self.lock:
            self.reading, self.again = self.again, False
            return not self.reading

    def give_up(self) -> None:
        """End a round that failed in a way that reads do not; the next one is somebody else's."""
        with self.lock:
            self.reading = self.again = False

    def take_asked(self) -> set[str]:
        """What was asked for before this round."""
        with self.lock:
            asked, self.asked = self.asked, set()
            return asked


_readers: dict[str, _Reader] = {}
_left_alone: set[tuple[str, str]] = set()


def _reader(broker_name: str) -> _Reader:
    return _readers.setdefault(broker_name, _Reader())


def hears(broker_name: str) -> bool:
    """Tell whether this process hears at once what the account's broker says."""
    return _reader(broker_name).heard


def note_stream(broker_name: str, *, is_open: bool) -> None:
    """Note that this process hears an account from now on, or does not any more."""
    _reader(broker_name).heard = is_open


def sync_account(broker_name: str, *, reads: Iterable[str] = (), thorough: bool = False) -> bool:
    """Read what is due at an account and apply it; False when something could not be read.

    `reads` are made whether due or not, as the broker was just told something; `thorough` reads
    everything. While another thread reads the account this returns at once, and that thread goes
    round again: what happened before a call is always seen by a read after it.
    """
    reader = _reader(broker_name)
    if not reader.ask(wakeups.MOVED if thorough else reads):
        return True
    while True:
        try:
            complete = _read_due(BrokerAccount.objects.get(pk=broker_name), reader, thorough)
        except BaseException:
            reader.give_up()
            raise
        if reader.ends():
            return complete


def _read_due(account: BrokerAccount, reader: _Reader, thorough: bool) -> bool:
    if reader.rest_until and timezone.now() < reader.rest_until:
        return False
    reader.rest_until = None
    asked = reader.take_asked()
    busy = asked or (not reader.heard and Order.objects.open().filter(account=account).exists())
    leave_after = None if busy else timezone.now() - LEFT_TO_THE_STREAM
    reads = (
        ("instruments", INSTRUMENTS_EVERY, lambda: market.sync_instruments(account)),
        ("executions", EXECUTIONS_EVERY if busy else IDLE_EVERY, lambda: sync_executions(account, before=leave_after)),
        ("orders", ORDERS_EVERY if busy else IDLE_EVERY, lambda: sync_orders(account)),
        ("figures", FIGURES_EVERY, lambda: market.sync_account_figures(account)),
        ("quotes", QUOTES_EVERY, lambda: refresh_prices(account)),
    )
    reader.read_at.setdefault("instruments", account.instruments_synced_at)
    complete = True
    for what, every, read in reads:
        if thorough or what in asked or _is_due(reader.read_at.get(what), every):
            complete = _read(what, read, account, reader) and complete
    if not thorough and _is_due(reader.read_at.get("bars"), BARS_EVERY):
        _read("bars", lambda: refresh_bars(account), account, reader)
    if not thorough and _is_due(reader.read_at.get("clock"), CLOCK_EVERY):
        _read("clock", lambda: refresh_clock(account), account, reader)
    return complete


def _read(what: str, read: Callable[[], object], account: BrokerAccount, reader: _Reader) -> bool:
    """Make one read; one that fails is due again at the next round, and said once."""
    began = timezone.now()
    if reader.rest_until:
        return False
    try:
        read()
    except BrokerError as error:
        if isinstance(error, TryLater):
            reader.rest_until = began + timedelta(seconds=error.retry_after)
        if what not in reader.failing and error.explained not in reader.failing.values():
            log.warning("%s: reading %s failed: %s", account.broker_name, what, error.explained)
        reader.failing[what] = error.explained
        return False
    if reader.failing.pop(what, None) and not reader.failing:
        log.warning("%s: reading %s works again", account.broker_name, what)
    reader.read_at[what] = began
    return True


def _is_due(last: datetime | None, every: timedelta) -> bool:
    return last is None or timezone.now() - last >= every


def sync_executions(account: BrokerAccount, *, before: datetime | None = None) -> int:
    """Apply every execution since the last one we read, in order; how many were new.

    Those since `before` are left for the next time: a stream is about to tell them, and does so in their turn.
    """
    gateway = gateway_for(account)
    reports = gateway.executions(after_id=account.executions_cursor)
    if before is not None:
        reports = list(takewhile(lambda report: report.transact_time < before, reports))
    reports = [*_missing_commissions(account, reports), *reports]
    ids = [report.exec_id for report in reports]
    known = set(Execution.objects.filter(account=account, exec_id__in=ids).values_list("exec_id", flat=True))
    unknown = [report for report in reports if report.exec_id not in known]
    for begin in range(0, len(unknown), NOTED_TOGETHER):
        known |= note_told_again(account, unknown[begin : begin + NOTED_TOGETHER])
    read_before, new = account.executions_cursor, 0
    try:
        for report in reports:
            new += report.exec_id not in known and apply_any(account, gateway, report)
            account.executions_cursor = report.exec_id
    finally:
        if account.executions_cursor != read_before:
            BrokerAccount.objects.filter(pk=account.pk).update(executions_cursor=account.executions_cursor)
    return new


def _missing_commissions(account: BrokerAccount, reports: Iterable[ExecutionReport]) -> list[ExecutionReport]:
    """What trades cost that are stored without: the process that heard of them ended before it heard of that."""
    told = {report.exec_id: report for report in reports if report.commission is not None}
    if not told:
        return []
    bare = Execution.objects.filter(account=account, exec_id__in=told, commission=None)
    return [late_commission(told[one], told[one].commission) for one in bare.values_list("exec_id", flat=True)]


def sync_orders(account: BrokerAccount) -> None:
    """Bring working orders in line with the broker's: those it lists, and ours that it lists no more.

    A leg that was named and never heard of, as its process ended then, is there since its order is.
    """
    gateway = gateway_for(account)
    asked_at = timezone.now()
    listed = gateway.open_orders()
    for report in listed:
        apply_any(account, gateway, report)
    seen = {report.broker_order_id for report in listed}
    there = Q(acknowledged_at__lt=asked_at) | Q(acknowledged_at=None, parent__acknowledged_at__lt=asked_at)
    ours = Order.objects.open().filter(there, account=account, broker_order_id__isnull=False)
    if _ids_to_read(ours, seen):
        sync_executions(account)  # most of them have just filled, which one call tells of all
    for broker_order_id in _ids_to_read(ours, seen):
        report = gateway.read_order(broker_order_id)
        if report is not None:
            _apply_reading(account, gateway, report)
    for leg in unnamed_legs(account, asked_at):
        _find_leg(account, gateway, leg)


def _find_leg(account: BrokerAccount, gateway: Gateway, leg: Order) -> None:
    """Have the broker name a leg that its answer did not: with the order it belongs to, or by the leg's own id.

    A leg that it does not have is closed once that order is, of which it was a part.
    """
    parent = gateway.read_order(leg.parent.broker_order_id)
    found = parent if parent is not None and parent.legs else gateway.find_order(leg.client_order_id)
    if found is not None:
        apply_any(account, gateway, found)
    elif not leg.parent.is_open:
        close_legs(leg.parent, ClosedAs.CANCELED, "the broker has no such leg")


def _apply_reading(account: BrokerAccount, gateway: Gateway, report: ExecutionReport) -> None:
    """Apply what was read of an order; one that stands here under an id that was replaced first goes over to the next.

    Whatever became of the replacement since: that it took over is proved by the order that it replaced.
    """
    successor = _successor(account, gateway, report)
    if successor is None:
        apply_any(account, gateway, report)
        return
    took_over = {"exec_type": ExecType.REPLACED, "status": OrdStatus.NEW, "text": ""}
    apply_any(account, gateway, replace(successor, **took_over, transact_time=report.transact_time))
    close_replaced(account=account, old=report, new=successor)
    _apply_reading(account, gateway, successor)


def _successor(account: BrokerAccount, gateway: Gateway, report: ExecutionReport) -> ExecutionReport | None:
    """Read the order that took over from one that has a row here under its id; None when there is none."""
    if report.status != OrdStatus.REPLACED or not report.replaced_by:
        return None
    stands_here = Order.objects.filter(account=account, broker_order_id=report.broker_order_id).exists()
    return gateway.read_order(report.replaced_by) if stands_here else None


def refresh_prices(account: BrokerAccount) -> None:
    """Read quotes of what is held, working or lately asked for, and value positions by them."""
    symbols = wanted_symbols(account)
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


def refresh_bars(account: BrokerAccount) -> None:
    """Read daily bars of what is held anywhere or was lately asked for, where they are due."""
    since = timezone.now() - QUOTES_WANTED_FOR
    symbols = {
        *Instrument.objects.filter(quotes_wanted_at__gte=since).values_list("symbol", flat=True),
        *Position.objects.filter(closed_at=None).values_list("symbol", flat=True),
    }
    if symbols:
        bars.sync_daily_bars(account, symbols)


def refresh_clock(account: BrokerAccount) -> None:
    """Read the market's clock where a limit in force asks for it."""
    if wants_clock(current_rulebook().bounds):
        market.sync_clock(account)


def _revalue(broker_name: str, symbol: str, quote: Quote) -> None:
    with transaction.atomic():
        row = exposure.lock_for_report(broker_name, symbol)
        if row.mark_px != quote.mid_px:
            exposure.revalue(row, quote.mid_px)


def wanted_symbols(account: BrokerAccount) -> set[str]:
    """The desk's symbols whose prices matter at this account: held, working, or lately asked for.

    Where only the account's own connection can ask, intake cannot; what is listed there is watched all the time.
    """
    since = timezone.now() - QUOTES_WANTED_FOR
    return {
        *_watched_always(account),
        *Instrument.objects.filter(quotes_wanted_at__gte=since).values_list("symbol", flat=True),
        *Position.objects.filter(account=account, closed_at=None).values_list("symbol", flat=True),
        *Order.objects.open().filter(account=account).values_list("symbol", flat=True),
    }


def _watched_always(account: BrokerAccount) -> Iterable[str]:
    if adapter_class(account.adapter).capabilities.connectionless:
        return ()
    listed = Listing.objects.filter(account=account, tradable=True).order_by("pk")
    return listed.values_list("instrument__symbol", flat=True)[:WATCHED_AT_MOST]


def _ids_to_read(ours: Iterable[Order], seen: set[str]) -> list[str]:
    """Broker ids of our working orders that the broker did not list, and of replacements on their way."""
    replacements = OrderRequest.objects.filter(
        order__in=ours.filter(status="pending_replace"), kind=RequestKind.REPLACE, state=RequestState.ACCEPTED
    )
    ids = [*ours.values_list("broker_order_id", flat=True), *replacements.values_list("broker_order_id", flat=True)]
    return [one for one in ids if one not in seen]


def apply_any(account: BrokerAccount, gateway: Gateway, report: ExecutionReport) -> bool:
    """Apply a report; one of an order that we do not know by this id is looked up at the broker, then adopted.

    True when it was a new execution.
    """
    if lifecycle.fact_is_trade(report) and account.has_history_of(report.transact_time):
        return False
    try:
        return apply_report(account=account, report=report) is not None
    except Order.DoesNotExist:
        pass
    whole = gateway.read_order(report.broker_order_id) or report
    group = gateway.read_group(whole.broker_order_id) if whole.leg_role else None
    if group is not None:
        apply_any(account, gateway, group)  # which names its legs, if it is ours
    try:
        apply_report(account=account, report=whole)
    except Order.DoesNotExist:
        if not _adopt(account, whole, group):
            return False
    return whole is report or apply_report(account=account, report=report) is not None


def _adopt(account: BrokerAccount, report: ExecutionReport, group: ExecutionReport | None) -> bool:
    """Adopt an order of somebody else's; one of a thing that the desk does not list is said once and left alone."""
    try:
        adopt_external(account=account, report=report, group=group)
    except CannotAdopt as problem:
        if (account.broker_name, report.broker_order_id) not in _left_alone:
            _left_alone.add((account.broker_name, report.broker_order_id))
            log.error("an order that the desk did not place cannot be adopted: %s", problem)
        return False
    return True
