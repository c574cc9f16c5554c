"""Orders of the past by the million, each with its request and its fill, made by the database itself.

They are copies of one order that was filled, spread evenly over the accounts, the symbols and the days.
"""

import argparse

import psycopg
from psycopg.rows import dict_row

BATCH = 250_000
DAYS = 900
SETTINGS = ("session_replication_role = replica", "synchronous_commit = off", "work_mem = '64MB'")
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
    CROSS JOIN LATERAL (SELECT now() - interval '1 day' - n * interval '1 day' * {days} / %(all)s AS moment) AS at
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
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
        for setting in SETTINGS:
            connection.execute(f"SET {setting}")
        connection.execute(MANY)
        (model,) = connection.execute(FILLED).fetchone().values()
        for first in range(1, orders + 1, BATCH):
            _add(connection, model, first, min(first + BATCH - 1, orders), orders)
        connection.execute("VACUUM (ANALYZE) orders, order_requests, executions")
        connection.execute("CHECKPOINT")  # what is measured next does not wait for what was written here


def _add(connection: psycopg.Connection, model: int, first: int, last: int, orders: int) -> None:
    (after,) = connection.execute("SELECT max(id) FROM orders").fetchone().values()
    values = {"first": first, "last": last, "all": orders, "model": model, "after": after}
    _copy(connection, "orders", OF_ORDERS, ORDERS.format(days=DAYS), values)
    for table, changed in {"order_requests": OF_REQUESTS, "executions": OF_EXECUTIONS}.items():
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
