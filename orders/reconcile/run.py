"""One comparison of the desk with an account's broker, from reading to breaks."""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from brokers.models import BrokerAccount
from orders import wakeups
from orders.models import ReconciliationMemory, ReconciliationRun
from orders.reconcile.after_restore import let_trade_again
from orders.reconcile.breaks import (
    Changes,
    keep_breaks,
    lock_memory,
    open_breaks,
    under_their_open_kind,
    what_stands,
)
from orders.reconcile.compare import BreakKind, Difference, agreed_after, compare, confirmed, suspected_after
from orders.reconcile.reading import Reading, read_both

# What was found once is looked at again after this; nothing opens before that.
LOOK_AGAIN_AFTER = 10.0


def reconcile_account(broker_name: str) -> ReconciliationRun | None:
    """Compare the desk with one account's broker, mend what is safe, and keep the breaks.

    Talks to the broker first and holds no transaction meanwhile; then locks the account's memory for a short one.
    A difference opens a break when two runs in a row find it just so; a run that finds a new one asks for the next.
    None when another run was concluded meanwhile: this one is then old news.
    """
    account = BrokerAccount.objects.get(pk=broker_name)
    memory = ReconciliationMemory.objects.filter(account=account).first() or ReconciliationMemory(account=account)
    reading = read_both(account, memory)
    run, is_new, agrees = _conclude(account, memory, reading)
    if is_new:
        wakeups.reconcile_soon(broker_name, countdown=LOOK_AGAIN_AFTER)
    if agrees:
        let_trade_again(account)
    return run


def was_compared_since(broker_name: str, since: datetime) -> bool:
    """Whether a comparison of the account began after this moment, and is done."""
    return ReconciliationRun.objects.filter(account=broker_name, started_at__gt=since).exists()


def _conclude(
    account: BrokerAccount, seen: ReconciliationMemory, reading: Reading
) -> tuple[ReconciliationRun | None, bool, bool]:
    """Compare, move breaks and memory, and write the run.

    And whether something was found that is not sure yet, and whether all was compared and nothing stands against it.
    """
    with transaction.atomic():
        memory = lock_memory(account)
        if memory.complete_at != seen.complete_at or memory.cash != seen.cash:
            return None, False, False
        found = compare(reading.desk, reading.broker, agreed=memory.agreed)
        found = under_their_open_kind(found, open_breaks(account))
        sure = confirmed(found, memory.suspected, reading.started_at)
        changes = keep_breaks(account, reading, found, sure)
        is_new = any(memory.suspected.get(one.name, [None])[0] != one.signature for one in found)
        _remember(memory, reading, found)
        agrees = not reading.broker.unread and not what_stands(account, found)
        return _store_run(account, reading, found, changes), is_new, agrees


def _remember(memory: ReconciliationMemory, reading: Reading, found: list[Difference]) -> None:
    now, desk, broker = timezone.now(), reading.desk, reading.broker
    memory.suspected = suspected_after(found, memory.suspected, desk, broker, now)
    memory.agreed = agreed_after(desk, broker, memory.agreed)
    cash_agrees = not any(one.kind == BreakKind.CASH for one in found)
    if broker.cash is not None and desk.cash_settled and cash_agrees:
        memory.cash, memory.executions_through = broker.cash, reading.executions_through
    if not broker.unread:
        memory.complete_at = now
    memory.save()


def _store_run(
    account: BrokerAccount, reading: Reading, found: list[Difference], changes: Changes
) -> ReconciliationRun:
    broker, desk = reading.broker, reading.desk
    return ReconciliationRun.objects.create(
        account=account,
        started_at=reading.started_at,
        complete=not broker.unread,
        unread=broker.unread,
        orders_compared=len(broker.orders or ()),
        positions_compared=len({*desk.positions, *broker.positions}) if broker.positions is not None else 0,
        fills_repaired=reading.fills_repaired,
        orders_adopted=reading.orders_adopted,
        differences=len(found),
        breaks_opened=len(changes.opened),
        breaks_closed=len(changes.closed),
    )
