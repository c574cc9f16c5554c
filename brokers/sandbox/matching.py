"""How an order moves through the book: acknowledged, matched, filled, amended, closed.

The lower half of the engine (`engine.py` is the upper): it keeps the state and does what is due.
"""

from __future__ import annotations

import heapq
import random
import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping
from copy import copy
from datetime import datetime, timedelta
from decimal import Decimal

from brokers.sandbox.book import (
    AT_ONCE,
    CANCEL_REJECTED,
    MATCHABLE,
    NEVER_RESTING,
    REPLACE_REJECTED,
    ZERO,
    Event,
    Execution,
    Order,
    Refused,
    SymbolBook,
)
from brokers.sandbox.election import elect
from brokers.sandbox.ledger import Account, AccountRules
from brokers.sandbox.linked import Linked
from tradingdesk.fix import ExecType, OrdStatus, OrdType, Side, TimeInForce

CENT = Decimal("0.01")
Action = Callable[[Order, datetime], None]


class Matching(Linked):
    """The venue's state and the moves of its orders: books by symbol, accounts by name, every order and execution."""

    def __init__(self, accounts: Mapping[str, AccountRules], *, seed: int = 0, new_id: Callable[[], str] | None = None):
        rng = random.Random(seed)
        self.new_id = new_id or (lambda: str(uuid.UUID(int=rng.getrandbits(128), version=4)))
        self.accounts = {name: Account(name, rules) for name, rules in accounts.items()}
        self.chance = {name: random.Random(f"{seed}:{name}:{rules.seed}") for name, rules in accounts.items()}
        self.books: dict[str, SymbolBook] = {}
        self.orders: dict[str, Order] = {}
        self.groups: dict[str, list[Order]] = defaultdict(list)
        self.by_client_id: dict[tuple[str, str], Order] = {}
        self.open: dict[str, dict[str, Order]] = defaultdict(dict)
        self.of_account: dict[str, list[Order]] = defaultdict(list)
        self.executions: dict[str, Execution] = {}
        self.is_open = self.is_closing = False
        self.events: list[Event] = []
        self.moved: list[Order] = []
        self._due: list[tuple[datetime, int, Action, Order]] = []
        self._counter = 0

    def book(self, symbol: str) -> SymbolBook:
        """A symbol's book, made on first use."""
        book = self.books.get(symbol)
        if book is None:
            book = self.books[symbol] = SymbolBook(symbol)
        return book

    def mark(self, symbol: str) -> Decimal:
        """The price at which holdings are valued: the midpoint in cents; zero before the first quote."""
        quote = self.book(symbol).quote
        return quote.mid.quantize(CENT) if quote else ZERO

    def _enter(self, order: Order, hold: bool = True) -> None:
        self.orders[order.order_id] = order
        self.of_account[order.account].append(order)
        self.by_client_id[(order.account, order.client_order_id)] = order
        if order.group_id:
            self.groups[order.group_id].append(order)
        if order.is_open:
            self.open[order.account][order.order_id] = order
        if hold:
            self._hold(order)

    def _acknowledge(self, order: Order, now: datetime) -> None:
        if order.held or order.status not in (OrdStatus.PENDING, OrdStatus.PENDING_CANCEL):
            return
        if not self.is_open and order.status is OrdStatus.PENDING:
            if order.time_in_force in AT_ONCE:
                self.cancel_unasked(order, now, "market is closed")
            order.queued = order.is_open
            return
        if order.status is OrdStatus.PENDING:
            order.status = working(order)
        self._tell(ExecType.NEW, order, now)
        delay = self.accounts[order.account].rules.market_fill_delay_s
        if delay and order.ord_type is OrdType.MARKET:
            self._later(self._arrive, order, now, delay)
        else:
            self._arrive(order, now)

    def _arrive(self, order: Order, now: datetime) -> None:
        if order.status not in MATCHABLE:
            return
        if order.time_in_force is TimeInForce.CLS and not self.is_closing:
            return
        book = self.book(order.symbol)
        if order.time_in_force is TimeInForce.FOK and not _fillable(book, order):
            self.cancel_unasked(order, now, "not fillable in full")
            return
        book.drop(order)  # it may have been paused and resumed while this was due
        book.add(order)
        if self.is_open:
            self._match(book, now)
        if order.time_in_force in NEVER_RESTING and order.is_open:
            self.cancel_unasked(order, now, "nothing more to fill at once")

    def _match(self, book: SymbolBook, now: datetime) -> None:
        self.moved += elect(book)
        for side in (Side.BUY, Side.SELL):
            for order in list(book.marketable(side)) if book.left[side] else ():
                if not book.left[side]:
                    break
                self._fill_from(book, order, now)

    def _fill_from(self, book: SymbolBook, order: Order, now: datetime) -> None:
        if order.status not in MATCHABLE:
            return
        px, shown = book.touch(order.side), book.left[order.side]
        qty = min(order.leaves(px), shown)
        part = qty if order.time_in_force is TimeInForce.FOK else self._by_chance(order, qty)
        book.left[order.side] = shown - qty if part == qty else ZERO
        if part > 0:
            self._trade(order, part, px, now)

    def _by_chance(self, order: Order, qty: Decimal) -> Decimal:
        """Now and then only a part fills: others were faster and took the rest of the displayed size."""
        probability, chance = self.accounts[order.account].rules.partial_fill_probability, self.chance[order.account]
        if qty < 2 or not probability or chance.random() >= probability:
            return qty
        return Decimal(chance.randint(1, int(qty) - 1))

    def _trade(self, order: Order, qty: Decimal, px: Decimal, now: datetime) -> Execution:
        account = self.accounts[order.account]
        fee = account.fee_due(order, order.cum_qty + qty, order.cum_value + qty * px)
        self._fold(order, qty, qty * px, fee, now, px)
        execution = self._execution(ExecType.TRADE, order, qty, px, fee, now)
        account.book(execution)
        self._hold(order)
        self._tell(ExecType.TRADE, order, now, execution)
        self._follow_trade(order, qty, now)
        return execution

    def _fold(
        self, order: Order, qty: Decimal, value: Decimal, fee: Decimal, now: datetime, px: Decimal | None
    ) -> None:
        order.cum_qty, order.cum_value, order.fees = order.cum_qty + qty, order.cum_value + value, order.fees + fee
        if order.is_open and not order.leaves(px):
            order.status, order.filled_at = OrdStatus.FILLED, now
            self._retire(order)
        elif order.status in (OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED):
            order.status = working(order)

    def _finish_cancel(self, order: Order, now: datetime) -> None:
        if order.status is OrdStatus.PENDING_CANCEL:
            self.cancel_unasked(order, now)
        elif order.status is OrdStatus.FILLED:
            self._tell(CANCEL_REJECTED, order, now)

    def _finish_replace(self, new: Order, now: datetime) -> None:
        old = self.orders[new.replaces]
        if old.replaced_by == new.order_id:
            self._acknowledge(new, now)
        elif old.status is not OrdStatus.PENDING_REPLACE or not new.is_open:
            self._fail_replace(old, new, now)
        else:
            old.replaced_by, old.replaced_at = new.order_id, now
            self._close(old, OrdStatus.REPLACED, now, ExecType.REPLACED)
            self._inherit(old, new)
            self._take_over(new, now)

    def _fail_replace(self, old: Order, new: Order, now: datetime) -> None:
        if old.status is OrdStatus.PENDING_REPLACE:
            old.status = working(old)
        if new.is_open:
            self._close(new, OrdStatus.REJECTED, now, ExecType.REJECTED, f"replaced order is {old.status.value}")
        self._tell(REPLACE_REJECTED, old, now)

    def _inherit(self, old: Order, new: Order) -> None:
        """Carry over what the old order came to; a quantity below what is filled means "no more"."""
        new.cum_qty, new.cum_value, new.fees = old.cum_qty, old.cum_value, old.fees
        new.hwm, new.triggered = old.hwm, old.triggered
        if new.group_id:
            new.order_qty = old.order_qty  # a fill of the other exit may have reduced it meanwhile
        if new.order_qty is not None:
            new.order_qty = max(new.order_qty, new.cum_qty)
        self._hold(new)

    def _take_over(self, new: Order, now: datetime) -> None:
        if new.leaves():
            self._acknowledge(new, now)
            return
        new.status, new.filled_at = OrdStatus.FILLED, now
        self._retire(new)
        self._tell(ExecType.NEW, new, now)

    def _close(self, order: Order, status: OrdStatus, now: datetime, kind: ExecType, text: str = "") -> None:
        must_be_open(order)
        order.status, order.text = status, text or order.text
        stamp = {OrdStatus.CANCELED: "canceled_at", OrdStatus.EXPIRED: "expired_at", OrdStatus.REJECTED: "failed_at"}
        if status in stamp:
            setattr(order, stamp[status], now)
        self._retire(order)
        self._hold(order)
        self._tell(kind, order, now)
        self._follow_close(order, now)

    def _retire(self, order: Order) -> None:
        self.open[order.account].pop(order.order_id, None)
        self.book(order.symbol).drop(order)

    def _execution(self, kind, order, qty, px, fee, now, ref_id="") -> Execution:
        execution = Execution(
            exec_id=self.new_id(),
            exec_type=kind,
            account=order.account,
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            symbol=order.symbol,
            side=order.side,
            qty=qty,
            px=px,
            fee=fee,
            at=now,
            cum_qty=order.cum_qty,
            leaves_qty=order.leaves(px) if order.is_open else ZERO,
            order_status=order.status,
            ref_id=ref_id,
        )
        self.executions[execution.exec_id] = execution
        return execution

    def _hold(self, order: Order) -> None:
        self.accounts[order.account].hold(order, self.book(order.symbol).touch(order.side))

    def _all_open(self) -> list[Order]:
        return sorted((o for orders in self.open.values() for o in orders.values()), key=lambda o: o.seq)

    def _tell(self, kind: str, order: Order, now: datetime, execution: Execution | None = None) -> None:
        order.updated_at = now
        self.events.append(Event(kind, copy(order), now, execution))

    def _later(self, action, order: Order, now: datetime, delay_s: float = 0.0) -> None:
        heapq.heappush(self._due, (now + timedelta(seconds=delay_s), self._next(), action, order))

    def _next(self) -> int:
        self._counter += 1
        return self._counter


def working(order: Order) -> OrdStatus:
    """What a working order is called, by what is filled."""
    return OrdStatus.PARTIALLY_FILLED if order.cum_qty else OrdStatus.NEW


def must_be_open(order: Order) -> None:
    """Raise Refused for an order that works no more."""
    if not order.is_open:
        raise Refused("not_open", status=order.status)


def _fillable(book: SymbolBook, order: Order) -> bool:
    return book.crosses(order) and book.left[order.side] >= order.leaves(book.touch(order.side)) > 0
