"""What the venue takes in: checks of a new order, or of a change, against the account and the book."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from brokers.sandbox.book import ZERO, Order, Refused, SymbolBook
from brokers.sandbox.ledger import Account, Marks, needs
from tradingdesk.fix import OrderClass, OrdStatus, OrdType, Side

MIN_NOTIONAL = Decimal(1)


def admit(account: Account, book: SymbolBook, order: Order, others: Iterable[Order], marks: Marks) -> None:
    """Check a new order and set the part of it that closes a position. Raises Refused when it cannot be carried."""
    px = _reference(book, order)
    if order.leaves(px) * px < MIN_NOTIONAL:
        raise Refused("below_minimum", cost_basis=order.leaves(px) * px, minimum=MIN_NOTIONAL)
    if account.rules.refuse_wash_trades:
        _refuse_wash_trade(order, others)
    order.closing_qty = closing_part(account, order, px)
    if order.order_class is OrderClass.OCO and order.closing_qty < order.leaves(px):
        raise Refused("exit_without_position", symbol=order.symbol)
    _refuse_overspending(account, order, px, ZERO, marks)


def admit_change(account: Account, book: SymbolBook, old: Order, new: Order, marks: Marks) -> None:
    """Check a replacement. Raises Refused when the old order cannot be replaced, or the new not carried."""
    if old.status not in (OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED):
        raise Refused("not_replaceable", status=old.status)
    if old.notional is not None:
        raise Refused("notional_not_replaceable")
    if old.order_class is not OrderClass.SIMPLE and new.order_qty != old.order_qty:
        raise Refused("linked_qty_not_replaceable")
    px = _reference(book, new)
    if old.covered:
        return
    if old.closing_qty:
        available = account.closable(old.symbol, old.side) + old.held_qty
        _refuse_crossing(account, new, new.leaves(px), available)
        new.closing_qty = new.cum_qty + min(new.leaves(px), available)
    _refuse_overspending(account, new, px, old.held_cash, marks)


def closing_part(account: Account, order: Order, px: Decimal) -> Decimal:
    """How much of a new order closes a position. Raises Refused when it would cross zero or may not go short."""
    position, leaves = account.position(order.symbol), order.leaves(px)
    if position * order.side.sign < 0:
        available = account.closable(order.symbol, order.side)
        _refuse_crossing(account, order, leaves, available)
        return min(leaves, max(available, ZERO))
    if order.side is Side.SELL:
        _refuse_short(account, order, leaves)
    return ZERO


def _refuse_crossing(account: Account, order: Order, leaves: Decimal, available: Decimal) -> None:
    if leaves > available and not account.rules.may_cross_zero:
        existing = account.position(order.symbol)
        raise Refused(
            "insufficient_qty",
            symbol=order.symbol,
            requested=leaves,
            available=max(available, ZERO),
            existing_qty=existing,
            held_for_orders=abs(existing) - available,
        )


def _refuse_short(account: Account, order: Order, leaves: Decimal) -> None:
    if not account.rules.shorting:
        raise Refused("short_not_allowed", symbol=order.symbol, requested=leaves)
    if order.notional is not None or leaves % 1:
        raise Refused("fractional_short", symbol=order.symbol, requested=leaves)


def _refuse_overspending(account: Account, order: Order, px: Decimal, given_back: Decimal, marks: Marks) -> None:
    cost, _ = needs(order, px)
    power = account.buying_power(marks)
    if cost > power + given_back:
        raise Refused("insufficient_buying_power", buying_power=power, cost_basis=cost)


def _refuse_wash_trade(order: Order, others: Iterable[Order]) -> None:
    for other in others:
        if (
            other.symbol == order.symbol
            and other.side is not order.side
            and not other.held
            and _would_meet(order, other)
        ):
            raise Refused("wash_trade", existing_order_id=other.order_id)


def _would_meet(order: Order, other: Order) -> bool:
    if order.price is None or other.price is None:
        return OrdType.MARKET in (order.ord_type, other.ord_type)
    return (order.price - other.price) * order.side.sign >= 0


def _reference(book: SymbolBook, order: Order) -> Decimal:
    px = order.price or order.stop_px or book.touch(order.side) or (book.quote.mid if book.quote else ZERO)
    if not px:
        raise Refused("no_market_data", symbol=order.symbol)
    return px
