"""How many statements each stage takes: exact, so that one more is a decision and not an accident.

Savepoints, which stand in for transactions inside a test, are not counted.
"""

from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from orders import sending
from orders.changes import parse_changes, request_cancel, request_replace
from orders.intake import preview_order, submit_order
from orders.ticket import parse_ticket
from tests.orders.desk import LIMIT_BUY, Counterparty, submit
from tests.orders.scripted_gateway import ScriptedGateway
from tradingdesk.fix import ExecType, OrdStatus

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def warm(desk, monkeypatch):
    """A desk that has traded before: its exposure rows and rules are there."""
    gateway = ScriptedGateway()
    monkeypatch.setattr(sending, "gateway_for", lambda account: gateway)
    submit(), submit()


def statements(work: Callable[[], object]) -> int:
    with CaptureQueriesContext(connection) as queries:
        work()
    return sum("SAVEPOINT" not in query["sql"] for query in queries)


def key_in_advance() -> int:
    """PostgreSQL is asked for an order's key together with the locks, so that all its rows can be sent at once."""
    return connection.vendor == "postgresql"


def planning() -> int:
    """PostgreSQL is told to plan by index before it is asked about the last moments."""
    return connection.vendor == "postgresql"


def working() -> Counterparty:
    broker = Counterparty(submit(broker_name="alpaca"))
    broker.acknowledge()
    return broker


def test_accepting_an_order():
    ticket = parse_ticket(LIMIT_BUY)

    assert statements(lambda: submit_order(ticket=ticket, actor="ann")) == 11 + planning() + key_in_advance()


def test_denying_an_order():
    ticket = parse_ticket(LIMIT_BUY | {"order_qty": "1001"})

    assert statements(lambda: submit_order(ticket=ticket, actor="ann")) == 8 + planning() + key_in_advance()


def test_taking_the_same_order_again():
    ticket = parse_ticket(LIMIT_BUY | {"client_order_id": "mine-1"})
    submit_order(ticket=ticket, actor="ann")

    assert statements(lambda: submit_order(ticket=ticket, actor="ann")) == 3  # asked together, as for a new one


def test_previewing_an_order():
    ticket = parse_ticket(LIMIT_BUY)

    assert statements(lambda: preview_order(ticket=ticket, actor="ann")) == 4 + planning()


def test_sending_an_order():
    request = submit().requests.get()

    assert statements(lambda: sending.send_request(request.pk)) == 8


def test_acknowledgement():
    broker = Counterparty(submit())

    assert statements(lambda: broker.tell(ExecType.NEW, status=OrdStatus.NEW)) == 7


def test_known_acknowledgement():
    broker = working()
    report = broker.report(ExecType.NEW, status=OrdStatus.NEW)

    assert statements(lambda: broker.hear(report)) == 1


def test_first_fill_that_opens_a_position():
    broker = working()

    assert statements(lambda: broker.fill("e1", 10, 182)) == 13


def test_further_fill():
    broker = working()
    broker.fill("e1", 10, 182)

    assert statements(lambda: broker.fill("e2", 10, 182)) == 13


def test_known_fill():
    broker = working()
    report = broker.report(ExecType.TRADE, exec_id="e1", last_qty=10, last_px=182)
    broker.hear(report)

    assert statements(lambda: broker.hear(report)) == 5


def test_bust():
    broker = working()
    broker.fill("e1", 10, 182)

    assert statements(lambda: broker.bust("e2", "e1")) == 15


def test_cancel_confirmed():
    broker = working()

    assert statements(lambda: broker.tell(ExecType.CANCELED, status=OrdStatus.CANCELED)) == 8


def test_asking_for_a_cancel():
    order = working().order

    assert statements(lambda: request_cancel(order=order, actor="ann")) == 8


def test_asking_for_a_replace():
    order, changes = working().order, parse_changes({"order_qty": "120"})

    assert statements(lambda: request_replace(order=order, changes=changes, actor="ann")) == 14 + planning()
