"""Moving one table after the other: rows are read in batches, mapped, tied to what they refer to, and written.

What cannot be moved is quarantined whole. Rows that an earlier run moved or quarantined are left alone.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.apps import apps
from django.db import models

from brokers.models import BrokerAccount, Instrument
from orders.migrate.configuration import changed_value
from orders.migrate.mapping import EXECUTION, TABLES, Table, direction_from_pnl, figure
from orders.migrate.openings import Openings
from orders.migrate.source import Source
from orders.migrate.values import Reader, Unmappable, readable
from orders.migrate.writing import Writer, existing
from orders.models import Execution, MigrationRun, Order, Position, QuarantinedRow, Signal, TradeLog
from tradingdesk.config.models import ConfigurationRecord

FUTURE_AT_MOST = timedelta(days=1)
SAMPLED = 100
SAYS_EVERY = 100_000

MODELS: dict[str, type[models.Model]] = {
    model._meta.db_table: model
    for model in apps.get_models()
    if model._meta.db_table in {table.target for table in TABLES}
}


@dataclass(slots=True)
class Tally:
    """What became of one table's rows. `sums` are by group, of the columns that are compared."""

    source: int = 0
    moved: int = 0
    known: int = 0
    quarantined: Counter = field(default_factory=Counter)
    rules: Counter = field(default_factory=Counter)
    sums: dict[tuple, list[Decimal]] = field(default_factory=dict)
    sample: list[Any] = field(default_factory=list)
    first_key: int = 0
    executions: int = 0

    @property
    def accounted(self) -> bool:
        """Whether every row of the source is moved, quarantined, or was so before."""
        return self.source == self.moved + self.known + self.quarantined.total()


@dataclass(slots=True)
class Item:
    """One row on its way: as it was read, and the columns it becomes."""

    row: dict[str, Any]
    columns: dict[str, Any]


