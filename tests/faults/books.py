"""What the desk's database says, as the verdict wants it, and what must hold of it whatever the venue says."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import Decimal

from django.db import connection

from brokers.models import BrokerAccount
from orders import lifecycle
from orders.models import Execution, Order, OrderRequest, Position
from risk.models import ExposureTotal
from tests.faults.verdict import BookedOrder, Books
from tests.orders.invariants import assert_books_balance
from tradingdesk.audit.models import AuditEvent

ENDS = {
    "canceled": "order.cancelled",
    "expired": "order.expired",
    "rejected": "order.rejected",
    "denied": "order.denied",
}
# Prices move after an order was let in: what is held may be worth more than the limit by as much.
MARKET_MOVES = Decimal("1.05")
# Told when an account's back-off is over, which may be at any time.
BROKER_IS_BACK = "broker.up"


def read_books() -> Books:
    """Read all that the desk has."""
    fills = defaultdict(list)
    for fill in Execution.objects.all():
        fills[fill.order_id].append(fill)
    positions: dict[str, dict[str, Decimal]] = defaultdict(dict)
    for account, symbol, qty in Position.objects.filter(closed_at=None).values_list("account_id", "symbol", "qty"):
        positions[account][symbol] = qty
    return Books(
        orders=tuple(_booked(order, fills[order.pk]) for order in Order.objects.all()),
        asked=frozenset(OrderRequest.objects.values_list("client_order_id", flat=True)),
        positions=positions,
        cash=dict(BrokerAccount.objects.values_list("broker_name", "cash")),
    )


def in_doubt() -> Iterator[str]:
    """Requests that nobody has answered, and orders whose outcome is not known."""
    for request in OrderRequest.objects.unanswered():
        yield f"a request was never settled: {request.kind} {request} is {request.state}: {request.text}"
    for order in Order.objects.filter(outcome_unknown_since__isnull=False):
        yield f"{order} is still in doubt"


def broken_rules(max_order_qty: Decimal) -> Iterator[str]:
    """What does not hold of the desk's own books: sums, audit trail, limits of orders that were let in."""
    try:
        assert_books_balance()
    except AssertionError as error:
        yield f"the desk's own books do not balance: {error}"
    yield from _trail()
    # How many shares an amount of money buys is known once it has bought them.
    let_in = Order.objects.exclude(status="denied").exclude(source=Order.Source.EXTERNAL).filter(notional=None)
    for order in let_in.filter(order_qty__gt=max_order_qty):
        yield f"{order} is over the limit of {max_order_qty} and was let in"


def over_portfolio_limit(limit: Decimal) -> Iterator[str]:
    """Whether more is held and entered now than the firm may, but for what prices have moved."""
    rows = ExposureTotal.objects.accounts()
    gross = sum(rows.values_list("gross", flat=True), Decimal(0))
    if gross > limit * MARKET_MOVES:
        yield f"gross exposure {gross} is over the limit of {limit}"


def open_transactions() -> list[str]:
    """Transactions of other connections to this database that are open and idle."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid, state, query FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%' "
            "AND state_change < now() - interval '2 s'"
        )
        return [f"a transaction is open: {pid} {state}: {query[:200]}" for pid, state, query in cursor.fetchall()]


def fingerprint() -> dict[str, int]:
    """What replaying must not change: rows of facts, and the state of orders and positions."""
    tables = {
        "orders": "client_order_id, status, cum_qty, avg_px, order_qty, price, reserved_qty, working_as, closed_as",
        "executions": "exec_id, exec_type, last_qty, last_px",
        "positions": "symbol, qty, avg_px, realized_pnl, closed_at",
        "order_requests": "client_order_id, state, broker_order_id",
        f"audit_events WHERE kind <> '{BROKER_IS_BACK}'": "id",
        "broker_messages": "id",
    }
    found = {}
    with connection.cursor() as cursor:
        for table, columns in tables.items():
            cursor.execute(f"SELECT count(*), sum(hashtextextended(row({columns})::text, 0)) FROM {table}")
            count, mark = cursor.fetchone()
            found |= {f"{table}: rows": count, f"{table}: content": int(mark or 0)}
    return found


def _booked(order: Order, fills: list[Execution]) -> BookedOrder:
    counted = Counter((trade.side, trade.last_qty, trade.last_px) for trade in lifecycle.live_trades(fills))
    return BookedOrder(
        client_order_id=order.client_order_id,
        broker_name=order.account_id or "",
        broker_order_id=order.broker_order_id,
        status=order.status,
        cum_qty=order.cum_qty,
        order_qty=order.order_qty if order.notional is None else None,
        price=order.price,
        fills=counted,
    )


def _trail() -> Iterator[str]:
    """Every order's events lead, status by status, from its entry to what it is now; every fill has its own."""
    told = defaultdict(list)
    for event in AuditEvent.objects.exclude(client_order_id="").order_by("id"):
        told[event.client_order_id].append(event)
    fills = Counter(Execution.objects.values_list("order__client_order_id", flat=True))
    for order in Order.objects.all():
        events = told[order.client_order_id]
        yield from _status_told(order, events)
        kinds = Counter(event.kind for event in events)
        booked = kinds["execution"] + kinds["execution.bust"] + kinds["execution.correct"]
        if booked != fills[order.client_order_id]:
            yield f"{order} has {booked} events of {fills[order.client_order_id]} executions"
        is_entered = order.source != Order.Source.EXTERNAL and order.parent_id is None  # legs are, with it
        if is_entered and kinds["order.new"] != 1:
            yield f"{order} has {kinds['order.new']} events order.new"
        if order.closed_as in ENDS and not kinds[ENDS[order.closed_as]]:
            yield f"{order} ({order.status}) has no event {ENDS[order.closed_as]}"


def _status_told(order: Order, events: list[AuditEvent]) -> Iterator[str]:
    status = None
    for event in events:
        before, after = (event.before or {}).get("status"), (event.after or {}).get("status")
        if before is not None and status is not None and before != status:
            yield f"{order}: {event.kind} came when it was {before}, and nothing tells how it left {status}"
        status = after or status
    if status is not None and status != order.status:
        yield f"{order} is {order.status}, and the last that was told is {status}"
