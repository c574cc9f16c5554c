"""What halts do to orders: cancels that are asked for until nothing works, and closing orders until nothing is held.

A halt's row says what is wanted; `carry_out` brings the desk nearer to it, and may be called any number of times, by
any process. It is called where a halt is set, and every few seconds after that.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from orders.changes import request_cancel
from orders.flattening import flat_orders, place_closing_orders
from orders.lifecycle import OPEN
from orders.models import HaltCancel, Order
from risk.halts import halt
from risk.models import Halt, Level, Scope
from tradingdesk.errors import DeskError, InvalidInput
from tradingdesk.fix import RequestState

# How long setting a halt may take in the request of the person who sets it; the task goes on with the rest.
AT_ONCE = 5.0
CONFIRM_FLATTEN = "FLATTEN"
ASK_AGAIN_AFTER = timedelta(seconds=5)
DISPATCHED = (RequestState.SENDING, RequestState.UNKNOWN, RequestState.ACCEPTED, RequestState.REFUSED)


@dataclass(frozen=True, slots=True)
class CancelCounts:
    """What became of the orders that a halt wants cancelled.

    `dispatched` cancels were sent to a broker, `acknowledged` are those of them whose order the broker has ended;
    `unsent` orders no broker had, they were cancelled here; `waiting` cancels are not sent yet. `still_open` orders
    may trade, as far as the desk knows.
    """

    orders: int = 0
    dispatched: int = 0
    acknowledged: int = 0
    unsent: int = 0
    waiting: int = 0
    still_open: int = 0


def stop(
    *,
    scope: str,
    scope_key: str = "",
    level: str = Level.FREEZE,
    operation: str = "",
    flatten: bool = False,
    reason: str,
    actor: str,
) -> Halt:
    """Set a halt (`risk.halts.halt`, which says what it raises), and begin at once what its level asks for."""
    about = {"level": level, "operation": operation, "flatten": flatten, "reason": reason, "actor": actor}
    made = halt(scope=scope, scope_key=scope_key, **about)
    carry_out(made, seconds=AT_ONCE)
    return made


def flatten(*, scope: str, scope_key: str = "", confirm: str, reason: str, actor: str) -> Halt:
    """Close everything in a scope: a halt of what increases exposure, cancels, and closing market orders.

    The desk goes on by itself until nothing is held, or the halt is cleared. `confirm` is the word that was typed.

    Raises:
        InvalidInput: another word than FLATTEN; nothing was done. And as `stop` does.
    """
    if confirm != CONFIRM_FLATTEN:
        raise InvalidInput("NOT_CONFIRMED", f"type {CONFIRM_FLATTEN} to close everything that is held", "confirm")
    about = {"level": Level.REDUCE_ONLY, "flatten": True, "reason": reason, "actor": actor}
    return stop(scope=scope, scope_key=scope_key, **about)


def carry_out(halt: Halt, *, seconds: float | None = None) -> None:
    """Ask for the cancels and place the closing orders that a halt still wants; stop once `seconds` are over."""
    if halt.cleared_at is not None or not (halt.level == Level.CANCEL_ALL or halt.flatten):
        return
    until = None if seconds is None else time.monotonic() + seconds
    for order in _unasked(halt):
        if until is not None and time.monotonic() >= until:
            return
        _ask(halt, order)
    if halt.flatten:
        place_closing_orders(halt, until=until)


def carry_out_all() -> int:
    """Carry out every halt in force that asks for something; how many there are."""
    wanted = Halt.objects.filter(cleared_at=None).filter(Q(level=Level.CANCEL_ALL) | Q(flatten=True))
    halts = list(wanted.order_by("id"))
    for one in halts:
        carry_out(one)
    return len(halts)


def counts_of(halt: Halt) -> CancelCounts:
    """Count the cancels of a halt as they stand now, in one pass over its orders."""
    return _counted(_told(HaltCancel.objects.filter(halt=halt)))


def counts_by_broker(halt: Halt) -> dict[str, CancelCounts]:
    """Do the same for each account."""
    by_account: dict[str, list[tuple]] = {}
    for row in _told(HaltCancel.objects.filter(halt=halt)):
        by_account.setdefault(row[2] or "", []).append(row)
    return {name: _counted(rows) for name, rows in sorted(by_account.items())}


def in_scope(halt: Halt, orders: QuerySet[Order]) -> QuerySet[Order]:
    """Narrow orders down to those that a halt is about."""
    if halt.scope == Scope.ACCOUNT:
        return orders.filter(account_id=halt.scope_key)
    return orders.filter(symbol=halt.scope_key) if halt.scope == Scope.SYMBOL else orders


def _unasked(halt: Halt) -> list[Order]:
    """Open orders without a cancel of this halt, and those whose cancel the broker refused a while ago."""
    settled = HaltCancel.objects.filter(halt=halt).exclude(
        Q(request__state=RequestState.REFUSED) | Q(request__state=RequestState.ACCEPTED),
        asked_at__lt=timezone.now() - ASK_AGAIN_AFTER,
    )
    wanted = in_scope(halt, Order.objects.to_cancel()).exclude(pk__in=settled.values("order_id"))
    return list(wanted.exclude(pk__in=flat_orders(halt).values("pk")).order_by("id"))


def _ask(halt: Halt, order: Order) -> None:
    try:
        request = request_cancel(order=order, actor=halt.set_by, reason=f"halt {halt.pk}: {halt.reason}")
    except DeskError:
        return  # it closed meanwhile, and nothing is left to cancel
    row, is_new = HaltCancel.objects.get_or_create(halt=halt, order=order, defaults={"request": request})
    if not is_new:
        again = {"request": request, "asked_at": timezone.now(), "times_asked": F("times_asked") + 1}
        HaltCancel.objects.filter(pk=row.pk).update(**again)


def _told(rows: QuerySet[HaltCancel]) -> Iterable[tuple[str | None, str, str | None]]:
    return rows.values_list("request__state", "order__status", "order__account_id")


def _counted(rows: Iterable[tuple[str | None, str, str | None]]) -> CancelCounts:
    orders = dispatched = acknowledged = unsent = waiting = still_open = 0
    for state, status, _ in rows:
        is_open, is_dispatched = status in OPEN, state in DISPATCHED
        orders, still_open = orders + 1, still_open + is_open
        dispatched, acknowledged = dispatched + is_dispatched, acknowledged + (is_dispatched and not is_open)
        unsent, waiting = unsent + (state is None), waiting + (is_open and state == RequestState.QUEUED)
    return CancelCounts(orders, dispatched, acknowledged, unsent, waiting, still_open)
