"""Threads that race for the same id, order or fill, and with changed rules; limits are in `test_races_limits.py`."""

from collections.abc import Callable
from decimal import Decimal
from threading import Event, Thread

import pytest
from django.db import connection, transaction

from brokers.messages import ExecutionReport
from brokers.models import BrokerAccount
from orders import sending
from orders.executions import apply_report
from orders.intake import submit_order
from orders.ledger import _lock_orders
from orders.models import Execution, Order, OrderRequest, Position, ReconciliationBreak
from orders.moving import lock_order
from orders.reconcile.breaks import refresh_block
from orders.reconcile.compare import BreakKind
from orders.ticket import parse_ticket
from risk import exposure
from risk.limits import LimitValue, set_limits
from risk.models import Control, ExposureTotal
from risk.rulebook import forget
from tests.factories import trading_desk
from tests.orders import racing
from tests.orders.desk import LIMIT_BUY, Counterparty, submit
from tests.orders.invariants import assert_books_balance
from tests.orders.racing import raise_first, submit_one
from tests.orders.scripted_gateway import ScriptedGateway
from tradingdesk.fix import ExecType

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 16
SIZE = Decimal(18_240)  # 100 at 182.40


@pytest.fixture(autouse=True)
def desk(transactional_db, wakings):
    forget()
    yield trading_desk()
    forget()


def race(work: Callable[[int], object]) -> list:
    return racing.race(work, THREADS)


def set_limit(control: Control, value) -> None:
    set_limits([LimitValue(control, Decimal(value))], actor="ann", reason="race")


def test_one_id_submitted_by_all_threads_at_once_makes_one_order():
    def work(number):
        submission = submit_order(ticket=parse_ticket(LIMIT_BUY | {"client_order_id": "mine-1"}), actor="ann")
        return submission.created, submission.order.pk

    results = raise_first(race(work))

    assert sum(created for created, _ in results) == 1
    assert len({pk for _, pk in results}) == 1
    assert (Order.objects.count(), OrderRequest.objects.count()) == (1, 1)
    assert_books_balance()


def test_limit_lowered_in_the_middle_of_a_race_holds_for_every_order_after_it():
    def work(number):
        if number == 0:
            set_limit(Control.PORTFOLIO_RISK_LIMIT, SIZE * 3)
            return list(Order.objects.filter(status="pending").values_list("pk", flat=True))
        return submit_one(number)

    before = raise_first(race(work))[0]

    accepted = Order.objects.filter(status="pending").count()
    assert max(len(before), 3) >= accepted
    assert_books_balance()


def test_one_fill_told_by_all_threads_is_booked_once():
    broker = Counterparty(submit(broker_name="alpaca"))
    broker.acknowledge()
    report = broker.report(ExecType.TRADE, exec_id="e1", last_qty=40, last_px=182)

    results = raise_first(race(lambda number: apply_report(account=broker.account, report=report)))

    assert sum(isinstance(result, Execution) for result in results) == 1
    assert (broker.order.cum_qty, Position.objects.get().qty) == (40, 40)
    assert_books_balance()


def test_order_that_waits_for_the_account_while_a_break_is_opened_there_is_refused(monkeypatch):
    if connection.vendor == "sqlite":
        pytest.skip("SQLite lets nobody read for an order while another writes")
    at_the_lock, statuses = Event(), []
    lock = exposure.ask_for_decision

    def lock_and_tell(*args):
        at_the_lock.set()
        return lock(*args)

    def work() -> None:
        try:
            statuses.append(submit_one(1, broker_name="alpaca"))
        finally:
            connection.close()

    ExposureTotal.objects.create(key=exposure.account_key("alpaca"), broker_name="alpaca")
    monkeypatch.setattr(exposure, "ask_for_decision", lock_and_tell)
    waiting = Thread(target=work)
    with transaction.atomic():
        ReconciliationBreak.objects.create(account_id="alpaca", kind=BreakKind.CASH, key="cash", signature="1")
        refresh_block(BrokerAccount.objects.get(pk="alpaca"))
        waiting.start()
        assert at_the_lock.wait(30)
    waiting.join(120)

    assert statuses == ["denied"]
    assert Order.objects.get().denials[0]["code"] == "ACCOUNT_NOT_RECONCILED"


def test_fills_of_several_orders_racing_with_new_orders_lose_nothing():
    brokers = [Counterparty(submit(broker_name="alpaca")) for _ in range(4)]
    reports: list[ExecutionReport] = [
        brokers[number % 4].report(ExecType.TRADE, exec_id=f"e{number}", last_qty=10, last_px=182, seconds=number)
        for number in range(12)
    ]

    def work(number):
        if number < len(reports):
            return apply_report(account=brokers[0].account, report=reports[number])
        return submit_one(number, side="sell", price="190")

    raise_first(race(work))

    assert (Execution.objects.count(), Position.objects.get().qty) == (12, 120)
    assert [broker.order.cum_qty for broker in brokers] == [30, 30, 30, 30]
    assert_books_balance()


@pytest.mark.parametrize("lock", [lock_order, _lock_orders(1)], ids=["one", "several"])
def test_order_can_be_locked_while_a_fact_about_it_is_being_added(lock):
    """A comparison adds breaks in an order of its own: waiting for it could be waiting in a circle."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time")
    order = submit(broker_name="alpaca")
    added, locked = Event(), Event()

    def add_a_break() -> None:
        try:
            with transaction.atomic():
                break_ = {"kind": BreakKind.STATUS, "key": "1", "signature": "1"}
                ReconciliationBreak.objects.create(account_id="alpaca", order=order, **break_)
                added.set()
                locked.wait(30)
        finally:
            connection.close()

    adding = Thread(target=add_a_break)
    adding.start()
    assert added.wait(30)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '10s'")
        found = lock.first(order=order.pk, key0=order.pk)
        locked.set()
    adding.join(30)

    assert found == order


def test_request_that_all_threads_are_woken_for_is_sent_once(monkeypatch):
    gateway = ScriptedGateway()
    monkeypatch.setattr(sending, "gateway_for", lambda account: gateway)
    request = submit().requests.get()

    raise_first(race(lambda number: sending.send_request(request.pk)))

    assert gateway.calls == ["submit"]
    assert Order.objects.get().status == "new"
