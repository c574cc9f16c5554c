"""What the desk says to a broker and what a broker says to the desk, in the desk's words.

Messages out are imperative (`NewOrder`); facts in are nouns (`ExecutionReport`). Quantities and
prices are `Decimal`, times are aware UTC, symbols are the broker's own spelling. Adapters build
the facts in their `parsing.py`; floats and SDK sentinels stop there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from tradingdesk.fix import (
    AssetClass,
    ExecType,
    LegRole,
    OrderClass,
    OrdStatus,
    OrdType,
    RequestKind,
    Side,
    TimeInForce,
)
from tradingdesk.redaction.known import redact, redacted

# What a broker's refusal of us is called (`BrokerError.code`), whatever it was asked for.
UNAUTHORIZED = "UNAUTHORIZED"
OTHER_ACCOUNT = "OTHER_ACCOUNT"

LATE_COMMISSION = "+commission"


class BrokerError(Exception):
    """A broker, or the way to it, did not do what was asked. `text` is the broker's own words, without our secrets.

    `explained` is one line for a person: what is wrong, and what to do about it where the adapter knows.
    """

    def __init__(self, text: str, *, code: str = "", raw: Any = None):
        text = redact(text)
        super().__init__(text)
        self.text, self.code, self.raw = text, code, redacted(raw)
        self.explained = text


class NotSupported(BrokerError):
    """The adapter cannot say this to its broker; nothing was sent."""


class OrderRefused(BrokerError):
    """The broker proved that it did not take the request."""


class TryLater(OrderRefused):
    """Proved not taken, but only for now (rate limit): the same request may be sent again.

    `retry_after` is in seconds.
    """

    def __init__(self, text: str, *, retry_after: float = 1.0, code: str = "", raw: Any = None):
        super().__init__(text, code=code, raw=raw)
        self.retry_after = retry_after


class OutcomeUnknown(BrokerError):
    """No answer, or one that proves nothing: time-out, lost connection, 5xx, unreadable body.

    Raised by reads too: "no answer" is never "nothing there".
    """


@dataclass(frozen=True, slots=True)
class NewLeg:
    """An exit that is placed with its order: a limit to take profit, or against loss a stop, with a limit or not."""

    client_order_id: str
    role: LegRole
    price: Decimal | None = None
    stop_px: Decimal | None = None


@dataclass(frozen=True, slots=True)
class NewOrder:
    """Place an order. Exactly one of `order_qty` (units) and `notional` (quote currency) is set.

    `legs` are the exits of a bracket or "oto" order, which wait until it has filled; of an "oco" order, which takes
    the profit itself, the stop. They have the order's quantity and time in force; exits of an entry the other side.
    `wire_ref` is what the adapter gave for this send (`BrokerAdapter.next_wire_ref`), stored before it.
    """

    client_order_id: str
    symbol: str
    side: Side
    ord_type: OrdType
    time_in_force: TimeInForce
    order_qty: Decimal | None = None
    notional: Decimal | None = None
    price: Decimal | None = None
    stop_px: Decimal | None = None
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    extended_hours: bool = False
    order_class: OrderClass = OrderClass.SIMPLE
    legs: tuple[NewLeg, ...] = ()
    wire_ref: str = ""


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """Cancel a working order, known by the broker's id."""

    client_order_id: str
    orig_client_order_id: str
    broker_order_id: str


@dataclass(frozen=True, slots=True)
class ReplaceOrder:
    """Change a working order; `None` leaves a value as it is.

    `client_order_id` becomes the working order's id at brokers that give a replacement a new one.
    """

    client_order_id: str
    orig_client_order_id: str
    broker_order_id: str
    order_qty: Decimal | None = None
    price: Decimal | None = None
    stop_px: Decimal | None = None
    trail_price: Decimal | None = None
    time_in_force: TimeInForce | None = None


