"""The emergency cancel against the real sandbox brokers over sockets, with nobody else at work and brokers failing."""

from collections.abc import Iterator
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection

from brokers.gateway import close_gateways
from brokers.models import BrokerAccount
from orders import emergency, sending, sync
from orders.flattening import flat_orders, positions_to_close
from orders.halting import carry_out_all, counts_of, flatten, stop
from orders.models import Order, OrderRequest, Position
from risk.models import Halt, Level, Scope
from risk.rulebook import forget
from tests import environment
from tests.brokers.sandbox_process import SandboxProcess
from tests.factories import trading_desk
from tests.orders.desk import submit
from tests.orders.invariants import assert_books_balance
from tests.waiting import eventually
from tradingdesk.audit.models import AuditEvent
from tradingdesk.fix import RequestState

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
ALPACA, TWS = "alpaca", "interactive_brokers"


@pytest.fixture
def desk(sandbox, wakings, monkeypatch) -> Iterator[SandboxProcess]:
    """Two accounts at two brokers, each with two orders that work; no worker runs, and the queue is not there."""
    forget()
    monkeypatch.setenv("ALPACA_API_KEY", sandbox.keys(ALPACA)[0])
    monkeypatch.setenv("ALPACA_SECRET_KEY", sandbox.keys(ALPACA)[1])
    alpaca, tws = trading_desk(ALPACA, TWS)
    alpaca.settings |= {"base_url": sandbox.url, "read_timeout": 2}
    tws.adapter, tws.settings = TWS, {"port": sandbox.tws_port(), "account_id": sandbox.tws_account_id()}
    tws.settings |= {"client_id": 501, "answer_timeout": 2, "request_timeout": 2}
    for account in (alpaca, tws):
        account.save()
    sandbox.admin.clear()
    sandbox.admin.push_quote("IBM", "182.44", "182.46")
    for name in (ALPACA, TWS) * 2:
        place(name)
    close_gateways()
    yield sandbox
    sandbox.admin.clear()
    call_command("emergency_cancel", "--reason", "tidy up", "--timeout", "20", stdout=StringIO())
    close_gateways()
    forget()


def place(name: str) -> Order:
    """Have an order work at its broker."""
    order = submit(order_qty="10", price="150.00", broker_name=name)
    for request in order.requests.filter(state=RequestState.QUEUED):
        sending.send_request(request.pk)
    order.refresh_from_db()
    assert order.broker_order_id, order.requests.get().text
    return order


def emergency_cancel(*arguments: str, code: int = 0) -> tuple[dict[str, str], str]:
    """What the command says: a line for each broker, and all that it wrote."""
    out = StringIO()
    try:
        call_command("emergency_cancel", "--reason", "drill", *arguments, stdout=out, stderr=out)
        found = 0
    except CommandError as error:
        found = error.returncode
    said = out.getvalue()
    assert found == code, said
    lines = dict(line.split(": ", 1) for line in said.splitlines() if line.startswith((f"{ALPACA}:", f"{TWS}:")))
    return lines, said


def working(sandbox: SandboxProcess, name: str) -> int:
    """How many orders work at the broker, by its own word."""
    return sum(order["status"] in ("new", "partially_filled") for order in sandbox.admin.record(name)["orders"])


def test_everything_is_halted_first_and_cancelled_at_both_brokers(desk):
    lines, said = emergency_cancel()
    assert said.startswith("halted: firm, cancel all and stop")
    wanted = "found 2, dispatched 2, acknowledged 2, unknown 0: nothing works there"
    assert lines == {ALPACA: wanted, TWS: wanted}
    assert (working(desk, ALPACA), working(desk, TWS)) == (0, 0)
    assert submit().denials[0]["code"] == "TRADING_HALTED"
    event = AuditEvent.objects.get(kind="kill.emergency_cancel")
    assert (event.reason, event.after[TWS]["acknowledged"]) == ("drill", 2)


