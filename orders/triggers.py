"""Measuring what trips a halt by itself: the rate of orders, of errors, and breaks that reconciliation opened."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from brokers.models import BrokerAccount
from orders.models import Order, OrderRequest, ReconciliationBreak
from risk import triggers
from risk.models import Halt, Scope
from tradingdesk.fix import RequestKind, RequestState

Where = tuple[str, str]
Since = Callable[[Where], datetime]
FIRM: Where = (Scope.FIRM, "")
EVER = timedelta(days=36_500)


def watch() -> list[Halt]:
    """Measure every trigger that is declared, and halt where one is passed; the halts that were made or stand."""
    about, tripped = triggers.declared(), []
    for name, measure in MEASURES.items():
        trigger = getattr(about, name)
        if trigger is not None:
            tripped += _watch_one(name, trigger, measure)
    return tripped


def _watch_one(name: str, trigger: triggers.Count, measure: Callable[[Since], Iterator]) -> list[Halt]:
    """Measure one trigger; what a person has seen and cleared does not count again, nor what is halted for it."""
    now, seen, halted = timezone.now(), triggers.cleared_since(name), triggers.halted_for(name, trigger.level)
    window = timedelta(seconds=trigger.seconds) if isinstance(trigger, triggers.Rate) else EVER
    span = f" in {trigger.seconds} s" if isinstance(trigger, triggers.Rate) else ""
    return [
        triggers.trip(name, trigger, found=f"{found}{span}", limit=f"{trigger.threshold}{span}", where=where)
        for where, found in measure(lambda where: max(now - window, seen.get(where, now - window)))
        if found >= trigger.threshold and where not in halted
    ]


def _orders(since: Since) -> Iterator[tuple[Where, int]]:
    yield FIRM, Order.objects.entered().filter(created_at__gt=since(FIRM)).order_by().count()


def _errors(since: Since) -> Iterator[tuple[Where, int]]:
    """Orders and replaces that a broker refused, and requests whose outcome is not known, by account.

    A refused cancel is no error: it came too late.
    """
    for where in _accounts():
        rows = OrderRequest.objects.filter(broker_name=where[1])
        refused = Q(state=RequestState.REFUSED, answered_at__gt=since(where), sent_at__isnull=False)
        unknown = Q(state=RequestState.UNKNOWN, sent_at__gt=since(where))
        yield where, rows.filter(refused & ~Q(kind=RequestKind.CANCEL)).count() + rows.filter(unknown).count()


def _breaks(since: Since) -> Iterator[tuple[Where, int]]:
    """Breaks that are open, and were opened since a person looked, by account."""
    for where in _accounts():
        rows = ReconciliationBreak.objects.filter(account=where[1], state=ReconciliationBreak.State.OPEN)
        yield where, rows.filter(opened_at__gt=since(where)).order_by().count()


def _accounts() -> list[Where]:
    return [(Scope.ACCOUNT, name) for name in BrokerAccount.objects.filter(enabled=True).values_list("pk", flat=True)]


MEASURES: dict[str, Callable[[Since], Iterator[tuple[Where, int]]]] = {
    "order_rate": _orders,
    "error_rate": _errors,
    "reconciliation_breaks": _breaks,
}
