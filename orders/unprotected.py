"""Exits that went out in part: an "oco" order whose stop never reached the broker is cancelled, as it protects nothing.

Brokers that take a group in one request have all of it or nothing. Interactive Brokers takes its orders one by one, and
a sender that ends between two of them leaves the first alone.
"""

import logging
from datetime import datetime

from django.db.models import QuerySet
from django.utils import timezone

from brokers.gateway import gateway_for
from brokers.messages import BrokerError
from brokers.models import BrokerAccount
from orders.changes import request_cancel
from orders.models import Order
from orders.sending import LATE_ARRIVAL
from tradingdesk.errors import Conflict
from tradingdesk.fix import OrderClass

log = logging.getLogger(__name__)

ACTOR = "system:orders"


def cancel_unprotected(account: BrokerAccount) -> list[Order]:
    """Cancel the "oco" orders whose stop the broker proves not to have, once it cannot arrive any more; those."""
    found = []
    for leg in _missing_stops(account, timezone.now()):
        try:
            is_missing = gateway_for(account).find_order(leg.client_order_id) is None
        except BrokerError as error:
            log.warning("%s: whether %s is there is not known: %s", account.broker_name, leg, error.text)
            continue
        if is_missing and _cancel(leg.parent):
            found.append(leg.parent)
    return found


def _missing_stops(account: BrokerAccount, now: datetime) -> QuerySet[Order]:
    legs = Order.objects.in_flight().filter(account=account, broker_order_id=None, order_class=OrderClass.OCO)
    alone = legs.filter(parent__closed_at=None, parent__acknowledged_at__isnull=False)
    return alone.filter(parent__sent_at__lt=now - LATE_ARRIVAL).select_related("parent")


def _cancel(order: Order) -> bool:
    try:
        request_cancel(order=order, actor=ACTOR, reason="its stop never reached the broker")
    except Conflict:
        return False  # it has ended meanwhile
    log.error("%s: %s is cancelled, as its stop never reached the broker", order.account_id, order)
    return True