def test_it_asks_neither_celery_nor_redis(desk, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("tradingdesk.celery.app.send_task", lambda *args, **more: pytest.fail("asked Celery"))
        patch.setattr("kombu.connection.Connection.connect", lambda *args: pytest.fail("asked Redis"))
        emergency_cancel()
    assert (working(desk, ALPACA), working(desk, TWS)) == (0, 0)


def test_command_cancels_while_redis_is_not_there(desk, tmp_path):
    """As people run it: a process of its own, with the address of a Redis that nobody serves."""
    keys = dict(zip(("ALPACA_API_KEY", "ALPACA_SECRET_KEY"), desk.keys(ALPACA), strict=True))
    env = environment.desk_env(tmp_path, own_database_url(), "redis://127.0.0.1:1/0", **keys)
    said = environment.manage("emergency_cancel", "--reason", "drill", env=env)
    assert said.count("dispatched 2, acknowledged 2, unknown 0: nothing works there") == 2
    assert (working(desk, ALPACA), working(desk, TWS)) == (0, 0)


def own_database_url() -> str:
    """The URL of the database that this test uses."""
    about = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{about['NAME']}"
    return f"postgres://{about['USER']}:{about['PASSWORD']}@{about['HOST']}:{about['PORT']}/{about['NAME']}"


def test_broker_that_fails_is_told_as_unknown_and_does_not_keep_the_others(desk):
    desk.admin.fault("error", status=500, when="before", account=ALPACA, times=None)
    lines, _ = emergency_cancel("--timeout", "4", code=1)
    assert lines[TWS].startswith("found 2, dispatched 2, acknowledged 2, unknown 0: nothing works there")
    assert lines[ALPACA].startswith("found 2, dispatched 2, acknowledged 0, unknown 2: NOT DONE")
    assert (working(desk, ALPACA), working(desk, TWS)) == (2, 0)
    desk.admin.clear()
    assert emergency_cancel()[0][ALPACA].endswith("nothing works there")
    assert working(desk, ALPACA) == 0


def test_orders_are_cancelled_by_their_known_ids_where_the_broker_cannot_list_them(desk):
    desk.admin.fault("error", status=500, when="before", account=ALPACA, operation="list_orders", times=None)
    lines, _ = emergency_cancel("--timeout", "4", code=1)
    assert lines[ALPACA].startswith("found 2, dispatched 2, acknowledged 2, unknown 0: NOT DONE")
    assert "cannot be listed" in lines[ALPACA]
    assert working(desk, ALPACA) == 0


def test_answer_that_got_lost_is_made_up_for_by_the_brokers_own_list(desk):
    desk.admin.fault("drop", when="after", account=ALPACA, operation="cancel_all_orders")
    desk.admin.fault("drop", when="after", account=TWS, operation="cancel_order")
    lines, _ = emergency_cancel()
    assert {line.split(": ")[1] for line in lines.values()} == {"nothing works there"}


def test_broker_that_takes_no_cancel_of_all_is_asked_for_each(desk):
    desk.admin.fault("error", status=429, when="before", account=ALPACA, operation="cancel_all_orders", times=None)
    assert emergency_cancel()[0][ALPACA].startswith("found 2, dispatched 2, acknowledged 2, unknown 0")


def test_broker_that_never_answers_costs_its_own_time_only(desk):
    desk.admin.hold("request_received", account=ALPACA, times=None)
    lines, _ = emergency_cancel("--timeout", "5", code=1)
    assert lines[TWS].endswith("nothing works there")
    assert "NOT DONE" in lines[ALPACA]
    desk.admin.clear()


def test_broker_that_cannot_be_reached_or_is_not_configured_is_told(desk, monkeypatch):
    settings = BrokerAccount.objects.get(pk=TWS).settings
    BrokerAccount.objects.filter(pk=TWS).update(settings=settings | {"port": 1})
    with monkeypatch.context() as patch:
        patch.delenv("ALPACA_API_KEY")
        lines, _ = emergency_cancel("--timeout", "3", code=1)
    assert "not configured" in lines[ALPACA]
    assert "NOT DONE" in lines[TWS]
    BrokerAccount.objects.filter(pk=TWS).update(settings=settings)


def test_order_that_may_be_on_its_way_keeps_the_broker_from_being_done(desk):
    order = submit(order_qty="10", price="150.00", broker_name=ALPACA)
    order.requests.update(state=RequestState.SENDING, holder="another process")
    lines, _ = emergency_cancel("--timeout", "2", code=1)
    assert lines[ALPACA].startswith("found 2, dispatched 2, acknowledged 2, unknown 1: NOT DONE")
    order.requests.update(state=RequestState.REFUSED)


def test_halt_that_cannot_be_set_does_not_keep_orders_from_being_cancelled(desk, monkeypatch):
    def locked(*args, **more):
        raise DatabaseError("canceling statement due to lock timeout")

    with monkeypatch.context() as patch:
        patch.setattr(emergency, "halt", locked)
        _, said = emergency_cancel(code=1)
    assert said.startswith("NOT HALTED, new orders may follow: canceling statement due to lock timeout")
    assert (working(desk, ALPACA), working(desk, TWS)) == (0, 0)


@pytest.fixture
def by_hand(desk) -> int:
    """An order that somebody placed at TWS, which has no id that another client could cancel it by."""
    order = {"symbol": "IBM", "action": "BUY", "quantity": "1", "order_type": "LMT", "lmt_price": "99", "tif": "GTC"}
    return desk.admin.tws(TWS).place(**order)["perm_id"]


def test_order_placed_by_hand_is_cancelled_only_where_everything_is_asked_for(desk, by_hand):
    lines, _ = emergency_cancel("--timeout", "4", code=1)
    assert "found 3, dispatched 2, acknowledged 2, unknown 1: NOT DONE" in lines[TWS]
    assert working(desk, TWS) == 1

    lines, _ = emergency_cancel("--everything")
    assert lines[TWS] == "found 3, dispatched 1, acknowledged 1, unknown 0: nothing works there"
    assert working(desk, TWS) == 0


def test_everything_takes_one_request_at_each_broker_and_counts_what_it_ended(desk, by_hand):
    lines, _ = emergency_cancel("--everything")
    assert lines[ALPACA] == "found 2, dispatched 2, acknowledged 2, unknown 0: nothing works there"
    assert lines[TWS] == "found 3, dispatched 3, acknowledged 3, unknown 0: nothing works there"


def test_one_broker_is_halted_and_cancelled_alone(desk):
    lines, said = emergency_cancel("--broker", TWS)
    assert said.startswith(f"halted: account {TWS}")
    assert list(lines) == [TWS]
    assert (working(desk, ALPACA), working(desk, TWS)) == (2, 0)


@pytest.mark.parametrize("arguments", [("--broker", "nobody"), ("--timeout", "0")])
def test_wrong_arguments_are_told_and_nothing_happens(desk, arguments):
    emergency_cancel(*arguments, code=2)
    assert not Halt.objects.exists()
    assert (working(desk, ALPACA), working(desk, TWS)) == (2, 2)


def test_switch_thrown_while_a_broker_fails_is_carried_out_once_it_answers(desk):
    """By the desk's own worker, without the emergency command: the halt goes on asking."""
    desk.admin.fault("error", status=500, when="before", account=ALPACA, operation="cancel_order", times=2)
    made = stop(scope=Scope.FIRM, level=Level.CANCEL_ALL, reason="drill", actor="rita")
    assert counts_of(made).waiting == 4
    work_through()
    counts = counts_of(made)
    assert (counts.dispatched, counts.orders) == (4, 4)
    assert working(desk, ALPACA) == 2
    Order.objects.update(outcome_unknown_since=None)
    for _ in range(3):
        carry_out_all()
        work_through()
    assert (working(desk, ALPACA), working(desk, TWS)) == (0, 0)


def work_through() -> None:
    """Do what a worker of both brokers would do now."""
    OrderRequest.objects.unanswered().update(not_before=None)
    for request in OrderRequest.objects.unanswered().order_by("id"):
        sending.send_request(request.pk)


def test_flatten_cancels_what_works_and_closes_what_is_held_at_both_brokers(desk):
    for name in (ALPACA, TWS):
        order = submit(order_qty="10", ord_type="market", price=None, broker_name=name)
        sending.send_request(order.requests.get().pk)
    eventually(lambda: worked() and Position.objects.filter(closed_at=None, qty=10).count() == 2)
    made = flatten(scope=Scope.FIRM, confirm="FLATTEN", reason="drill", actor="rita")
    eventually(lambda: worked() and not positions_to_close(made) and not counts_of(made).still_open)
    assert (working(desk, ALPACA), working(desk, TWS)) == (0, 0)
    assert {order.cum_qty for order in flat_orders(made)} == {10}
    assert flat_orders(made).count() == 2
    assert_books_balance()


def worked() -> bool:
    """Do what the desk's workers would do now, and read what the brokers tell."""
    carry_out_all()
    work_through()
    for account in BrokerAccount.objects.all():
        sync.sync_orders(account)
        sync.sync_executions(account)
    return True
