"""A pure price/time matching engine: orders against a stream of quotes, with the clock passed in.

It does no I/O and draws chance only from seeded generators, so the same calls give the same result.
Orders trade with the displayed quote, not with each other: the size shown at the touch is used up
until the next quote shows a new one. Stops look at the price they would trade at: a buy stop is
elected when the ask comes up to it, a sell stop when the bid comes down to it.

What happened is collected in `events`; whoever drives the engine takes it with `drain()`. Stops that followed the
market or were elected, which nobody is told of, are in `moved`.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import replace as altered
from datetime import datetime
from decimal import Decimal

from brokers.sandbox.book import (
    CANCEL_REJECTED,
    MATCHABLE,
    NEVER_RESTING,
    ZERO,
    Event,
    Execution,
    Order,
    Quote,
    Refused,
    Ticket,
)
from brokers.sandbox.entry import admit, admit_change
from brokers.sandbox.linked import first_role
from brokers.sandbox.matching import Matching, must_be_open, working
from tradingdesk.fix import ExecType, OrdStatus, TimeInForce


class Engine(Matching):
    """The venue as clients, the market and its operator see it."""

    # What clients ask

    def submit(self, account: str, ticket: Ticket, now: datetime) -> Order:
        """Take a new order, pending until the next step.

        Raises Refused; a refused ticket leaves no trace, and a repeated client id does not touch its first order.
        """
        if ticket.client_order_id and (account, ticket.client_order_id) in self.by_client_id:
            raise Refused("duplicate_client_order_id")
        if ticket.time_in_force is TimeInForce.OPG and self.is_open:
            raise Refused("opening_is_over")
        book = self.book(ticket.symbol)
        order = self._draft(account, ticket, now)
        admit(self.accounts[account], book, order, self.open[account].values(), self.mark)
        self._enter(order)
        self._tell(ExecType.PENDING_NEW, order, now)
        self._later(self._acknowledge, order, now, self.accounts[account].rules.ack_delay_s)
        for leg in ticket.legs:
            self._add_leg(order, leg, now)
        return order

    def cancel(self, account: str, order_id: str, now: datetime) -> Order:
        """Ask for a cancel, done at the next step unless fills come first. Raises Refused when it is too late."""
        order = self.find(account, order_id)
        if not order.is_open or order.status in (OrdStatus.PENDING_CANCEL, OrdStatus.PENDING_REPLACE):
            raise Refused("not_cancelable", status=order.status)
        order.status = OrdStatus.PENDING_CANCEL
        self._tell(ExecType.PENDING_CANCEL, order, now)
        self._later(self._finish_cancel, order, now, self.accounts[account].rules.cancel_delay_s)
        return order

    def replace(self, account: str, order_id: str, now: datetime, *, client_order_id: str = "", **changes) -> Order:
        """Ask for a change: a new pending order that takes the old one's place at the next step.

        `changes` are fields of Order; `order_qty` counts what is filled already. If a fill completes the
        old order first, the new one is rejected. Raises Refused.
        """
        old = self.find(account, order_id)
        if client_order_id and (account, client_order_id) in self.by_client_id:
            raise Refused("duplicate_client_order_id")
        new = self._successor(old, client_order_id, changes, now)
        admit_change(self.accounts[account], self.book(old.symbol), old, new, self.mark)
        old.status = OrdStatus.PENDING_REPLACE
        self._enter(new, hold=False)
        self._tell(ExecType.PENDING_REPLACE, old, now)
        self._tell(ExecType.PENDING_NEW, new, now)
        self._later(self._finish_replace, new, now, self.accounts[account].rules.ack_delay_s)
        return new

    def find(self, account: str, order_id: str) -> Order:
        """The account's order. Raises Refused when it has none of this id."""
        order = self.orders.get(order_id)
        if order is None or order.account != account:
            raise Refused("unknown_order", order_id=order_id)
        return order

    def find_client(self, account: str, client_order_id: str) -> Order:
        """The account's order with this client id. Raises Refused when there is none."""
        order = self.by_client_id.get((account, client_order_id))
        if order is None:
            raise Refused("unknown_order", client_order_id=client_order_id)
        return order

    # What the market does

    def on_quote(self, quote: Quote, now: datetime) -> None:
        """Show a new quote and match against it."""
        book = self.book(quote.symbol)
        book.show(quote)
        if self.is_open:
            self._match(book, now)

    def step(self, now: datetime) -> None:
        """Do everything that has come due: acknowledgements, arrivals, cancels, replaces."""
        while self._due and self._due[0][0] <= now:
            _, _, action, order = heapq.heappop(self._due)
            action(order, now)

    @property
    def next_due(self) -> datetime | None:
        """When `step` next has something to do."""
        return self._due[0][0] if self._due else None

    def open_session(self, now: datetime) -> None:
        """Open the market; orders that waited for it are acknowledged, those done for the day go on."""
        self.is_open = True
        for order in self._all_open():
            if order.queued:
                order.queued = False
                self._acknowledge(order, now)
            elif order.status is OrdStatus.DONE_FOR_DAY:
                self.resume(order, now)

    def close_session(self, now: datetime) -> None:
        """Close the market: orders for the close trade, day orders expire, the others stay for the next session."""
        self.step(now)
        self._trade_at_the_close(now)
        self.is_open = False
        for order in self._all_open():
            if order.is_open and order.time_in_force is not TimeInForce.GTC and not order.queued:
                self.expire(order, now)

    def _trade_at_the_close(self, now: datetime) -> None:
        self.is_closing = self.is_open
        for order in self._all_open() if self.is_closing else ():
            if order.time_in_force is TimeInForce.CLS:
                self._arrive(order, now)
        self.is_closing = False

    # What an operator of the venue can do to an order

    def cancel_unasked(self, order: Order, now: datetime, text: str = "") -> None:
        """Cancel an open order that nobody asked to cancel."""
        self._close(order, OrdStatus.CANCELED, now, ExecType.CANCELED, text)

    def refuse_cancel(self, order: Order, now: datetime) -> None:
        """Refuse a cancel that is pending; the order works on as before."""
        if order.status is not OrdStatus.PENDING_CANCEL:
            raise Refused("no_cancel_pending", status=order.status)
        order.status = working(order)
        self._tell(CANCEL_REJECTED, order, now)

    def expire(self, order: Order, now: datetime) -> None:
        """End an open order because its time is over."""
        self._close(order, OrdStatus.EXPIRED, now, ExecType.EXPIRED)

    def reject(self, order: Order, now: datetime, text: str = "") -> None:
        """Refuse an open order after it was accepted."""
        self._close(order, OrdStatus.REJECTED, now, ExecType.REJECTED, text)

    def pause(self, order: Order, now: datetime, status: OrdStatus) -> None:
        """Take an open order out of matching, done for the day or suspended, until `resume`."""
        must_be_open(order)
        self.book(order.symbol).drop(order)
        order.status = status
        self._tell(ExecType(status.value), order, now)

    def resume(self, order: Order, now: datetime) -> None:
        """Put a paused order back to work, restated."""
        must_be_open(order)
        order.status = working(order)
        self._tell(ExecType.RESTATED, order, now)
        self._arrive(order, now)

    def force_fill(self, order: Order, qty: Decimal, px: Decimal, now: datetime) -> Execution:
        """Fill an open order outside the book. Raises Refused when `qty` is more than is left."""
        must_be_open(order)
        if not 0 < qty <= order.leaves(px):
            raise Refused("too_much", leaves=order.leaves(px))
        return self._trade(order, qty, px, now)

    def bust(self, exec_id: str, now: datetime) -> Execution:
        """Take a trade back; an order that it had filled works again. Raises Refused for an unknown trade."""
        return self._amend(exec_id, None, None, now)

    def correct(self, exec_id: str, qty: Decimal, px: Decimal, now: datetime) -> Execution:
        """Correct a trade's quantity and price. Raises Refused when the order would be overfilled."""
        return self._amend(exec_id, qty, px, now)

    def drain(self) -> list[Event]:
        """Hand over what happened since the last call, in order."""
        events, self.events = self.events, []
        return events

    def restore(self, orders: Iterable[Order], executions: Iterable[Execution], now: datetime) -> None:
        """Rebuild everything from what an earlier run stored; what was pending is due at once."""
        for order in orders:
            self._counter = max(self._counter, order.seq)
            order.held_cash = order.held_qty = ZERO
            self._enter(order, hold=False)
        for execution in executions:
            self._rebook(execution)
        for order in [o for o in self.orders.values() if o.is_open]:
            self._hold(order)
            self._take_up(order, now)

    # Inside

    def _draft(self, account: str, ticket: Ticket, now: datetime) -> Order:
        fields = {name: getattr(ticket, name) for name in Ticket.__slots__ if name != "legs"}
        fields["client_order_id"] = ticket.client_order_id or self.new_id()
        order = Order(
            order_id=self.new_id(), account=account, seq=self._next(), created_at=now, updated_at=now, **fields
        )
        if ticket.legs:
            order.group_id, order.leg_role = self.new_id(), first_role(ticket.order_class)
        return order

    def _successor(self, old: Order, client_order_id: str, changes: Mapping, now: datetime) -> Order:
        return altered(
            old,
            order_id=self.new_id(),
            client_order_id=client_order_id or self.new_id(),
            seq=self._next(),
            created_at=now,
            updated_at=now,
            status=OrdStatus.PENDING,
            replaces=old.order_id,
            held_cash=ZERO,
            held_qty=ZERO,
            queued=False,
            **changes,
        )

    def _amend(self, exec_id: str, qty: Decimal | None, px: Decimal | None, now: datetime) -> Execution:
        root, trade = self._trade_of(exec_id)
        new_qty, new_px = qty or ZERO, px or trade.px
        chain = self._chain(self.orders[trade.order_id])
        order, account = chain[-1], self.accounts[trade.account]
        if order.order_qty is not None and order.cum_qty - trade.qty + new_qty > order.order_qty:
            raise Refused("too_much", order_qty=order.order_qty)
        value = order.cum_value - trade.qty * trade.px + new_qty * new_px
        fee = account.fee_due(order, order.cum_qty - trade.qty + new_qty, value)
        for link in chain:
            self._fold(link, new_qty - trade.qty, new_qty * new_px - trade.qty * trade.px, fee, now, new_px)
            if link is not order:
                self._tell(ExecType.RESTATED, link, now)
        amended = altered(trade, exec_id=root, qty=new_qty, px=new_px, fee=trade.fee + fee)
        account.amend(root, amended if qty else None)
        self._reopen(order, new_px)
        return self._report_amendment(order, altered(amended, qty=qty or trade.qty, fee=fee), qty is None, exec_id, now)

    def _report_amendment(self, order: Order, trade: Execution, busted: bool, exec_id: str, now: datetime) -> Execution:
        kind = ExecType.TRADE_CANCEL if busted else ExecType.TRADE_CORRECT
        execution = self._execution(kind, order, trade.qty, trade.px, trade.fee, now, ref_id=exec_id)
        self._hold(order)
        self._tell(kind, order, now, execution)
        if order.is_open and order.time_in_force in NEVER_RESTING:
            self.cancel_unasked(order, now, "nothing more to fill at once")
        return execution

    def _chain(self, order: Order) -> list[Order]:
        """The order and its replacements, oldest first."""
        chain = [order]
        while chain[-1].replaced_by:
            chain.append(self.orders[chain[-1].replaced_by])
        return chain

    def _reopen(self, order: Order, px: Decimal) -> None:
        """Put an order back to work that a bust or correction made less than filled."""
        if order.status is OrdStatus.FILLED and order.leaves(px):
            order.status, order.filled_at = working(order), None
            self.open[order.account][order.order_id] = order
            self.book(order.symbol).add(order)

    def _trade_of(self, exec_id: str) -> tuple[str, Execution]:
        """The first id of the trade that `exec_id` (or a correction of it) is about, and the trade as it stands."""
        execution = self.executions.get(exec_id)
        while execution is not None and execution.ref_id:
            execution = self.executions[execution.ref_id]
        if execution is None or execution.exec_id not in self.accounts[execution.account].trades:
            raise Refused("unknown_execution", exec_id=exec_id)
        return execution.exec_id, self.accounts[execution.account].trades[execution.exec_id]

    def _rebook(self, execution: Execution) -> None:
        self.executions[execution.exec_id] = execution
        account = self.accounts[execution.account]
        if execution.exec_type is ExecType.TRADE:
            account.book(execution)
            return
        root, trade = self._trade_of(execution.ref_id)
        busted = execution.exec_type is ExecType.TRADE_CANCEL
        fee = trade.fee + execution.fee
        account.amend(root, None if busted else altered(trade, qty=execution.qty, px=execution.px, fee=fee))

    def _take_up(self, order: Order, now: datetime) -> None:
        """Go on with an open order of an earlier run where it stood."""
        if order.held:
            return
        if order.status is OrdStatus.PENDING:
            self._later(self._finish_replace if order.replaces else self._acknowledge, order, now)
        elif order.status in MATCHABLE:
            if order.time_in_force is not TimeInForce.CLS:
                self.book(order.symbol).add(order)
            if order.status is OrdStatus.PENDING_CANCEL:
                self._later(self._finish_cancel, order, now)
