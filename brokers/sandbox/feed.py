"""Play a recording to the venue: each trading day is one session, its times shifted to now.

At speed N a recorded second lasts 1/N s; at speed 0 nothing moves: the first quotes stand, and tests show
others. A sandbox that is started again goes on where the session would be by now.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from brokers.sandbox.matching import CENT
from brokers.sandbox.replay import MARKET_CLOSE_MS, Shown, TradingDay
from brokers.sandbox.venue import Venue

STILL_SESSION = timedelta(hours=6, minutes=30)
YIELD_EVERY = 100
SESSION_KEY = "session"


class Feed:
    """One recording, played for as long as the sandbox runs."""

    def __init__(self, venue: Venue, days: list[TradingDay], *, speed: float = 1.0):
        self.venue, self.days, self.speed = venue, days, speed
        self.opened_at = self.closes_at = venue.clock()
        self.next_opens_at = self.closes_at
        self.session_length = STILL_SESSION
        self.lastday: dict[str, Decimal] = {}
        self.opened = asyncio.Event()
        self._moves = asyncio.Event()
        self._moves.set()
        self._paused_at: datetime | None = None
        self._earlier: datetime | None = None
        self._loaded: tuple[str, list[Shown]] = ("", [])
        for symbol in sorted({symbol for day in days for symbol in day.files}):
            venue.list_asset(symbol)

    @property
    def is_open(self) -> bool:
        """Whether a session is on."""
        return self.venue.engine.is_open

    def pause(self) -> None:
        """Stop the quotes; the session goes on standing still."""
        if self._moves.is_set():
            self._moves.clear()
            self._paused_at = self.venue.clock()

    def resume(self) -> None:
        """Go on from where the quotes stopped."""
        if not self._moves.is_set():
            self._shift(self.venue.clock() - self._paused_at)
            self._moves.set()

    async def run(self) -> None:
        """Play session after session, until cancelled."""
        number = self._resumed()
        while True:
            day = self.days[number % len(self.days)]
            quotes = await asyncio.to_thread(self._load, day)
            self._open(number, quotes)
            await self._play(quotes)
            self._close()
            await asyncio.sleep(self.venue.profile.session_break_s)
            number += 1

    def preload(self) -> None:
        """Put one session on the tape as if it had just ended, so that there are bars from the start."""
        day = self.days[0]
        quotes = self._load(day)
        end, started = quotes[-1].ms, self.venue.clock()
        for shown in quotes:
            self.lastday[shown.symbol] = shown.mid.quantize(CENT)
            self.venue.tape.add(shown.quote(started - timedelta(milliseconds=end - shown.ms + 60_000)))

    def _load(self, day: TradingDay) -> list[Shown]:
        if self._loaded[0] != day.date:
            self._loaded = (day.date, day.quotes())
        return self._loaded[1]

    def _resumed(self) -> int:
        """The number of the session to begin with; an earlier run's that is still on is taken up."""
        number, _, opened = self.venue.store.get(SESSION_KEY).partition(" ")
        self._earlier = datetime.fromisoformat(opened) if opened else None
        return int(number or 0)

    def _open(self, number: int, quotes: list[Shown]) -> None:
        now = self.venue.clock()
        length = self._lasts(quotes)
        earlier, self._earlier = self._earlier, None
        still_on = earlier is not None and earlier + length > now
        if earlier is not None and not still_on:
            self.venue.operate(lambda engine, at: engine.close_session(at))
        self.opened_at = earlier if still_on else now
        self.session_length = length
        self.closes_at = self.opened_at + length
        self.next_opens_at = self.closes_at + timedelta(seconds=self.venue.profile.session_break_s)
        self.venue.store.remember(SESSION_KEY, f"{number} {self.opened_at.isoformat()}")
        self._show_first(quotes)
        self.venue.operate(lambda engine, at: engine.open_session(at))
        self.opened.set()

    def _show_first(self, quotes: list[Shown]) -> None:
        """Every symbol has a quote from the start: the last one before now, or its first."""
        shown_now: dict[str, Shown] = {}
        for shown in quotes:
            if shown.symbol not in shown_now or self._due(quotes, shown) <= self.venue.clock():
                shown_now[shown.symbol] = shown
        for shown in shown_now.values():
            self.venue.quote(shown.quote(self.venue.clock()))

    def _lasts(self, quotes: list[Shown]) -> timedelta:
        if not self.speed:
            return STILL_SESSION
        return timedelta(milliseconds=(min(quotes[-1].ms + 1000, MARKET_CLOSE_MS) - quotes[0].ms) / self.speed)

    def _due(self, quotes: list[Shown], shown: Shown) -> datetime:
        if not self.speed:
            return datetime.max.replace(tzinfo=UTC)
        return self.opened_at + timedelta(milliseconds=(shown.ms - quotes[0].ms) / self.speed)

    async def _play(self, quotes: list[Shown]) -> None:
        begun = self.venue.clock()
        for number, shown in enumerate(quotes):
            if self._due(quotes, shown) < begun:
                continue
            await self._wait_until(lambda shown=shown: self._due(quotes, shown), number)
            self.venue.quote(shown.quote(self._due(quotes, shown)))
        await self._wait_until(lambda: self.closes_at, 0)

    async def _wait_until(self, due, number: int) -> None:
        while True:
            await self._moves.wait()
            wait = (due() - self.venue.clock()).total_seconds()
            if wait <= 0:
                break
            await asyncio.sleep(min(wait, 1.0))
        if number % YIELD_EVERY == 0:
            await asyncio.sleep(0)

    def _close(self) -> None:
        engine = self.venue.engine
        self.lastday = {symbol: engine.mark(symbol) for symbol in engine.books}
        self.venue.operate(lambda engine, at: engine.close_session(at))

    def _shift(self, by: timedelta) -> None:
        self.opened_at, self.closes_at, self.next_opens_at = (
            self.opened_at + by,
            self.closes_at + by,
            self.next_opens_at + by,
        )
