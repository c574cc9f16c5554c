"""Orders of the past by the million, each with its request and its fill, made by the database itself.

They are copies of one order that was filled, spread evenly over the accounts, the symbols and the days. Their tables
have no indexes meanwhile, but for the primary keys: each is made at once, afterwards, over all there is.
"""

import argparse
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import dict_row

BATCH = 250_000
DAYS = 900
AT_ONCE = 2
SETTINGS = ("session_replication_role = replica", "maintenance_work_mem = '1GB'", "work_mem = '64MB'")
# What is lost in a crash now is made again by who wants it: nothing is written to disk twice, or waited for.
OF_SERVER = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_wal_size": "'16GB'"}
TABLES = ("orders", "order_requests", "executions")
CONSTRAINTS = """
    SELECT format('ALTER TABLE %%I DROP CONSTRAINT %%I', relname, conname) AS off,
        format('ALTER TABLE %%I ADD CONSTRAINT %%I %%s', relname, conname, pg_get_constraintdef(made.oid)) AS again
    FROM pg_constraint AS made JOIN pg_class ON pg_class.oid = conrelid WHERE contype = 'u' AND relname = ANY(%s)
"""
INDEXES = """
    SELECT format('DROP INDEX %%s', indexrelid::regclass) AS off, pg_get_indexdef(indexrelid) AS again
    FROM pg_index JOIN pg_class ON pg_class.oid = indrelid WHERE NOT indisprimary AND relname = ANY(%s)
"""
OF_ORDERS = {
    "client_order_id": "'past-' || n",
    "broker_order_id": "'past-' || n",
    "broker_name": "(ARRAY['alpaca', 'alpaca_margin'])[1 + n %% 2]",
    "instrument_id": "instruments.id",
    "symbol": "instruments.symbol",
    **dict.fromkeys(("created_at", "received_at", "sent_at", "acknowledged_at", "closed_at"), "moment"),
}
OF_THEIRS = {name: f"past.{name}" for name in ("client_order_id", "broker_order_id", "broker_name")}
OF_REQUESTS = OF_THEIRS | dict.fromkeys(("queued_at", "sent_at", "answered_at"), "past.created_at")
OF_EXECUTIONS = {
    "broker_order_id": "past.broker_order_id",
    "broker_name": "past.broker_name",
    "instrument_id": "past.instrument_id",
    "symbol": "past.symbol",
    "exec_id": "past.client_order_id",
    "transact_time": "past.created_at",
    "received_at": "past.created_at",
}
FILLED = "SELECT min(id) FROM orders WHERE status = 'filled'"
# What is copied is read once, ahead: the table grows with each row that is written.
MODEL = "WITH model AS MATERIALIZED (SELECT * FROM {table} WHERE {key} = %(model)s)"
ORDERS = """
    FROM model CROSS JOIN generate_series(%(first)s::bigint, %(last)s::bigint) AS n
    CROSS JOIN LATERAL (
        SELECT now() - interval '1 day' - interval '1 day' * (n::float8 * {days} / %(all)s) AS moment
    ) AS at
    JOIN many ON many.number = (n / 2) %% (SELECT count(*) FROM many)
    JOIN instruments ON instruments.id = many.id
"""
THEIRS = """
    FROM orders AS past CROSS JOIN model
    WHERE past.client_order_id LIKE 'past-%%' AND past.id > %(after)s
"""
MANY = """
    CREATE TEMPORARY TABLE many AS
    SELECT instrument_id AS id, row_number() OVER (ORDER BY instrument_id) - 1 AS number
    FROM (SELECT DISTINCT instrument_id FROM listings) AS listed
"""


def add_history(url: str, orders: int) -> None:
    """Add so many filled orders to a desk that has at least one, and let the database learn of them."""
    with _connected(url) as connection, _hasty(connection):
        (model,) = connection.execute(FILLED).fetchone().values()
        (last,) = connection.execute("SELECT max(id) FROM orders").fetchone().values()
        with _without_indexes(connection, url):
            values = {"all": orders, "model": model, "after": last}
            batches = [{"first": n, "last": min(n + BATCH - 1, orders)} | values for n in range(1, orders + 1, BATCH)]
            _by_turns(url, _add_orders, batches)
            theirs = {"order_requests": OF_REQUESTS, "executions": OF_EXECUTIONS}
            _by_turns(url, _add_theirs, [(table, changed, values) for table, changed in theirs.items()])
        connection.execute("VACUUM (ANALYZE) orders, order_requests, executions")
    with _connected(url) as connection:
        connection.execute("CHECKPOINT")  # what is measured next does not wait for what was written here


@contextmanager
def _connected(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
        for setting in SETTINGS:
            connection.execute(f"SET {setting}")
        yield connection


@contextmanager
def _hasty(connection: psycopg.Connection) -> Iterator[None]:
    """Have the server write as it likes inside the block."""
    for name, value in OF_SERVER.items():
        connection.execute(f"ALTER SYSTEM SET {name} = {value}")
    connection.execute("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        for name in OF_SERVER:
            connection.execute(f"ALTER SYSTEM RESET {name}")
        connection.execute("SELECT pg_reload_conf()")


@contextmanager
def _without_indexes(connection: psycopg.Connection, url: str) -> Iterator[None]:
    """Drop the tables' indexes but for the primary keys, and make them again at the end."""
    made = []
    for query in (CONSTRAINTS, INDEXES):
        for drop, make in (row.values() for row in connection.execute(query, [list(TABLES)]).fetchall()):
            connection.execute(drop)
            made.append(make)
    yield
    constraints = [make for make in made if make.startswith("ALTER")]
    _by_turns(url, lambda its_own, make: its_own.execute(make), [make for make in made if make not in constraints])
    for make in constraints:  # each of these locks its table
        connection.execute(make)


def _by_turns(url: str, work: Callable[[psycopg.Connection, Any], object], parts: Iterable[Any]) -> None:
    """Do parts of a work over several connections at once."""

    def one(part: Any) -> None:
        with _connected(url) as connection:
            work(connection, part)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        list(threads.map(one, parts))


def _add_orders(connection: psycopg.Connection, values: dict) -> None:
    connection.execute(MANY)
    _copy(connection, "orders", OF_ORDERS, ORDERS.format(days=DAYS), values)


def _add_theirs(connection: psycopg.Connection, of: tuple[str, dict[str, str], dict]) -> None:
    table, changed, values = of
    _copy(connection, table, changed | {"order_id": "past.id"}, THEIRS, values)


def _copy(connection: psycopg.Connection, table: str, changed: dict[str, str], rows: str, values: dict) -> None:
    """Insert copies of a row, with some columns changed and a key of their own."""
    columns = [name for name in _columns(connection, table) if name != "id"]
    selected = ", ".join(changed.get(name, f'model."{name}"') for name in columns)
    names = ", ".join(f'"{name}"' for name in columns)
    model = MODEL.format(table=table, key="id" if table == "orders" else "order_id")
    connection.execute(f"INSERT INTO {table} ({names}) {model} SELECT {selected} {rows}", values)


def _columns(connection: psycopg.Connection, table: str) -> list[str]:
    found = "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = %s"
    return [row["column_name"] for row in connection.execute(found, [table]).fetchall()]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.history", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("orders", type=int)
    arguments = parser.parse_args()
    add_history(arguments.url, arguments.orders)
