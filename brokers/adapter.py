"""The port: what every broker adapter does for the desk, in the desk's words.

An adapter knows one account of one vendor. It never sees an order row; it takes messages and
answers with facts or one of four errors (`brokers.messages`): `NotSupported` (nothing was sent),
`OrderRefused` (proved not taken; `TryLater` when the same request may be sent again), and
`OutcomeUnknown` (anything else). Every call has its own time-out, set by the adapter. Calls may
come from several threads at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar, Protocol

from brokers.messages import (
    AccountState,
    BarState,
    BrokerError,
    CancelOrder,
    CancelRejected,
    ClockState,
    ExecutionReport,
    InstrumentInfo,
    NewOrder,
    NotSupported,
    PositionState,
    QuoteState,
    ReplaceOrder,
    RequestBudget,
)
from tradingdesk.fix import AssetClass, OrderClass, OrdType, TimeInForce

UNABLE_TO_WAIT = frozenset({TimeInForce.OPG, TimeInForce.CLS, TimeInForce.IOC, TimeInForce.FOK})
WITHOUT_STOPS = frozenset({OrdType.MARKET, OrdType.LIMIT})
WITH_LEGS = frozenset({OrdType.MARKET, OrdType.LIMIT})
IN_EXTENDED_HOURS = frozenset({TimeInForce.DAY, TimeInForce.GTC})


class OrderTerms(Protocol):
    """What the rules below read of an order; `NewOrder` is one, and so is what routing looks at."""

    ord_type: OrdType
    time_in_force: TimeInForce
    order_class: OrderClass
    extended_hours: bool
    order_qty: Decimal | None
    notional: Decimal | None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an adapter can ask its broker for.

    `unique_client_order_ids`: the broker itself refuses a second order with the same id, so a
    request whose outcome is unknown may be sent again (rule 5 of the desk). `connectionless`:
    reads need no long-lived connection, so any process may make them. `commissions`: the broker tells what
    each trade cost, perhaps later than the trade. `daily_bars_at_once`: of how many symbols one call may ask daily
    bars; 0 where there are none to be had. `fee_schedule`: what trades cost (`brokers.fees`); "" if not known.
    """

    ord_types: frozenset[OrdType]
    time_in_force: frozenset[TimeInForce]
    order_classes: frozenset[OrderClass] = frozenset({OrderClass.SIMPLE})
    asset_classes: frozenset[AssetClass] = frozenset({AssetClass.US_EQUITY})
    fractional: bool = False
    notional: bool = False
    extended_hours: bool = False
    replace: bool = True
    unique_client_order_ids: bool = False
    connectionless: bool = False
    streaming: bool = False
    commissions: bool = False
    daily_bars_at_once: int = 0
    fee_schedule: str = ""
    min_notional: Decimal | None = None
    fractional_time_in_force: frozenset[TimeInForce] = frozenset({TimeInForce.DAY})
    fractional_ord_types: frozenset[OrdType] = frozenset({OrdType.MARKET})
    notional_ord_types: frozenset[OrdType] = frozenset({OrdType.MARKET})

    def objections(self, order: OrderTerms) -> Iterable[tuple[str, str]]:
        """Give the fields that keep this order from being put to the broker, each with what was found. Pure."""
        checks = (
            ("ord_type", order.ord_type in self.ord_types, order.ord_type),
            ("time_in_force", order.time_in_force in self.time_in_force, order.time_in_force),
            ("order_class", order.order_class in self.order_classes, order.order_class),
            ("extended_hours", self.extended_hours or not order.extended_hours, "true"),
        )
        yield from ((name, str(found)) for name, fine, found in checks if not fine)
        yield from self._session_objections(order)
        if order.order_class != OrderClass.SIMPLE and order.order_class in self.order_classes:
            yield from self._linked_objections(order)
        if order.notional is not None:
            yield from self._notional_objections(order)
        elif order.order_qty is not None and order.order_qty % 1 != 0:
            yield from self._part_objections(
                order, "order_qty", "fractional", self.fractional, self.fractional_ord_types
            )

    def objection(self, order: OrderTerms) -> str:
        """Say why this order cannot be put to the broker; "" when it can."""
        return "; ".join(f"{name}={found}" for name, found in self.objections(order))

    def _session_objections(self, order: OrderTerms) -> Iterable[tuple[str, str]]:
        """What no broker of ours takes: stops that cannot wait, and anything but resting limits outside the session."""
        if order.time_in_force in UNABLE_TO_WAIT & self.time_in_force and order.ord_type not in WITHOUT_STOPS:
            yield "ord_type", f"{order.ord_type} for {order.time_in_force}"
        if not order.extended_hours or not self.extended_hours:
            return
        if order.ord_type != OrdType.LIMIT:
            yield "ord_type", f"{order.ord_type} in extended hours"
        if order.time_in_force not in IN_EXTENDED_HOURS:
            yield "time_in_force", f"{order.time_in_force} in extended hours"

    def _linked_objections(self, order: OrderTerms) -> Iterable[tuple[str, str]]:
        """What no broker of ours takes with legs: entries that wait for a price of their own, other sessions."""
        if order.ord_type not in WITH_LEGS:
            yield "ord_type", f"{order.ord_type} with legs"
        if order.extended_hours and self.extended_hours:
            yield "extended_hours", "true with legs"

    def _notional_objections(self, order: OrderTerms) -> Iterable[tuple[str, str]]:
        if self.notional and self.min_notional is not None and order.notional < self.min_notional:
            yield "notional", f"{order.notional}, min={self.min_notional}"
        yield from self._part_objections(order, "notional", "notional", self.notional, self.notional_ord_types)

    def _part_objections(
        self, order: OrderTerms, name: str, what: str, able: bool, ord_types: frozenset[OrdType]
    ) -> Iterable[tuple[str, str]]:
        if not able:
            yield name, what
        elif order.ord_type not in ord_types:
            yield "ord_type", f"{order.ord_type} with a {what} quantity"
        elif order.time_in_force not in self.fractional_time_in_force:
            yield "time_in_force", f"{order.time_in_force} with a {what} quantity"


