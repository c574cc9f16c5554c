"""The money side of the venue: each account's cash, holdings, what open orders hold, and the fees.

Buying power is equity times the multiplier, less the gross value of holdings, less what open orders
hold; for a multiplier of 1 without shorts this is cash less what open buys hold.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from brokers.sandbox.book import ZERO, Execution, Order
from tradingdesk.fix import Side

Marks = Callable[[str], Decimal]
FEE_STEP = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class AccountRules:
    """What one account may do and pays. `fee_per_share` in currency per unit, `fee_min` per order,
    `fee_max_share` the most an order's fees may be as a share of its value.

    `may_cross_zero`: one order may turn a long position into a short one (Alpaca refuses it).
    """

    starting_cash: Decimal = Decimal(100_000)
    multiplier: Decimal = Decimal(1)
    shorting: bool = False
    may_cross_zero: bool = False
    refuse_wash_trades: bool = False
    fee_per_share: Decimal = ZERO
    fee_min: Decimal = ZERO
    fee_max_share: Decimal | None = None
    partial_fill_probability: float = 0.0
    ack_delay_s: float = 0.0
    cancel_delay_s: float = 0.0
    market_fill_delay_s: float = 0.0
    seed: int = 0


@dataclass(slots=True)
class Holding:
    """A position: `qty` is signed, `avg_px` the average entry price."""

    qty: Decimal = ZERO
    avg_px: Decimal = ZERO

    def apply(self, signed_qty: Decimal, px: Decimal) -> None:
        """Book one trade; a trade through zero starts the other side at its own price."""
        after = self.qty + signed_qty
        if self.qty * signed_qty >= 0:
            self.avg_px = (self.avg_px * self.qty + px * signed_qty) / after if after else ZERO
        elif after * self.qty < 0:
            self.avg_px = px
        elif not after:
            self.avg_px = ZERO
        self.qty = after


@dataclass(slots=True)
class Account:
    """One account's books. `trades` are executions as they stand now, busts gone and corrections applied."""

    name: str
    rules: AccountRules
    cash: Decimal = ZERO
    begun_with: Decimal = ZERO
    holdings: dict[str, Holding] = field(default_factory=dict)
    trades: dict[str, Execution] = field(default_factory=dict)
    held_cash: Decimal = ZERO
    held_qty: dict[tuple[str, Side], Decimal] = field(default_factory=lambda: defaultdict(Decimal))

    def __post_init__(self) -> None:
        self.begin_with(self.rules.starting_cash)

    def begin_with(self, cash: Decimal | str) -> None:
        """Set the cash that the account had before its first trade."""
        self.cash = self.begun_with = Decimal(cash)

    def position(self, symbol: str) -> Decimal:
        """The signed quantity held of a symbol."""
        holding = self.holdings.get(symbol)
        return holding.qty if holding else ZERO

    def closable(self, symbol: str, side: Side) -> Decimal:
        """How much an order of this side could close now, less what open orders already hold."""
        return max(-self.position(symbol) * side.sign, ZERO) - self.held_qty[(symbol, side)]

    def gross(self, marks: Marks) -> Decimal:
        """The absolute value of all holdings."""
        return sum((abs(h.qty) * marks(s) for s, h in self.holdings.items()), ZERO)

    def equity(self, marks: Marks) -> Decimal:
        """Cash plus the signed value of all holdings."""
        return self.cash + sum((h.qty * marks(s) for s, h in self.holdings.items()), ZERO)

    def buying_power(self, marks: Marks) -> Decimal:
        """What new exposure the account can still take on, never below zero."""
        return max(self.equity(marks) * self.rules.multiplier - self.gross(marks) - self.held_cash, ZERO)

    def hold(self, order: Order, px: Decimal) -> None:
        """Hold what the order needs as it stands: units for its closing part, money for the rest."""
        cash, qty = needs(order, px) if order.is_open else (ZERO, ZERO)
        self.held_cash += cash - order.held_cash
        self.held_qty[(order.symbol, order.side)] += qty - order.held_qty
        order.held_cash, order.held_qty = cash, qty

    def fee_due(self, order: Order, cum_qty: Decimal, cum_value: Decimal) -> Decimal:
        """The fee that a change to `cum_qty` and `cum_value` adds to the order (below zero: gives back)."""
        total = max(self.rules.fee_min, self.rules.fee_per_share * cum_qty) if cum_qty else ZERO
        if self.rules.fee_max_share is not None:
            total = min(total, (self.rules.fee_max_share * cum_value).quantize(FEE_STEP))
        return total - order.fees

    def book(self, trade: Execution) -> None:
        """Book a trade: cash, holding, fee."""
        self.trades[trade.exec_id] = trade
        self._apply(trade)

    def amend(self, root_id: str, trade: Execution | None) -> None:
        """Put another trade (None: nothing) in a booked one's place and fold the account's books anew."""
        if trade is None:
            del self.trades[root_id]
        else:
            self.trades[root_id] = trade
        self.cash, self.holdings = self.begun_with, {}
        for booked in self.trades.values():
            self._apply(booked)

    def _apply(self, trade: Execution) -> None:
        signed = trade.qty * trade.side.sign
        holding = self.holdings.setdefault(trade.symbol, Holding())
        holding.apply(signed, trade.px)
        if not holding.qty:
            del self.holdings[trade.symbol]
        self.cash -= signed * trade.px + trade.fee


def needs(order: Order, px: Decimal) -> tuple[Decimal, Decimal]:
    """The money and the units that an open order needs, taking `px` where it has no price of its own."""
    if order.held or order.covered:
        return ZERO, ZERO
    px = order.price or order.stop_px or px
    leaves = order.leaves(px)
    closing = min(leaves, max(order.closing_qty - order.cum_qty, ZERO))
    return (leaves - closing) * px, closing
