"""What the matching engine speaks in, and one symbol's book: the quote, resting orders, waiting stops.

Quantities are units, prices quote currency per unit, times aware UTC. Nothing here reads a clock.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from typing import Any

from tradingdesk.fix import ExecType, LegRole, OrderClass, OrdStatus, OrdType, Side, TimeInForce

ZERO = Decimal(0)
SMALLEST_QTY = Decimal("0.000000001")
MARKET_KEY = Decimal("-Infinity")

OPEN = frozenset(
    {
        OrdStatus.PENDING,
        OrdStatus.NEW,
        OrdStatus.PARTIALLY_FILLED,
        OrdStatus.PENDING_CANCEL,
        OrdStatus.PENDING_REPLACE,
        OrdStatus.DONE_FOR_DAY,
        OrdStatus.SUSPENDED,
    }
)
MATCHABLE = OPEN - {OrdStatus.PENDING, OrdStatus.DONE_FOR_DAY, OrdStatus.SUSPENDED}
STOP_TYPES = frozenset({OrdType.STOP, OrdType.STOP_LIMIT, OrdType.TRAILING_STOP})
AT_ONCE = frozenset({TimeInForce.IOC, TimeInForce.FOK})
AUCTIONS = frozenset({TimeInForce.OPG, TimeInForce.CLS})
NEVER_RESTING = AT_ONCE | AUCTIONS


class Refused(Exception):
    """The engine will not do it. `reason` is a slug that each front puts in its vendor's words."""

    def __init__(self, reason: str, **details: Any):
        super().__init__(reason)
        self.reason, self.details = reason, details


@dataclass(frozen=True, slots=True)
class Quote:
    """The best bid and offer of a symbol; a price of zero means that the side is empty."""

    symbol: str
    bid_px: Decimal
    bid_size: Decimal
    ask_px: Decimal
    ask_size: Decimal
    at: datetime

    @property
    def mid(self) -> Decimal:
        """The midpoint, or the one price there is."""
        if not self.bid_px or not self.ask_px:
            return self.bid_px or self.ask_px
        return (self.bid_px + self.ask_px) / 2


@dataclass(frozen=True, slots=True)
class Leg:
    """An exit that a client asks for with an order: a limit to take profit; against loss a stop, or a stop-limit."""

    role: LegRole
    price: Decimal | None = None
    stop_px: Decimal | None = None

    @property
    def ord_type(self) -> OrdType:
        """The type of order that it is."""
        if self.stop_px is None:
            return OrdType.LIMIT
        return OrdType.STOP if self.price is None else OrdType.STOP_LIMIT


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a client asks for. Exactly one of `order_qty` and `notional` is set; an empty id is made up."""

    symbol: str
    side: Side
    ord_type: OrdType
    time_in_force: TimeInForce
    order_qty: Decimal | None = None
    notional: Decimal | None = None
    price: Decimal | None = None
    stop_px: Decimal | None = None
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    extended_hours: bool = False
    client_order_id: str = ""
    order_class: OrderClass = OrderClass.SIMPLE
    legs: tuple[Leg, ...] = ()


@dataclass(slots=True)
class Order:
    """One order as the venue holds it. A replacement is another order that carries the fills so far.

    Orders of one `group_id` depend on one another (`linked.py`), `parent_id` names the one they were sent with. A leg
    is `held` until its entry has filled, and `covered` when another of its group holds what both of them may use.
    """

    order_id: str
    account: str
    client_order_id: str
    symbol: str
    side: Side
    ord_type: OrdType
    time_in_force: TimeInForce
    seq: int
    created_at: datetime
    updated_at: datetime
    order_qty: Decimal | None = None
    notional: Decimal | None = None
    price: Decimal | None = None
    stop_px: Decimal | None = None
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    extended_hours: bool = False
    status: OrdStatus = OrdStatus.PENDING
    cum_qty: Decimal = ZERO
    cum_value: Decimal = ZERO
    fees: Decimal = ZERO
    closing_qty: Decimal = ZERO
    held_cash: Decimal = ZERO
    held_qty: Decimal = ZERO
    hwm: Decimal | None = None
    triggered: bool = False
    queued: bool = False
    order_class: OrderClass = OrderClass.SIMPLE
    group_id: str = ""
    leg_role: LegRole | None = None
    parent_id: str = ""
    held: bool = False
    covered: bool = False
    filled_at: datetime | None = None
    canceled_at: datetime | None = None
    expired_at: datetime | None = None
    failed_at: datetime | None = None
    replaced_at: datetime | None = None
    replaced_by: str | None = None
    replaces: str | None = None
    text: str = ""

    @property
    def is_open(self) -> bool:
        """Whether it may still change by itself."""
        return self.status in OPEN

    @property
    def avg_px(self) -> Decimal | None:
        """The average price of what is filled; None while nothing is."""
        return self.cum_value / self.cum_qty if self.cum_qty else None

    @property
    def limit(self) -> Decimal | None:
        """The worst price it may trade at; None takes the market's."""
        return self.price if self.ord_type in (OrdType.LIMIT, OrdType.STOP_LIMIT) else None

    def leaves(self, px: Decimal | None = None) -> Decimal:
        """What is left to fill, in units; for an order by notional at the price `px`."""
        if self.order_qty is not None:
            return max(self.order_qty - self.cum_qty, ZERO)
        if not px:
            return ZERO
        return (max(self.notional - self.cum_value, ZERO) / px).quantize(SMALLEST_QTY, ROUND_DOWN)