class Move:
    """One source's way into one account, inside the transaction at hand."""

    def __init__(self, source: Source, account: BrokerAccount, run: MigrationRun, say: Callable[[str], None]):
        self.source, self.account, self.run, self.say = source, account, run, say
        self.latest = run.started_at + FUTURE_AT_MOST
        self.tallies: dict[str, Tally] = {}
        self.openings = Openings(account, run.started_at)
        self.history_through: datetime | None = None
        self.instruments_made: list[str] = []
        self._instruments: dict[str, int] = {}
        self._executions = Writer(Execution)
        self._quarantine = Writer(QuarantinedRow)
        self._aside: list[dict[str, Any]] = []
        self._random = random.Random(run.fingerprint)
        self._ties: dict[str, Callable[[list[Item]], Iterator[Item]]] = {
            "orders": self._tie_orders,
            "positions": self._tie_positions,
            "trade_logs": self._tie_trade_logs,
            "risk_filter_results": self._tie_decisions,
        }

    def all_tables(self) -> None:
        """Move every table there is, then what only the whole tells: what is held and entered."""
        for table in TABLES:
            if table.name in self.source.tables:
                self._table(table)
        self._executions.finish()
        self._quarantine.finish()
        self.openings.write()

    def _table(self, table: Table) -> None:
        tally = self.tallies[table.name] = Tally()
        writer = Writer(MODELS[table.target])
        tally.first_key = writer.first
        resumed = self._was_moved_before(table)
        version = self._first_version(table)
        for rows in self.source.batches(table.name):
            begun, tally.source = tally.source, tally.source + len(rows)
            fresh = self._unknown(table, rows) if resumed else rows
            tally.known += len(rows) - len(fresh)
            items = list(self._mapped(table, fresh, tally))
            self._name(table, items, version + begun)
            items = list(self._ties[table.name](items)) if table.name in self._ties else items
            self._write(table, writer, items, tally)
            self._quarantine.write(self._aside)
            self._aside = []
            if tally.source // SAYS_EVERY > begun // SAYS_EVERY:
                self.say(f"  {table.name}: {tally.source:,} rows read")
        writer.finish()
        self.say(
            f"  {table.name}: {tally.moved:,} moved, {tally.quarantined.total():,} quarantined of {tally.source:,}"
        )

    def _mapped(self, table: Table, rows: list[dict[str, Any]], tally: Tally) -> Iterator[Item]:
        for row in rows:
            read = Reader(row, self.latest)
            try:
                columns = table.columns_of(read)
            except Unmappable as problem:
                self._set_aside(table.name, row, problem)
                continue
            tally.rules.update(read.rules)
            yield Item(row, columns)

    def _set_aside(self, name: str, row: dict[str, Any], problem: Unmappable) -> None:
        """Quarantine a row whole; of a configuration's change, without the secrets in it."""
        self.tallies[name].quarantined[problem.reason] += 1
        kept = {
            "run_id": self.run.pk,
            "broker_name": self.account.pk,
            "source_table": name,
            "source_id": str(row["id"]),
            "reason": problem.reason,
            "detail": problem.detail,
            "row": readable(_without_secrets(row) if name == "configuration_history" else row),
        }
        self._aside.append(kept)

    def _name(self, table: Table, items: list[Item], version: int) -> None:
        """Say where each row came from."""
        for number, item in enumerate(items):
            item.columns["legacy_id"] = item.row["id"]
            if table.target == "configuration_history":
                item.columns |= {"version": version + number, "source": self._configuration_source}
            else:
                item.columns["broker_name"] = self.account.pk

    def _write(self, table: Table, writer: Writer, items: list[Item], tally: Tally) -> None:
        keys = writer.write([item.columns for item in items])
        if table.name == "orders":
            self._write_executions(items, keys, tally)
        for item in items:
            self._add_up(table, item, tally)

    def _write_executions(self, items: list[Item], keys: list[int], tally: Tally) -> None:
        made = []
        for item, key in zip(items, keys, strict=True):
            execution = item.columns[EXECUTION]
            if execution is None:
                continue
            instrument = item.columns["instrument_id"]
            made.append(execution | {"order_id": key, "instrument_id": instrument, "broker_name": self.account.pk})
            when = execution["transact_time"]
            self.history_through = max(when, self.history_through or when)
            self.openings.note_price(execution["symbol"], execution["last_px"])
        self._executions.write(made)
        tally.executions += len(made)

    def _add_up(self, table: Table, item: Item, tally: Tally) -> None:
        """Add a moved row to the sums, and now and then to the sample: each row is as likely to be in it."""
        columns = item.columns
        group = tuple(figure(columns, name) for name in table.grouped_by)
        sums = tally.sums.setdefault(group, [Decimal(0)] * (len(table.summed) + 1))
        sums[0] += 1
        for number, name in enumerate(table.summed, start=1):
            if (value := figure(columns, name)) is not None:
                sums[number] += value
        tally.moved += 1
        if len(tally.sample) < SAMPLED:
            tally.sample.append(item.row["id"])
        elif (place := int(self._random.random() * tally.moved)) < SAMPLED:
            tally.sample[place] = item.row["id"]

    # What rows refer to

    def _tie_orders(self, items: list[Item]) -> Iterator[Item]:
        signals = existing(Signal, "legacy_id", (item.columns["signal_id"] for item in items), self.account.pk)
        ids = (item.columns["broker_order_id"] for item in items)
        taken = set(existing(Order, "broker_order_id", ids, self.account.pk))
        self._find_instruments(items)
        for item in items:
            columns, broker_order_id = item.columns, item.columns["broker_order_id"]
            if broker_order_id in taken:
                problem = Unmappable("BROKER_ORDER_ID_REPEATED", f"another order has broker_order_id={broker_order_id}")
                self._set_aside("orders", item.row, problem)
                continue
            if broker_order_id:
                taken.add(broker_order_id)
            columns["signal_id"] = signals.get(columns["signal_id"])
            columns["client_order_id"] = client_order_id(self.account.pk, item.row["id"])
            columns["source"] = Order.Source.LEGACY
            columns["instrument_id"] = self._instruments[columns["symbol"]]
            self.openings.reserve(columns)
            yield item

    def _tie_positions(self, items: list[Item]) -> Iterator[Item]:
        self._find_instruments(items)
        for item in items:
            item.columns["instrument_id"] = self._instruments[item.columns["symbol"]]
            self.openings.hold(item.columns)
            yield item

    def _tie_trade_logs(self, items: list[Item]) -> Iterator[Item]:
        account, refs = self.account.pk, [item.columns["position_id"] for item in items]
        positions = existing(Position, "legacy_id", refs, account, "legacy")
        positions = {old: (key, json.loads(legacy)) for old, (key, legacy) in positions.items()}
        with_log = set(existing(TradeLog, "position_id", (found[0] for found in positions.values()), account))
        openers = (legacy.get("entry_order_id") for _, legacy in positions.values())
        orders = existing(Order, "legacy_id", openers, account)
        for item in items:
            columns = item.columns
            position, legacy = positions.get(columns["position_id"], (None, {}))
            columns["direction"] = legacy.get("side") or direction_from_pnl(columns)
            if columns["direction"] is None:
                missing = f"position_id={columns['position_id']} was not moved, and the figures do not tell"
                self._set_aside("trade_logs", item.row, Unmappable("DIRECTION_UNKNOWN", missing))
                continue
            if position is None:
                self.tallies["trade_logs"].rules["DIRECTION_FROM_PNL"] += 1
            columns["order_id"] = orders.get(legacy.get("entry_order_id"))
            # A position has one log; a further one of the same position stands alone.
            columns["position_id"] = None if position in with_log else position
            with_log.add(position)
            yield item

    def _tie_decisions(self, items: list[Item]) -> Iterator[Item]:
        signals = existing(Signal, "legacy_id", (item.columns["signal_id"] for item in items), self.account.pk)
        for item in items:
            item.columns["signal_id"] = signals.get(item.columns["signal_id"])
            yield item

    def _find_instruments(self, items: list[Item]) -> None:
        """Know every symbol's instrument; make those that the desk does not have."""
        wanted = {item.columns["symbol"] for item in items} - self._instruments.keys()
        if not wanted:
            return
        known = dict(Instrument.objects.filter(symbol__in=wanted).values_list("symbol", "pk"))
        new = [Instrument(symbol=symbol) for symbol in sorted(wanted - known.keys())]
        Instrument.objects.bulk_create(new)
        self.instruments_made += [instrument.symbol for instrument in new]
        self._instruments |= known | {instrument.symbol: instrument.pk for instrument in new}

    # What is there already

    def _was_moved_before(self, table: Table) -> bool:
        return self._of_account(table).exists() or self._quarantined(table).exists()

    def _unknown(self, table: Table, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        ids = [row["id"] for row in rows]
        known = set(self._of_account(table).filter(legacy_id__in=ids).values_list("legacy_id", flat=True))
        aside = self._quarantined(table).filter(source_id__in=[str(one) for one in ids])
        known_aside = set(aside.values_list("source_id", flat=True))
        return [row for row in rows if row["id"] not in known and str(row["id"]) not in known_aside]

    def _of_account(self, table: Table) -> models.QuerySet:
        rows = MODELS[table.target]._base_manager.filter(legacy_id__isnull=False)
        if table.target == "configuration_history":
            return rows.filter(source=self._configuration_source)
        return rows.filter(account=self.account)

    def _quarantined(self, table: Table) -> models.QuerySet:
        return QuarantinedRow.objects.filter(broker_name=self.account.pk, source_table=table.name)

    @property
    def _configuration_source(self) -> str:
        return f"legacy database of {self.account.pk}"

    def _first_version(self, table: Table) -> int:
        """Where the versions of old configurations begin, so that they end below every one there is."""
        if table.target != "configuration_history":
            return 0
        lowest = ConfigurationRecord.objects.order_by("version").values_list("version", flat=True).first()
        return min(lowest if lowest is not None else 1, 1) - self.source.count(table.name)


def client_order_id(account: str, legacy_id: int) -> str:
    """The desk's id of a migrated order; it fits for every account name of up to 28 characters, else it is cut."""
    return f"legacy-{account[:28]}-{legacy_id}"[:48]


def _without_secrets(row: dict[str, Any]) -> dict[str, Any]:
    section = str(row.get("config_section") or "")
    return row | {column: changed_value(row.get(column), section) for column in ("old_value", "new_value")}
