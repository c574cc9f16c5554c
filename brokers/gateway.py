"""One connection a process to each broker account: the adapter, measured.

    gateway_for(account).submit(order)

The account is anything with `broker_name`, `adapter` (the folder's name), `settings` (secrets as references) and
`paper_trading`. Changed settings or a rotated secret give a new connection at the next call.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import date, datetime
from threading import Lock
from typing import Any, Protocol

from brokers import health
from brokers.adapter import BrokerAdapter, Capabilities, Listener
from brokers.discretion import discreet
from brokers.messages import (
    OTHER_ACCOUNT,
    UNAUTHORIZED,
    AccountState,
    BarState,
    BrokerError,
    CancelOrder,
    ClockState,
    ExecutionReport,
    InstrumentInfo,
    NewOrder,
    NotSupported,
    OrderRefused,
    OutcomeUnknown,
    PositionState,
    QuoteState,
    ReplaceOrder,
    TryLater,
)
from brokers.registry import UnknownAdapter, adapter_class
from brokers.secrets import MissingSecret, resolve
from brokers.vitals import Overhearing, Vitals, note_connection
from tradingdesk.redaction.known import redact

logger = logging.getLogger(__name__)

NOT_CONFIGURED = "NOT_CONFIGURED"
UNTIL_CONFIGURED = 5.0


class Account(Protocol):
    """What a gateway has to know of a broker account."""

    broker_name: str
    adapter: str
    settings: dict[str, Any]
    paper_trading: bool


class Gateway:
    """The port of one account; each call's time and outcome go to `brokers.health`."""

    def __init__(self, broker_name: str, adapter: BrokerAdapter):
        self.broker_name, self.adapter = broker_name, adapter
        self._vitals: Vitals | None = None

    def __repr__(self) -> str:
        return f"<Gateway {self.broker_name}: {self.adapter.label}>"

    @property
    def label(self) -> str:
        """What people call the broker."""
        return self.adapter.label

    @property
    def capabilities(self) -> Capabilities:
        """What the adapter can ask its broker for."""
        return self.adapter.capabilities

    def submit(self, order: NewOrder) -> ExecutionReport:
        """See `BrokerAdapter.submit`."""
        return self._call("submit", self.adapter.submit, order)

    def cancel(self, request: CancelOrder) -> None:
        """See `BrokerAdapter.cancel`."""
        return self._call("cancel", self.adapter.cancel, request)

    def replace(self, request: ReplaceOrder) -> ExecutionReport:
        """See `BrokerAdapter.replace`."""
        return self._call("replace", self.adapter.replace, request)

    def find_order(self, client_order_id: str) -> ExecutionReport | None:
        """See `BrokerAdapter.find_order`."""
        return self._call("find_order", self.adapter.find_order, client_order_id)

    def read_order(self, broker_order_id: str) -> ExecutionReport | None:
        """See `BrokerAdapter.read_order`."""
        return self._call("read_order", self.adapter.read_order, broker_order_id)

    def read_group(self, broker_order_id: str) -> ExecutionReport | None:
        """See `BrokerAdapter.read_group`."""
        return self._call("read_group", self.adapter.read_group, broker_order_id)

    def open_orders(self) -> list[ExecutionReport]:
        """See `BrokerAdapter.open_orders`."""
        return self._call("open_orders", self.adapter.open_orders)

    def executions(self, *, after: datetime | None = None, after_id: str = "") -> list[ExecutionReport]:
        """See `BrokerAdapter.executions`."""
        return self._call("executions", self.adapter.executions, after=after, after_id=after_id)

    def positions(self) -> list[PositionState]:
        """See `BrokerAdapter.positions`."""
        return self._call("positions", self.adapter.positions)

    def account(self) -> AccountState:
        """See `BrokerAdapter.account`."""
        return self._call("account", self.adapter.account)

    def instruments(self, symbols: Iterable[str] | None = None) -> list[InstrumentInfo]:
        """See `BrokerAdapter.instruments`."""
        return self._call("instruments", self.adapter.instruments, symbols)

    def quotes(self, symbols: Iterable[str]) -> list[QuoteState]:
        """See `BrokerAdapter.quotes`."""
        return self._call("quotes", self.adapter.quotes, symbols)

    def daily_bars(self, symbols: Iterable[str], *, start: date, end: date) -> list[BarState]:
        """See `BrokerAdapter.daily_bars`."""
        return self._call("daily_bars", self.adapter.daily_bars, symbols, start=start, end=end)

    def clock(self) -> ClockState:
        """See `BrokerAdapter.clock`."""
        return self._call("clock", self.adapter.clock)

    def next_wire_ref(self) -> str:
        """See `BrokerAdapter.next_wire_ref`."""
        return self.adapter.next_wire_ref()

    def is_sent_on_closed(self, wire_ref: str) -> bool:
        """See `BrokerAdapter.is_sent_on_closed`."""
        return self.adapter.is_sent_on_closed(wire_ref)

    def start(self, listener: Listener) -> None:
        """See `BrokerAdapter.start`. From now on this gateway writes how the connection does."""
        self._vitals = self._vitals or Vitals()
        self.adapter.start(Overhearing(self.broker_name, listener, self._vitals))

    def watch_quotes(self, symbols: Iterable[str]) -> None:
        """See `BrokerAdapter.watch_quotes`."""
        self.adapter.watch_quotes(symbols)

    def close(self) -> None:
        """Give back the adapter's connections."""
        self.adapter.close()
        if self._vitals is not None:
            note_connection(self.broker_name, is_open=False)

    def _call(self, operation: str, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Make a call and record it. An adapter's own mistake may come after the send: it proves nothing."""
        began = time.perf_counter()
        try:
            answer = method(*args, **kwargs)
        except NotSupported:
            raise
        except BrokerError as error:
            error.explained = redact(self.adapter.explain(error))
            self._record(operation, began, error)
            raise
        except Exception as mistake:
            error = OutcomeUnknown(f"{self.label} adapter failed in {operation}: {type(mistake).__name__}: {mistake}")
            self._record(operation, began, error)
            raise error from mistake
        self._record(operation, began)
        return discreet(answer)

    def _record(self, operation: str, began: float, error: BrokerError | None = None) -> None:
        seconds, ok = time.perf_counter() - began, error is None or is_healthy(error)
        if ok and self._vitals is not None:
            self._vitals.answered(seconds)
        said = error.explained if error else ""
        _note(self.broker_name, operation, ok=ok, seconds=seconds, error=said, vitals=self._figures)

    def _figures(self) -> dict[str, Any]:
        return self._vitals.columns(self.adapter.budget()) if self._vitals is not None else {}


def _note(broker_name: str, operation: str, *, ok: bool, seconds: float, error: str, vitals: Any = dict) -> None:
    """Note a call. A note that cannot be written must not cost the broker's answer."""
    try:
        health.record(broker_name, operation=operation, ok=ok, seconds=seconds, error=error, vitals=vitals)
    except Exception:
        logger.exception("health of %s could not be recorded", broker_name)


def is_healthy(error: BrokerError) -> bool:
    """Tell whether a broker that said this is at work: a refusal is an answer, unless it is of our keys or account."""
    refused = isinstance(error, OrderRefused) and not isinstance(error, TryLater)
    return refused and error.code not in (UNAUTHORIZED, OTHER_ACCOUNT)


_gateways: dict[str, tuple[str, Gateway]] = {}
_lock = Lock()


def gateway_for(account: Account) -> Gateway:
    """Give this process's gateway to an account, made at the first call and again when its settings have changed.

    Raises:
        TryLater: the account cannot be reached as it is configured (a missing secret, wrong settings, an unknown
            adapter): nothing was sent, and putting the configuration right is enough. `code` is NOT_CONFIGURED.
    """
    with _configured(account):
        return _gateway_for(account)


@contextmanager
def visiting(account: Account) -> Iterator[Gateway]:
    """Give a connection of the block's own, beside the one that the account's worker may hold: to look, not to trade.

    Raises:
        TryLater: as `gateway_for` does.
    """
    with _configured(account):
        settings, kind = _settings_of(account), adapter_class(account.adapter)
        gateway = Gateway(account.broker_name, kind(kind.visitor_settings(settings)))
    with closing(gateway):
        yield gateway


@contextmanager
def beside(account: Account) -> Iterator[BrokerAdapter]:
    """Give an adapter of the block's own, as `visiting` does, without a note of how its calls do.

    For emergencies: what it does needs neither the database nor anybody else.

    Raises:
        TryLater: as `gateway_for` does.
    """
    with _configured(account):
        kind = adapter_class(account.adapter)
        adapter = kind(kind.visitor_settings(_settings_of(account)))
    with closing(adapter):
        yield adapter


@contextmanager
def _configured(account: Account) -> Iterator[None]:
    try:
        yield
    except (MissingSecret, UnknownAdapter, ValueError) as error:
        text = f"not configured: {error}"
        _note(account.broker_name, "connect", ok=False, seconds=0.0, error=text)
        raise TryLater(text, retry_after=UNTIL_CONFIGURED, code=NOT_CONFIGURED) from error


def _settings_of(account: Account) -> dict[str, Any]:
    return resolve(account.settings) | {"paper_trading": account.paper_trading}


def _gateway_for(account: Account) -> Gateway:
    settings = _settings_of(account)
    fingerprint = _fingerprint(account.adapter, settings)
    with _lock:
        known, gateway = _gateways.get(account.broker_name, ("", None))
        if known == fingerprint:
            return gateway
        made = Gateway(account.broker_name, adapter_class(account.adapter)(settings))
        _gateways[account.broker_name] = fingerprint, made
    if gateway is not None:
        gateway.close()
    return made


def forget_gateway(broker_name: str) -> None:
    """Close this process's connection to an account; the next call makes another."""
    with _lock:
        _, gateway = _gateways.pop(broker_name, ("", None))
    if gateway is not None:
        gateway.close()


def close_gateways() -> None:
    """Close every connection of this process."""
    with _lock:
        gateways = [gateway for _, gateway in _gateways.values()]
        _gateways.clear()
    for gateway in gateways:
        gateway.close()


def _fingerprint(adapter: str, settings: dict[str, Any]) -> str:
    text = json.dumps([adapter, settings], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _forget_after_fork() -> None:
    """A child must not talk on its parent's sockets, nor wait for a lock that a parent's thread held."""
    global _lock
    _lock = Lock()
    _gateways.clear()


os.register_at_fork(after_in_child=_forget_after_fork)
