"""TWS's own record of its orders: ids by client, the account-wide permanent id, and what the client asked for.

What an order has come to is the venue's to say. A change makes another order at the venue, so each order here
keeps its `tickets`, the client ids under which the venue has it, the latest last.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from brokers.sandbox.accounts import stable_id
from brokers.sandbox.book import ZERO
from brokers.sandbox.storage import Store
from tradingdesk.fix import Side

ORDERS, CLIENTS = "tws_order", "tws_client"
FIRST_PERM_ID, PERM_IDS = 1_000_000_000, 900_000_000


@dataclass(slots=True)
class TwsOrder:
    """One order as TWS knows it. `held` says why the venue does not have it yet, `ended` how it ended without it.

    A manual order has client 0 and id 0 until client 0 binds it to a negative one.
    """

    perm_id: int
    client_id: int
    order_id: int
    account: str
    symbol: str
    con_id: int
    exchange: str
    action: str
    total_quantity: Decimal
    order_type: str
    tif: str
    created_at: datetime
    lmt_price: Decimal | None = None
    aux_price: Decimal | None = None
    trail_stop_price: Decimal | None = None
    trailing_percent: Decimal | None = None
    outside_rth: bool = False
    order_ref: str = ""
    oca_group: str = ""
    oca_type: int = 0
    parent_id: int = 0
    transmit: bool = True
    tickets: list[str] = field(default_factory=list)
    held: str = ""
    ended: str = ""
    ended_at: datetime | None = None
    last_px: Decimal = ZERO
    canceller: int | None = None
    change_due: bool = False
    cancel_due: bool = False

    @property
    def key(self) -> tuple[int, int]:
        """What names it to clients."""
        return self.client_id, self.order_id

    @property
    def is_manual(self) -> bool:
        """Whether it was placed by hand in TWS."""
        return self.order_id <= 0

    @property
    def side(self) -> Side:
        """Its side in the desk's words."""
        return Side.BUY if self.action == "BUY" else Side.SELL

    @property
    def is_stop(self) -> bool:
        """Whether it waits for a price before it works."""
        return self.order_type in ("STP", "STP LMT", "TRAIL")


@dataclass(slots=True)
class ClientIds:
    """The highest order id that one API client has used."""

    account: str
    client_id: int
    last: int = 0


class OrderBook:
    """The orders of one account, kept in the sandbox's storage; `open` has all that may not be done yet."""

    def __init__(self, account: str, store: Store):
        self.account, self.store = account, store
        self.orders: dict[int, TwsOrder] = {}
        self.by_ticket: dict[str, TwsOrder] = {}
        self.open: dict[int, TwsOrder] = {}
        self._by_key: dict[tuple[int, int], TwsOrder] = {}
        self._by_id: dict[int, list[TwsOrder]] = defaultdict(list)
        self._by_parent: dict[tuple[int, int], list[TwsOrder]] = defaultdict(list)
        self._last_perm_id = FIRST_PERM_ID + int(stable_id("perm", account)[:8], 16) % PERM_IDS
        self._clients: dict[int, ClientIds] = {}
        for order in sorted(_of(account, store.things(ORDERS, TwsOrder)), key=lambda o: o.perm_id):
            self._enter(order)
        self._clients = {ids.client_id: ids for ids in _of(account, store.things(CLIENTS, ClientIds))}

    def next_order_id(self, client_id: int) -> int:
        """The lowest id that the client may use for a new order."""
        return self._clients[client_id].last + 1 if client_id in self._clients else 1

    def use_id(self, client_id: int, order_id: int) -> None:
        """Remember that the client used an id, whatever became of it."""
        ids = self._clients.setdefault(client_id, ClientIds(self.account, client_id))
        ids.last = max(ids.last, order_id)
        self.store.put(CLIENTS, f"{self.account}:{client_id}", ids)

    def new_perm_id(self) -> int:
        """A permanent id: one sequence per account, from a start of its own."""
        return self._last_perm_id + 1

    def add(self, order: TwsOrder) -> None:
        """Take in a new order."""
        self._enter(order)
        self.keep(order)

    def keep(self, order: TwsOrder) -> None:
        """Store an order as it is now."""
        self.store.put(ORDERS, f"{self.account}:{order.perm_id:020d}", order)

    def new_ticket(self, order: TwsOrder) -> str:
        """The client id for the order's next appearance at the venue: its reference where that is still free."""
        free = order.order_ref and not order.tickets and order.order_ref not in self.by_ticket
        ticket = order.order_ref if free else f"{order.perm_id}.{len(order.tickets) + 1}"
        order.tickets.append(ticket)
        self.by_ticket[ticket] = order
        self.keep(order)
        return ticket

    def drop_ticket(self, order: TwsOrder) -> None:
        """Take back the latest ticket, which the venue refused."""
        self.by_ticket.pop(order.tickets.pop())
        self.keep(order)

    def bind(self, order: TwsOrder) -> None:
        """Give a manual order an id for client 0."""
        if not order.order_id:
            order.order_id = min((o.order_id for o in self.orders.values()), default=0) - 1
            self._name(order)
            self.keep(order)

    def find(self, client_id: int, order_id: int) -> TwsOrder | None:
        """The client's order with this id."""
        return self._by_key.get((client_id, order_id)) if order_id else None

    def of_id(self, order_id: int) -> list[TwsOrder]:
        """Every client's order with this id, the latest first."""
        return self._by_id[order_id][::-1] if order_id in self._by_id else []

    def children(self, parent: TwsOrder) -> list[TwsOrder]:
        """The orders that wait for this one."""
        return list(self._by_parent[parent.key]) if parent.key in self._by_parent else []

    def _enter(self, order: TwsOrder) -> None:
        self.orders[order.perm_id] = self.open[order.perm_id] = order
        self._last_perm_id = max(self._last_perm_id, order.perm_id)
        if order.order_id:
            self._name(order)
        if order.parent_id:
            self._by_parent[(order.client_id, order.parent_id)].append(order)
        for ticket in order.tickets:
            self.by_ticket[ticket] = order

    def _name(self, order: TwsOrder) -> None:
        self._by_key[order.key] = order
        self._by_id[order.order_id].append(order)


def _of(account: str, things: Iterable):
    return (thing for thing in things if thing.account == account)
