"""What the controls in force must know of the desk's own tables, asked for while an order's locks are taken.

A control names it in its `needs` (`risk.controls`); what nobody needs is not asked
for. One function here for each need.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

from django.db.models import Avg, BigIntegerField, Count, DateField, DateTimeField, Exists, F, OuterRef, Q

from brokers.models import BrokerAccount, DailyBar, Instrument
from orders.models import Execution, Order, OrderRequest
from risk import exposure, losses
from risk.controls import needs_of
from risk.controls.families import SIBLINGS
from risk.controls.losses import LOSSES
from risk.controls.prices import CLOSES, OPPOSITE
from risk.controls.repeats import MESSAGES, REPEATED, SAME
from risk.controls.totals import SECTOR_GROSS
from risk.controls.volumes import VOLUME
from risk.models import Control, Scope
from risk.rules import ProposedOrder, Rulebook
from tradingdesk.fields import PriceField, QuantityField
from tradingdesk.fix import ClosedAs, OrdType, RequestKind, RequestState, Side
from tradingdesk.statements import Param, Select, together

VOLUME_OF = timedelta(days=30)
CLOSE_WITHIN = timedelta(days=7)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
_MESSAGE_RATES = (Control.MAX_MESSAGES_PER_MINUTE, Control.MAX_MESSAGES_PER_SECOND)
_THIS = Param("this", BigIntegerField())
_SIZES = {"order_qty": QuantityField(), "notional": QuantityField(), "price": PriceField(), "stop_px": PriceField()}


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be measured: an order that is proposed, by these rules, now; `accounts` are all that are enabled."""

    order: ProposedOrder
    book: Rulebook
    now: datetime
    instrument: Instrument
    accounts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Earlier:
    """An order that was entered so many seconds ago."""

    client_order_id: str
    seconds: Decimal


@dataclass(frozen=True, slots=True)
class Working:
    """An order that may trade now; `price` None: at the market's."""

    client_order_id: str
    broker_name: str
    price: Decimal | None


@dataclass(frozen=True, slots=True)
class Siblings:
    """How many other orders name the same parent, and the value of what they have traded and may still trade."""

    count: Decimal
    notional: Decimal


@dataclass(frozen=True, slots=True)
class Messages:
    """What went to brokers in the last minute, by what limits are about; each line ends with its two counts."""

    lines: tuple[tuple, ...]
    adapters: Mapping[str, str]

    def count(self, scope: str, scope_key: str, seconds: int) -> Decimal:
        """How many there were for a scope, in the last second or minute."""
        found = (line for line in self.lines if scope == Scope.FIRM or self._key(line, scope) == scope_key)
        return Decimal(sum(line[-1] if seconds == SECOND.seconds else line[-2] for line in found))

    def _key(self, line: tuple, scope: str) -> str | None:
        account, strategy, symbol, user, *_ = line
        adapter = self.adapters.get(account)
        return {
            Scope.ACCOUNT: account,
            Scope.STRATEGY: strategy,
            Scope.SYMBOL: symbol,
            Scope.USER: user,
            Scope.BROKER: adapter,
        }[scope]


Answer = Callable[[], Any]


def ask_facts(question: Question) -> Callable[[], dict[str, Any]]:
    """Ask for all that the controls in force need, in a block of `together`; call what this gives after it."""
    needs = needs_of(question.book.bounds)
    answers = {need: ASK[need](question) for need in sorted(needs)} if needs else {}
    return lambda: {need: answer() for need, answer in answers.items()}


def facts_for(question: Question, known: Mapping[str, Any]) -> Mapping[str, Any]:
    """The facts that are known, or all anew where the rules have changed since and need others."""
    if needs_of(question.book.bounds) <= known.keys():
        return known
    with together():
        answer = ask_facts(question)
    return answer()


def _ask_losses(question: Question) -> Answer:
    """The marks that losses are measured by, of what was looked at lately."""
    told = losses.ask_marks(question.now)
    return lambda: {mark.place: mark for mark in told()}


def _ask_sector_gross(question: Question) -> Answer:
    """The instrument's sector, and its gross exposure by account; the locks of the accounts keep it as it is."""
    sector = question.instrument.sector
    told = exposure.ask_sector_gross(question.accounts, sector)
    return lambda: (sector, told())


