"""Reports that are applied together end where they end one by one."""

import random
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from brokers.messages import ExecutionReport
from orders.executions import apply_reports
from orders.models import BrokerMessage, Execution, Order, Position, TradeLog
from risk.models import ExposureTotal
from tests.orders.desk import Counterparty, roomy_desk, submit
from tradingdesk.audit.models import AuditEvent
from tradingdesk.fix import ExecType, OrdStatus

pytestmark = pytest.mark.django_db

TOGETHER, ALONE = "alpaca", "alpaca_margin"
ORDER = {"ord_type": "limit", "price": "100", "order_qty": "100"}


@pytest.fixture(autouse=True)
def desk():
    roomy_desk(TOGETHER, ALONE)


def orders_at(broker_name: str) -> list[Counterparty]:
    """Four orders whose broker has not said a word yet, on both sides."""
    sides = ("buy", "buy", "sell", "buy")
    made = [submit(broker_name=broker_name, side=side, strategy=str(n), **ORDER) for n, side in enumerate(sides)]
    return [Counterparty(order, f"B-{order.strategy}") for order in made]


def life_of(chance: random.Random, broker: Counterparty) -> list[tuple[ExecType, dict]]:
    """What a broker may say about one order, in its order."""
    told = [(ExecType.PENDING_NEW, {}), (ExecType.NEW, {"status": OrdStatus.NEW})]
    cum = 0
    for number in range(chance.randrange(4)):
        cum += 25
        status = OrdStatus.FILLED if cum == 100 else OrdStatus.PARTIALLY_FILLED
        ids = {"exec_id": f"{broker.broker_order_id}-{number}", "last_qty": 25, "last_px": chance.choice((99, 100))}
        told.append((ExecType.TRADE, {**ids, "cum_qty": cum, "status": status, "source": "stream"}))
        told.append(chance.choice((told[-1], (ExecType.ORDER_STATUS, {"status": status}))))
    ends = [(ExecType.CANCELED, {"status": OrdStatus.CANCELED}), (ExecType.REPLACED, {"order_qty": 120})]
    if cum:
        ends.append((ExecType.TRADE_CANCEL, {"exec_id": f"{broker.broker_order_id}-x", "exec_ref_id": ids["exec_id"]}))
    return told + chance.choice(([], [chance.choice(ends)]))


def story(seed: int, brokers: list[Counterparty]) -> list[ExecutionReport]:
    """The same tale for any account: what is said about its orders, interleaved, some of it late."""
    chance = random.Random(seed)
    lives = [[(broker, *step) for step in life_of(chance, broker)] for broker in brokers]
    told = []
    while any(lives):
        broker, exec_type, facts = chance.choice([life for life in lives if life]).pop(0)
        told.append(broker.report(exec_type, seconds=len(told), **facts))
    for _ in range(chance.randrange(3)):
        told.insert(chance.randrange(len(told)), told.pop(chance.randrange(len(told))))
    return told


def rows_of(broker_name: str) -> dict[str, list]:
    """What an account's reports have left."""
    return {
        "orders": list(
            Order.objects.filter(account=broker_name)
            .order_by("strategy")
            .values_list("status", "cum_qty", "avg_px", "order_qty", "working_as", "closed_as", "reserved_qty")
        ),
        "executions": list(
            Execution.objects.filter(account=broker_name)
            .order_by("exec_id")
            .values_list("exec_id", "order__strategy", "last_qty")
        ),
        "positions": list(
            Position.objects.filter(account=broker_name)
            .order_by("opened_at", "id")
            .values_list("symbol", "qty", "avg_px", "realized_pnl", "opened_at", "closed_at", "last_exec_id")
        ),
        "trade logs": list(
            TradeLog.objects.filter(account=broker_name)
            .order_by("opened_at", "id")
            .values_list("direction", "entry_qty", "entry_px", "exit_qty", "exit_px", "net_pnl", "order__strategy")
        ),
        "messages": sorted(BrokerMessage.objects.filter(account=broker_name).values_list("kind", "order__strategy")),
        "events": sorted(AuditEvent.objects.filter(broker_name=broker_name).values_list("kind", flat=True)),
        "exposure": [
            (row.symbol, row.position_qty, row.open_buy_qty, row.open_sell_qty, row.mark_px, row.gross)
            for row in ExposureTotal.objects.filter(broker_name=broker_name).order_by("key")
        ],
    }


@pytest.mark.parametrize("seed", range(40))
def test_what_is_applied_together_ends_as_it_does_one_by_one(seed):
    together, alone = orders_at(TOGETHER), orders_at(ALONE)
    reports, chance = story(seed, together), random.Random(seed)

    while reports:
        size = chance.randrange(1, 9)
        apply_reports(account=together[0].account, reports=reports[:size])
        reports = reports[size:]
    for report in story(seed, alone):
        alone[0].hear(report)

    assert rows_of(TOGETHER) == rows_of(ALONE)
    assert Execution.objects.filter(account=TOGETHER).count() == len(
        {report.exec_id for report in story(seed, together) if report.exec_id}
    )


def test_account_of_an_applied_run_is_locked_once_and_each_row_is_written_once():
    brokers = orders_at(TOGETHER)
    for broker in brokers:
        broker.acknowledge()
    brokers[0].fill("first", 10)
    fills = [
        broker.report(ExecType.TRADE, exec_id=f"e{n}", last_qty=10, last_px=100, seconds=20 + n)
        for n, broker in enumerate(brokers)
    ]

    with CaptureQueriesContext(connection) as queries:
        apply_reports(account=brokers[0].account, reports=fills)

    said = [query["sql"] for query in queries]
    assert sum('UPDATE "orders"' in one for one in said) == len(brokers)
    for once in ('UPDATE "positions"', 'UPDATE "trade_logs"', 'UPDATE "exposure_totals"', 'INSERT INTO "executions"'):
        assert sum(once in one for one in said) == 1, once


def test_report_about_a_strangers_order_raises_and_leaves_its_run_unapplied():
    (broker, *_) = orders_at(TOGETHER)
    stranger = broker.report(ExecType.NEW, client_order_id="nobody", broker_order_id="nobody")

    with pytest.raises(Order.DoesNotExist):
        apply_reports(account=broker.account, reports=[broker.report(ExecType.NEW, status=OrdStatus.NEW), stranger])

    assert broker.order.status == OrdStatus.PENDING
    assert broker.order.cum_qty == Decimal(0)
