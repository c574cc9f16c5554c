"""Whether a migration lost, doubled or changed anything: the source read anew, against plain SQL on the desk.

Nothing here is the migration's own code, so that its validation is not judged by itself.
"""

import math
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing

from tests.migrate.legacy import Legacy

Ask = Callable[[str], Iterable[tuple]]
TARGETS = {
    "signals": "signals", "risk_filter_results": "signal_decisions", "orders": "orders", "positions": "positions",
    "trade_logs": "trade_logs", "configuration_history": "configuration_history", "system_metrics": "account_snapshots",
}  # fmt: skip
VALUES = "SELECT broker_name, SUM(portfolio_value) FROM broker_accounts GROUP BY broker_name"
PENDING = "SELECT * FROM orders WHERE broker_name = 'alpaca' AND status = 'pending'"
# By source table: what is added up there, by symbol, and the statement that finds the same at the desk.
OF_ORDERS = (
    "SELECT o.symbol, sum(o.order_qty), sum(o.cum_qty), sum(e.last_qty * e.last_px), sum(e.commission) "
    "FROM orders o LEFT JOIN executions e ON e.order_id = o.id"
)
OF_LOGS = "SELECT o.symbol, sum(entry_qty), sum(commission), sum(gross_pnl), sum(net_pnl) FROM trade_logs o"
SUMS = {
    "orders": ("trim(symbol), quantity, filled_quantity, filled_quantity * filled_price, commission", OF_ORDERS),
    "positions": ("trim(symbol), realized_pnl", "SELECT o.symbol, sum(realized_pnl) FROM positions o"),
    "trade_logs": ("trim(symbol), quantity, commission_paid, gross_pnl, net_pnl", OF_LOGS),
}
GROUPED = "WHERE o.legacy_id IS NOT NULL GROUP BY o.symbol"


def unaccounted(legacy: Legacy, ask: Ask) -> list[str]:
    """Everything that is not as it should be after a SQLite file was migrated into `alpaca`; empty when all is.

    `ask` runs a statement on the desk's database.
    """
    with closing(sqlite3.connect(f"file:{legacy.place}?mode=ro", uri=True)) as old:
        return [problem for table in TARGETS for problem in _of_table(table, legacy, old, ask)] + [
            *_of_statements(old, ask)
        ]


def _of_table(table: str, legacy: Legacy, old: sqlite3.Connection, ask: Ask) -> Iterator[str]:
    moved = Counter(key for (key,) in ask(f"SELECT legacy_id FROM {TARGETS[table]} WHERE legacy_id IS NOT NULL"))
    aside = _aside(table, ask)
    reasons = Counter(aside.values())
    if reasons != legacy.quarantined(table):
        yield f"{table}: quarantined {dict(reasons)}, expected {dict(legacy.quarantined(table))}"
    everything = Counter(key for (key,) in old.execute(f"SELECT id FROM {table}"))
    if moved + Counter(aside.keys()) != everything or everything.total() != legacy.rows[table]:
        yield f"{table}: {moved.total()} moved and {len(aside)} quarantined are not the {everything.total()} rows"
    if table in SUMS:
        yield from _of_sums(table, old, ask, aside)


def _of_sums(table: str, old: sqlite3.Connection, ask: Ask, aside: dict[int, str]) -> Iterator[str]:
    columns, there = SUMS[table]
    figures = defaultdict(list)
    for key, symbol, *values in old.execute(f"SELECT id, {columns} FROM {table}"):
        if key not in aside:
            figures[symbol.upper()].append([float(value or 0) for value in values])
    read = {symbol: [math.fsum(column) for column in zip(*rows, strict=True)] for symbol, rows in figures.items()}
    found = {symbol: [float(value) for value in values] for symbol, *values in ask(f"{there} {GROUPED}")}
    if read.keys() != found.keys():
        yield f"{table}: symbols {sorted(found)}, expected {sorted(read)}"
    for symbol in read.keys() & found.keys():
        if not all(math.isclose(*pair, rel_tol=1e-9) for pair in zip(read[symbol], found[symbol], strict=True)):
            yield f"{table}: sums of {symbol} are {found[symbol]}, expected {read[symbol]}"


def _of_statements(old: sqlite3.Connection, ask: Ask) -> Iterator[str]:
    """The two statements of the old system's users find their rows."""
    if (names := [row[0] for row in ask(VALUES)]) != ["alpaca"]:
        yield f"{VALUES}: {names}"
    aside = _aside("orders", ask)
    pending = {key for (key,) in old.execute("SELECT id FROM orders WHERE lower(trim(status)) = 'pending'")}
    named = ask("SELECT legacy_id FROM orders WHERE broker_name = 'alpaca' AND status = 'pending'")
    found, expected = Counter(key for (key,) in named), Counter(pending - aside.keys())
    if found != expected or len(list(ask(PENDING))) != len(expected):
        yield f"{PENDING}: {found.total()} orders, expected {len(expected)}"


def _aside(table: str, ask: Ask) -> dict[int, str]:
    found = ask(f"SELECT source_id, reason FROM migration_quarantine WHERE source_table = '{table}'")
    return {int(key): reason for key, reason in found}
