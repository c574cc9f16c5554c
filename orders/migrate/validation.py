"""Comparing what was written with what was read: nothing is committed unless all of it agrees.

Sums are those of the values read, against sums that the database works out of the rows it has. On SQLite these are
sums of floats, so they agree to twelve digits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from django.db import connection, models
from django.db.models import Count, DecimalField, F, Sum
from django.db.models.fields.json import KT
from django.db.models.functions import Cast

from orders.migrate.mapping import EXECUTION, TABLES, Table
from orders.migrate.moving import MODELS, Move, Tally
from orders.migrate.openings import CARRIED_BY
from orders.migrate.values import Reader
from orders.models import Execution, QuarantinedRow
from orders.openings import OPENING
from orders.round_trips import LEGACY_EXEC_ID
from tradingdesk.audit.models import AuditEvent
from tradingdesk.fields import plain

CLOSE_ENOUGH = Decimal("1e-12")
# What changes after a row was moved: ties to other rows, and what carries an open position.
_NOT_COMPARED = {"signal_id", "position_id", "order_id", "legacy", EXECUTION, "source", "direction"}
_DECIMAL = DecimalField(max_digits=44, decimal_places=18)
_CARRIED = {"qty", "avg_px", "closed_at", "historic"}


class ValidationFailed(Exception):
    """What was written is not what was read; nothing is kept."""


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison: how many things were compared, and what was found otherwise."""

    name: str
    compared: int
    found: str = ""

    @property
    def passed(self) -> bool:
        """Whether all agreed."""
        return not self.found


def checks(move: Move) -> Iterator[Check]:
    """Compare everything, table by table."""
    for table in TABLES:
        if table.name not in move.tallies:
            continue
        tally = move.tallies[table.name]
        yield _rows(move, table, tally)
        yield _ids(move, table, tally)
        if table.summed:
            yield _sums(table, tally)
        yield _sample(move, table, tally)
    if "orders" in move.tallies:
        yield _executions(move.tallies["orders"])
    yield _keys()
    yield _trail(move)


def failed(found: list[Check]) -> ValidationFailed | None:
    """The error that tells what did not agree; None when all did."""
    wrong = [f"{check.name}: {check.found}" for check in found if not check.passed]
    return ValidationFailed("\n".join(wrong)) if wrong else None


def as_dicts(found: list[Check]) -> list[dict[str, Any]]:
    """The comparisons for the report."""
    return [asdict(check) | {"passed": check.passed} for check in found]


def _rows(move: Move, table: Table, tally: Tally) -> Check:
    """Every row of the source is moved, in quarantine, or was before."""
    source, written = move.source.count(table.name), _new(table, tally).count()
    aside = QuarantinedRow.objects.filter(run=move.run, source_table=table.name).count()
    agree = (source, written, aside) == (tally.source, tally.moved, tally.quarantined.total()) and tally.accounted
    told = f"source {source}, moved {written}, quarantined {aside}, known {tally.known}"
    return Check(f"{table.name}: rows", source, "" if agree else told)


def _ids(move: Move, table: Table, tally: Tally) -> Check:
    """Every moved row is found by its old id, once."""
    distinct = _new(table, tally).aggregate(found=Count("legacy_id", distinct=True))["found"]
    return Check(f"{table.name}: old ids", tally.moved, "" if distinct == tally.moved else f"{distinct} are found")


def _sums(table: Table, tally: Tally) -> Check:
    """Counts and sums by group agree."""
    named = {f"sum_{number}": Sum(_expression(name)) for number, name in enumerate(table.summed)}
    rows = _new(table, tally).order_by().values_list(*table.grouped_by).annotate(rows=Count("pk"), **named)
    if not table.grouped_by:
        rows = [tuple(_new(table, tally).aggregate(rows=Count("pk"), **named).values())] if tally.moved else []
    groups = len(table.grouped_by)
    found = {row[:groups]: [Decimal(value or 0) for value in row[groups:]] for row in rows}
    wrong = [group for group in tally.sums.keys() | found.keys() if not _agree(tally.sums.get(group), found.get(group))]
    told = [f"{group}: {_shown(tally.sums.get(group))} read, {_shown(found.get(group))} there" for group in wrong[:5]]
    return Check(f"{table.name}: sums of {', '.join(table.summed)}", len(found), "; ".join(told))


def _expression(name: str) -> Any:
    """A figure of `mapping.Table` in SQL."""
    if name == "executions__notional":
        return Cast(F("executions__last_qty") * F("executions__last_px"), _DECIMAL)
    return Cast(KT(name), _DECIMAL) if name.startswith("legacy__") else name


def _executions(tally: Tally) -> Check:
    """Every order that traded has the one execution that says what."""
    found = Execution.objects.filter(order__pk__gte=tally.first_key, exec_id__startswith=LEGACY_EXEC_ID).count()
    orders = MODELS["orders"].objects.filter(pk__gte=tally.first_key, legacy_id__isnull=False)
    wanted = orders.filter(cum_qty__gt=0).count()
    agree = found == wanted == tally.executions
    return Check("executions", tally.executions, "" if agree else f"{wanted} orders traded, {found} are there")


def _sample(move: Move, table: Table, tally: Tally) -> Check:
    """Rows picked at random, read again from the source, are field by field what is there."""
    model, wrong = MODELS[table.target], []
    stored = {row.legacy_id: row for row in _new(table, tally).filter(legacy_id__in=tally.sample)}
    for row in move.source.rows(table.name, tally.sample):
        expected = table.columns_of(Reader(row, move.latest))
        there = stored.get(row["id"])
        wrong += [f"{row['id']}: not there"] if there is None else _differences(model, expected, there)
    return Check(f"{table.name}: rows field by field", len(tally.sample), "; ".join(wrong[:5]))


def _differences(model: type[models.Model], expected: dict[str, Any], there: models.Model) -> Iterator[str]:
    carried = bool(getattr(there, "legacy", None)) and {OPENING, CARRIED_BY} & there.legacy.keys()
    left_out = _NOT_COMPARED | (_CARRIED if carried else set())
    for column, value in expected.items():
        found = getattr(there, model._meta.get_field(column).attname) if column not in left_out else value
        if found != value:
            yield f"{there.legacy_id}.{column}: {value!r} read, {found!r} there"


def _keys() -> Check:
    """Every foreign key of the tables written to leads somewhere."""
    tables = [*{table.target for table in TABLES}, "executions"]
    try:
        connection.check_constraints(tables)
    except Exception as error:
        return Check("foreign keys", len(tables), str(error))
    return Check("foreign keys", len(tables))


def _trail(move: Move) -> Check:
    """The trail tells of the migration."""
    events = AuditEvent.objects.filter(kind="migration.table", entity_key=str(move.run.pk)).count()
    wanted = len(move.tallies)
    return Check("events in the trail", wanted, "" if events == wanted else f"{events} are there")


def _new(table: Table, tally: Tally) -> models.QuerySet:
    return MODELS[table.target]._base_manager.filter(pk__gte=tally.first_key, legacy_id__isnull=False)


def _agree(one: list[Decimal] | None, other: list[Decimal] | None) -> bool:
    if one is None or other is None:
        return False
    return all(abs(a - b) <= CLOSE_ENOUGH * max(abs(a), abs(b), Decimal(1)) for a, b in zip(one, other, strict=True))


def _shown(sums: list[Decimal] | None) -> str:
    return "nothing" if sums is None else ", ".join(str(plain(one)) for one in sums)
