"""The venue that every front serves: one engine, its storage, its quotes, and the clock that drives them.

Everything runs on one event loop. A call changes the engine at once; `durable()` waits until the change is on
disk, and what has come due in the engine is done a few milliseconds later, as at a real venue.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from brokers.sandbox.accounts import Asset, AssetProfile, Profile
from brokers.sandbox.book import Event, Order, Quote, Ticket
from brokers.sandbox.engine import Engine
from brokers.sandbox.history import History
from brokers.sandbox.storage import Store
from brokers.sandbox.tape import DAY, Bar, Tape, is_session, market_day

STEP_S = 0.003
STARTING_CASH = "starting_cash:{}"


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


class Venue:
    """The engine made durable and driven by the loop.

    `listeners` are told of each event, in order, `quote_listeners` of each quote.
    """

    def __init__(
        self,
        profile: Profile,
        store: Store,
        *,
        clock: Callable[[], datetime] = utc_now,
        history: History | None = None,
    ):
        self.profile, self.store, self.clock = profile, store, clock
        self.engine = Engine(
            {name: account.rules() for name, account in profile.accounts.items()},
            seed=profile.seed,
            new_id=lambda: str(uuid.uuid4()),
        )
        self.tape, self.history = Tape(), history or History()
        self.assets = {symbol: Asset(symbol, about) for symbol, about in profile.assets.items()}
        self.assets_by_id = {asset.asset_id: asset for asset in self.assets.values()}
        self.listeners: list[Callable[[Event], None]] = []
        self.quote_listeners: list[Callable[[Quote], None]] = []
        self.fills: dict[str, list[str]] = {name: [] for name in profile.accounts}
        self._step_timer: asyncio.TimerHandle | None = None
        self._commit: asyncio.Future | None = None
        self._restore()

    def list_asset(self, symbol: str) -> None:
        """Make a symbol known that the profile does not name."""
        if symbol not in self.assets:
            asset = self.assets[symbol] = Asset(symbol, AssetProfile(name=symbol))
            self.assets_by_id[asset.asset_id] = asset

    def asset(self, symbol_or_id: str) -> Asset | None:
        """An asset by symbol or id; None when the venue has none."""
        return self.assets.get(symbol_or_id) or self.assets_by_id.get(symbol_or_id)

    def submit(self, account: str, ticket: Ticket) -> Order:
        """Take a new order. Raises Refused."""
        return self._do(lambda now: self.engine.submit(account, ticket, now))

    def cancel(self, account: str, order_id: str) -> Order:
        """Ask for a cancel. Raises Refused."""
        return self._do(lambda now: self.engine.cancel(account, order_id, now))

    def replace(self, account: str, order_id: str, **changes) -> Order:
        """Ask for a change. Raises Refused."""
        return self._do(lambda now: self.engine.replace(account, order_id, now, **changes))

    def quote(self, quote: Quote) -> None:
        """Show a quote to the market and put it on the tape."""
        self.tape.add(quote)
        self._do(lambda now: self.engine.on_quote(quote, now))
        for listener in self.quote_listeners:
            listener(quote)

    def operate(self, action: Callable[[Engine, datetime], object]) -> object:
        """Do something to the engine that is no client's request: sessions, unasked cancels, busts."""
        return self._do(lambda now: action(self.engine, now))

    def daily_bars(self, symbol: str, start: datetime, end: datetime) -> list[Bar]:
        """Days that begin within [start, end]: those of the history, then what the tape has of later sessions."""
        now = self.clock()
        shown = self.tape.between(symbol, now - 7 * DAY, now, DAY)
        known = {bar.at: bar for bar in shown if is_session(market_day(bar.at), now)}
        known |= {bar.at: bar for bar in self.history.bars(symbol, now)}
        return [known[at] for at in sorted(known) if start <= at <= end]

    def note(self, kind: str, account: str, **detail) -> None:
        """Add a line to the journal that is no event of the engine."""
        self.store.note(self.clock(), kind, account, **detail)

    async def durable(self) -> None:
        """Wait until everything noted so far is committed; requests of the same moment share one commit."""
        if self._commit is None:
            if not self.store.is_dirty:
                return
            self._schedule_commit()
        await asyncio.shield(self._commit)

    def close(self) -> None:
        """Stop the timers and close the file."""
        if self._step_timer:
            self._step_timer.cancel()
        self.store.close()

    def _do(self, action: Callable[[datetime], object]):
        now = self.clock()
        try:
            return action(now)
        finally:
            self._settle(now)

    def _settle(self, now: datetime) -> None:
        for order in self.engine.moved:
            self.store.keep(order)
        self.engine.moved.clear()
        for event in self.engine.drain():
            self._record(event)
            for listener in self.listeners:
                listener(event)
        if self.store.is_dirty and self._commit is None:
            self._schedule_commit()
        if self.engine.next_due is not None:
            self._step_in(max((self.engine.next_due - now).total_seconds(), STEP_S))

    def _step_in(self, seconds: float) -> None:
        """See to it that the next step comes no later than this."""
        loop = asyncio.get_running_loop()
        if self._step_timer is not None:
            if self._step_timer.when() <= loop.time() + seconds:
                return
            self._step_timer.cancel()
        self._step_timer = loop.call_later(seconds, self._step)

    def _record(self, event: Event) -> None:
        order, execution = event.order, event.execution
        self.store.keep(self.engine.orders[order.order_id])
        detail = {"status": order.status.value, "cum_qty": order.cum_qty}
        if execution is not None:
            self.store.add(execution)
            self.fills[order.account].append(execution.exec_id)
            detail |= {"exec_id": execution.exec_id, "qty": execution.qty, "px": execution.px}
        ids = {"client_order_id": order.client_order_id, "order_id": order.order_id}
        self.store.note(event.at, event.kind, order.account, **ids, **detail)

    def _step(self) -> None:
        self._step_timer = None
        self._do(self.engine.step)

    def _schedule_commit(self) -> None:
        loop = asyncio.get_running_loop()
        self._commit = loop.create_future()
        loop.call_soon(self._run_commit)

    def _run_commit(self) -> None:
        waiting, self._commit = self._commit, None
        try:
            self.store.commit()
        except Exception as error:  # whoever waits must not be told that it is safe
            waiting.set_exception(error)
            return
        waiting.set_result(None)

    def _restore(self) -> None:
        """Take up what an earlier run of the same storage left; an account keeps the cash it began with."""
        for name, account in self.engine.accounts.items():
            key = STARTING_CASH.format(name)
            begun = self.store.get(key) or str(account.rules.starting_cash)
            self.store.remember(key, begun)
            account.begin_with(begun)
        known = self.engine.accounts
        executions = [e for e in self.store.executions() if e.account in known]
        self.engine.restore([o for o in self.store.orders() if o.account in known], executions, self.clock())
        for execution in executions:
            self.fills[execution.account].append(execution.exec_id)
