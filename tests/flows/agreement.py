"""Whether a desk's books and the venue's own record say the same, order by order and fill by fill.

    python -m tests.flows < records.json

runs in the desk's environment, so on its database. It reads {account: the venue's record} and prints
{"disagreements": [...], "orders": n, "fills": n, ...}; the desk has to stand still meanwhile.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from orders.models import Execution, Order, OrderRequest, Position
from tests.brokers.sandbox_records import is_shown_as
from tests.orders.invariants import assert_books_balance
from tradingdesk.audit.models import AuditEvent

ENDS = {
    "canceled": "order.cancelled",
    "expired": "order.expired",
    "rejected": "order.rejected",
    "denied": "order.denied",
}

# The venue's first word about an order: its answer, what it said when asked, or a fill.
HEARD = {"order.accepted", "order.status", "execution", "order.cancelled", "order.expired", "order.rejected"}


def main() -> None:
    """Compare, and print what was found."""
    records = json.load(sys.stdin)
    found = list(disagreements(records))
    print(json.dumps({"disagreements": found, **counts(records)}))


def disagreements(records: dict[str, Any]) -> Iterator[str]:
    """Everything that the desk and the venue tell differently."""
    try:
        assert_books_balance()
    except AssertionError as error:
        yield f"the desk's own books do not balance: {error}"
    yield from _unanswered()
    for account, record in records.items():
        yield from _orders(account, record)
        yield from _fills(account, record)
        yield from _positions(account, record)
    yield from _trail()


def counts(records: dict[str, Any]) -> dict[str, Any]:
    """How much there was to compare."""
    return {
        "orders": Order.objects.count(),
        "fills": Execution.objects.count(),
        "venue_orders": sum(len(record["orders"]) for record in records.values()),
        "statuses": Counter(Order.objects.values_list("status", flat=True)),
        "kinds_acknowledged": sorted(
            set(Order.objects.exclude(acknowledged_at=None).values_list("ord_type", "time_in_force"))
        ),
    }


def _unanswered() -> Iterator[str]:
    for request in OrderRequest.objects.unanswered():
        yield f"a request was never settled: {request}: {request.text}"
    for order in Order.objects.filter(outcome_unknown_since__isnull=False):
        yield f"{order} is still in doubt"


def _orders(account: str, record: dict[str, Any]) -> Iterator[str]:
    """Each order of ours is at the venue once, as the venue has it; the venue has none that is not ours."""
    at_venue = Counter(raw["client_order_id"] for raw in record["orders"])
    yield from (f"{account}: {name} is at the venue {n} times" for name, n in at_venue.items() if n > 1)
    ours = set(OrderRequest.objects.filter(broker_name=account).values_list("client_order_id", flat=True))
    yield from (f"{account}: nobody here asked for {name}" for name in set(at_venue) - ours)
    by_name = {raw["client_order_id"]: raw for raw in record["orders"]}
    by_id = {raw["id"]: raw for raw in record["orders"]}
    for order in Order.objects.filter(account_id=account):
        raw = by_name.get(order.client_order_id)
        if raw is None:
            if order.broker_order_id or order.status not in ("rejected", "expired", "canceled"):
                yield f"{account}: {order} is {order.status} here and unknown at the venue"
            continue
        while raw["replaced_by"]:
            raw = by_id[raw["replaced_by"]]
        yield from _order(order, raw)


def _order(order, raw: dict[str, Any]) -> Iterator[str]:
    pairs = {
        "broker_order_id": (order.broker_order_id, raw["id"]),
        "status": (order.status, order.status if is_shown_as(raw, order.status) else raw["status"]),
        "cum_qty": (order.cum_qty, Decimal(raw["filled_qty"])),
        "price": (order.price, _decimal(raw["limit_price"])),
        "stop_px": (order.stop_px, _decimal(raw["stop_price"])) if order.ord_type != "trailing_stop" else (0, 0),
        "order_qty": (order.order_qty, _decimal(raw["qty"])) if order.notional is None else (0, 0),
    }
    for name, (here, there) in pairs.items():
        if here != there:
            yield f"{order}: {name} is {here} here and {there} at the venue"


def _fills(account: str, record: dict[str, Any]) -> Iterator[str]:
    """Each fill is there once on both sides; ids are not compared, as one venue tells a fill under several."""
    requests = OrderRequest.objects.filter(broker_name=account)
    names = dict(requests.values_list("broker_order_id", "order__client_order_id"))
    there = Counter(
        (names.get(trade["order_id"]), trade["side"], Decimal(trade["qty"]), Decimal(trade["px"]))
        for trade in record["trades"]
    )
    fills = Execution.objects.filter(account_id=account, exec_type="trade").select_related("order")
    here = Counter((fill.order.client_order_id, fill.side, fill.last_qty, fill.last_px) for fill in fills)
    for fill in sorted(set(here) | set(there), key=str):
        if here[fill] != there[fill]:
            yield f"{account}: fill {fill} is {here[fill]} times here and {there[fill]} times at the venue"


def _positions(account: str, record: dict[str, Any]) -> Iterator[str]:
    here = dict(Position.objects.filter(account_id=account, closed_at=None).values_list("symbol", "qty"))
    there = {symbol: Decimal(qty) for symbol, qty in record["positions"].items() if Decimal(qty)}
    if here != there:
        yield f"{account}: positions are {here} here and {there} at the venue"


def _trail() -> Iterator[str]:
    """Every order has the events of its life, and every fill its own."""
    kinds: dict[str, Counter] = {}
    for name, kind in AuditEvent.objects.exclude(client_order_id="").values_list("client_order_id", "kind"):
        kinds.setdefault(name, Counter())[kind] += 1
    fills = Counter(Execution.objects.values_list("order__client_order_id", flat=True))
    for order in Order.objects.all():
        known = kinds.get(order.client_order_id, Counter())
        wanted = {"order.new", "order.denied" if order.status == "denied" else "order.routed"}
        wanted |= {ENDS[order.closed_as]} if order.closed_as in ENDS else set()
        for kind in sorted(wanted):
            if known[kind] != 1:
                yield f"{order} ({order.status}) has {known[kind]} events {kind}"
        if order.acknowledged_at and not known.keys() & HEARD:
            yield f"{order} ({order.status}) has no event of the venue's first word: {dict(known)}"
        if known["execution"] != fills[order.client_order_id]:
            yield f"{order} has {known['execution']} events of {fills[order.client_order_id]} executions"


def _decimal(raw: str | None) -> Decimal | None:
    return None if raw is None else Decimal(raw)
