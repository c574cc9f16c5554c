"""The trades that bring a position to a broker's word without a profit or loss: no database, no clock."""

from dataclasses import dataclass
from decimal import Decimal

from tradingdesk.fields import fit

# What the ids of executions and orders that people booked begin with; no broker's do.
ADJUSTMENT = "adj-"


@dataclass(frozen=True, slots=True)
class Adjustment:
    """One booking: `qty` is signed, below zero for what goes out."""

    qty: Decimal
    px: Decimal


def adjustments(ours: Decimal, our_px: Decimal, theirs: Decimal, their_px: Decimal) -> list[Adjustment]:
    """Give bookings after which the position is `theirs` and costs `their_px` a unit on average.

    None of them realizes anything: what goes out goes at its average price. A position that only shrinks
    keeps the average price it has; one that only grows takes the rest at the price that makes the average right;
    anything else (a split, the other side) goes out whole and comes in anew.
    """
    if ours == theirs:
        return []
    if ours * theirs > 0 and abs(theirs) < abs(ours) and our_px == their_px:
        return [Adjustment(theirs - ours, our_px)]
    if ours * theirs > 0 and abs(theirs) > abs(ours):
        px = fit((theirs * their_px - ours * our_px) / (theirs - ours))
        if px >= 0:
            return [Adjustment(theirs - ours, px)]
    out = [Adjustment(-ours, our_px)] if ours else []
    return out + ([Adjustment(theirs, their_px)] if theirs else [])
