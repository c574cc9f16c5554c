"""What the suite needs of an adapter's counterparty: its own side of every order, its market, its faults.

The counterparty is a program of its own, reached over real sockets. What it says here comes from its own books, never
through the adapter.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

from brokers.adapter import BrokerAdapter
from brokers.messages import BrokerError, OutcomeUnknown
from brokers.registry import adapter_class
from tradingdesk.fix import OrdStatus, OrdType, Side, TimeInForce

BID_PX, ASK_PX = Decimal("181.90"), Decimal("182.00")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong with the next request.

    `arrives`: whether the request takes effect at the broker all the same. `answer`: what the adapter has to say of
    it; None means that the adapter answers as if nothing had been wrong. `silent`: no answer comes in time.
    """

    name: str
    arrives: bool
    order: Mapping[str, Any]
    answer: type[BrokerError] | None = OutcomeUnknown
    silent: bool = False

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class TakenOrder:
    """An order as the broker has it, in the desk's words; a replaced order is one order, as it stands now."""

    client_order_id: str
    broker_order_id: str
    status: OrdStatus
    side: Side
    ord_type: OrdType
    time_in_force: TimeInForce
    cum_qty: Decimal
    terms: Mapping[str, Any] = field(default_factory=dict)


class Harness(ABC):
    """One adapter's counterparty. `symbol` can be bought and sold short there; `no_symbol` is unknown,
    and `no_order_id` is of no order.

    `send_faults` hit submit, cancel and replace; `read_faults` hit every read; `stream_faults` are names that
    `spoil` takes. Each has to be everything of its kind that the counterparty can do.
    """

    name: ClassVar[str]
    symbol: ClassVar[str] = "IBM"
    no_symbol: ClassVar[str] = "NOSUCH"
    no_order_id: ClassVar[str]
    send_faults: ClassVar[tuple[Fault, ...]]
    read_faults: ClassVar[tuple[Fault, ...]]
    stream_faults: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def adapter_class(cls) -> type[BrokerAdapter]:
        """The adapter that is tested."""
        return adapter_class(cls.name)

    @classmethod
    @abstractmethod
    def started(cls, folder: Path) -> AbstractContextManager[Harness]:
        """Run the counterparty for the time of a block."""

    @abstractmethod
    def settings(self, *, impatient: bool = False) -> dict[str, Any]:
        """Settings for one more adapter at the account; an impatient one gives up what is `silent`."""

    @abstractmethod
    def wrong_settings(self) -> dict[str, dict[str, Any]]:
        """Changes of the settings that keep an adapter from its account, each by what is wrong."""

    # The market

    @abstractmethod
    def show(self, bid_px: Decimal, ask_px: Decimal) -> None:
        """Show a quote of the symbol, large enough for any order of the suite."""

    @abstractmethod
    def open_session(self) -> None:
        """Open the market."""

    @abstractmethod
    def close_session(self) -> None:
        """Close the market."""

    @abstractmethod
    def closes(self) -> dict[date, Decimal]:
        """The symbol's closing price of each whole day that the broker tells, where the adapter claims daily bars."""

    # The account

    @abstractmethod
    def taken(self) -> list[TakenOrder]:
        """Every order that the broker ever took, oldest first."""

    @abstractmethod
    def positions(self) -> dict[str, Decimal]:
        """What the account holds, signed, flat symbols left out."""

    @abstractmethod
    def cash(self) -> Decimal:
        """The account's cash."""

    @abstractmethod
    def arrived(self, method: str) -> int:
        """How many requests of `submit`, `cancel` or `replace` have arrived so far."""

    # What happens at the broker without being asked for by the adapter

    @abstractmethod
    def place_by_hand(self, side: Side, qty: Decimal, price: Decimal) -> str:
        """Place a resting limit order for the day as a person at the broker does; its broker_order_id."""

    @abstractmethod
    def fill(self, broker_order_id: str, qty: Decimal, px: Decimal) -> None:
        """Fill an order outside the market."""

    @abstractmethod
    def cancel_by_hand(self, broker_order_id: str) -> None:
        """Cancel an order unasked."""

    @abstractmethod
    def cancel_all(self) -> None:
        """Cancel unasked whatever still works."""

    @abstractmethod
    def reject(self, broker_order_id: str) -> None:
        """Reject an order that was accepted."""

    @abstractmethod
    def correct_last_trade(self, px: Decimal) -> None:
        """Correct the price of the account's last trade."""

    @abstractmethod
    def bust_last_trade(self) -> None:
        """Take the account's last trade back."""

    def flatten(self) -> None:
        """Close every position by hand."""
        for qty in self.positions().values():
            side, price = (Side.SELL, ASK_PX * 2) if qty > 0 else (Side.BUY, BID_PX / 2)
            self.fill(self.place_by_hand(side, abs(qty), price), abs(qty), BID_PX)

    # Faults

    @abstractmethod
    def inject(self, fault: Fault, method: str, *, times: int | None = 1) -> None:
        """Have a fault hit the next request that this method of the adapter makes; None: all until `clear`."""

    @abstractmethod
    def spoil(self, fault: str, exec_type: str) -> None:
        """Have a fault of the stream hit the next message about such a fact."""

    @abstractmethod
    def cut(self) -> None:
        """Break all connections."""

    @abstractmethod
    def clear(self) -> None:
        """Forget every fault."""
