"""The desk listening to a real sandbox's streams while it reads the account too, and streams go wrong."""

import random
from collections.abc import Iterator
from decimal import Decimal

import pytest

from brokers.gateway import close_gateways, gateway_for
from brokers.models import BrokerAccount
from orders import sending, sync
from orders.models import Execution, Order, Position
from orders.streaming import DeskListener
from risk.rulebook import forget
from tests.brokers.sandbox_process import SandboxProcess, start_sandbox
from tests.orders.at_brokers import accounts_at_alpaca, desk_at_alpaca
from tests.orders.desk import submit
from tests.orders.invariants import assert_books_balance
from tests.waiting import eventually
from tradingdesk.fix import OrdStatus

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

FAULTS = ("drop", "duplicate", "swap", "disconnect", "malformed", "delay")
EVENTS = ("pending_new", "new", "partial_fill", "fill", "canceled", "trade_bust", "trade_correct")


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory) -> Iterator[SandboxProcess]:
    accounts = accounts_at_alpaca(8, rate_limit_per_minute=10**6)
    with start_sandbox(tmp_path_factory.mktemp("sandbox"), speed=0, accounts=accounts) as sandbox:
        yield sandbox


_numbers = iter(range(8))


@pytest.fixture
def account(sandbox, wakings, monkeypatch) -> Iterator[BrokerAccount]:
    """An account of this test that trades IBM at 182.44 to 182.46, with its stream open."""
    forget()
    name = f"account{next(_numbers)}"
    account = desk_at_alpaca(sandbox, name, monkeypatch)
    sandbox.admin.push_quote("IBM", "182.44", "182.46", 10**6, 10**6)
    gateway = gateway_for(account)
    gateway.adapter.start(DeskListener(account, gateway))
    eventually(lambda: sandbox.admin.listens(name))
    yield account
    close_gateways()
    forget()


def send(**body) -> Order:
    order = submit(**body)
    sending.send_request(order.requests.get().pk)
    order.refresh_from_db()
    return order


def buy(qty: str = "10") -> Order:
    return send(order_qty=qty, ord_type="market", price=None)


def status_of(order: Order) -> OrdStatus:
    return OrdStatus(Order.objects.get(pk=order.pk).status)


def held(account: BrokerAccount) -> Decimal:
    return sum(Position.objects.filter(account=account, closed_at=None).values_list("qty", flat=True), Decimal(0))


def read(account: BrokerAccount) -> None:
    sync.sync_executions(BrokerAccount.objects.get(pk=account.pk))
    sync.sync_orders(BrokerAccount.objects.get(pk=account.pk))


def exec_id_of(sandbox: SandboxProcess, order: Order) -> str:
    executions = sandbox.admin.record(order.account_id)["executions"]
    return next(one["exec_id"] for one in executions if one["order_id"] == order.broker_order_id)


def test_fill_is_booked_by_the_stream_alone_and_reading_it_again_changes_nothing(account):
    order = buy()
    eventually(lambda: status_of(order) == OrdStatus.FILLED)
    assert held(account) == 10
    read(account)
    assert (held(account), Execution.objects.count()) == (10, 1)
    assert_books_balance()


def test_bust_reopens_and_correction_reprices_whichever_way_the_fill_came(sandbox, account):
    sandbox.admin.stream_fault("drop", event="fill", account=account.pk)
    listed, streamed = buy(), buy()
    read(account)
    assert held(account) == 20
    sandbox.admin.bust(exec_id_of(sandbox, listed))
    sandbox.admin.correct(exec_id_of(sandbox, streamed), 10, "180")
    # A bust or correction may be two executions here: the fill by its other name, then what became of it.
    eventually(lambda: held(account) == 10 and Order.objects.get(pk=streamed.pk).avg_px == 180)
    read(account)
    assert (held(account), status_of(listed)) == (10, OrdStatus.NEW)
    assert Order.objects.get(pk=streamed.pk).avg_px == 180
    assert_books_balance()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_desk_agrees_with_the_venue_whatever_becomes_of_the_stream(sandbox, account, seed):
    chance = random.Random(seed)
    orders = []
    for _ in range(25):
        more = {"seconds": 0.02} if (action := chance.choice(FAULTS)) == "delay" else {}
        sandbox.admin.stream_fault(action, event=chance.choice(EVENTS), account=account.pk, **more)
        orders.append(buy(str(chance.randint(1, 50))) if chance.random() < 0.7 else send(order_qty="9", price="170"))
        if orders[-1].ord_type == "limit" and chance.random() < 0.7:
            sandbox.admin.fill(orders[-1].broker_order_id, chance.randint(1, 9), "170")
        if chance.random() < 0.3:
            read(account)
    for trade in chance.sample(sandbox.admin.record(account.pk)["trades"], 6):
        if chance.random() < 0.5:
            sandbox.admin.bust(trade["exec_id"])
        else:
            sandbox.admin.correct(trade["exec_id"], trade["qty"], "181.5")
    sandbox.admin.clear()

    def agrees() -> bool:
        read(account)
        record = sandbox.admin.record(account.pk)
        theirs = {one["id"]: Decimal(one["filled_qty"]) for one in record["orders"]}
        cost = sum(Decimal(one["qty"]) * Decimal(one["px"]) for one in record["trades"])
        paid = sum(one.cum_qty * one.avg_px for one in Order.objects.filter(cum_qty__gt=0))
        filled = dict(Order.objects.values_list("broker_order_id", "cum_qty"))
        return (filled, round(paid, 4)) == (theirs, round(cost, 4))

    eventually(agrees)
    positions = sandbox.admin.record(account.pk)["positions"]
    assert held(account) == sum(map(Decimal, positions.values()), Decimal(0))
    assert_books_balance()
