"""What TWS says, message by message, as it came: the facts that everything else here is derived from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

Fields = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """An order as TWS has it. `status` may be empty; what has traded is not in it."""

    contract: Any
    order: Any
    status: str
    warning: str
    fields: Fields
    at: datetime


@dataclass(frozen=True, slots=True)
class OrderStatus:
    """How an order stands. `client_id` is whose request moved it, not always whose order it is."""

    order_id: int
    client_id: int
    perm_id: int
    status: str
    filled: float
    remaining: float
    avg_px: float
    why_held: str
    fields: Fields
    at: datetime


@dataclass(frozen=True, slots=True)
class CompletedOrder:
    """An order that is done, of any client; it has no order id."""

    contract: Any
    order: Any
    state: Any
    fields: Fields
    at: datetime


@dataclass(frozen=True, slots=True)
class Trade:
    """One execution. `time` is TWS's text of it."""

    contract: Any
    execution: Any
    time: str
    fields: Fields
    at: datetime


@dataclass(frozen=True, slots=True)
class Commission:
    """What an execution cost; it arrives apart."""

    exec_id: str
    commission: float
    currency: str
    fields: Fields


@dataclass(frozen=True, slots=True)
class Notice:
    """A numbered message about an order, a request (`about` is its id), or the connection (-1 or 0)."""

    about: int
    code: int
    text: str
    reasons: str
    fields: Fields
    at: datetime


@dataclass(frozen=True, slots=True)
class Lost:
    """Not a message: the connection on which an answer could have come is gone."""

    reason: str
