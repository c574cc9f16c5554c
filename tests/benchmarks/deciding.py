"""Deciding orders on a large desk: market, locks, controls and route as intake does, with nothing stored after it.

Runs in the environment of a desk on PostgreSQL: `manage.py shell -c` with `build_desk` once, then `main`.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import cycle, islice

import psycopg
from django.db import connection, transaction
from psycopg.rows import tuple_row

from orders.decision import Decision, decide, lock_exposure, propose
from orders.intake import known_market, with_prices
from orders.ticket import OrderTicket, parse_ticket
from tests.benchmarks import large_desk, plain_sql
from tests.orders.desk import Counterparty, sent, submit

WARM_UP = 50
BUY = {"side": "buy", "order_qty": "10", "ord_type": "limit", "price": "100", "strategy": "bench"}


def build_desk(controls: int, open_orders: int, positions: int) -> None:
    """Make the desk, and fill one order as the model of its history."""
    names = large_desk.build(controls=controls, open_orders=open_orders, positions=positions)
    order = submit(symbol=names[0], price="100", broker_name=large_desk.ACCOUNTS[0])
    sent(order)
    Counterparty(order).fill("model", order.order_qty, 100)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def main(decisions: int, symbols: int, database_url: str) -> None:
    """Decide so many orders over all symbols by turns, and do as many by hand; prints what each took, in ms."""
    names = large_desk.symbols(symbols)
    tickets = [parse_ticket(BUY | {"symbol": name}) for name in islice(cycle(names), decisions)]
    with psycopg.connect(database_url, prepare_threshold=0, row_factory=tuple_row) as bare:

        def by_hand(ticket: OrderTicket) -> None:
            plain_sql.decide(bare, ticket.symbol)

        for work in (decide_one, by_hand):
            median_ms(work, tickets[:WARM_UP])
        desk_ms, bare_ms = median_ms(decide_one, tickets), median_ms(by_hand, tickets)
    statements, trips = _questions(tickets[0])
    said = {"desk": desk_ms, "by_hand": bare_ms, "statements": statements, "round_trips": trips}
    print("decided:" + json.dumps(said))


def decide_one(ticket: OrderTicket) -> Decision:
    """Decide an order under its locks, and let go of them.

    By a commit, as intake does: after a rollback psycopg has the server forget every prepared statement.
    """
    market = with_prices(known_market(ticket), ticket)
    proposed = propose(ticket, market, user="bench")
    with transaction.atomic():
        held = lock_exposure(market, proposed)
        decision = decide(ticket, market, held, proposed)
    assert decision.allowed, decision.denials
    return decision


def median_ms(work: Callable[[OrderTicket], object], tickets: list[OrderTicket]) -> float:
    """Do the work for each ticket; the median of what it took."""
    return statistics.median(_each_ms(work, tickets))


def _each_ms(work: Callable[[OrderTicket], object], tickets: list[OrderTicket]) -> Iterator[float]:
    for ticket in tickets:
        began = time.perf_counter()
        work(ticket)
        yield (time.perf_counter() - began) * 1000


def _questions(ticket: OrderTicket) -> tuple[int, int]:
    """Count the statements of a decision, and how often it waits for the database: by libpq's own trace."""
    statements: list[str] = []

    def count(execute, sql, params, many, context):
        statements.append(sql)
        return execute(sql, params, many, context)

    with tempfile.TemporaryFile() as trace, connection.execute_wrapper(count):
        connection.connection.pgconn.trace(trace.fileno())
        decide_one(ticket)
        connection.connection.pgconn.untrace()
        trace.seek(0)
        return len(statements), trace.read().count(b"ReadyForQuery")
