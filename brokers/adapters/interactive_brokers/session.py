"""One connection to TWS, from the handshake until it is lost. Everything here runs on the connection's event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from brokers.messages import BrokerError, OutcomeUnknown, TryLater

from . import codes
from .config import MARKET_DATA, IBSettings
from .ids import OrderIds
from .library import ExecutionFilter, SocketClient
from .questions import Questions
from .wire import Commission, CompletedOrder, Notice, OpenOrder, OrderStatus, Trade

log = logging.getLogger(__name__)

OPEN_ORDERS, COMPLETED_ORDERS, POSITIONS, TIME = "open orders", "completed orders", "positions", "the time"
SUMMARY_TAGS = (
    "AccountType,NetLiquidation,TotalCashValue,BuyingPower,GrossPositionValue,AvailableFunds,ExcessLiquidity,"
    "InitMarginReq,MaintMarginReq,$LEDGER:ALL"  # the ledger has the rates of the account's currencies
)
WHEN_CUT_OFF = 2.0
LONGEST_THROTTLE = 3.0
# How long an order waits for one that got an earlier id and was not sent yet.
LONGEST_TURN = 0.3


class Refused(Exception):
    """The connection could not be made; the text says why, and what to do."""


class Session:
    """Asks TWS and hears it; `hear` gets every message about an order, a trade or the connection as it comes.

    Methods in camelCase are called by the library, one for each message.
    """

    def __init__(self, settings: IBSettings, ids: OrderIds, hear: Callable[[Any], None]):
        self.settings, self.ids, self._hear = settings, ids, hear
        self.ib, self.defaultTimezone = SimpleNamespace(TimezoneTWS=settings.timezone), UTC
        self.fields: tuple[str, ...] = ()
        self.cut_off, self._ends_cut = "", frozenset()
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.on_tick: Callable[[int, int, float, float | None], None] = lambda *_: None
        self.on_packet: Callable[[], None] = lambda: None
        self.on_cut_off: Callable[[str], None] = lambda reason: None
        self.on_restored: Callable[..., None] = lambda *, data_lost: None
        self._refused_because = ""
        self._questions = Questions(ids, seconds=settings.request_timeout, lose=self.lose)
        self._one_summary = asyncio.Lock()
        self._heard_at = 0.0
        self._throttled = False
        self.client = SocketClient(self)
        self.client.apiError += self._on_api_error
        self.client.apiEnd += self._on_api_end
        self.client.throttleStart += self._on_throttle_start
        self.client.throttleEnd += self._on_throttle_end

    # The connection

    async def open(self) -> None:
        """Connect and be told the account and the next order id.

        Raises:
            Refused: there is no such connection, or it is of another account.
        """
        wanted = self.settings
        connecting = asyncio.ensure_future(
            self.client.connectAsync(wanted.host, wanted.port, wanted.client_id, wanted.connect_timeout)
        )
        await asyncio.wait({connecting, self.lost}, return_when=asyncio.FIRST_COMPLETED)
        if not connecting.done():
            connecting.cancel()
        [failure] = await asyncio.gather(connecting, return_exceptions=True)
        if failure is not None or self.lost.done():
            raise Refused(self._why_refused(failure))
        self._insist_on_account()
        if wanted.client_id == 0:
            self.client.reqAutoOpenOrders(True)
        if wanted.market_data != "live":
            self.client.reqMarketDataType(MARKET_DATA[wanted.market_data])

    def close(self) -> None:
        """Hang up."""
        self.lose("the connection was closed")
        if self.client.conn.transport is not None:
            self.client.disconnect()

    def lose(self, reason: str) -> None:
        """Count the connection as lost; whatever waits for an answer gets none."""
        if not self.lost.done():
            self.lost.set_result(reason)
        self._questions.fail(OutcomeUnknown(f"the connection was lost: {reason}"))

    async def watch(self) -> str:
        """Wait until the connection is lost, and say why. Silence is broken by asking TWS for the time."""
        while not self.lost.done():
            await asyncio.wait({self.lost}, timeout=self.settings.heartbeat)
            silence = asyncio.get_running_loop().time() - self._heard_at
            if not self.lost.done() and silence >= self.settings.heartbeat:
                try:
                    await self.current_time()
                except BrokerError:
                    self.lose("TWS has stopped answering")
        return self.lost.result()

    async def ready(self) -> None:
        """Do nothing: whoever gets here has a connection."""

    # Questions

    async def open_orders(self) -> list[OpenOrder]:
        """Every open order of the login, whoever placed it."""
        return await self._ask_for_orders(OPEN_ORDERS, self.client.reqAllOpenOrders)

    async def completed_orders(self) -> list[CompletedOrder]:
        """Orders that are done, of today at least, whoever placed them."""
        return await self._ask_for_orders(COMPLETED_ORDERS, lambda: self.client.reqCompletedOrders(False))

    async def executions(self) -> list[Trade]:
        """Every execution of the account since the broker's midnight; their commissions are heard before the end."""
        self._insist_on_line()
        only = ExecutionFilter(acctCode=self.settings.account_id)
        found = await self._ask_numbered("executions", lambda number: self.client.reqExecutions(number, only))
        self._insist_on_line()
        return found

    async def positions(self) -> list[tuple]:
        """Every position of the login: (account, contract, position, average cost, fields)."""
        found = await self._ask_named(POSITIONS, self.client.reqPositions)
        self.say(self.client.cancelPositions)
        return found

    async def account_summary(self) -> list[tuple[str, str, str, str]]:
        """The accounts' figures: (account, tag, value, currency)."""
        numbers: list[int] = []

        def send(number: int) -> None:
            numbers.append(number)
            self.client.reqAccountSummary(number, "All", SUMMARY_TAGS)

        async with self._one_summary:
            try:
                return await self._ask_numbered("account summary", send)
            finally:
                for number in numbers:
                    self.say(self.client.cancelAccountSummary, number)

    async def contract_details(self, contract: Any) -> list[Any]:
        """What IB knows of the contracts that match."""
        return await self._ask_numbered(
            "contract details", lambda number: self.client.reqContractDetails(number, contract)
        )

    async def daily_bars(self, contract: Any, span: str, what: str) -> list[Any]:
        """Days of regular trading hours up to now, the present one among them; `span` and `what` in IB's words."""
        self._insist_on_line()

        def send(number: int) -> None:
            self.client.reqHistoricalData(number, contract, "", span, "1 day", what, True, 1, False, [])

        return await self._ask_numbered("daily bars", send)

    async def current_time(self) -> datetime:
        """TWS's clock, to the second."""
        [seconds] = await self._ask_named(TIME, self.client.reqCurrentTime)
        return datetime.fromtimestamp(seconds, UTC)

    # Orders

    async def ready_for_orders(self) -> None:
        """Hold an order back while it could not be sent, or not be sure to arrive.

        Raises:
            TryLater: it still cannot; nothing was sent.
        """
        deadline = asyncio.get_running_loop().time() + LONGEST_THROTTLE
        while self._throttled and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.02)
        if self.lost.done():
            raise TryLater(f"not connected: {self.lost.result()}", retry_after=WHEN_CUT_OFF)
        if self.cut_off:
            raise TryLater(f"TWS is cut off from IB: {self.cut_off}", retry_after=WHEN_CUT_OFF)
        if self._throttled:
            raise TryLater("too many messages to TWS for now", retry_after=1.0)

    async def turn(self, order_id: int) -> None:
        """Let earlier order ids go first, for a moment: TWS takes rising ids only.

        Raises:
            TryLater: a later one has gone; the order needs a new id. Nothing was sent.
        """
        deadline = asyncio.get_running_loop().time() + LONGEST_TURN
        while self.ids.is_waiting_for_earlier(order_id) and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.005)
        if not self.ids.use(order_id):
            raise TryLater(f"order id {order_id} can be used no more; a new one is needed", retry_after=0.0)

    def say(self, send: Callable[..., None], *args: Any) -> bool:
        """Send, if there is a connection; whether there was."""
        try:
            send(*args)
        except ConnectionError:
            return False
        return True

    def send(self, method: Callable[..., None], *args: Any) -> None:
        """Send a message.

        Raises:
            TryLater: the connection is gone; nothing was sent.
        """
        if self.lost.done() or not self.say(method, *args):
            raise TryLater("not connected: the connection was just lost", retry_after=WHEN_CUT_OFF)

    # What TWS says

    def nextValidId(self, number: int) -> None:
        self.ids.at_least(number)

    def currentTime(self, seconds: int) -> None:
        self._questions.item(TIME, seconds)
        self._questions.end(TIME)

    def openOrder(self, order_id: int, contract: Any, order: Any, state: Any) -> None:
        if order.whatIf:
            return
        if order.permId and order_id > 0:
            self.ids.at_least(order_id + 1)
        message = OpenOrder(contract, order, state.status, state.warningText, self.fields, _now())
        self._questions.item(OPEN_ORDERS, message)
        self._hear(message)

    def openOrderEnd(self) -> None:
        self._questions.end(OPEN_ORDERS)

    def orderStatus(
        self, order_id: int, status: str, filled: float, remaining: float, avg_px: float, perm_id: int,
        parent_id: int, last_px: float, client_id: int, why_held: str, cap_px: float = 0.0,
    ) -> None:  # fmt: skip
        now = _now()
        self._hear(
            OrderStatus(
                order_id, client_id, perm_id, status, filled, remaining, avg_px, why_held, self.fields, now
            )
        )  # fmt: skip

    def completedOrder(self, contract: Any, order: Any, state: Any) -> None:
        self._questions.item(COMPLETED_ORDERS, CompletedOrder(contract, order, state, self.fields, _now()))

    def completedOrdersEnd(self) -> None:
        self._questions.end(COMPLETED_ORDERS)

    def execDetails(self, about: int, contract: Any, execution: Any) -> None:
        message = Trade(contract, execution, self.fields[15], self.fields, _now())
        if about in self._questions:
            self._questions.item(about, message)
        elif about < 0:  # else the rest of an answer that nobody waits for any more
            self._hear(message)

    def execDetailsEnd(self, about: int) -> None:
        self._questions.end(about)

    def commissionReport(self, report: Any) -> None:
        self._hear(Commission(report.execId, report.commission, report.currency, self.fields))

    def contractDetails(self, about: int, details: Any) -> None:
        self._questions.item(about, details)

    def contractDetailsEnd(self, about: int) -> None:
        self._questions.end(about)

    def historicalData(self, about: int, bar: Any) -> None:
        self._questions.item(about, bar)

    def historicalDataEnd(self, about: int, start: str, end: str) -> None:
        self._questions.end(about)

    def position(self, account: str, contract: Any, position: float, avg_cost: float) -> None:
        self._questions.item(POSITIONS, (account, contract, position, avg_cost, self.fields))

    def positionEnd(self) -> None:
        self._questions.end(POSITIONS)

    def accountSummary(self, about: int, account: str, tag: str, value: str, currency: str) -> None:
        self._questions.item(about, (account, tag, value, currency))

    def accountSummaryEnd(self, about: int) -> None:
        self._questions.end(about)

    def priceSizeTick(self, about: int, tick: int, price: float, size: float) -> None:
        self.on_tick(about, tick, price, size)

    def tickSize(self, about: int, tick: int, size: float) -> None:
        self.on_tick(about, tick, size, None)

    def error(self, about: int, code: int, text: str, reasons: str = "") -> None:
        self._mind_the_line(code, text)
        if code in (codes.CLIENT_ID_IN_USE, codes.PORT_CHANGED):
            self._refused_because = text
        if about in self._questions and not codes.is_warning(code):
            self._questions.fail(codes.refusal(code, text, is_new=False, raw=self.fields), about)
        self._hear(Notice(about, code, text, reasons, self.fields, _now()))

    def unreadable(self, failure: Exception) -> None:
        """Take no answer for complete of which a message could not be read."""
        log.error("a message of TWS cannot be read (%r): %s", failure, self.fields)
        self._questions.fail(OutcomeUnknown(f"a message of TWS cannot be read: {failure}"))

    def tcpDataArrived(self) -> None:
        self._heard_at = asyncio.get_running_loop().time()

    def tcpDataProcessed(self) -> None:
        self.on_packet()

    def connectAck(self) -> None:
        """TWS has greeted; nothing to do until it names the accounts."""

    def connectionClosed(self) -> None:
        self.lose("TWS closed the connection")

    def setEventsDone(self) -> None:
        """Nothing of ours hangs on the library's events."""

    # Inside

    def _mind_the_line(self, code: int, text: str) -> None:
        """Note whether TWS is cut off from IB, and when it no longer is."""
        if code in codes.LOST:
            self.cut_off, self._ends_cut = f"{code}: {text}", codes.LOST[code]
            self.on_cut_off(self.cut_off)
        elif code in codes.RESTORED | self._ends_cut:
            self.cut_off, self._ends_cut = "", frozenset()
            self.on_restored(data_lost=code == codes.DATA_LOST)

    async def _ask_for_orders(self, name: str, send: Callable[[], None]) -> list[Any]:
        """Ask for orders: what TWS says while it is cut off from IB may not be all."""
        self._insist_on_line()
        found = await self._ask_named(name, send)
        self._insist_on_line()
        return found

    async def _ask_named(self, name: str, send: Callable[[], None]) -> list[Any]:
        return await self._questions.named(name, lambda: self.send(send))

    async def _ask_numbered(self, what: str, send: Callable[[int], None]) -> list[Any]:
        return await self._questions.numbered(what, lambda number: self.send(send, number))

    def _insist_on_line(self) -> None:
        if self.cut_off:
            raise OutcomeUnknown(f"TWS is cut off from IB: {self.cut_off}")

    def _insist_on_account(self) -> None:
        accounts, wanted = self.client.getAccounts(), self.settings.account_id
        if wanted not in accounts:
            self.close()
            raise Refused(f"account {wanted} is not of this login, which has {', '.join(accounts)}: set account_id")

    def _why_refused(self, failure: BaseException | None) -> str:
        wanted = self.settings
        place = f"{wanted.host}:{wanted.port}"
        if self._refused_because:
            fix = f"end the program that uses client_id {wanted.client_id} there, or give the desk another"
            return f"{place}: {self._refused_because}: {fix}"
        if isinstance(failure, OSError) and not isinstance(failure, TimeoutError):
            return f"nothing answers at {place}: start TWS or IB Gateway, enable its API and give that port"
        if isinstance(failure, TimeoutError):
            return f"{place} does not greet as TWS does: is it another program's port, or is a dialog open at TWS?"
        return f"{place} closed the connection: is client_id {wanted.client_id} in use, or this address not trusted?"

    def _on_api_error(self, text: str) -> None:
        self.lose(text)

    def _on_api_end(self) -> None:
        self.lose("TWS closed the connection")

    def _on_throttle_start(self) -> None:
        self._throttled = True

    def _on_throttle_end(self) -> None:
        self._throttled = False


def _now() -> datetime:
    return datetime.now(UTC)
