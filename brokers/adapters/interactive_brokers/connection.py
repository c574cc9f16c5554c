"""The connection that an account keeps: a thread with an event loop of its own, which gets it back when it is lost.

Always under the same client id: TWS shows and changes orders by it. Calls come from any thread and are bounded here,
whatever happens below.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from functools import partial
from threading import Lock, Thread
from typing import Any, TypeVar

from brokers.adapter import Listener
from brokers.messages import BrokerError, ExecutionReport, OutcomeUnknown, QuoteState, RequestBudget, TryLater

from . import reading
from .announcer import Announcer
from .config import IBSettings
from .ears import Ears
from .ids import OrderIds
from .quotes import QuoteBook
from .session import Refused, Session
from .tracker import OrderTracker
from .wire import Lost, Notice, OpenOrder, OrderStatus

log = logging.getLogger(__name__)

T = TypeVar("T")
# A call with all its parts; below the time after which the desk counts a sender as gone.
CALL = 17.0
MARGIN = 1.0
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 15.0
UNTIL_CONNECTED = 2.0
JOIN = 5.0


class Connection:
    """One client id at one TWS. Made without touching the network; connects at the first call or `start`."""

    def __init__(self, settings: IBSettings):
        self.settings = settings
        self.ids, self.ears = OrderIds(), Ears()
        self.tracker = OrderTracker(
            settings, tell=self._tell, read_again=self._read_again, later=self._later, awaited=self.ears
        )
        self.quotes = QuoteBook(settings, self._tell_quote)
        self._lock, self._pid = Lock(), os.getpid()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None
        self._announcer: Announcer | None = None
        self._session: Session | None = None
        self._told_of: Session | None = None
        self._first_id: int | None = None
        self._why, self._told_why, self._closed = "not connected yet", "", False
        self._background: set[asyncio.Task] = set()

    def start(self, listener: Listener) -> None:
        """Connect, and tell the listener from now on."""
        with self._lock:
            if self._announcer is None and not self._closed:
                name = f"ib-{self.settings.client_id}-tell"
                self._announcer = Announcer(listener, name=name, on_failure=self._fact_not_taken)
        self._running().call_soon_threadsafe(self._tell_if_connected)

    def call(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """Do something on the connection, in bounded time.

        Raises:
            TryLater: there is no connection; nothing was sent.
            OutcomeUnknown: it took too long, or the connection was closed meanwhile.
        """
        loop = self._running()
        coroutine = self._work(work)
        try:
            future = asyncio.run_coroutine_threadsafe(coroutine, loop)
        except RuntimeError:
            coroutine.close()
            raise TryLater("the connection was closed", retry_after=UNTIL_CONNECTED) from None
        try:
            return future.result(CALL + self.settings.connect_timeout + MARGIN)
        except TimeoutError:
            future.cancel()
            raise OutcomeUnknown("the call took too long") from None
        except CancelledError:
            raise OutcomeUnknown("the connection was closed") from None

    def budget(self) -> RequestBudget | None:
        """How many messages TWS takes now; None while there is no connection."""
        session = self._session
        return session and session.client.budget()

    def next_order_id(self) -> int:
        """Take an id for one send.

        Raises:
            TryLater: not connected, so TWS has not said which are free.
        """
        if self._session is None:
            self.call(Session.ready)
        return self.ids.for_order()

    def began_after(self, order_id: int) -> bool:
        """Whether an id was issued before the connection that there is: only one that is closed can have sent it."""
        return self._session is not None and self._first_id is not None and order_id < self._first_id

    def watch_quotes(self, symbols: list[str]) -> None:
        """Say which symbols' quotes are told."""
        self._running().call_soon_threadsafe(lambda: self.quotes.watch(self._session, symbols))

    def close(self) -> None:
        """Hang up and end the threads."""
        with self._lock:
            self._closed = True
            loop, thread, announcer = self._loop, self._thread, self._announcer
        if os.getpid() != self._pid:
            return
        if loop is not None and thread is not None and thread.is_alive():
            loop.call_soon_threadsafe(self._keeper.cancel)
            thread.join(JOIN)
        if announcer is not None:
            announcer.close()

    # The thread and its loop

    def _running(self) -> asyncio.AbstractEventLoop:
        if os.getpid() != self._pid:
            raise TryLater("this connection belongs to the process that was forked", retry_after=UNTIL_CONNECTED)
        with self._lock:
            if self._closed:
                raise TryLater("the connection was closed", retry_after=UNTIL_CONNECTED)
            if self._thread is None:
                self._loop = asyncio.new_event_loop()
                self._attempted = asyncio.Event()
                self._thread = Thread(target=self._run, name=f"ib-{self.settings.client_id}", daemon=True)
                self._keeper = self._loop.create_task(self._keep_connected())
                self._thread.start()
            return self._loop

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        with suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._keeper)
        self._finish()

    def _finish(self) -> None:
        """End what still runs, so that nobody waits for it."""
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, asyncio.sleep(0), return_exceptions=True))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    async def _work(self, work: Callable[[Session], Awaitable[T]]) -> T:
        session = await self._connected()
        try:
            async with asyncio.timeout(CALL):
                return await work(session)
        except TimeoutError:
            raise OutcomeUnknown(f"no answer within {CALL:g} s") from None
        except ConnectionError as failure:
            raise OutcomeUnknown(f"the connection was lost: {failure}") from failure

    async def _connected(self) -> Session:
        """Give the session; only the first attempt to connect is waited for."""
        if self._session is None and not self._attempted.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._attempted.wait(), self.settings.connect_timeout + 1)
        if self._session is None:
            raise TryLater(f"not connected: {self._why}", retry_after=UNTIL_CONNECTED)
        return self._session

    async def _keep_connected(self) -> None:
        pause = FIRST_PAUSE
        while True:
            session = Session(self.settings, self.ids, self._hear)
            try:
                await session.open()
                self._first_id = self.ids.begin()
                pause, self._session = FIRST_PAUSE, session
                self._greet(session)
                self._why = await session.watch()
            except Refused as refused:
                self._why = str(refused)
            finally:
                self._part(session)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _greet(self, session: Session) -> None:
        log.info("connected to Interactive Brokers, account %s", self.settings.account_id)
        self._told_why = ""
        session.on_cut_off = self._tell_disconnected
        session.on_restored = partial(self._restored, session)
        self.quotes.attach(session)
        self._attempted.set()
        self._tell_connected()

    def _part(self, session: Session) -> None:
        """Leave a session behind; whatever an id was issued for and not sent gets a new one on the next."""
        session.close()
        self._session = None
        self.ids.forget_issued()
        self.ears.say_to_all(Lost(self._why))
        self.tracker.trades.flush()
        self._attempted.set()
        if self._why != self._told_why and not self._closed:
            self._told_why = self._why
            log.warning("not connected to Interactive Brokers: %s", self._why)
            self._tell_disconnected(self._why)

    # What TWS says

    def _hear(self, message: Any) -> None:
        self.tracker.take(message)
        if isinstance(message, OpenOrder):
            self.ears.say(message.order.orderId, message)
        elif isinstance(message, OrderStatus):
            self.ears.say(message.order_id, message)
        elif isinstance(message, Notice):
            self.quotes.take_notice(message)
            self.ears.say(message.about, message)

    def _restored(self, session: Session, *, data_lost: bool) -> None:
        """IB is back behind TWS: what happened meanwhile has to be read."""
        if data_lost:
            self.quotes.attach(session)
        self._tell_connected()

    def _tell_if_connected(self) -> None:
        """Tell a listener that came after the connection; the connection tells those that came before."""
        if self._told_of is not self._session:
            self._tell_connected()

    def _tell_connected(self) -> None:
        session = self._session
        if self._announcer and session is not None and not session.cut_off:
            self._told_of = session
            self._announcer.connected()

    def _tell_disconnected(self, reason: str) -> None:
        if self._announcer:
            self._announcer.disconnected(reason)

    def _tell(self, fact: ExecutionReport) -> None:
        if self._announcer:
            self._announcer.fact(fact)

    def _tell_quote(self, quote: QuoteState) -> None:
        if self._announcer:
            self._announcer.quote(quote)

    def _fact_not_taken(self, failure: Exception) -> None:
        """What could not be taken will not be said again: connecting anew has everything read."""
        session, loop = self._session, self._loop
        if session is not None and loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(session.lose, f"what it said could not be taken here: {failure}")

    def _later(self, seconds: float, then: Callable[..., None], *args: Any) -> asyncio.TimerHandle:
        return self._loop.call_later(seconds, then, *args)

    def _read_again(self, perm_id: int) -> None:
        task = self._loop.create_task(self._tell_as_it_stands(perm_id))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _tell_as_it_stands(self, perm_id: int) -> None:
        try:
            report = await self._work(lambda session: reading.read_order(session, self.tracker, str(perm_id)))
        except BrokerError as error:
            log.warning("order %s could not be read again: %s", perm_id, error.text)
            return
        if report is not None:
            self._tell(report)
