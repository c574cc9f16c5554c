"""After a migration the desk trades on: new fills go on from what is held, and old ones are not told twice."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from decimal import Decimal

import pytest

from brokers.messages import ExecutionReport
from brokers.models import BrokerAccount
from orders.models import Execution, Order, Position, TradeLog
from orders.sync import apply_any
from tests.migrate.legacy import SCHEMA, Legacy, build
from tests.orders.desk import Counterparty, roomy_desk, submit
from tests.orders.facts import at
from tradingdesk.fix import ExecType, OrdStatus

pytestmark = pytest.mark.django_db

OPENED = "2024-05-01 14:30:00"
BEFORE = "2024-04-01 14:30:00"


@pytest.fixture
def holding(tmp_path, migrated) -> Legacy:
    """An account that had traded IBM, holds 100 of it at 150, and has an order for 40 of which 10 have traded."""
    legacy = build(tmp_path / "old.db", orders=20, share=0)
    tables = ("trade_logs", "positions", "orders", "risk_filter_results", "signals")
    with closing(sqlite3.connect(legacy.place)) as old, old:
        for table in tables:
            old.execute(f"DELETE FROM {table}")
        insert(old, "positions", id=1, symbol="IBM", quantity=5, side="short", avg_entry_price=140, status="closed",
               opened_at=BEFORE, closed_at=OPENED, realized_pnl=-12.5)  # fmt: skip
        insert(old, "positions", id=2, symbol="IBM", quantity=60, side="long", avg_entry_price=140, status="open",
               opened_at=OPENED)  # fmt: skip
        insert(old, "positions", id=3, symbol="IBM", quantity=40, side="long", avg_entry_price=165, status="open",
               opened_at=OPENED)  # fmt: skip
        insert(old, "orders", id=7, broker_order_id="B-7", symbol="IBM", side="buy", quantity=40, order_type="limit",
               price=166, status="pending", created_at=OPENED, submitted_at=OPENED, filled_quantity=10,
               filled_price=165, filled_at=OPENED, commission=0.5)  # fmt: skip
    roomy_desk()
    migrated(legacy)
    return legacy


def insert(old: sqlite3.Connection, table: str, **values) -> None:
    row = [values.get(name) for name in SCHEMA[table]]
    old.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)


def held() -> Position:
    return Position.objects.get(symbol="IBM", closed_at=None)


def test_open_positions_are_one_and_the_closed_one_is_history(holding):
    assert (held().qty, held().avg_px, held().legacy_id) == (100, 150, 2)
    assert set(Position.objects.filter(historic=True).values_list("legacy_id", flat=True)) == {1, 3}


def test_fill_goes_on_from_what_is_held(holding):
    seller = Counterparty(submit(side="sell", order_qty="30", price="170", broker_name="alpaca"))
    seller.acknowledge()
    seller.fill("fill-1", 30, 170)
    row = held()
    assert (row.qty, row.avg_px, row.realized_pnl) == (70, 150, 600)
    assert (row.trade_log.exit_qty, row.trade_log.gross_pnl) == (30, 600)


def test_correction_folds_anew_from_what_was_held_at_the_migration(holding):
    seller = Counterparty(submit(side="sell", order_qty="30", price="170", broker_name="alpaca"))
    seller.acknowledge()
    seller.fill("fill-1", 30, 170)
    history = list(Position.objects.filter(historic=True).order_by("pk").values())
    seller.correct("fill-2", "fill-1", 20, 171)
    assert (held().qty, held().avg_px, held().realized_pnl) == (80, 150, 420)
    seller.bust("fill-3", "fill-2")
    assert (held().qty, held().avg_px, held().realized_pnl) == (100, 150, 0)
    assert list(Position.objects.filter(historic=True).order_by("pk").values()) == history


def test_position_that_is_sold_out_closes_and_the_next_one_opens(holding):
    seller = Counterparty(submit(side="sell", order_qty="130", price="170", broker_name="alpaca"))
    seller.acknowledge()
    seller.fill("fill-1", 130, 170)
    assert Position.objects.get(legacy_id=2).closed_at is not None
    assert (held().qty, held().legacy_id) == (-30, None)
    seller.bust("fill-2", "fill-1")
    assert (held().qty, held().legacy_id) == (100, 2)
    assert TradeLog.objects.filter(symbol="IBM").count() == 1


def test_order_that_was_working_goes_on_working(holding):
    order = Order.objects.get(legacy_id=7)
    assert (order.status, order.cum_qty, order.leaves_qty) == (OrdStatus.PARTIALLY_FILLED, 10, 30)
    broker = Counterparty(order, "B-7")
    broker.fill("fill-1", 30, 166, cum_qty=40)
    order.refresh_from_db()
    assert (order.status, order.cum_qty, order.avg_px) == (OrdStatus.FILLED, 40, Decimal("165.75"))
    assert order.reserved_qty == 0
    assert held().qty == 130


def test_broker_telling_of_old_fills_changes_nothing(holding):
    account = BrokerAccount.objects.get(pk="alpaca")
    before = list(Position.objects.order_by("pk").values()), Execution.objects.count()
    old = ExecutionReport(
        exec_type=ExecType.TRADE,
        broker_order_id="B-7",
        transact_time=account.history_through - timedelta(seconds=1),
        exec_id="20240501::1",
        last_qty=Decimal(10),
        last_px=Decimal(165),
    )
    assert apply_any(account, None, old) is False
    assert (list(Position.objects.order_by("pk").values()), Execution.objects.count()) == before
    assert account.history_through < at(0)


def test_reservation_of_working_order_counts_in_the_gate(holding):
    order = Order.objects.get(legacy_id=7)
    assert (order.reserved_qty, order.reserved_notional) == (30, 4980)
