"""The baseline of acceptances and bookings: the desk's statements by hand, and nothing around them.

The same rows are read, locked, written and committed for each order as `orders.intake` and `orders.executions` do,
by prepared statements on bare connections. New rows are copies of those that the desk itself has left in the
database, so a column more costs both sides.
"""

import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

CONNECTIONS = 8
LOCK = "SELECT * FROM exposure_totals WHERE key = ANY(%s) ORDER BY key FOR UPDATE"
MOVE = """
    UPDATE exposure_totals SET open_buy_qty = %s, open_buy_notional = %s, position_qty = %s, mark_px = %s, gross = %s,
    updated_at = now() WHERE key = %s
"""
ADD = "UPDATE exposure_totals SET gross = gross + %s WHERE key = %s"
TOKEN = "SELECT * FROM authtoken_token JOIN auth_user ON auth_user.id = user_id WHERE key = %s"
PERMISSIONS = """
    SELECT app_label, codename FROM auth_permission JOIN django_content_type AS model ON model.id = content_type_id
    WHERE auth_permission.id IN (
        SELECT permission_id FROM auth_user_user_permissions WHERE user_id = %s UNION
        SELECT permission_id FROM auth_user_groups JOIN auth_group_permissions USING (group_id) WHERE user_id = %s)
"""
ACCOUNTS = "SELECT * FROM broker_accounts LEFT JOIN account_health USING (broker_name) WHERE enabled"
LISTINGS = """
    SELECT * FROM listings JOIN instruments ON instruments.id = instrument_id
    LEFT JOIN quotes ON listing_id = listings.id WHERE instruments.symbol = %s
"""
HELD = """
    SELECT broker_name, SUM(buying_power_held) FROM orders
    WHERE broker_name = ANY(%s) AND ((acknowledged_at IS NULL AND closed_at IS NULL) OR acknowledged_at > now())
    GROUP BY broker_name
"""
REQUEST = """
    SELECT orders.*, order_requests.* FROM order_requests JOIN orders ON orders.id = order_id
    WHERE order_requests.broker_order_id = %s
"""
KNOWN = "SELECT * FROM executions WHERE order_id = %s OR (broker_name = %s AND exec_id = %s)"
WAITING = "SELECT * FROM order_requests WHERE order_id = %s AND state IN ('queued', 'sending', 'unknown')"
POSITION = """
    SELECT * FROM positions LEFT JOIN trade_logs ON position_id = positions.id
    WHERE positions.broker_name = %s AND instrument_id = %s ORDER BY positions.opened_at DESC, positions.id DESC LIMIT 1
"""


@dataclass
class Templates:
    """One row of each table that an order leaves behind, to copy."""

    rows: dict[str, dict[str, Any]]

    @classmethod
    def read(cls, connection: psycopg.Connection) -> "Templates":
        """Read the latest row of each table."""
        tables = ("orders", "order_requests", "risk_decisions", "routing_decisions", "audit_events", "executions")
        cursor = connection.cursor(row_factory=dict_row)
        found = {name: cursor.execute(f"SELECT * FROM {name} ORDER BY id DESC LIMIT 1").fetchone() for name in tables}
        for row in found.values():
            row.pop("id"), row.pop("xact_id", None)
        return cls(found)

    def insert(self, connection: psycopg.Connection, table: str, **changes: Any) -> int:
        """Write a copy of the table's row with these changes; its key."""
        row = self.rows[table] | changes
        places = ", ".join(["%s"] * len(row))
        values = [Jsonb(value) if isinstance(value, dict | list) else value for value in row.values()]
        query = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places}) RETURNING id"
        return connection.execute(query, values).fetchone()[0]


def accept(url: str, orders: int) -> float:
    """Accept that many orders over several connections; how many a second."""
    with psycopg.connect(url) as connection:
        templates = Templates.read(connection)
        token, user = connection.execute("SELECT key, user_id FROM authtoken_token").fetchone()
    numbers = iter(range(orders))
    began = time.perf_counter()
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        for done in [threads.submit(_accept_all, url, templates, numbers, token, user) for _ in range(CONNECTIONS)]:
            done.result()
    return orders / (time.perf_counter() - began)


