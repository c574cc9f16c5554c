"""Closing what is held: market orders through intake and gate, until the desk is flat or they do not get through.

A flatten is a halt of level "nothing that increases exposure" with `flatten` set. Each turn places, for every open
position in its scope, what is free to be closed: what other orders on the closing side may still trade waits for
their cancels. The gate lets these orders pass that halt and no stricter one.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_DOWN, Decimal

from django.db.models import QuerySet
from django.utils import timezone

from orders.ids import restore_epoch
from orders.intake import submit_order
from orders.models import Order, Position
from orders.ticket import OrderTicket
from risk.exposure import holding_of, symbol_key
from risk.levels import closable
from risk.models import Control, ExposureTotal, Halt, Scope
from risk.rulebook import current_rulebook
from risk.rules import Place
from tradingdesk.errors import DeskError
from tradingdesk.fix import OrdStatus, OrdType, Side, TimeInForce

log = logging.getLogger(__name__)

STRATEGY = "flatten"
ORDERS_A_TURN = 20
# What orders are working is read for so many together: while they are placed, fills go on.
POSITIONS_AT_ONCE = 50
FAILURES_AT_MOST = 5
TRY_AGAIN_AFTER = timedelta(seconds=5)
# A market order is counted at the touch, which may have moved since the position was last valued.
ROOM_FOR_MOVES = Decimal("0.95")
FAILED = (OrdStatus.DENIED, OrdStatus.REJECTED, OrdStatus.EXPIRED)


@dataclass(frozen=True, slots=True)
class PositionToClose:
    """One position that a flatten is about: what is held, what its orders are still closing, and why it is stuck."""

    broker_name: str
    symbol: str
    qty: Decimal
    closing_qty: Decimal
    problem: str = ""


def place_closing_orders(halt: Halt, *, until: float | None = None) -> None:
    """Place one turn of closing orders for a flatten; positions that failed lately, or too often, are left alone.

    None is begun after `until`, a time of `time.monotonic`: the next turn goes on.
    """
    placed, positions = _Placed(halt), list(positions_of(halt))
    for first in range(0, len(positions), POSITIONS_AT_ONCE):
        together = positions[first : first + POSITIONS_AT_ONCE]
        rows = ExposureTotal.objects.in_bulk([_exposure_key(one) for one in together])
        for position in together:
            if until is not None and time.monotonic() >= until:
                return
            before = placed.of(position)
            if not _is_stuck(before):
                _close(halt, position, rows.get(_exposure_key(position)), len(before))


def positions_of(halt: Halt) -> QuerySet[Position]:
    """Open positions in the scope of a halt."""
    held = Position.objects.filter(closed_at=None).select_related("account", "instrument")
    held = held.order_by("account_id", "symbol")
    if halt.scope == Scope.ACCOUNT:
        return held.filter(account_id=halt.scope_key)
    return held.filter(symbol=halt.scope_key) if halt.scope == Scope.SYMBOL else held


def flat_orders(halt: Halt) -> QuerySet[Order]:
    """The closing orders of a flatten."""
    return Order.objects.filter(client_order_id__startswith=f"flat-{halt.pk}-")


def positions_to_close(halt: Halt) -> list[PositionToClose]:
    """What is still held in a flatten's scope, for people to see."""
    placed = _Placed(halt)
    return [_as_shown(position, placed.of(position)) for position in positions_of(halt)]


class _Placed:
    """The orders that a flatten has placed so far, read at once."""

    def __init__(self, halt: Halt):
        self._halt = halt
        self._orders: dict[str, list[Order]] = defaultdict(list)
        for order in flat_orders(halt).order_by("id"):
            self._orders[order.client_order_id.rpartition("-")[0]].append(order)

    def of(self, position: Position) -> list[Order]:
        """Those of one position, the first one first."""
        return self._orders.get(_prefix(self._halt, position), [])


