"""Booking executions through `apply_report`, without brokers and workers, against the same rows written by hand.

Runs in the environment of a desk whose database is migrated and empty: `manage.py shell -c` with `main`.
"""

import json
import time
from datetime import UTC, datetime
from decimal import Decimal

from django.contrib.auth.models import Group, User
from rest_framework.authtoken.models import Token

from brokers.messages import ExecutionReport
from brokers.models import BrokerAccount
from orders.executions import apply_report
from tests.benchmarks import plain_sql
from tests.orders.desk import Counterparty, roomy_desk, submit
from tradingdesk.fix import ExecType, OrdStatus

ACCOUNT = "alpaca"
WARM_UP = 20


def main(executions: int, rounds: int, database_url: str) -> None:
    """Book that many in each round, both ways in turns; prints how many a second each round made."""
    roomy_desk()
    _trader()
    _book(WARM_UP)
    rates = [(_book(executions), plain_sql.book(database_url, _working(executions))) for _ in range(rounds)]
    print("booked:" + json.dumps(rates))


def _book(count: int) -> float:
    account = BrokerAccount.objects.get(pk=ACCOUNT)
    reports = [_fill(broker_order_id) for broker_order_id in _working(count)]
    began = time.perf_counter()
    for report in reports:
        apply_report(account=account, report=report)
    return count / (time.perf_counter() - began)


def _working(count: int) -> list[str]:
    """Orders for one unit that the broker has acknowledged; their ids there."""
    orders = [submit(broker_name=ACCOUNT, order_qty="1") for _ in range(count)]
    return [Counterparty(order).acknowledge().broker_order_id for order in orders]


def _fill(broker_order_id: str) -> ExecutionReport:
    return ExecutionReport(
        exec_type=ExecType.TRADE,
        broker_order_id=broker_order_id,
        transact_time=datetime.now(UTC),
        status=OrdStatus.FILLED,
        exec_id=f"exec-{broker_order_id}",
        last_qty=Decimal(1),
        last_px=Decimal("182.00"),
        cum_qty=Decimal(1),
        raw={"id": f"exec-{broker_order_id}", "activity_type": "FILL", "qty": "1", "price": "182.00"},
    )


def _trader() -> None:
    """Whoever the acceptances by hand are for."""
    user = User.objects.create_user("bench")
    user.groups.set(Group.objects.filter(name="trader"))
    Token.objects.create(user=user)