def book(url: str, broker_order_ids: list[str]) -> float:
    """Book one execution for each of these orders over one connection; how many a second."""
    with _connected(url) as connection:
        templates = Templates.read(connection)
        began = time.perf_counter()
        for broker_order_id in broker_order_ids:
            _book_one(connection, templates, broker_order_id)
        return len(broker_order_ids) / (time.perf_counter() - began)


@contextmanager
def _connected(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url, autocommit=True, prepare_threshold=0) as connection:
        yield connection


def _accept_all(url: str, templates: Templates, numbers: Iterator[int], token: str, user: int) -> None:
    with _connected(url) as connection:
        for _ in numbers:
            connection.execute(TOKEN, [token]).fetchone()
            connection.execute(PERMISSIONS, [user, user]).fetchall()
            _accept_one(connection, templates)


def _accept_one(connection: psycopg.Connection, templates: Templates) -> None:
    order, client_order_id = templates.rows["orders"], uuid.uuid4().hex
    symbol, account = order["symbol"], order["broker_name"]
    connection.execute("SELECT * FROM orders WHERE client_order_id = %s", [client_order_id]).fetchone()
    names = [row[0] for row in connection.execute(ACCOUNTS).fetchall()]
    connection.execute(LISTINGS, [symbol]).fetchall()
    keys = ["0:firm", *(f"1:{name}" for name in names), *(f"2:{name}:{symbol}" for name in names)]
    with connection.transaction():
        connection.execute(LOCK, [keys]).fetchall()
        connection.execute(HELD, [names]).fetchall()
        connection.execute(MOVE, [1, 1, 1, 1, 1, f"2:{account}:{symbol}"])
        connection.execute(ADD, [1, f"1:{account}"])
        ids = {"client_order_id": client_order_id, "broker_order_id": None}
        order_id = templates.insert(connection, "orders", **ids)
        templates.insert(connection, "risk_decisions", order_id=order_id)
        templates.insert(connection, "routing_decisions", order_id=order_id)
        templates.insert(connection, "audit_events", client_order_id=client_order_id)
        templates.insert(connection, "audit_events", client_order_id=client_order_id)
        ids = {"client_order_id": client_order_id, "broker_order_id": ""}
        templates.insert(connection, "order_requests", order_id=order_id, **ids)


def decide(connection: psycopg.Connection, symbol: str) -> None:
    """Read and lock what one decision about a symbol depends on, and let go of it."""
    names = [row[0] for row in connection.execute(ACCOUNTS).fetchall()]
    connection.execute(LISTINGS, [symbol]).fetchall()
    connection.commit()
    keys = ["0:firm", *(f"1:{name}" for name in names), *(f"2:{name}:{symbol}" for name in names)]
    with connection.pipeline():
        locked, held = connection.execute(LOCK, [keys]), connection.execute(HELD, [names])
    locked.fetchall(), held.fetchall()
    connection.commit()


def _book_one(connection: psycopg.Connection, templates: Templates, broker_order_id: str) -> None:
    execution, exec_id = templates.rows["executions"], uuid.uuid4().hex
    account, symbol, instrument = execution["broker_name"], execution["symbol"], execution["instrument_id"]
    order_id = connection.execute(REQUEST, [broker_order_id]).fetchone()[0]
    with connection.transaction():
        connection.execute(LOCK, [[f"1:{account}", f"2:{account}:{symbol}"]]).fetchall()
        connection.execute(KNOWN, [order_id, account, exec_id]).fetchall()
        connection.execute("SELECT * FROM orders WHERE id = %s FOR UPDATE", [order_id]).fetchone()
        templates.insert(connection, "executions", order_id=order_id, exec_id=exec_id)
        connection.execute(WAITING, [order_id]).fetchall()
        position_id = connection.execute(POSITION, [account, instrument]).fetchone()[0]
        connection.execute(
            "UPDATE positions SET qty = qty + 1, avg_px = 1, last_trade_at = now() WHERE id = %s", [position_id]
        )
        connection.execute(
            "UPDATE trade_logs SET entry_qty = entry_qty + 1, entry_px = 1 WHERE position_id = %s", [position_id]
        )
        connection.execute(MOVE, [1, 1, 1, 1, 1, f"2:{account}:{symbol}"])
        connection.execute(ADD, [1, f"1:{account}"])
        connection.execute(
            "UPDATE orders SET status = 'filled', cum_qty = 1, avg_px = 1, closed_at = now() WHERE id = %s", [order_id]
        )
        templates.insert(connection, "audit_events")