@dataclass(frozen=True, slots=True)
class ExecutionReport:
    """One fact about one order (FIX 35=8): a state it came to, or a trade, bust or correction.

    `cum_qty`, `leaves_qty` and `avg_px` are the broker's figures and may be None where a message
    does not carry them. `exec_id` is set on trades, busts and corrections only; `exec_ref_id`
    names the execution that a bust or correction is about. `status` is what the broker says the
    order is now. `raw` is the vendor's payload, unchanged. `source` is set where a broker tells the
    same trade in several ways, under ids that nothing ties together: which of them this is. `legs` are reports of
    the orders that were placed with this one, where the broker tells them; `leg_role` is what a leg is for, None for an
    order that is no leg.
    """

    exec_type: ExecType
    broker_order_id: str
    transact_time: datetime
    client_order_id: str = ""
    status: OrdStatus | None = None
    symbol: str = ""
    side: Side | None = None
    ord_type: OrdType | None = None
    time_in_force: TimeInForce | None = None
    order_qty: Decimal | None = None
    notional: Decimal | None = None
    price: Decimal | None = None
    stop_px: Decimal | None = None
    cum_qty: Decimal | None = None
    leaves_qty: Decimal | None = None
    avg_px: Decimal | None = None
    exec_id: str | None = None
    exec_ref_id: str | None = None
    last_qty: Decimal | None = None
    last_px: Decimal | None = None
    commission: Decimal | None = None
    replaces: str | None = None
    replaced_by: str | None = None
    order_class: OrderClass | None = None
    leg_role: LegRole | None = None
    legs: tuple[ExecutionReport, ...] = ()
    source: str = ""
    text: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict)


def late_commission(trade: ExecutionReport, amount: Decimal) -> ExecutionReport:
    """Make the correction that tells what a trade cost, where that came after it.

    Its id follows from the trade's: whoever makes it, in whichever process, it is booked once.
    """
    return replace(
        trade,
        exec_type=ExecType.TRADE_CORRECT,
        exec_id=f"{trade.exec_id}{LATE_COMMISSION}",
        exec_ref_id=trade.exec_id,
        commission=amount,
        text="its commission came later",
    )


@dataclass(frozen=True, slots=True)
class CancelRejected:
    """A cancel or replace was not done (FIX 35=9); the order stands as `status` says."""

    response_to: RequestKind
    broker_order_id: str
    transact_time: datetime
    client_order_id: str = ""
    orig_client_order_id: str = ""
    status: OrdStatus | None = None
    text: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AccountState:
    """The broker's figures for one account, in its base currency, as of `as_of`.

    Margins are None where the broker tells none; `exchange_rates` are units of `currency` for one of another.
    """

    account_id: str
    currency: str
    cash: Decimal
    equity: Decimal
    portfolio_value: Decimal
    buying_power: Decimal
    as_of: datetime
    trading_blocked: bool = False
    shorting_enabled: bool = True
    initial_margin: Decimal | None = None
    maintenance_margin: Decimal | None = None
    exchange_rates: Mapping[str, Decimal] = field(default_factory=dict)
    text: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PositionState:
    """What the broker says we hold: `qty` is signed (short below zero), `avg_px` per unit."""

    symbol: str
    qty: Decimal
    avg_px: Decimal
    market_value: Decimal | None = None
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InstrumentInfo:
    """What an account may trade, and in which steps. `price_increment` None: by the price's own rule."""

    symbol: str
    broker_instrument_id: str
    asset_class: AssetClass
    currency: str
    name: str = ""
    exchange: str = ""
    tradable: bool = True
    fractionable: bool = False
    shortable: bool = False
    marginable: bool = False
    price_increment: Decimal | None = None
    min_order_qty: Decimal | None = None
    sector: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class QuoteState:
    """The best bid and offer of one feed; sizes in units, zero where a side is empty."""

    symbol: str
    bid_px: Decimal
    bid_size: Decimal
    ask_px: Decimal
    ask_size: Decimal
    quote_time: datetime
    feed: str = ""


@dataclass(frozen=True, slots=True)
class BarState:
    """One whole trading day of one symbol, of one feed; `day` is the market's own date.

    Prices are adjusted for splits and dividends up to when they were asked for: the same day's differ later.
    """

    symbol: str
    day: date
    open_px: Decimal
    high_px: Decimal
    low_px: Decimal
    close_px: Decimal
    volume: Decimal
    feed: str = ""


@dataclass(frozen=True, slots=True)
class RequestBudget:
    """How many requests the broker takes: `remaining` of `limit` until `resets_at`."""

    limit: int
    remaining: int
    resets_at: datetime


@dataclass(frozen=True, slots=True)
class ClockState:
    """The market's clock as the broker keeps it."""

    timestamp: datetime
    is_open: bool
    next_open: datetime
    next_close: datetime
