"""Alpaca for the desk: one account, through alpaca-py."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from alpaca.common.exceptions import APIError
from requests.exceptions import RequestException

from brokers.adapter import BrokerAdapter, Capabilities, Listener
from brokers.messages import (
    OTHER_ACCOUNT,
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
    RequestBudget,
    TryLater,
)
from tradingdesk.fix import ExecType, OrderClass, OrdType, TimeInForce

from . import parsing
from .checks import is_same_order, order_objection, replace_objection
from .classification import (
    DUPLICATE_CLIENT_ORDER_ID,
    NOT_FOUND,
    ORDER_REPLACED,
    classify_failure,
)
from .client import SYMBOLS_A_CALL, MarketData, RateLimit, Trading, order_path
from .config import read_settings, settings_errors
from .explaining import explain
from .fills import FillReader
from .stream import Stream

ASSETS_ONE_BY_ONE = 10


class Adapter(BrokerAdapter):
    """An Alpaca account, paper or live. Calls may come from several threads; each is one HTTP request or a few."""

    label = "Alpaca"
    capabilities = Capabilities(
        ord_types=frozenset(OrdType),
        time_in_force=frozenset(TimeInForce),
        order_classes=frozenset(OrderClass),
        extended_hours=True,
        fractional=True,
        # Day orders only; https://docs.alpaca.markets/us/changelog added stop and stop-limit to market and limit.
        fractional_ord_types=frozenset({OrdType.MARKET, OrdType.LIMIT, OrdType.STOP, OrdType.STOP_LIMIT}),
        notional=True,
        min_notional=Decimal(1),
        unique_client_order_ids=True,
        connectionless=True,
        streaming=True,
        daily_bars_at_once=SYMBOLS_A_CALL,
        fee_schedule="alpaca",
    )

    def __init__(self, settings: Mapping[str, Any]):
        super().__init__(settings)
        self._account = read_settings(settings)
        self._trading, self._data = Trading(self._account), MarketData(self._account)
        self._fills = FillReader(self._trading)
        self._stream: Stream | None = None
        self._is_meant = not self._account.account_id

    @classmethod
    def check_settings(cls, settings: Mapping[str, Any]) -> list[str]:
        return settings_errors(settings)

    @property
    def rate_limit(self) -> RateLimit | None:
        """What the Trading API last said of its request budget; None before the first answer."""
        return self._trading.rate_limit

    def budget(self) -> RequestBudget | None:
        """What the Trading API's headers last said; market data has a budget of its own."""
        found = self.rate_limit
        return found and RequestBudget(found.limit, found.remaining, found.resets_at)

    def explain(self, error: BrokerError) -> str:
        return explain(error, self._account)

    def submit(self, order: NewOrder) -> ExecutionReport:
        """Send a new order.

        `exec_type` is `new` or `pending_new` for an order that lives or has filled (its fills come from
        `executions`), and says how it ended for one that has closed.
        """
        if objection := order_objection(order, self.capabilities):
            raise NotSupported(f"alpaca cannot take {objection}")
        try:
            with self._answers():
                return parsing.first_report(self._trading.post("/orders", parsing.order_request(order)))
        except OrderRefused as refusal:
            if refusal.code != DUPLICATE_CLIENT_ORDER_ID:
                raise
            return self._order_that_has_the_id(order, refusal)

    def cancel(self, request: CancelOrder) -> None:
        with self._answers():
            self._trading.delete(order_path(request.broker_order_id))

    def cancel_all(self) -> None:
        with self._answers():
            self._trading.delete("/orders")

    def replace(self, request: ReplaceOrder) -> ExecutionReport:
        """Ask for a change. Alpaca answers with a new order: `broker_order_id` is the new one's, `replaces` the old.

        `exec_type` is `pending_replace`: if the old order fills first, the new one is rejected later. An old
        order that was replaced by this same request before (its answer was lost) counts as taken.
        """
        if objection := replace_objection(request):
            raise NotSupported(f"alpaca cannot take {objection}")
        path, changes = order_path(request.broker_order_id), parsing.replace_request(request)
        try:
            with self._answers():
                return parsing.order_report(self._trading.patch(path, changes), ExecType.PENDING_REPLACE)
        except OrderRefused as refusal:
            if refusal.code not in (DUPLICATE_CLIENT_ORDER_ID, ORDER_REPLACED):
                raise
            return self._replacement_that_has_the_id(request, refusal)

    def find_order(self, client_order_id: str) -> ExecutionReport | None:
        return self._found(lambda: self._trading.with_legs(self._trading.get_order_by_client_id(client_order_id)))

    def read_order(self, broker_order_id: str) -> ExecutionReport | None:
        return self._found(lambda: self._trading.order(broker_order_id))

    def read_group(self, broker_order_id: str) -> ExecutionReport | None:
        """The order that this leg was placed with, which Alpaca does not name: found by the group they share."""
        return self._found(lambda: self._trading.first_of_group(broker_order_id))

    def open_orders(self) -> list[ExecutionReport]:
        """Every working order, legs of brackets too, oldest first."""
        with self._answers():
            return [parsing.order_report(raw) for raw in self._trading.open_orders()]

    def executions(self, *, after: datetime | None = None, after_id: str = "") -> list[ExecutionReport]:
        """Fills, oldest first, by their activity's id. See `fills.FillReader` for what may come twice."""
        with self._answers():
            return self._fills.read(after=after, after_id=after_id)

    def positions(self) -> list[PositionState]:
        with self._answers():
            return [parsing.position_state(raw) for raw in self._trading.positions()]

    def account(self) -> AccountState:
        with _answers():
            state = parsing.account_state(self._trading.get_account(), as_of=datetime.now(UTC))
        wanted = self._account.account_id
        if wanted not in ("", state.account_id):
            raise OrderRefused(f"the keys are of account {state.account_id}, not of {wanted}", code=OTHER_ACCOUNT)
        self._is_meant = True
        return state

    def instruments(self, symbols: Iterable[str] | None = None) -> list[InstrumentInfo]:
        """A few symbols are asked for one by one; more, or all, as the whole list: some ten thousand, but one call."""
        wanted = None if symbols is None else set(symbols)
        with self._answers():
            few = wanted is not None and len(wanted) <= ASSETS_ONE_BY_ONE
            rows = filter(None, map(self._asset, sorted(wanted))) if few else self._trading.assets()
            found = [parsing.instrument_info(raw) for raw in rows]
        return [info for info in found if info and (wanted is None or info.symbol in wanted)]

    def quotes(self, symbols: Iterable[str]) -> list[QuoteState]:
        feed = self._account.feed
        with self._answers():
            latest = self._data.latest_quotes(sorted(set(symbols)), feed)
            return [parsing.quote_state(symbol, raw, feed=feed) for symbol, raw in latest]

    def daily_bars(self, symbols: Iterable[str], *, start: date, end: date) -> list[BarState]:
        feed = self._account.feed
        with self._answers():
            days = self._data.daily_bars(sorted(set(symbols)), feed, start=start, end=end)
            return [parsing.bar_state(symbol, raw, feed=feed) for symbol, raw in days]

    def clock(self) -> ClockState:
        with self._answers():
            return parsing.clock_state(self._trading.get_clock())

    def start(self, listener: Listener) -> None:
        """Open the streams, unless the account's settings say `stream: false`."""
        self._insist_on_account()
        if self._account.stream and self._stream is None:
            self._stream = Stream(self._account, listener)
            self._stream.start()

    def watch_quotes(self, symbols: Iterable[str]) -> None:
        if self._stream is not None:
            self._stream.watch(symbols)

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._trading.close()
        self._data.close()

    @contextmanager
    def _answers(self) -> Iterator[None]:
        self._insist_on_account()
        with _answers():
            yield

    def _insist_on_account(self) -> None:
        """Ask before anything else whose account the keys are, where the settings name it."""
        if not self._is_meant:
            try:
                self.account()
            except OutcomeUnknown as error:
                raise TryLater(f"whose account it is could not be read: {error.text}", code=error.code) from error

    def _order_that_has_the_id(self, order: NewOrder, refusal: OrderRefused) -> ExecutionReport:
        """Answer a refused duplicate with the order that was taken before, if it is this one."""
        found = self._holder_of_the_id(order.client_order_id, refusal)
        if not is_same_order(order, found):
            raise _id_used_elsewhere(order.client_order_id, found, refusal) from refusal
        return parsing.first_report(found.raw)

    def _replacement_that_has_the_id(self, request: ReplaceOrder, refusal: OrderRefused) -> ExecutionReport:
        """Answer a refused replace with the replacement that was taken before, if it is this one."""
        found = self._holder_of_the_id(request.client_order_id, refusal)
        if found.replaces != request.broker_order_id:
            raise _id_used_elsewhere(request.client_order_id, found, refusal) from refusal
        return parsing.order_report(found.raw, ExecType.PENDING_REPLACE)

    def _holder_of_the_id(self, client_order_id: str, refusal: OrderRefused) -> ExecutionReport:
        found = self.find_order(client_order_id)
        if found is not None:
            return found
        if refusal.code == DUPLICATE_CLIENT_ORDER_ID:
            text = f"client_order_id {client_order_id} is refused as used, yet no order has it"
            raise OutcomeUnknown(text, code=refusal.code, raw=refusal.raw) from refusal
        raise refusal

    def _found(self, read: Callable[[], Any]) -> ExecutionReport | None:
        try:
            with self._answers():
                raw = read()
                return parsing.order_report(raw) if raw else None
        except OrderRefused as refusal:
            if refusal.code != NOT_FOUND:
                raise
            return None

    def _asset(self, symbol: str) -> dict | None:
        try:
            with self._answers():
                return self._trading.asset(symbol)
        except OrderRefused as refusal:
            if refusal.code != NOT_FOUND:
                raise
            return None


@contextmanager
def _answers() -> Iterator[None]:
    """Turn whatever goes wrong in a call, or in reading its answer, into one of our errors."""
    try:
        yield
    except (APIError, RequestException) as failure:
        raise classify_failure(failure, now=time.time()) from failure
    except (LookupError, ValueError, TypeError, AttributeError, ArithmeticError) as failure:
        raise OutcomeUnknown(f"alpaca's answer cannot be read: {type(failure).__name__}: {failure}") from failure


def _id_used_elsewhere(client_order_id: str, found: ExecutionReport, refusal: OrderRefused) -> OrderRefused:
    text = f"client_order_id {client_order_id} is used by another order, {found.broker_order_id}"
    return OrderRefused(text, code=refusal.code, raw=refusal.raw)
