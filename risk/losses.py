"""How much was lost: measured between orders, held against the limits on it, and trading is halted where one is passed.

Tripping is automatic, clearing is a person's (`risk.clear_halt`). Who clears accepts what was lost until then: from
that moment it is measured anew. Money that is paid in or out changes equity like a gain or a loss, as brokers do not
tell them apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import DateTimeField, Max
from django.utils import timezone

from brokers.bars import MARKET
from brokers.models import BrokerAccount
from risk.fx import worth
from risk.halts import halt
from risk.models import Control, EquityMark, Halt, Level, Scope
from risk.rulebook import current_rulebook
from risk.rules import Bound
from tradingdesk.fields import plain
from tradingdesk.statements import Later, Param, Select

ACTOR = "system:losses"
WATCHED = (Control.MAX_DAILY_LOSS, Control.MAX_DRAWDOWN)
FIRM = (Scope.FIRM, "")
# A mark that nobody has looked at for longer tells nothing: the task that does has stopped, or its account is down.
SILENT_AFTER = timedelta(seconds=60)

_marks = Select(EquityMark.objects.filter(seen_at__gte=Param("since", DateTimeField())).order_by())


def ask_marks(now: datetime) -> Later:
    """Ask in a block of `together` for the marks that were looked at lately."""
    return _marks.later(since=now - SILENT_AFTER)


def watch_losses() -> list[Halt]:
    """Measure the equity of each enabled account and of the firm, and halt what lost more than it may."""
    with transaction.atomic():
        marks = _measure(timezone.now())
    return [_trip(mark, bound) for mark in marks for bound in _passed(mark)]


def _measure(now: datetime) -> list[EquityMark]:
    """Bring the marks up to date; an account without a figure or a rate is left out, and the firm with it."""
    accounts = list(BrokerAccount.objects.filter(enabled=True))
    marks = {mark.place: mark for mark in EquityMark.objects.select_for_update().order_by("pk")}
    for place, cleared_at in _cleared():
        if place in marks and cleared_at > marks[place].since:
            marks[place].restart(cleared_at)
    told = {account.broker_name for account in accounts if account.last_updated is not None}
    equity = {name: value if name in told else None for name, value in worth(accounts, "equity").items()}
    today = now.astimezone(MARKET).date()
    moved = [*_of_accounts(marks, equity, today, now)]
    if accounts and None not in equity.values():
        moved.append(_of_firm(marks, equity, today, now))
    for mark in moved:
        mark.save()
    return moved


def _of_accounts(
    marks: Mapping[tuple[str, str], EquityMark], equity: Mapping[str, Decimal | None], today: date, now: datetime
) -> Iterable[EquityMark]:
    for name, value in equity.items():
        if value is not None:
            mark = marks.get((Scope.ACCOUNT, name)) or EquityMark.begin(Scope.ACCOUNT, name, value, today, now)
            mark.see(value, today, now)
            yield mark


def _of_firm(
    marks: Mapping[tuple[str, str], EquityMark], equity: Mapping[str, Decimal], today: date, now: datetime
) -> EquityMark:
    """The firm's mark; an account that comes or goes takes its equity along, which is neither gain nor loss."""
    total = sum(equity.values(), Decimal(0))
    mark = marks.get(FIRM) or EquityMark.begin(*FIRM, total, today, now)
    mark.see_parts(equity, today, now)
    return mark


def _cleared() -> Iterable[tuple[tuple[str, str], datetime]]:
    halts = Halt.objects.filter(trigger__in=WATCHED, cleared_at__isnull=False).order_by()
    latest = halts.values_list("scope", "scope_key").annotate(latest=Max("cleared_at"))
    return [((scope, key), cleared_at) for scope, key, cleared_at in latest]


def _passed(mark: EquityMark) -> Iterable[Bound]:
    bounds = current_rulebook().bounds
    for control in WATCHED:
        for bound in bounds.get(control, {}).get(mark.scope, {}).get(mark.scope_key, ()):
            if mark.lost(control) > bound.value:
                yield bound


def _trip(mark: EquityMark, bound: Bound) -> Halt:
    found = f"{bound.control}={plain(mark.lost(bound.control))}, max={plain(bound.value)}"
    reason = f"{found}: equity is {plain(mark.equity)}, it was {plain(mark.reference(bound.control))}"
    where = {"scope": mark.scope, "scope_key": mark.scope_key}
    return halt(**where, level=Level.REDUCE_ONLY, trigger=bound.control, reason=reason, actor=ACTOR)
