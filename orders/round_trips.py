"""Positions as a fold over trades: no database, no clock. Average cost; crossing zero closes and opens.

Every step rounds as the database stores, so that going on from a stored row and folding all
over again end in the same figures.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from orders.lifecycle import Fill, Trade
from tradingdesk.fields import MONEY_PLACES, fit
from tradingdesk.fix import Side

LEGACY_EXEC_ID = "legacy-"  # how executions that came from a legacy database begin: positions came with them


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """What is held from flat to flat. `qty` is signed; entry and exit figures are cumulated.

    `opened_by` is the exec_id of the first fill, `order_pk` the order it came from.
    """

    direction: int
    opened_at: datetime
    last_trade_at: datetime
    last_exec_id: str
    qty: Decimal = Decimal(0)
    avg_px: Decimal = Decimal(0)
    entry_qty: Decimal = Decimal(0)
    entry_px: Decimal = Decimal(0)
    exit_qty: Decimal = Decimal(0)
    exit_px: Decimal | None = None
    realized_pnl: Decimal = Decimal(0)
    commission: Decimal = Decimal(0)
    closed_at: datetime | None = None
    order_pk: int | None = None


def book(open_trip: RoundTrip | None, fill: Fill | Trade) -> list[RoundTrip]:
    """Book one trade on what is held: the trip it changed and, when it crosses zero, the one it opened."""
    signed = fill.last_qty * Side(fill.side).sign
    commission = fill.commission or Decimal(0)
    if open_trip is None:
        return [_enter(_opened(fill, 1 if signed > 0 else -1), fill, abs(signed), commission)]
    if signed * open_trip.direction > 0:
        return [_enter(open_trip, fill, abs(signed), commission)]
    closing = min(abs(signed), abs(open_trip.qty))
    closed = _exit(open_trip, fill, closing, commission)
    rest = abs(signed) - closing
    if rest == 0:
        return [closed]
    return [closed, _enter(_opened(fill, 1 if signed > 0 else -1), fill, rest, Decimal(0))]


def fold(fills: Iterable[Trade], opening: RoundTrip | None = None) -> list[RoundTrip]:
    """Fold trades, oldest first, into round trips, going on from `opening`; the last may be open."""
    trips = [opening] if opening else []
    for fill in fills:
        current = trips.pop() if trips and trips[-1].closed_at is None else None
        trips.extend(book(current, fill))
    return trips


def _opened(fill: Fill | Trade, direction: int) -> RoundTrip:
    return RoundTrip(
        direction=direction,
        opened_at=fill.transact_time,
        last_trade_at=fill.transact_time,
        last_exec_id=fill.exec_id,
        order_pk=fill.order_id,
    )


def _average(qty: Decimal, px: Decimal | None, more_qty: Decimal, more_px: Decimal) -> Decimal:
    return fit((qty * (px or Decimal(0)) + more_qty * more_px) / (qty + more_qty))


def _enter(trip: RoundTrip, fill: Fill | Trade, qty: Decimal, commission: Decimal) -> RoundTrip:
    return replace(
        trip,
        qty=fit(trip.qty + qty * trip.direction),
        avg_px=_average(abs(trip.qty), trip.avg_px, qty, fill.last_px),
        entry_qty=fit(trip.entry_qty + qty),
        entry_px=_average(trip.entry_qty, trip.entry_px, qty, fill.last_px),
        commission=fit(trip.commission + commission, MONEY_PLACES),
        last_trade_at=fill.transact_time,
        last_exec_id=fill.exec_id,
    )


def _exit(trip: RoundTrip, fill: Fill | Trade, qty: Decimal, commission: Decimal) -> RoundTrip:
    left = fit(trip.qty - qty * trip.direction)
    gain = fit((fill.last_px - trip.avg_px) * qty * trip.direction, MONEY_PLACES)
    return replace(
        trip,
        qty=left,
        exit_qty=fit(trip.exit_qty + qty),
        exit_px=_average(trip.exit_qty, trip.exit_px, qty, fill.last_px),
        realized_pnl=fit(trip.realized_pnl + gain, MONEY_PLACES),
        commission=fit(trip.commission + commission, MONEY_PLACES),
        last_trade_at=fill.transact_time,
        last_exec_id=fill.exec_id,
        closed_at=fill.transact_time if left == 0 else None,
    )
