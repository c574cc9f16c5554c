"""Noting, many at a time, trades that a list tells after the stream has: see `orders.twins`."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from django.db import transaction

from brokers.messages import ExecutionReport
from brokers.models import BrokerAccount
from orders.ledger import TOLD_AGAIN
from orders.models import BrokerMessage, Execution, Order
from orders.moving import message_of
from orders.twins import twin_of
from tradingdesk.fix import ExecType
from tradingdesk.statements import insert


def note_told_again(account: BrokerAccount, reports: Sequence[ExecutionReport]) -> set[str]:
    """Note those trades that are stored under another id, many in one transaction; the ids that need no more booking.

    Exposure stays unlocked, which intake would have to wait for. What a bust or correction is about is left to
    `apply_report`.
    """
    trades = [one for one in reports if one.source and one.exec_type == ExecType.TRADE]
    with transaction.atomic():
        orders = Order.objects.filter(account=account, broker_order_id__in={one.broker_order_id for one in trades})
        locked = {order.broker_order_id: order for order in orders.locked()}
        found, names = _told_of(order.pk for order in locked.values())
        again: list[BrokerMessage] = []
        for report in trades:
            order = locked.get(report.broker_order_id)
            if order is None or any(one.exec_ref_id or one.exec_id == report.exec_id for one in found[order.pk]):
                continue  # also what was booked since the list was read: it is not another telling of itself
            twin = twin_of(report, found[order.pk], names[order.pk])
            if twin is not None and report.exec_id not in names[order.pk]:
                names[order.pk][report.exec_id] = twin.exec_id
                again.append(message_of(account, order, replace(report, exec_ref_id=twin.exec_id), TOLD_AGAIN))
        if again:
            insert(*again)
    return {exec_id for told in names.values() for exec_id in told}


def _told_of(order_pks: Iterable[int]) -> tuple[dict[int, list[Execution]], dict[int, dict[str, str]]]:
    """Each order's executions, and the other ids that its trades were told under with the ids they are stored under."""
    pks = list(order_pks)
    executions, names = defaultdict(list), defaultdict(dict)
    for one in Execution.objects.filter(order__in=pks).defer("raw", "text").order_by():
        executions[one.order_id].append(one)
    for one in BrokerMessage.objects.filter(order__in=pks, kind=TOLD_AGAIN).defer("raw").order_by("id"):
        names[one.order_id][one.normalized["exec_id"]] = one.normalized["exec_ref_id"]
    return executions, names
