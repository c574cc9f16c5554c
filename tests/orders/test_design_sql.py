"""The statements of people who know the old system run word for word."""

from decimal import Decimal

import pytest
from django.db import connection

from brokers.models import BrokerAccount
from tests.orders.desk import roomy_desk, submit

pytestmark = pytest.mark.django_db

VALUES = "SELECT broker_name, SUM(portfolio_value) FROM broker_accounts GROUP BY broker_name;"
PENDING = "SELECT * FROM orders WHERE broker_name = 'alpaca' AND status = 'pending';"


def rows(statement: str) -> list[dict]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def test_portfolio_value_by_broker():
    roomy_desk("alpaca", "alpaca_margin")
    BrokerAccount.objects.filter(pk="alpaca").update(portfolio_value="700.25")
    BrokerAccount.objects.filter(pk="alpaca_margin").update(portfolio_value="300")
    found = {row["broker_name"]: Decimal(str(list(row.values())[1])) for row in rows(VALUES)}
    assert found == {"alpaca": Decimal("700.25"), "alpaca_margin": Decimal(300)}


def test_pending_orders_of_one_broker():
    roomy_desk("alpaca", "alpaca_margin")
    ours = submit(broker_name="alpaca")
    submit(broker_name="alpaca_margin")
    (row,) = rows(PENDING)
    assert (row["client_order_id"], row["symbol"], row["broker_order_id"]) == (ours.client_order_id, "IBM", None)
