"""Taking a migration back: the rows it wrote go, the desk's own stay, and the trail keeps telling of both."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from django.db import connection, transaction
from django.db.models import ProtectedError, Q, QuerySet
from django.utils import timezone

from brokers.models import BrokerAccount, Instrument
from orders.models import Execution, MigrationRun, Order, OrderRequest, Position
from orders.round_trips import LEGACY_EXEC_ID
from risk import exposure
from risk.models import ExposureTotal
from tradingdesk.audit import trail
from tradingdesk.audit.protection import amend_facts
from tradingdesk.errors import Conflict, NotFound
from tradingdesk.fix import Side

# What refers to other rows goes first.
_TABLES = ("trade_logs", "positions", "executions", "orders", "signal_decisions", "signals", "account_snapshots")


def undo(broker_name: str, *, actor: str, say: Callable[[str], None]) -> MigrationRun:
    """Take the account's migrations back, all of it or nothing.

    Raises:
        NotFound: there is none in force.
        Conflict: the desk has traded on what was migrated; its own history would lose its ground.
    """
    with transaction.atomic():
        runs = list(MigrationRun.objects.select_for_update().filter(broker_name=broker_name, undone_at=None))
        if not runs:
            raise NotFound("NO_MIGRATION", f"no migration into {broker_name} is in force")
        _refuse_if_built_upon(broker_name)
        _give_back_exposure(broker_name)
        with amend_facts(actor=actor, reason="migration undone", entity="migration", entity_key=str(runs[-1].pk)):
            counts = {table: _delete(table, broker_name) for table in _TABLES}
            counts["configuration_history"] = _delete_configurations(broker_name)
        for run in runs:
            run.quarantine.all().delete()
        _restore_account(broker_name, runs)
        MigrationRun.objects.filter(pk__in=[run.pk for run in runs]).update(undone_at=timezone.now(), undone_by=actor)
        facts = {"entity": "migration", "entity_key": str(runs[-1].pk), "broker_name": broker_name}
        trail.record(trail.event("migration.undone", actor=actor, **facts, before=counts, reason="asked for"))
    for table, count in counts.items():
        say(f"  {table}: {count:,} rows taken back")
    return runs[-1]


def _refuse_if_built_upon(broker_name: str) -> None:
    """The desk's own facts must not rest on migrated rows."""
    migrated = Order.objects.filter(account=broker_name, legacy_id__isnull=False)
    later = Execution.objects.filter(order__in=migrated).exclude(exec_id__startswith=LEGACY_EXEC_ID).count()
    asked = OrderRequest.objects.filter(order__in=migrated).count()
    moved = _migrated_positions(broker_name).exclude(last_exec_id="").count()
    if later or asked or moved:
        found = f"{later} later executions, {asked} requests and {moved} positions of the desk rest on migrated rows"
        raise Conflict("BUILT_UPON", f"{found}; restore the backup instead")


def _migrated_positions(broker_name: str) -> QuerySet:
    return Position.objects.filter(account=broker_name, legacy_id__isnull=False)


def _give_back_exposure(broker_name: str) -> None:
    """Take what migrated rows hold and have entered out of the totals."""
    held = dict(_migrated_positions(broker_name).filter(closed_at=None).values_list("symbol", "qty"))
    working = Order.objects.open().filter(account=broker_name, legacy_id__isnull=False)
    for symbol in sorted({*held, *working.values_list("symbol", flat=True)}):
        row = exposure.lock_for_report(broker_name, symbol)
        for order in working.filter(symbol=symbol):
            exposure.move(row, side=Side(order.side), qty=-order.reserved_qty, notional=-order.reserved_notional)
        if symbol in held:
            exposure.move(row, side=Side.BUY, position_qty=row.position_qty - held[symbol])


def _delete(table: str, broker_name: str) -> int:
    of_migration = "legacy_id IS NOT NULL"
    if table == "executions":
        of_migration = f"exec_id LIKE '{LEGACY_EXEC_ID}%%'"
    elif table == "trade_logs":  # and those that were made for positions without one
        migrated = "SELECT id FROM positions WHERE broker_name = %s AND legacy_id IS NOT NULL"
        of_migration = f"(legacy_id IS NOT NULL OR position_id IN ({migrated}))"
    names = [broker_name] * (2 if table == "trade_logs" else 1)
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {table} WHERE broker_name = %s AND {of_migration}", names)
        return cursor.rowcount


def _delete_configurations(broker_name: str) -> int:
    with connection.cursor() as cursor:
        named = [f"legacy database of {broker_name}"]
        cursor.execute("DELETE FROM configuration_history WHERE legacy_id IS NOT NULL AND source = %s", named)
        return cursor.rowcount


def _restore_account(broker_name: str, runs: list[MigrationRun]) -> None:
    """Forget the account's history, instruments that nobody uses, and the account if it was made for this."""
    made = [symbol for run in runs for symbol in run.report.get("instruments_made", ())]
    used = Q(orders__isnull=False) | Q(positions__isnull=False) | Q(listings__isnull=False)
    unused = Instrument.objects.filter(symbol__in=made).exclude(used | Q(executions__isnull=False))
    unused.delete()
    before = runs[0].report.get("history_before")
    history = datetime.fromisoformat(before) if before else None
    BrokerAccount.objects.filter(pk=broker_name).update(history_through=history)
    idle = ExposureTotal.objects.filter(broker_name=broker_name, position_qty=0, open_buy_qty=0, open_sell_qty=0)
    if runs[0].report.get("made") and not BrokerAccount.objects.get(pk=broker_name).enabled:
        with suppress(ProtectedError), transaction.atomic():
            idle.delete()
            BrokerAccount.objects.filter(pk=broker_name).delete()