class Listener(Protocol):
    """Who hears what a broker says unasked: calls from the adapter's own thread, one at a time, in its order.

    What the listener could not take raises; the adapter then counts the connection as lost.
    """

    def on_facts(self, facts: Sequence[ExecutionReport | CancelRejected]) -> None:
        """Orders moved: everything that came since the last call, oldest first."""

    def on_quote(self, quote: QuoteState) -> None:
        """A price changed."""

    def on_connected(self) -> None:
        """The stream is open (again): what was said in between must be read now."""

    def on_disconnected(self, reason: str) -> None:
        """The stream is lost; the adapter is trying to get it back."""


class BrokerAdapter(ABC):
    """One account at one broker. `settings` has resolved secrets: never log or store it."""

    label: ClassVar[str]
    capabilities: ClassVar[Capabilities]

    def __init__(self, settings: Mapping[str, Any]):
        self.settings = settings

    @classmethod
    @abstractmethod
    def check_settings(cls, settings: Mapping[str, Any]) -> list[str]:
        """Say what is wrong or missing in an account's settings, one line each; [] when all is well."""

    @classmethod
    def visitor_settings(cls, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """Settings for a second connection beside the account's own, to look and not to trade; mostly the same."""
        return settings

    def explain(self, error: BrokerError) -> str:
        """Say in one line what is wrong and, where the settings or the keys are, how to put it right; no secrets."""
        return error.text

    @abstractmethod
    def submit(self, order: NewOrder) -> ExecutionReport:
        """Send a new order; the broker's first answer about it.

        Raises NotSupported, OrderRefused, TryLater or OutcomeUnknown. A broker's "this id exists"
        is not a refusal: the adapter answers with the order that has the id.
        """

    @abstractmethod
    def cancel(self, request: CancelOrder) -> None:
        """Ask for a cancel; None means the broker took the request, not that it is done.

        Raises OrderRefused when the order cannot be cancelled any more (re-read it), TryLater, OutcomeUnknown.
        """

    def cancel_all(self) -> None:
        """Ask in one request for cancels of every working order of the account, whoever placed it.

        None means that the broker took the request. Raises as `cancel` does, and NotSupported where there is no such
        request, or it would reach other accounts, too.
        """
        raise NotSupported(f"{self.label} cancels orders one by one")

    def cancel_everything(self) -> None:
        """Ask for cancels of all that the login's orders are, in an emergency.

        As `cancel_all`, but it may reach more than the account: other accounts of the login, orders that no cancel of
        their own would reach. Raises as `cancel_all` does.
        """
        self.cancel_all()

    @abstractmethod
    def replace(self, request: ReplaceOrder) -> ExecutionReport:
        """Ask for a change; the broker's first answer (which does not promise the change).

        Raises NotSupported, OrderRefused, TryLater, OutcomeUnknown.
        """

    @abstractmethod
    def find_order(self, client_order_id: str) -> ExecutionReport | None:
        """The order with this client id (an `order_status` report); None when the broker answers that it has none."""

    @abstractmethod
    def read_order(self, broker_order_id: str) -> ExecutionReport | None:
        """The order with this broker id, as an `order_status` report; None when the broker knows none."""

    def read_group(self, broker_order_id: str) -> ExecutionReport | None:
        """The order that this leg was placed with, and its `legs`; None where legs carry the desk's own ids."""
        return None

    @abstractmethod
    def open_orders(self) -> list[ExecutionReport]:
        """Every working order of the account, whoever placed it, complete, as `order_status` reports."""

    @abstractmethod
    def executions(self, *, after: datetime | None = None, after_id: str = "") -> list[ExecutionReport]:
        """Trades, busts and corrections, oldest first, complete since `after_id` (or `after`).

        May repeat what was given before; never leaves a gap.
        """

    @abstractmethod
    def positions(self) -> list[PositionState]:
        """Everything the account holds, complete."""

    @abstractmethod
    def account(self) -> AccountState:
        """The account's figures now."""

    @abstractmethod
    def instruments(self, symbols: Iterable[str] | None = None) -> list[InstrumentInfo]:
        """What the account may trade; all of it when `symbols` is None, else those that exist."""

    @abstractmethod
    def quotes(self, symbols: Iterable[str]) -> list[QuoteState]:
        """The latest quote of each symbol that has one."""

    def daily_bars(self, symbols: Iterable[str], *, start: date, end: date) -> list[BarState]:
        """Whole trading days from `start` to `end`, both included, adjusted for splits and dividends.

        Complete for each symbol that has any, by symbol and day; a day that still runs must not be asked for.
        """
        raise NotSupported(f"{self.label} gives the desk no daily bars")

    @abstractmethod
    def clock(self) -> ClockState:
        """The market's clock."""

    def budget(self) -> RequestBudget | None:
        """How many requests may be made now, as last known; asks nobody. None where that is not known."""
        return None

    def next_wire_ref(self) -> str:
        """What else will identify the next order on the wire, to be stored before it is sent; "" where nothing does."""
        return ""

    def is_sent_on_closed(self, wire_ref: str) -> bool:
        """Whether the connection that an order went out on, under this `wire_ref`, is proved to be closed."""
        return False

    def start(self, listener: Listener) -> None:
        """Open the long-lived connection and tell the listener what comes, until `close`; reconnect by itself.

        Returns at once. An adapter without a stream does nothing, and is polled.
        """

    def watch_quotes(self, symbols: Iterable[str]) -> None:
        """Say which symbols' quotes the listener wants from now on; nothing where there is no stream."""

    def close(self) -> None:
        """Give back connections; the adapter is not used afterwards."""
