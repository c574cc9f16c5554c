"""How commands tell what became of the orders that a halt is about."""

from collections.abc import Iterable

from orders.flattening import PositionToClose
from orders.halting import CancelCounts
from tradingdesk.fields import plain


def cancel_words(counts: CancelCounts) -> str:
    """One line: cancels dispatched and acknowledged apart."""
    return (
        f"orders to cancel: {counts.orders}; never sent and cancelled here: {counts.unsent}, "
        f"cancels waiting: {counts.waiting}, dispatched: {counts.dispatched}, acknowledged: {counts.acknowledged}, "
        f"still open: {counts.still_open}"
    )


def position_words(positions: Iterable[PositionToClose]) -> list[str]:
    """A line for each position that is still held."""
    return [
        f"{one.broker_name}: {one.symbol} {plain(one.qty)}, being closed {plain(one.closing_qty)}"
        + (f", {one.problem}" if one.problem else "")
        for one in positions
    ]
