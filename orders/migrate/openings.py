"""What the migrated rows mean for the desk from now on: what is held, what is entered, at which price it counts.

The old system could have several open positions of a symbol; the desk holds one. The first one found stays open and
carries all of them; the others are closed at the time of the migration, and say in `legacy` what carries them. Where
the desk holds the symbol already, its own position stands: it knows the broker's word.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from brokers.models import BrokerAccount
from orders.models import Position, TradeLog
from orders.openings import OPENING
from risk import exposure
from tradingdesk.fields import MONEY_PLACES, fit, plain
from tradingdesk.fix import Side

ZERO = Decimal(0)
CARRIED_BY = "_carried_by"
_OPEN = ("pending", "new", "partially_filled")


@dataclass(slots=True)
class Held:
    """What the account holds of a symbol by the legacy database; `legacy_id` is the row that carries it.

    `longs` and `shorts` are quantity and cost of the rows of each side; what is held costs what its side did.
    """

    legacy_id: int
    rows: int = 0
    longs: list[Decimal] = field(default_factory=lambda: [ZERO, ZERO])
    shorts: list[Decimal] = field(default_factory=lambda: [ZERO, ZERO])

    def add(self, qty: Decimal, px: Decimal) -> None:
        """Add a row."""
        side = self.longs if qty > 0 else self.shorts
        side[0] += qty
        side[1] += qty * px
        self.rows += 1

    @property
    def qty(self) -> Decimal:
        """The net quantity."""
        return fit(self.longs[0] + self.shorts[0])

    @property
    def avg_px(self) -> Decimal:
        """Average price of the side that is held."""
        qty, cost = self.longs if self.qty > 0 else self.shorts
        return fit(cost / qty)


class Openings:
    """Collects what is open while rows are moved, and writes it at the end."""

    def __init__(self, account: BrokerAccount, now: datetime):
        self.account, self.now = account, now
        self._held: dict[str, Held] = {}
        self._entered: dict[tuple[str, Side], list[Decimal]] = {}
        self._prices: dict[str, Decimal] = {}
        self._of_desk = set(Position.objects.filter(account=account, closed_at=None).values_list("symbol", flat=True))

    def note_price(self, symbol: str, px: Decimal) -> None:
        """Remember what a symbol last traded at."""
        self._prices[symbol] = px

    def reserve(self, order: dict[str, Any]) -> None:
        """Give an open order its reservation."""
        if order["status"] not in _OPEN:
            return
        px = order["price"] or order["stop_px"] or self._prices.get(order["symbol"], ZERO)
        qty = order["order_qty"] - order["cum_qty"]
        notional = fit(qty * px, MONEY_PLACES)
        order |= {"reserve_total_qty": order["order_qty"], "reserve_px": px}
        order |= {"reserved_qty": qty, "reserved_notional": notional}
        entered = self._entered.setdefault((order["symbol"], Side(order["side"])), [ZERO, ZERO])
        entered[0] += qty
        entered[1] += notional

    def hold(self, position: dict[str, Any]) -> None:
        """Count an open position, and close it here if another one carries it."""
        if position["closed_at"] is not None:
            return
        symbol, qty = position["symbol"], position["qty"]
        carrier = None if symbol in self._of_desk else self._held.setdefault(symbol, Held(position["legacy_id"]))
        if carrier is not None:
            carrier.add(qty, position["avg_px"])
        if carrier is None or carrier.rows > 1:
            position |= {"qty": ZERO, "closed_at": self.now, "historic": True}
            by = "the desk's own position" if carrier is None else carrier.legacy_id
            position["legacy"] = position["legacy"] | {CARRIED_BY: by}

    def write(self) -> None:
        """Write what is held and entered: carrying positions, their logs, and the exposure totals."""
        for held in self._held.values():
            self._write_carrier(held)
        symbols = {*self._held, *(symbol for symbol, _ in self._entered)}
        for symbol in sorted(symbols):
            self._write_exposure(symbol)

    def _write_carrier(self, held: Held) -> None:
        row = Position.objects.get(account=self.account, legacy_id=held.legacy_id)
        log = TradeLog.objects.filter(position=row).first()
        row.qty, row.avg_px = held.qty, held.avg_px if held.qty else row.avg_px
        row.closed_at, row.historic = (None, False) if held.qty else (self.now, True)
        row.commission = log.commission if log else ZERO
        row.legacy = row.legacy | {
            OPENING: {
                "qty": plain(row.qty),
                "avg_px": plain(row.avg_px),
                "realized_pnl": plain(row.realized_pnl),
                "commission": plain(row.commission),
            }
        }
        row.save(update_fields=["qty", "avg_px", "closed_at", "historic", "commission", "legacy"])
        if log is None:
            self._write_log(row)

    def _write_log(self, row: Position) -> None:
        """The round trip of a position that has none: booking goes on with it."""
        long = row.legacy["side"] == "long" if not row.qty else row.qty > 0
        TradeLog.objects.create(
            position=row,
            account=self.account,
            symbol=row.symbol,
            direction=TradeLog.Direction.LONG if long else TradeLog.Direction.SHORT,
            entry_qty=abs(row.qty),
            entry_px=row.avg_px,
            gross_pnl=row.realized_pnl,
            net_pnl=row.realized_pnl - row.commission,
            opened_at=row.opened_at,
            closed_at=row.closed_at,
        )

    def _write_exposure(self, symbol: str) -> None:
        held = self._held.get(symbol)
        row = exposure.lock_for_report(self.account.broker_name, symbol)
        mark = row.mark_px or self._prices.get(symbol) or (held.avg_px if held and held.qty else ZERO)
        for side in (Side.BUY, Side.SELL):
            qty, notional = self._entered.get((symbol, side), (ZERO, ZERO))
            position_qty = None if held is None else held.qty
            exposure.move(row, side=side, qty=qty, notional=notional, position_qty=position_qty, mark_px=mark or None)
