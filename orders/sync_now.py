"""Reading an account on request: by the worker that holds its connection, or here."""

import logging
import time

from django.utils import timezone

from brokers import lease
from brokers.gateway import forget_gateway
from brokers.models import AccountHealth, BrokerAccount
from brokers.registry import adapter_class
from orders import sync, wakeups

log = logging.getLogger(__name__)

WORKER_WITHIN = 60.0
LOOK_EVERY = 0.2
EVERYTHING = ("instruments", "executions", "orders", "figures", "quotes")


def sync_now(broker_name: str) -> bool:
    """Read everything of an account; False when something could not be read.

    Where the broker takes only one connection under the desk's name, the process that holds the account reads it, and
    this one waits; when nobody holds it, this one does as long as it reads.
    """
    account = BrokerAccount.objects.get(pk=broker_name)
    if adapter_class(account.adapter).capabilities.connectionless or lease.is_ours(broker_name):
        return sync.sync_account(broker_name, thorough=True)
    if not lease.take(broker_name):
        return _by_its_holder(account)
    try:
        return sync.sync_account(broker_name, thorough=True)
    finally:
        forget_gateway(broker_name)
        lease.give_back(broker_name)


def _by_its_holder(account: BrokerAccount) -> bool:
    asked_at, deadline = timezone.now(), time.monotonic() + WORKER_WITHIN
    wakeups.sync_soon(account.pk, reads=EVERYTHING)
    read = BrokerAccount.objects.filter(pk=account.pk, last_updated__gte=asked_at, instruments_synced_at__gte=asked_at)
    while not read.exists():
        if time.monotonic() > deadline:
            log.warning("%s: the worker that holds it has not read it within %.0f s", account, WORKER_WITHIN)
            return False
        time.sleep(LOOK_EVERY)
    return not AccountHealth.objects.filter(account=account, last_error_at__gte=asked_at).exists()
