"""One account's TWS: who is connected, and what of the venue's events each of them is told."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from typing import Protocol

from brokers.sandbox.accounts import AccountProfile
from brokers.sandbox.book import CANCEL_REJECTED, REPLACE_REJECTED, Event, Order, Quote
from brokers.sandbox.faults import Call, Mischief
from brokers.sandbox.feed import Feed
from brokers.sandbox.tws import refusals, words
from brokers.sandbox.tws.fills import Fill, Fills
from brokers.sandbox.tws.orders import OrderBook, TwsOrder
from brokers.sandbox.tws.refusals import Refusal
from brokers.sandbox.tws.words import Message
from brokers.sandbox.venue import Venue
from tradingdesk.fix import ExecType, OrdStatus, TimeInForce

BOOKS_S = 0.05
NAMES = {3: "order_status", 4: "error", 5: "open_order", 11: "execution", 59: "commission"}


class Client(Protocol):
    """A connected client, as far as the gateway needs it."""

    client_id: int

    def tell(self, *messages: Message) -> None:
        """Send messages that come from the venue."""

    def show_quote(self, quote: Quote) -> None:
        """Send a quote if it is subscribed."""

    def show_books(self, symbols: set[str]) -> None:
        """Send what changed of positions and values, if subscribed."""

    def stall(self, seconds: float) -> None:
        """Send nothing for a while."""

    def close(self) -> None:
        """End the connection."""


class Gateway:
    """The account's orders, clients and chances.

    `followers` are told of each event after the clients; `bound` are the clients that manual orders are bound to.
    """

    def __init__(self, name: str, venue: Venue, feed: Feed, mischief: Mischief, *, journal_reads: bool = False):
        self.name, self.venue, self.feed, self.mischief = name, venue, feed, mischief
        self.journal_reads = journal_reads
        self.profile: AccountProfile = venue.profile.accounts[name]
        self.tws, self.account_id = self.profile.tws, self.profile.tws.account_id
        self.orders = OrderBook(name, venue.store)
        self.fills = Fills()
        self.clients: dict[int, Client] = {}
        self.followers: list[Callable[[Event, TwsOrder], None]] = []
        self.bound: set[int] = set()
        self.is_lost = False
        self._chance = random.Random(f"{venue.profile.seed}:tws:{name}:{self.profile.seed}")
        self._changed: set[str] = set()
        self._kept: list[Message] = []
        self._take_up_fills()
        venue.listeners.append(self.on_event)
        venue.quote_listeners.append(self.on_quote)

    def seen(self, order: TwsOrder) -> Order | None:
        """The order at the venue as it counts now: the latest that has taken its predecessor's place."""
        engine = self.venue.engine
        for ticket in reversed(order.tickets):
            found = engine.by_client_id.get((self.name, ticket))
            if found and (not found.replaces or engine.orders[found.replaces].replaced_by == found.order_id):
                return found
        return None

    def status(self, order: TwsOrder) -> str:
        """The order's status word as of now."""
        return words.status_of(order, self.seen(order))

    def is_done(self, order: TwsOrder) -> bool:
        """Whether nothing more comes of the order."""
        return self.status(order) in words.DONE

    def live(self) -> list[TwsOrder]:
        """The orders that are not done, untransmitted ones aside."""
        for order in [o for o in self.orders.open.values() if self.is_done(o)]:
            del self.orders.open[order.perm_id]
        return [order for order in self.orders.open.values() if order.held != "transmit"]

    def show(self, order: TwsOrder, seen: Order | None = None) -> list[Message]:
        """The pair of messages with which TWS shows an order."""
        seen = seen or self.seen(order)
        return [words.open_order(order, seen, self.account_id), words.order_status(order, seen)]

    def tell(self, order: TwsOrder, *messages: Message) -> None:
        """Send messages about an order to those who hear of it."""
        audience = list(self.audience(order))
        for message in messages if audience else ():
            for client in audience:
                client.tell(*self._spoiled(order, message, client))

    def audience(self, order: TwsOrder) -> Iterable[Client]:
        """The order's own client, the master client, and who cancelled it; of manual orders, who binds them."""
        own = self.bound if order.is_manual else {order.client_id}
        wanted = own | {self.tws.master_client_id, order.canceller}
        return [client for client_id, client in self.clients.items() if client_id in wanted]

    def refuse(self, order: TwsOrder, refusal: Refusal) -> None:
        """Tell those who hear of an order that something with it was refused."""
        self.tell(order, words.error(order.order_id, refusal.code, refusal.text))

    def on_quote(self, quote: Quote) -> None:
        """Show a quote to who subscribed to it."""
        for client in list(self.clients.values()):
            client.show_quote(quote)

    def on_event(self, event: Event) -> None:
        """Put one of the venue's events in TWS's words."""
        order = self.orders.by_ticket.get(event.order.client_order_id)
        if order is None or event.order.account != self.name:
            return
        say = SAYINGS.get(event.kind)
        if say:
            say(self, event, order)
        for follower in self.followers:
            follower(event, order)

    def close_clients(self) -> int:
        """End every connection; how many there were."""
        clients = list(self.clients.values())
        for client in clients:
            client.close()
        return len(clients)

    def happens(self, probability: float) -> bool:
        """Draw a chance."""
        return bool(probability) and self._chance.random() < probability

    def _spoiled(self, order: TwsOrder, message: Message, client: Client) -> list[Message]:
        """A message as a fault of the stream wants it; `swap` keeps it back until the next has gone."""
        event = NAMES.get(message[0], "")
        fault = self.mischief.stream_fault_for(Call(self.name, event, order.order_ref))
        kept, self._kept = self._kept, []
        if fault is None:
            return [message, *kept]
        self.venue.note("fault", self.name, client_order_id=order.order_ref, event=event, action=fault.action)
        if fault.action == "swap":
            self._kept = [message]
        elif fault.action == "disconnect":
            client.close()
        elif fault.action == "delay":
            client.stall(fault.seconds)
        told = {"delay": [message], "duplicate": [message, message], "malformed": [message[: len(message) // 2]]}
        return [*told.get(fault.action, []), *kept]

    def _on_taken(self, event: Event, order: TwsOrder) -> None:
        if event.order.replaces:
            return
        self._say_state(event, order)
        if not self.feed.is_open:
            self.tell(order, words.error(order.order_id, 399, self._later_note(order)))

    def _on_working(self, event: Event, order: TwsOrder) -> None:
        if event.order.replaces and event.order.order_qty is not None:
            order.total_quantity = event.order.order_qty
        self._say_state(event, order)

    def _say_state(self, event: Event, order: TwsOrder) -> None:
        shown = self.show(order, event.order)
        twice = shown[1:] if self.happens(self.tws.status_twice_probability) else []
        self.tell(order, *shown, *twice)

    def _on_trade(self, event: Event, order: TwsOrder) -> None:
        fill = self.fills.add(event.execution, order.perm_id)
        order.last_px = event.execution.px
        self.orders.open[order.perm_id] = order  # a bust may have opened it again
        self.orders.keep(order)
        details = words.execution_details(words.NO_REQUEST, order, fill, self.account_id)
        state = self.show(order, event.order)
        first = self.happens(self.tws.filled_first_probability)
        self.tell(order, *([*state, details] if first else [details, *state]))
        delay = self.tws.commission_delay_ms / 1000
        asyncio.get_running_loop().call_later(delay, self._say_commission, order, fill)
        self._books_changed(event.order.symbol)

    def _say_commission(self, order: TwsOrder, fill: Fill) -> None:
        self.tell(order, words.commission_report(fill.exec_id, fill.fee))

    def _on_canceled(self, event: Event, order: TwsOrder) -> None:
        at_once = event.order.time_in_force in (TimeInForce.IOC, TimeInForce.FOK) and order.canceller is None
        status = words.order_status(order, event.order, order.canceller)
        if at_once and event.order.time_in_force is TimeInForce.IOC:
            self.tell(order, [*status[:2], "PendingCancel", *status[3:]])
        self.tell(order, status)
        if not at_once:
            code, text = refusals.CANCELLED
            self.tell(order, words.error(order.order_id, code, text.format(event.order.text)))

    def _on_expired(self, event: Event, order: TwsOrder) -> None:
        self.tell(order, words.order_status(order, event.order))

    def _on_rejected(self, event: Event, order: TwsOrder) -> None:
        if event.order.replaces and self.seen(order).order_id != event.order.order_id:
            return
        self.tell(order, words.order_status(order, event.order))
        self.refuse(order, refusals.rejected(event.order.text))

    def _on_cancel_refused(self, event: Event, order: TwsOrder) -> None:
        status = words.status_of(order, event.order)
        self.refuse(order, refusals.cannot_cancel(order.order_id, status))
        if status not in words.DONE:
            self.tell(order, *self.show(order, event.order))

    def _on_change_refused(self, event: Event, order: TwsOrder) -> None:
        old = event.order
        order.tickets.pop()
        order.total_quantity, order.lmt_price = old.order_qty, old.price
        self.orders.keep(order)
        filled = old.status is OrdStatus.FILLED
        self.refuse(order, Refusal(*(refusals.FILLED_ALREADY if filled else refusals.NOT_CHANGEABLE)))
        self.tell(order, *self.show(order, old))

    def _on_status(self, event: Event, order: TwsOrder) -> None:
        self.tell(order, words.order_status(order, event.order))

    def _later_note(self, order: TwsOrder) -> str:
        opens = words.zoned(self.feed.next_opens_at)
        what = f"{order.action} {order.total_quantity} {order.symbol} {order.exchange}"
        return f"Order Message:\n{what}\nWarning: Your order will not be placed at the exchange until {opens}."

    def _books_changed(self, symbol: str) -> None:
        if not self._changed:
            asyncio.get_running_loop().call_later(BOOKS_S, self._show_books)
        self._changed.add(symbol)

    def _show_books(self) -> None:
        changed, self._changed = self._changed, set()
        for client in list(self.clients.values()):
            client.show_books(changed)

    def _take_up_fills(self) -> None:
        """Number the executions of earlier runs again."""
        for exec_id in self.venue.fills[self.name]:
            execution = self.venue.engine.executions[exec_id]
            order = self.orders.by_ticket.get(execution.client_order_id)
            if order:
                self.fills.add(execution, order.perm_id)


SAYINGS: dict[str, Callable[[Gateway, Event, TwsOrder], None]] = {
    ExecType.PENDING_NEW: Gateway._on_taken,
    ExecType.NEW: Gateway._on_working,
    ExecType.TRADE: Gateway._on_trade,
    ExecType.TRADE_CORRECT: Gateway._on_trade,
    ExecType.TRADE_CANCEL: Gateway._on_trade,
    ExecType.PENDING_CANCEL: Gateway._on_status,
    ExecType.CANCELED: Gateway._on_canceled,
    ExecType.EXPIRED: Gateway._on_expired,
    ExecType.REJECTED: Gateway._on_rejected,
    ExecType.RESTATED: Gateway._on_status,
    ExecType.DONE_FOR_DAY: Gateway._on_status,
    ExecType.SUSPENDED: Gateway._on_status,
    CANCEL_REJECTED: Gateway._on_cancel_refused,
    REPLACE_REJECTED: Gateway._on_change_refused,
}