@dataclass(frozen=True, slots=True)
class Execution:
    """A trade, or the bust or correction (`exec_type`) of the trade whose id is `ref_id`.

    `cum_qty`, `leaves_qty` and `order_status` are the order's just after it.
    """

    exec_id: str
    exec_type: ExecType
    account: str
    order_id: str
    client_order_id: str
    symbol: str
    side: Side
    qty: Decimal
    px: Decimal
    fee: Decimal
    at: datetime
    cum_qty: Decimal
    leaves_qty: Decimal
    order_status: OrdStatus
    ref_id: str = ""


CANCEL_REJECTED = "cancel_rejected"
REPLACE_REJECTED = "replace_rejected"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened: `kind` is an ExecType or one of the two rejections above; `order` is a copy."""

    kind: str
    order: Order
    at: datetime
    execution: Execution | None = None


@dataclass(slots=True)
class SymbolBook:
    """One symbol: the latest quote, what is left of its displayed sizes, and the orders that wait.

    `resting` keeps (price key, arrival, order) sorted best first, so the first entries are the next to fill.
    """

    symbol: str
    quote: Quote | None = None
    left: dict[Side, Decimal] = field(default_factory=lambda: {Side.BUY: ZERO, Side.SELL: ZERO})
    resting: dict[Side, list[tuple[Decimal, int, Order]]] = field(default_factory=lambda: {Side.BUY: [], Side.SELL: []})
    stops: dict[str, Order] = field(default_factory=dict)

    def show(self, quote: Quote) -> None:
        """Take a new quote; its displayed sizes replace what was left of the last one's."""
        self.quote = quote
        self.left = {
            Side.BUY: quote.ask_size if quote.ask_px else ZERO,
            Side.SELL: quote.bid_size if quote.bid_px else ZERO,
        }

    def touch(self, side: Side) -> Decimal:
        """The price at which an order of this side trades now; zero when there is none."""
        if self.quote is None:
            return ZERO
        return self.quote.ask_px if side is Side.BUY else self.quote.bid_px

    def crosses(self, order: Order) -> bool:
        """Whether the order may trade at the touch."""
        touch, limit = self.touch(order.side), order.limit
        if not touch:
            return False
        return limit is None or (touch <= limit if order.side is Side.BUY else touch >= limit)

    def add(self, order: Order) -> None:
        """Put an order where it waits: among the stops until elected, else by price and arrival."""
        if order.ord_type in STOP_TYPES and not order.triggered:
            self.stops[order.order_id] = order
        else:
            insort(self.resting[order.side], (_key(order), order.seq, order))

    def drop(self, order: Order) -> None:
        """Take an order out, wherever it waits; nothing if it does not."""
        if self.stops.pop(order.order_id, None) is not None:
            return
        queue = self.resting[order.side]
        at = bisect_left(queue, (_key(order), order.seq))
        if at < len(queue) and queue[at][2] is order:
            del queue[at]

    def marketable(self, side: Side) -> Iterator[Order]:
        """The resting orders that may trade at the touch, best price and earliest arrival first."""
        for _, _, order in self.resting[side]:
            if not self.crosses(order):
                return
            yield order


def _key(order: Order) -> Decimal:
    if order.limit is None:
        return MARKET_KEY
    return -order.limit if order.side is Side.BUY else order.limit
