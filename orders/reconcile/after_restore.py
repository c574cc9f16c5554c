"""A restored account takes no order until it was compared with its broker, and nothing stands between the two.

Its database is of the past: the broker has orders, fills and holdings that it does not know of yet.
"""

from contextlib import suppress

from django.db import transaction

from brokers.models import BrokerAccount
from orders.ids import was_restored
from orders.models import OrderRequest
from orders.reconcile.breaks import SYSTEM, lock_memory, refresh_block
from risk import exposure
from risk.halts import halt, resume
from risk.models import Halt, Scope
from tradingdesk.errors import Conflict
from tradingdesk.fix import RequestKind

RESTORE = "system:restore"
WAITS = "waits for a comparison with the broker"


def stop_until_compared(account: BrokerAccount, *, origin: str) -> None:
    """Halt an account whose database came back from the past, and note that it does not agree with its broker.

    The note holds where a person's halt is in force already, and is cleared by a person.
    """
    text = f"{origin}: {WAITS}"
    halt(scope=Scope.ACCOUNT, scope_key=account.pk, reason=text, actor=RESTORE)
    exposure.note_unreconciled(account.pk, text)
    BrokerAccount.objects.filter(pk=account.pk).update(unreconciled=text)


def stop_if_restored(account: BrokerAccount) -> None:
    """Halt an account that is new to a restored desk: its broker may know it from before the restore."""
    if was_restored():
        stop_until_compared(account, origin="new to a desk that was restored")


def let_trade_again(account: BrokerAccount) -> None:
    """Clear what `stop_until_compared` set; call it after a comparison in which both agreed.

    Not while it is unknown what became of an order from before: a late fill of it would be outside of every total.
    """
    ours = Halt.objects.filter(scope=Scope.ACCOUNT, scope_key=account.pk, cleared_at=None, set_by=RESTORE).first()
    noted = BrokerAccount.objects.filter(pk=account.pk, unreconciled__endswith=WAITS).exists()
    if ours is None and not noted:
        return
    if OrderRequest.objects.unanswered().filter(broker_name=account.pk, kind=RequestKind.NEW).exists():
        return
    with transaction.atomic():
        lock_memory(account)
        refresh_block(account)
    if ours is not None:
        with suppress(Conflict):  # another comparison has just done so
            resume(halt=ours, reason="compared with the broker: both agree", actor=SYSTEM)