def _exposure_key(position: Position) -> str:
    return symbol_key(position.account_id, position.symbol)


def _close(halt: Halt, position: Position, row: ExposureTotal | None, number: int) -> None:
    """Close what is free, in orders that the limits on one order allow."""
    side = Side.SELL if position.qty > 0 else Side.BUY
    free = min(closable(holding_of(row), side), abs(position.qty)) if row else Decimal(0)
    if free <= 0:
        return
    for qty in _parts(free, _largest(position, row)):
        number += 1
        if not _place(halt, position, side, qty, number):
            return


def _place(halt: Halt, position: Position, side: Side, qty: Decimal, number: int) -> bool:
    """Place one closing order; False when the desk does not take it. Its id makes a second worker's the same order."""
    ticket = OrderTicket(
        symbol=position.symbol,
        side=side,
        order_qty=qty,
        ord_type=OrdType.MARKET,
        time_in_force=TimeInForce.DAY,
        broker_name=position.account_id,
        client_order_id=f"{_prefix(halt, position)}-{number}",
        strategy=f"{STRATEGY}.{number}",  # parts of one position are no duplicates of each other
    )
    try:
        order = submit_order(ticket=ticket, actor=halt.set_by, source=Order.Source.MANAGER).order
    except DeskError as error:  # no account lists it any more, or another worker has just placed this one
        log.warning("%s %s is not closed by this turn: %s", position.account_id, position.symbol, error)
        return False
    return order.status != OrdStatus.DENIED


def _parts(free: Decimal, largest: Decimal | None) -> Iterator[Decimal]:
    for _ in range(ORDERS_A_TURN):
        if free <= 0:
            return
        part = free if largest is None else min(free, largest)
        yield part
        free -= part


def _largest(position: Position, row: ExposureTotal | None) -> Decimal | None:
    """The most that one order may have by the limits in force; None when they allow anything."""
    book, account = current_rulebook(), position.account
    place = Place(
        broker=account.adapter,
        account=account.pk,
        symbol=position.symbol,
        asset_class=position.instrument.asset_class,
    )
    qty, notional = book.limit(Control.MAX_ORDER_QTY, place), book.limit(Control.MAX_ORDER_NOTIONAL, place)
    found = [qty] if qty else []
    if notional and row is not None and row.mark_px:
        units = notional * ROOM_FOR_MOVES / row.mark_px
        found.append(units.to_integral_value(ROUND_DOWN) or units.quantize(Decimal("0.000001"), ROUND_DOWN))
    return min((one for one in found if one > 0), default=None)


def _prefix(halt: Halt, position: Position) -> str:
    """How the ids of a position's closing orders begin; a restored desk has others, as its brokers know the old."""
    return f"flat-{halt.pk}-{restore_epoch()}.{position.pk}"


def _is_stuck(placed: list[Order]) -> bool:
    """Whether the last orders failed: a moment after each failure, and for good after some in a row."""
    failures = _failures(placed)
    if not failures:
        return False
    pause = TRY_AGAIN_AFTER * 2 ** (len(failures) - 1)
    return len(failures) >= FAILURES_AT_MOST or timezone.now() < failures[-1].created_at + pause


def _failures(placed: list[Order]) -> list[Order]:
    """The orders at the end of the line that did not trade at all."""
    found: list[Order] = []
    for order in reversed(placed):
        if order.status not in FAILED or order.cum_qty:
            break
        found.insert(0, order)
    return found


def _as_shown(position: Position, placed: list[Order]) -> PositionToClose:
    failures = _failures(placed)
    closing = sum((order.leaves_qty or Decimal(0) for order in placed if order.is_open), Decimal(0))
    problem = ""
    if failures:
        given_up = "given up: " if len(failures) >= FAILURES_AT_MOST else ""
        problem = f"{given_up}{failures[-1].text or failures[-1].status}"
    return PositionToClose(position.account_id, position.symbol, position.qty, closing, problem)
