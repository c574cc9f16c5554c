"""Several orders judged as one sum: all are taken, or none is.

Each is held against what the ones before it already hold, so that parts which pass one by one do not pass together
where their sum does not.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from orders.decision import Decision, Market
from orders.intake import decide_and_store, known_market, known_order, new_order, store_denied, with_prices
from orders.legs import refuse_taken_ids
from orders.models import Order
from orders.ticket import OrderTicket, parse_ticket
from risk.rules import Denial
from tradingdesk.errors import Conflict, InvalidInput
from tradingdesk.fix import OrdStatus

LARGEST = 100


@dataclass(frozen=True, slots=True)
class Basket:
    """What became of a basket, in the order in which it was asked for; `created` is False when it was there already."""

    orders: list[Order]
    created: bool

    @property
    def allowed(self) -> bool:
        """Whether its orders were taken."""
        return all(order.status != OrdStatus.DENIED for order in self.orders)

    @property
    def denials(self) -> list[dict[str, Any]]:
        """Why not, each denial with the id of its order; those that only say that another was denied come last."""
        found = [{**denial, "client_order_id": one.client_order_id} for one in self.orders for denial in one.denials]
        return sorted(found, key=lambda denial: denial["code"] == "BASKET_DENIED")


class _Denied(Exception):
    """At least one order of the basket is denied: nothing of it stays."""


def parse_basket(body: Mapping[str, Any]) -> list[OrderTicket]:
    """Read a basket's body: `{"orders": [order, …]}`.

    Raises:
        InvalidInput: an order is wrong, its field written as `orders[2].price`; none, too many, or one id twice.
    """
    rows = body.get("orders")
    detail = f"give `orders`, a list of 1 to {LARGEST} orders, and nothing else"
    if body.keys() != {"orders"} or not isinstance(rows, list) or not 0 < len(rows) <= LARGEST:
        raise InvalidInput("INVALID_BASKET", detail, "orders")
    tickets = [_parsed(number, row) for number, row in enumerate(rows)]
    ids = Counter(ticket.client_order_id for ticket in tickets if ticket.client_order_id)
    if twice := [one for one, count in ids.items() if count > 1]:
        raise InvalidInput("DUPLICATE_CLIENT_ORDER_ID", f"{twice[0]} is given twice", "orders")
    return tickets


def submit_basket(
    *,
    tickets: Sequence[OrderTicket],
    actor: str,
    user=None,
    source: str = Order.Source.API,
    received_at: datetime | None = None,
) -> Basket:
    """Take all of these orders, or store all of them as denied.

    One transaction, that holds the firm's exposure row from the first decision on; locks as `submit_order` does. A
    denied basket is undone and stored by a second one. The same basket with the same ids gives the orders that are
    there, whatever became of them.

    Raises:
        InvalidInput: as `submit_order`; nothing is stored.
        Conflict: an id belongs to another order, or only some of the orders were submitted before.
    """
    known = _known(tickets)
    if known is not None:
        return known
    entered = {"actor": actor, "user": user, "source": source, "received_at": received_at or timezone.now()}
    make = partial(_order_of, **entered)
    markets = [with_prices(known_market(ticket), ticket) for ticket in tickets]
    orders = [make(ticket, market) for ticket, market in zip(tickets, markets, strict=True)]
    for order in orders:
        refuse_taken_ids(order)
    try:
        decisions = _decide_all(orders, tickets, markets, actor)
        if not all(decision.allowed for decision in decisions):
            tickets = [replace(t, client_order_id=o.client_order_id) for t, o in zip(tickets, orders, strict=True)]
            orders = [make(ticket, market) for ticket, market in zip(tickets, markets, strict=True)]
            _store_denied(orders, decisions, actor)
    except IntegrityError:
        known = _known(tickets)
        if known is None:
            raise
        return known
    return Basket(orders, created=True)


def _order_of(ticket: OrderTicket, market: Market, **more: Any) -> Order:
    return new_order(ticket, market.instrument, **more)


def _parsed(number: int, row: Any) -> OrderTicket:
    where = f"orders[{number}]"
    if not isinstance(row, Mapping):
        raise InvalidInput("NOT_AN_OBJECT", "an order must be a JSON object: {…}", where)
    try:
        ticket = parse_ticket(row)
    except InvalidInput as wrong:
        raise InvalidInput(wrong.code, wrong.detail, f"{where}.{wrong.field}".rstrip(".")) from wrong
    if ticket.defer:
        raise InvalidInput("FIELD_NOT_ALLOWED", "a basket is decided at once: leave `defer` out", f"{where}.defer")
    return ticket


def _known(tickets: Sequence[OrderTicket]) -> Basket | None:
    """The basket that was submitted before, if it was."""
    found = [known_order(ticket) for ticket in tickets]
    if all(found):
        return Basket(found, created=False)
    if there := next((order for order in found if order is not None), None):
        detail = f"client_order_id={there.client_order_id} was submitted before, others of this basket were not"
        raise Conflict("BASKET_NOT_WHOLE", detail, "client_order_id")
    return None


def _decide_all(
    orders: list[Order], tickets: Sequence[OrderTicket], markets: list[Market], actor: str
) -> list[Decision]:
    """Decide and store them one after another, each beside what the others hold; nothing stays if one is denied."""
    decisions: list[Decision] = []
    try:
        with transaction.atomic():
            for order, ticket, market in zip(orders, tickets, markets, strict=True):
                decisions.append(decide_and_store(order, ticket, market, actor=actor, may_wait=False))
            if not all(decision.allowed for decision in decisions):
                raise _Denied
    except _Denied:
        pass
    return decisions


def _store_denied(orders: list[Order], decisions: list[Decision], actor: str) -> None:
    """Store every order as denied; one that passed beside the others says whose denial it shares."""
    first = next(order for order, decision in zip(orders, decisions, strict=True) if not decision.allowed)
    detail = f"of this basket, {first.client_order_id} ({first.side} {first.symbol}) is denied: all are taken, or none"
    passes = "the basket without what is denied"
    shared = Denial("BASKET_DENIED", detail, found=first.client_order_id, control="basket", passes=passes)
    with transaction.atomic():
        for order, decision in zip(orders, decisions, strict=True):
            whole = replace(decision, denials=[shared]) if decision.allowed else decision
            store_denied(order, whole, actor=actor)
