"""A legacy database, as dirty as they are, becomes the account's history; every row is accounted for."""

import hashlib
import sqlite3
from collections import Counter
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db.models import Sum

from brokers.models import AccountSnapshot, BrokerAccount
from orders.lifecycle import status_of, totals_of
from orders.migrate.undo import undo
from orders.models import Execution, MigrationRun, Order, Position, QuarantinedRow, Signal, SignalDecision, TradeLog
from risk.models import ExposureTotal
from tests.migrate.conftest import rows
from tests.migrate.legacy import SCHEMA, Legacy, build
from tradingdesk.audit.models import AuditEvent
from tradingdesk.config.models import ConfigurationRecord
from tradingdesk.config.record import configuration_in_force
from tradingdesk.errors import Conflict, InvalidInput

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

TARGETS = {
    "signals": Signal,
    "risk_filter_results": SignalDecision,
    "orders": Order,
    "positions": Position,
    "trade_logs": TradeLog,
    "configuration_history": ConfigurationRecord,
    "system_metrics": AccountSnapshot,
}
VALUES = "SELECT broker_name, SUM(portfolio_value) FROM broker_accounts GROUP BY broker_name;"
PENDING = "SELECT * FROM orders WHERE broker_name = 'alpaca' AND status = 'pending';"


def moved(table: str) -> int:
    return TARGETS[table].objects.filter(legacy_id__isnull=False).count()


def quarantined(table: str) -> Counter:
    return Counter(QuarantinedRow.objects.filter(source_table=table).values_list("reason", flat=True))