def _ask_volume(question: Question) -> Answer:
    """Average daily volume by account."""
    rows = _volumes.later(instrument=question.instrument.pk, since=_day(question, VOLUME_OF))
    return lambda: {account: Decimal(volume) for account, volume in rows() if volume is not None}


def _ask_closes(question: Question) -> Answer:
    """The last whole day's close by account."""
    rows = _closes.later(instrument=question.instrument.pk, since=_day(question, CLOSE_WITHIN))
    return lambda: dict(rows())  # the latest day comes last


def _ask_same(question: Question) -> Answer:
    """The latest order that is the same, within the longest window that any limit has here; None if there is none."""
    order, longest = question.order, _longest_window(question)
    sizes = {name: getattr(order, name) for name in _SIZES}
    given = tuple(name for name, value in sizes.items() if value is not None)
    rows = _same(given, bool(order.preferred)).later(
        symbol=order.symbol,
        side=order.side,
        ord_type=order.ord_type,
        strategy=order.strategy,
        preferred=order.preferred,
        this=order.order_pk or 0,
        since=question.now - timedelta(seconds=float(longest)),
        **{name: sizes[name] for name in given},
    )

    def earlier() -> Earlier | None:
        for client_order_id, created_at in rows():
            return Earlier(client_order_id, Decimal(str((question.now - created_at).total_seconds())))
        return None

    return earlier


def _ask_messages(question: Question) -> Answer:
    """What was sent lately: new orders by when they were entered, replaces and cancels by when they were asked for.

    The minute is only counted, and adapters only looked up, where a limit is about them.
    """
    bounds = question.book.bounds
    of_minutes, of_seconds = (bounds.get(one, ()) for one in _MESSAGE_RATES)
    since = {"since": question.now - (MINUTE if of_minutes else SECOND), "second": question.now - SECOND}
    entered, changed = _entered.later(this=question.order.order_pk or 0, **since), _changed.later(**since)
    adapters = _adapters.later() if Scope.BROKER in of_minutes or Scope.BROKER in of_seconds else list
    return lambda: Messages((*entered(), *changed()), dict(adapters()))


def _ask_opposite(question: Question) -> Answer:
    """The order of ours on the other side that would trade first, at any account; None if there is none."""
    order = question.order
    rows = _opposite(order.side).later(instrument=question.instrument.pk, this=order.order_pk or 0)

    def first() -> Working | None:
        for client_order_id, account, price in rows():
            return Working(client_order_id, account, price)
        return None

    return first


def _ask_siblings(question: Question) -> Answer:
    """The other orders of the same parent; none where the order names none."""
    order = question.order
    rows = _siblings.later(list_id=order.list_id, this=order.order_pk or 0) if order.list_id else list

    def summed() -> Siblings:
        found = rows()
        return Siblings(Decimal(len(found)), sum((_value(*row) for row in found), Decimal(0)))

    return summed


def _value(cum_qty: Decimal, avg_px: Decimal | None, reserved: Decimal) -> Decimal:
    return cum_qty * (avg_px or 0) + reserved


def _ask_repeated(question: Question) -> Answer:
    """How often the strategy has traded in the symbol, on the side, within the hour.

    An order counts once it has traded, and again with each replace that was asked for after that.
    """
    order = question.order
    terms = {"symbol": order.symbol, "side": order.side, "strategy": order.strategy}
    rows = _repeated.later(**terms, since=question.now - HOUR) if order.strategy else list
    return lambda: Decimal(sum(count for _, count in rows()))


# Each sends its statement within a block of `together`, and gives what reads the answer after it.
ASK: dict[str, Callable[[Question], Answer]] = {
    VOLUME: _ask_volume,
    CLOSES: _ask_closes,
    SAME: _ask_same,
    MESSAGES: _ask_messages,
    OPPOSITE: _ask_opposite,
    SECTOR_GROSS: _ask_sector_gross,
    LOSSES: _ask_losses,
    SIBLINGS: _ask_siblings,
    REPEATED: _ask_repeated,
}


def _day(question: Question, before: timedelta):
    return (question.now - before).date()


def _longest_window(question: Question) -> Decimal:
    """The longest window of any limit on duplicates here."""
    bounds = question.book.bounds_at(Control.DUPLICATE_WINDOW, question.order.place())
    return max((bound.value for bound in bounds), default=Decimal(0))


