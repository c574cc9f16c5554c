"""Where booking begins for a position that came open from a legacy database: with what it held then."""

from decimal import Decimal

from orders.models import Position
from orders.round_trips import RoundTrip

OPENING = "_opening"


def opening_of(row: Position) -> RoundTrip | None:
    """The state that executions go on from; None for a position that executions made from the beginning."""
    found = (row.legacy or {}).get(OPENING)
    if found is None or not Decimal(found["qty"]):
        return None
    qty = Decimal(found["qty"])
    return RoundTrip(
        direction=1 if qty > 0 else -1,
        opened_at=row.opened_at,
        last_trade_at=row.opened_at,
        last_exec_id="",
        qty=qty,
        avg_px=Decimal(found["avg_px"]),
        entry_qty=abs(qty),
        entry_px=Decimal(found["avg_px"]),
        realized_pnl=Decimal(found["realized_pnl"]),
        commission=Decimal(found["commission"]),
        order_pk=row.trade_log.order_id,
    )


def opening_among(rows: list[Position]) -> RoundTrip | None:
    """The opening of an instrument's positions, oldest first: only the first can have one."""
    return opening_of(rows[0]) if rows else None
