"""Trades whose commission the broker never told, though it tells those of others."""

from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef

from brokers.models import BrokerAccount
from brokers.registry import adapter_class
from orders.models import Execution, Order, ReconciliationBreak
from orders.reconcile.compare import BreakKind
from tradingdesk.fix import ExecType

# Interactive Brokers tells the commissions of its own day only, and of a week where TWS is set to.
TOLD_WITHIN = timedelta(days=1)
LOOKED_FOR = timedelta(days=8)
_PRICED = (ExecType.TRADE, ExecType.TRADE_CORRECT)


def uncharged(account: BrokerAccount, now: datetime) -> dict[str, str]:
    """Give the standing trades of the last days that have no commission and get none any more: symbols by id.

    Those that have an open break stay among them, however old they become.
    """
    if not adapter_class(account.adapter).capabilities.commissions:
        return {}
    amended = Execution.objects.filter(order=OuterRef("order"), exec_ref_id=OuterRef("exec_id"))
    bare = Execution.objects.filter(account=account, exec_type__in=_PRICED, commission=None).exclude(
        order__source=Order.Source.ADJUSTMENT
    )
    bare = bare.exclude(Exists(amended))
    of_late = bare.filter(transact_time__gte=now - LOOKED_FOR, transact_time__lt=now - TOLD_WITHIN)
    waiting = ReconciliationBreak.objects.filter(account=account, kind=BreakKind.COMMISSION, state="open")
    known = bare.filter(exec_id__in=waiting.values("key"))
    return dict(of_late.values_list("exec_id", "symbol")) | dict(known.values_list("exec_id", "symbol"))