@cache
def _same(given: tuple[str, ...], preferred: bool) -> Select:
    """The statement that finds the latest order with these sizes and prices, and without the others."""
    sizes = {name: Param(name, field) if name in given else None for name, field in _SIZES.items()}
    texts = {name: Param(name) for name in ("symbol", "side", "ord_type", "strategy")}
    rows = Order.objects.entered().filter(**texts, **sizes, parent=None)
    rows = rows.filter(created_at__gt=Param("since", DateTimeField()))
    if preferred:
        rows = rows.filter(Q(preferred_broker=Param("preferred")) | Q(account=Param("preferred")))
    rows = rows.exclude(pk=_THIS).exclude(closed_as=ClosedAs.DENIED)
    return Select(rows.order_by("-created_at").values_list("client_order_id", "created_at")[:1], by_index=True)


@cache
def _opposite(side: Side) -> Select:
    """The statement that finds the working order that one of this side would meet first."""
    rows = Order.objects.filter(
        account__isnull=False,
        closed_at=None,
        instrument=Param("instrument", Instrument._meta.pk),
        side=side.opposite,
        ord_type__in=[OrdType.MARKET, OrdType.LIMIT],
    ).exclude(pk=_THIS)
    price = F("price")
    first = price.asc(nulls_first=True) if side is Side.BUY else price.desc(nulls_first=True)
    return Select(rows.order_by(first).values_list("client_order_id", "account_id", "price")[:1])


_INSTRUMENT = Param("instrument", Instrument._meta.pk)
_bars = DailyBar.objects.filter(listing__instrument=_INSTRUMENT, day__gte=Param("since", DateField()))
_volumes = Select(_bars.order_by().values_list("listing__account_id").annotate(volume=Avg("volume")), by_index=True)
_closes = Select(_bars.order_by("day").values_list("listing__account_id", "close_px"), by_index=True)
_COUNTS = {"minute": Count("pk")}
_since, _second = Param("since", DateTimeField()), Param("second", DateTimeField())
_entered = Select(
    Order.objects.entered()
    .filter(created_at__gt=_since, parent=None)
    .exclude(Q(pk=_THIS) & Q(account=None))  # an order that was taken before it is routed now
    .exclude(closed_as=ClosedAs.DENIED)
    .order_by()
    .values_list("account_id", "strategy", "symbol", "asked_by")
    .annotate(**_COUNTS, second=Count("pk", filter=Q(created_at__gt=_second))),
    by_index=True,
)
_changed = Select(
    OrderRequest.objects.filter(kind__in=[RequestKind.REPLACE, RequestKind.CANCEL], queued_at__gt=_since)
    .order_by()
    .values_list("broker_name", "order__strategy", "order__symbol", "asked_by")
    .annotate(**_COUNTS, second=Count("pk", filter=Q(queued_at__gt=_second))),
    by_index=True,
)
_siblings = Select(
    Order.objects.filter(list_id=Param("list_id"), parent=None)
    .exclude(pk=_THIS)
    .exclude(closed_as=ClosedAs.DENIED)
    .order_by()
    .values_list("cum_qty", "avg_px", "reserved_notional")
)
_traded = Order.objects.filter(
    symbol=Param("symbol"), side=Param("side"), strategy=Param("strategy"), cum_qty__gt=0
).order_by()
_traded_before = Execution.objects.filter(order=OuterRef("order"), received_at__lt=OuterRef("queued_at"))
_entered_and_traded = _traded.filter(created_at__gt=_since).values_list("symbol").annotate(count=Count("pk"))
_replaced_after_trades = (
    OrderRequest.objects.filter(Exists(_traded_before), kind=RequestKind.REPLACE, queued_at__gt=_since)
    .filter(order__in=_traded.filter(Q(created_at__gt=_since) | Q(closed_at=None, account__isnull=False)))
    .exclude(state=RequestState.REFUSED)
    .order_by()
    .values_list("kind")
    .annotate(count=Count("pk"))
)
_repeated = Select(_entered_and_traded.union(_replaced_after_trades, all=True), by_index=True)
_adapters = Select(BrokerAccount.objects.order_by().values_list("broker_name", "adapter"))