def digest(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def everything() -> dict[str, list]:
    """Every row that a migration writes, by table."""
    models = [*TARGETS.values(), Execution, QuarantinedRow, MigrationRun, BrokerAccount, ExposureTotal, AuditEvent]
    return {model._meta.db_table: list(model._base_manager.order_by("pk").values()) for model in models}


@pytest.mark.parametrize("table", TARGETS)
def test_every_row_is_moved_or_quarantined_for_its_reason(legacy, migrated, table):
    migrated(legacy)
    assert quarantined(table) == legacy.quarantined(table)
    assert moved(table) + quarantined(table).total() == legacy.rows[table]


@pytest.mark.server
@pytest.mark.parametrize("table", TARGETS)
def test_the_same_from_a_postgresql_source(legacy_postgres, migrated, table):
    migrated(legacy_postgres)
    assert quarantined(table) == legacy_postgres.quarantined(table)
    assert moved(table) + quarantined(table).total() == legacy_postgres.rows[table]


def test_quarantined_row_is_kept_whole(legacy, migrated):
    migrated(legacy)
    with closing(sqlite3.connect(legacy.place)) as old:
        for kept in QuarantinedRow.objects.filter(source_table="orders"):
            (found,) = old.execute("SELECT * FROM orders WHERE id = ?", [int(kept.source_id)])
            expected = dict(zip(SCHEMA["orders"], found, strict=True))
            assert {name: str(value) for name, value in kept.row.items()} == {
                name: str(value) for name, value in expected.items()
            }


def test_sums_are_those_of_the_source(legacy, migrated):
    migrated(legacy)
    aside = {int(row.source_id) for row in QuarantinedRow.objects.filter(source_table="orders")}
    with closing(sqlite3.connect(legacy.place)) as old:
        columns = "id, upper(trim(symbol)), quantity, filled_quantity, filled_price, commission"
        found = [row for row in old.execute(f"SELECT {columns} FROM orders") if row[0] not in aside]
        pnl = old.execute("SELECT id, gross_pnl, net_pnl, commission_paid FROM trade_logs").fetchall()
    of_orders = Order.objects.values_list("symbol").annotate(qty=Sum("order_qty"), cum=Sum("cum_qty"))
    expected = Counter()
    for _, symbol, qty, *_ in found:
        expected[symbol] += qty
    assert {symbol: pytest.approx(float(qty)) for symbol, qty, _ in of_orders.order_by()} == dict(expected)
    notional = sum(qty * px for _, _, _, qty, px, _ in found if qty and px)
    commission = sum(row[5] for row in found)
    traded = rows("SELECT sum(last_qty * last_px) AS notional, sum(commission) AS commission FROM executions")[0]
    assert float(traded["notional"]) == pytest.approx(notional)
    assert float(traded["commission"]) == pytest.approx(commission)
    logs = {row.legacy_id: row for row in TradeLog.objects.filter(legacy_id__isnull=False)}
    for key, *figures in pnl:
        if key in logs:
            assert [float(logs[key].gross_pnl), float(logs[key].net_pnl), float(logs[key].commission)] == figures


def test_the_two_statements_of_the_old_users_find_the_rows(legacy, migrated):
    migrated(legacy)
    aside = {int(row.source_id) for row in QuarantinedRow.objects.filter(source_table="orders")}
    with closing(sqlite3.connect(legacy.place)) as old:
        pending = old.execute("SELECT id FROM orders WHERE lower(status) = 'pending'").fetchall()
    assert sorted(row["legacy_id"] for row in rows(PENDING)) == [key for (key,) in pending if key not in aside]
    assert [row["broker_name"] for row in rows(VALUES)] == ["alpaca"]


def test_orders_are_folds_over_their_executions(legacy, migrated):
    migrated(legacy)
    for order in Order.objects.prefetch_related("executions"):
        assert order.status == status_of(order)
        assert (order.cum_qty, order.avg_px) == totals_of(order.executions.all())
        assert (order.closed_at is None) == order.is_open
        assert order.instrument.symbol == order.symbol


def test_what_is_held_and_entered_is_what_the_gate_counts(legacy, migrated):
    migrated(legacy)
    for total in ExposureTotal.objects.exclude(symbol=""):
        held = Position.objects.filter(closed_at=None, symbol=total.symbol).first()
        assert total.position_qty == (held.qty if held else 0)
        working = Order.objects.open().filter(symbol=total.symbol)
        entered = sum((order.reserved_qty for order in working), Decimal(0))
        assert total.open_buy_qty + total.open_sell_qty == entered
    gross = ExposureTotal.objects.get(key="1:alpaca").gross
    assert gross == sum(row.gross for row in ExposureTotal.objects.exclude(symbol=""))


def test_open_positions_of_a_symbol_are_carried_by_one(legacy, migrated):
    migrated(legacy)
    expected = Counter()
    for row in Position.objects.filter(legacy__status="open"):
        expected[row.symbol] += Decimal(row.legacy["quantity"]) * (1 if row.legacy["side"] == "long" else -1)
    held = {row.symbol: row.qty for row in Position.objects.filter(closed_at=None)}
    assert held == {symbol: qty for symbol, qty in expected.items() if qty}
    for row in Position.objects.filter(closed_at=None):
        assert row.trade_log.direction == ("long" if row.qty > 0 else "short")


def test_signal_and_its_decision_are_at_the_order(legacy, migrated):
    migrated(legacy)
    order = Order.objects.filter(signal__isnull=False, signal__decisions__isnull=False).first()
    assert order.signal.legacy_id == order.legacy["signal_id"]
    assert order.signal.decisions.first().legacy_id == order.signal.legacy_id


def test_old_configurations_are_versions_before_the_desks_own_without_secrets(legacy, migrated):
    migrated(legacy)
    assert configuration_in_force() is None
    versions = list(ConfigurationRecord.objects.order_by("version"))
    assert [record.legacy_id for record in versions] == list(range(1, 31))
    assert versions[-1].version == 0
    assert "AKtopsecret" not in str([record.diff for record in versions])


def test_account_knows_how_far_its_history_goes(legacy, migrated):
    migrated(legacy)
    last = Execution.objects.order_by("-transact_time").first().transact_time
    assert BrokerAccount.objects.get(pk="alpaca").history_through == last


def test_a_second_time_changes_nothing(legacy, migrated):
    first = migrated(legacy)
    before = everything()
    again = migrated(legacy)
    assert (again.already, again.report) == (True, first.report)
    assert everything() == before


def test_rows_that_came_later_are_moved_and_nothing_else(legacy, migrated):
    migrated(legacy)
    counts = {table: moved(table) for table in TARGETS}
    quarantine = QuarantinedRow.objects.count()
    with closing(sqlite3.connect(legacy.place)) as old, old:
        old.execute("INSERT INTO orders SELECT 401, signal_id, 'b-new', symbol, side, quantity, order_type, price, "
                    "stop_price, time_in_force, status, created_at, submitted_at, filled_at, cancelled_at, "
                    "filled_quantity, filled_price, commission FROM orders WHERE id = 1")  # fmt: skip
    migrated(legacy)
    assert {table: moved(table) for table in TARGETS} == counts | {"orders": counts["orders"] + 1}
    assert QuarantinedRow.objects.count() == quarantine


def test_source_is_not_touched(legacy, migrated):
    before = digest(legacy.place)
    migrated(legacy)
    assert digest(legacy.place) == before


def test_backup_holds_what_the_source_holds(legacy, migrated, backups):
    migrated(legacy)
    (path,) = backups.iterdir()
    with closing(sqlite3.connect(legacy.place)) as old, closing(sqlite3.connect(path)) as copy:
        assert list(copy.iterdump()) == list(old.iterdump())


def test_dry_run_says_the_same_and_keeps_nothing(legacy, migrated, backups):
    before = everything()
    dry = migrated(legacy, dry_run=True)
    assert everything() == before
    assert not backups.exists()
    wet = migrated(legacy)
    assert dry.report["tables"] == wet.report["tables"]


def test_undo_brings_the_state_before_it_back(legacy, migrated):
    before = {name: found for name, found in everything().items() if name not in ("audit_events", "migration_runs")}
    migrated(legacy)
    undo("alpaca", actor="ann", say=lambda text: None)
    after = {name: found for name, found in everything().items() if name in before}
    assert after == before
    kinds = set(AuditEvent.objects.values_list("kind", flat=True))
    assert {"migration.completed", "migration.undone", "audit.amended"} <= kinds
    migrated(legacy)
    assert moved("orders") + quarantined("orders").total() == legacy.rows["orders"]


def test_undo_is_refused_once_the_desk_has_built_on_it(legacy, migrated):
    migrated(legacy)
    Position.objects.filter(closed_at=None).update(last_exec_id="fill-1")
    with pytest.raises(Conflict, match="BUILT_UPON"):
        undo("alpaca", actor="ann", say=lambda text: None)
    assert moved("orders") > 0


def test_two_legacy_databases_go_into_two_accounts(legacy, migrated, tmp_path):
    migrated(legacy)
    other = build(tmp_path / "other.db", orders=50, share=0, seed=2)
    BrokerAccount.objects.create(broker_name="second", adapter="alpaca")
    migrated(other, "second")
    assert Order.objects.filter(account="second").count() == 50
    assert QuarantinedRow.objects.filter(broker_name="second").count() == 0


def test_account_that_no_adapter_has_is_refused(legacy, migrated):
    with pytest.raises(InvalidInput, match="UNKNOWN_BROKER"):
        migrated(legacy, "allpaca")
    assert Order.objects.count() == 0


@pytest.mark.parametrize("content", [b"", b"not a database" * 100])
def test_file_that_is_no_legacy_database_is_refused(tmp_path, migrated, content):
    path = tmp_path / "other.db"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"NOT_A_LEGACY_DATABASE|SOURCE_UNREADABLE"):
        migrated(Legacy(str(path)))


def test_the_given_legacy_file_can_be_migrated(shared, migrated):
    path = shared / "legacy" / "trading.db"
    outcome = migrated(Legacy(str(path)))
    assert {name: found["source"] for name, found in outcome.report["tables"].items()} == dict.fromkeys(TARGETS, 0)


def test_facts_are_guarded_as_before(legacy, migrated):
    migrated(legacy)
    call_command("check")
    with pytest.raises(Exception, match="written once"):
        rows("UPDATE executions SET last_qty = 1 WHERE exec_id = 'legacy-1'")
