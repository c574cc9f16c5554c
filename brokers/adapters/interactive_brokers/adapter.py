"""Interactive Brokers for the desk: one account, through TWS or IB Gateway and ib_async."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import partial
from secrets import randbelow
from typing import Any, TypeVar

from brokers.adapter import BrokerAdapter, Capabilities, Listener
from brokers.messages import (
    AccountState,
    BarState,
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

from . import bars, brackets, codes, dialogue, hours, orders, parsing, reading
from .config import SYMBOLS_WANTED, missing_symbols, read_settings, settings_errors
from .connection import Connection
from .session import Session
from .tracker import KnownOrder

log = logging.getLogger(__name__)

T = TypeVar("T")
CLOCK_SYMBOL = "SPY"
NEW_YORK = "America/New_York"
VISITORS = 1_000_000  # whoever only looks takes one of as many client ids from here


class Adapter(BrokerAdapter):
    """An account at Interactive Brokers, paper or live, under one client id of one TWS.

    IB has no whole list of what can be traded, does not check labels for being unique, and shows today's completed
    orders and executions only. Fractions of a share are not offered: IB allows them through the API to some accounts.
    """

    label = "Interactive Brokers"
    capabilities = Capabilities(
        ord_types=frozenset(OrdType),
        time_in_force=frozenset(TimeInForce),
        order_classes=frozenset(OrderClass),
        extended_hours=True,
        streaming=True,
        commissions=True,
        daily_bars_at_once=5,
        fee_schedule="ibkr_fixed",
    )

    def __init__(self, settings: Mapping[str, Any]):
        super().__init__(settings)
        self._account = read_settings(settings)
        self._patience = self._account.answer_timeout
        self._connection = Connection(self._account)
        self._con_ids: dict[str, int] = {}
        self._hours: tuple[str, str, datetime] | None = None

    @classmethod
    def check_settings(cls, settings: Mapping[str, Any]) -> list[str]:
        return [*settings_errors(settings), *missing_symbols(settings)]

    @classmethod
    def visitor_settings(cls, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """A client id of the visitor's own: TWS refuses a second connection under the desk's."""
        return {**settings, "client_id": VISITORS + randbelow(VISITORS)}

    def start(self, listener: Listener) -> None:
        self._connection.start(listener)

    def watch_quotes(self, symbols: Iterable[str]) -> None:
        self._connection.watch_quotes(list(symbols))

    def budget(self) -> RequestBudget | None:
        """Messages to TWS within a second, of those that the library lets through: TWS hangs up on more than 50."""
        return self._connection.budget()

    def close(self) -> None:
        self._connection.close()

    def next_wire_ref(self) -> str:
        """Give "clientId:orderId" for one send: TWS takes each id once, and never a lower one after a higher.

        Raises:
            TryLater: not connected, so TWS has not said which ids are free.
        """
        return f"{self._account.client_id}:{self._connection.next_order_id()}"

    def is_sent_on_closed(self, wire_ref: str) -> bool:
        """Tell by the id: those that were issued before a connection began cannot be sent on it."""
        owner, _, order_id = wire_ref.partition(":")
        return owner == str(self._account.client_id) and self._connection.began_after(int(order_id))

    def submit(self, order: NewOrder) -> ExecutionReport:
        """Send a new order; `exec_type` as `parsing.EXEC_TYPE` has it for its first status, fills come apart."""
        if objection := orders.order_objection(order, self.capabilities):
            raise NotSupported(f"interactive_brokers cannot take {objection}")
        return self._call(lambda session: self._submit(session, order))

    def cancel(self, request: CancelOrder) -> None:
        """Ask for a cancel, of another client's order too; orders placed by hand have no id that TWS would take."""
        self._call(lambda session: self._cancel(session, request))

    def cancel_everything(self) -> None:
        """Ask for TWS's global cancel: every order of the login, by hand, of other programs and of other accounts."""
        self._call(self._cancel_everything)

    def replace(self, request: ReplaceOrder) -> ExecutionReport:
        """Change an order in place: it keeps its broker's id and its label, so the report carries the request's id."""
        return self._call(lambda session: self._replace(session, request))

    def find_order(self, client_order_id: str) -> ExecutionReport | None:
        """The order with this label; None is proof for orders of today, as IB shows no older ones that are done."""
        return self._call(lambda session: reading.find_order(session, self._tracker, client_order_id))

    def read_order(self, broker_order_id: str) -> ExecutionReport | None:
        return self._call(lambda session: reading.read_order(session, self._tracker, broker_order_id))

    def open_orders(self) -> list[ExecutionReport]:
        return self._call(lambda session: reading.open_orders(session, self._tracker))

    def executions(self, *, after: datetime | None = None, after_id: str = "") -> list[ExecutionReport]:
        """Trades, corrections and busts of the broker's day; IB has none of earlier days, whatever is asked."""
        read = partial(reading.executions, tracker=self._tracker, after=after, after_id=after_id)
        return self._call(read)

    def positions(self) -> list[PositionState]:
        return self._call(self._positions)

    def account(self) -> AccountState:
        return self._call(self._account_state)

    def instruments(self, symbols: Iterable[str] | None = None) -> list[InstrumentInfo]:
        """Those of `symbols` that IB knows as US stocks; None stands for the `symbols` of the account's settings.

        Raises:
            NotSupported: the settings name no symbol, or none that IB knows: the account would trade nothing.
        """
        if symbols is None:
            return self._configured_instruments()
        wanted = sorted(set(symbols))
        return self._call(lambda session: self._instruments(session, wanted)) if wanted else []

    def quotes(self, symbols: Iterable[str]) -> list[QuoteState]:
        wanted = list(symbols)
        return self._call(lambda session: self._connection.quotes.read(session, wanted)) if wanted else []

    def daily_bars(self, symbols: Iterable[str], *, start: date, end: date) -> list[BarState]:
        wanted = list(symbols)
        return self._call(lambda session: bars.read(session, wanted, start=start, end=end)) if wanted else []

    def clock(self) -> ClockState:
        """TWS's time, and the regular hours of a stock that trades whenever the market does."""
        return self._call(self._clock)

    def _configured_instruments(self) -> list[InstrumentInfo]:
        wanted = sorted(set(self._account.symbols))
        if not wanted:
            raise NotSupported(f"symbols: {SYMBOLS_WANTED}")
        found = self._call(lambda session: self._instruments(session, wanted))
        unknown = ", ".join(sorted(set(wanted) - {info.symbol for info in found}))
        if not found:
            raise NotSupported(f"symbols: IB knows none of {unknown} as a US stock; correct them")
        if unknown:
            log.warning("account %s: IB does not know as US stocks: %s", self._account.account_id, unknown)
        return found

    @property
    def _tracker(self):
        return self._connection.tracker

    def _call(self, work: Callable[[Session], Awaitable[T]]) -> T:
        with _readable():
            return self._connection.call(work)

    async def _submit(self, session: Session, order: NewOrder) -> ExecutionReport:
        order_id = _order_id(order.wire_ref or self.next_wire_ref(), self._account.client_id)
        await session.ready_for_orders()
        if order.legs:
            await self._end_stray_legs(session, order)
        await session.turn(order_id)
        contract = orders.stock(order.symbol, self._con_ids.get(order.symbol, 0))
        ids = [order_id, *(self._connection.ids.for_leg() for _ in order.legs)]
        with self._connection.ears.on(*ids) as heard:
            for number, one in zip(ids, (order, *order.legs), strict=True):
                self._tracker.sent(number, one.client_order_id)
            for number, request in brackets.group_requests(order, ids, self._account.account_id):
                session.send(session.client.placeOrder, number, contract, request)
            known = await self._first_answer(session, heard, order, ids)
        return known.report(parsing.EXEC_TYPE[known.status[0]], legs=self._legs(order, ids))

    async def _first_answer(
        self, session: Session, heard: asyncio.Queue, order: NewOrder, ids: Sequence[int]
    ) -> KnownOrder:
        """Wait for TWS's word about an order and its legs; one of whose parts it refuses is not wanted without that.

        Each is ended for itself: where it is the entry that was refused, its exits must not work alone.
        """
        own, *legs = [partial(self._tracker.own, one) for one in ids]
        try:
            known = await dialogue.first_answer(heard, own, self._patience)
            await dialogue.legs_named(heard, legs)
        except OrderRefused as refusal:
            if not order.legs:
                raise
            for number in ids:
                session.say(session.client.cancelOrder, number)
            owns = {number: partial(self._tracker.own, number) for number in ids}
            return await dialogue.given_up(heard, owns, refusal, self._patience)
        return known

    async def _end_stray_legs(self, session: Session, order: NewOrder) -> None:
        """Cancel what an earlier try has left of an order's legs: they reached TWS, and it did not.

        Raises:
            TryLater: there was one; the order can be sent once it has ended.
        """
        labels = {leg.client_order_id for leg in order.legs}
        mine = ("", self._account.account_id)
        listed = [one.order for one in await session.open_orders() if one.order.account in mine]
        stray = [order for order in listed if order.orderRef in labels]
        for one in stray:
            session.send(session.client.cancelOrder, one.orderId)
        if stray:
            raise TryLater(f"{stray[0].orderRef} is left of an earlier try and is being cancelled", retry_after=1.0)

    def _legs(self, order: NewOrder, ids: Sequence[int]) -> tuple[ExecutionReport, ...]:
        """What was heard of an order's legs; the others are told as they come, under the desk's own ids."""
        known = zip(order.legs, map(self._tracker.own, ids[1:]), strict=True)
        return tuple(one.report(leg_role=leg.role, order_class=order.order_class) for leg, one in known if one)

    async def _cancel(self, session: Session, request: CancelOrder) -> None:
        known = await self._order(session, request.broker_order_id)
        self._insist_on_id(known)
        await session.ready_for_orders()
        with self._connection.ears.on(known.order_id) as heard:
            session.send(session.client.cancelOrder, known.order_id)
            await dialogue.cancel_answer(heard, known, self._patience)

    async def _cancel_everything(self, session: Session) -> None:
        await session.ready_for_orders()
        session.send(session.client.reqGlobalCancel)

    async def _replace(self, session: Session, request: ReplaceOrder) -> ExecutionReport:
        await session.open_orders()  # the change is written upon what the order is now
        known = await self._order(session, request.broker_order_id)
        if known.client_id != self._account.client_id:
            raise NotSupported(f"the order was placed by client id {known.client_id}, which alone can change it")
        self._insist_on_id(known)
        if objection := orders.replace_objection(request, known.contract, known.order):
            raise NotSupported(f"interactive_brokers cannot take {objection}")
        await session.ready_for_orders()
        wanted = orders.changed_order(request, known.order)
        contract = orders.stock(parsing.desk_symbol(known.contract), known.contract.conId)
        with self._connection.ears.on(known.order_id) as heard:
            self._tracker.expect_change(known, request.client_order_id, wanted)
            session.send(session.client.placeOrder, known.order_id, contract, wanted)
            return await self._changed(request, known, dialogue.replace_answer(heard, known, wanted, self._patience))

    async def _changed(self, request: ReplaceOrder, known: KnownOrder, answer: Awaitable[bool]) -> ExecutionReport:
        try:
            is_done = await answer
        except OrderRefused:
            known.replaced_as = ""
            raise
        if is_done:
            known.replaced_as = ""
        kind = ExecType.REPLACED if is_done else ExecType.PENDING_REPLACE
        return known.report(kind, client_order_id=request.client_order_id)

    async def _order(self, session: Session, broker_order_id: str) -> KnownOrder:
        """Give a working order, seen in full; asked of TWS if it has not been heard of."""
        perm_id = int(broker_order_id) if broker_order_id.isdigit() else 0
        known = self._tracker.known(perm_id)
        if known is None or known.order is None:
            await session.open_orders()
            known = self._tracker.known(perm_id)
        if known is None or known.order is None:
            raise OrderRefused(f"no open order has the id {broker_order_id}", code="NOT_FOUND")
        if known.word in parsing.CLOSED:
            raise OrderRefused(f"the order is {known.word}", code=known.word)
        return known

    def _insist_on_id(self, known: KnownOrder) -> None:
        """Refuse what TWS could take for another order: ids are each client's own, and by hand there is none."""
        if known.order_id == 0:
            raise NotSupported("the order was placed by hand and can be changed and cancelled at TWS only")
        own = self._tracker.own(known.order_id)
        if own is not None and own is not known:
            raise NotSupported(f"order id {known.order_id} of client {known.client_id} is also one of ours")

    async def _positions(self, session: Session) -> list[PositionState]:
        rows = await session.positions()
        return [parsing.position_state(*row) for account, *row in rows if account == self._account.account_id]

    async def _account_state(self, session: Session) -> AccountState:
        as_of = datetime.now(UTC)
        rows = await session.account_summary()
        mine = [row for account, *row in rows if account == self._account.account_id]
        figures = {tag: (value, currency) for tag, value, currency in mine}
        rates = parsing.exchange_rates(mine)
        return parsing.account_state(self._account.account_id, figures, as_of=as_of, exchange_rates=rates)

    async def _instruments(self, session: Session, symbols: list[str]) -> list[InstrumentInfo]:
        found = []
        for symbol in symbols:
            for info in filter(None, map(parsing.instrument_info, await self._details(session, symbol))):
                if info.symbol == symbol:
                    self._con_ids[symbol] = int(info.broker_instrument_id)
                    found.append(info)
                    break
        return found

    async def _details(self, session: Session, symbol: str) -> list[Any]:
        try:
            return await session.contract_details(orders.stock(symbol))
        except OrderRefused as refusal:
            if isinstance(refusal, TryLater) or refusal.code != str(codes.NO_SECURITY):
                raise
            return []

    async def _clock(self, session: Session) -> ClockState:
        now = await session.current_time()
        if self._hours is None or now.date() != self._hours[2].date():
            [details, *_] = await self._details(session, CLOCK_SYMBOL)
            self._hours = details.liquidHours, str(parsing.zone_of(details.timeZoneId, NEW_YORK)), now
        text, zone, _ = self._hours
        return hours.clock_state(now, text, zone)


def _order_id(wire_ref: str, client_id: int) -> int:
    """Read the id that an order goes out under.

    Raises:
        TryLater: it is another client id's; a new one is needed.
    """
    owner, _, order_id = wire_ref.partition(":")
    if owner != str(client_id) or not order_id.isdigit():
        raise TryLater(f"{wire_ref} is not an id of client {client_id}; a new one is needed", retry_after=0.0)
    return int(order_id)


@contextmanager
def _readable():
    """What cannot be read of an answer proves nothing."""
    try:
        yield
    except (LookupError, ValueError, TypeError, AttributeError, ArithmeticError) as failure:
        raise OutcomeUnknown(f"TWS's answer cannot be read: {type(failure).__name__}: {failure}") from failure
