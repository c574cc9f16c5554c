"""What a decision asks the database for does not grow with positions, open orders or controls."""

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from orders.intake import preview_order, submit_order
from orders.models import Order, Position
from orders.ticket import parse_ticket
from risk.models import Limit
from risk.rulebook import current_rulebook, forget
from tests.benchmarks import large_desk
from tests.orders.desk import LIMIT_BUY, submit

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
LEAST = len(large_desk.OF_FIRM) + 1  # every control of the firm is in force


@pytest.fixture(autouse=True)
def quiet(wakings):
    forget()
    yield
    forget()


def statements_of_a_decision(count: int) -> dict[str, list[str]]:
    """Build a desk with so much of everything; what taking, denying and previewing an order ask there."""
    names = large_desk.build(controls=count, open_orders=count, positions=count)
    assert (Order.objects.count(), Limit.objects.count()) == (count, count)
    assert Position.objects.count() == count // 2 * 2  # as many at each account
    current_rulebook()
    body = LIMIT_BUY | {"symbol": names[0], "price": "100"}
    submit(**body)  # makes the rows of the symbol that are missing
    ticket, denied = parse_ticket(body), parse_ticket(body | {"order_qty": "100000000"})
    return {
        "taken": _asked(lambda: submit_order(ticket=ticket, actor="ann").order.status == "pending"),
        "denied": _asked(lambda: submit_order(ticket=denied, actor="ann").order.status == "denied"),
        "previewed": _asked(lambda: preview_order(ticket=ticket, actor="ann").allowed),
    }


def _asked(work) -> list[str]:
    """The beginning of each statement, savepoints apart, which stand in for transactions here."""
    with CaptureQueriesContext(connection) as queries:
        assert work()
    return [query["sql"][:60] for query in queries if "SAVEPOINT" not in query["sql"]]


def test_decision_asks_the_same_with_few_and_a_thousand_positions_orders_and_controls():
    with transaction.atomic():
        few = statements_of_a_decision(LEAST)
        transaction.set_rollback(True)
    forget()

    assert statements_of_a_decision(1_000) == few


def test_rules_are_read_once_however_many_there_are():
    names = large_desk.build(controls=1_000, open_orders=0, positions=10)
    forget()
    ticket = parse_ticket(LIMIT_BUY | {"symbol": names[0], "price": "100"})

    first, second = (_asked(lambda: submit_order(ticket=ticket, actor="ann")) for _ in range(2))

    assert sum("risk_limits" in sql for sql in first) <= 1
    assert not any("risk_limits" in sql for sql in second)
