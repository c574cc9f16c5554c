"""Quotes of US stocks: lines that TWS keeps ticking, opened for whoever asks and kept for what is watched."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from brokers.messages import OutcomeUnknown, QuoteState

from . import codes, parsing
from .config import IBSettings
from .orders import stock
from .session import Session
from .wire import Notice

log = logging.getLogger(__name__)

FIRST_PRICE = 3.0
# IB allows a login 100 lines; what is asked in between must leave room for what is watched.
LINES_AT_ONCE = 40
PRICES = {1: "bid", 2: "ask", 66: "bid", 67: "ask"}
SIZES = {0: "bid", 3: "ask", 69: "bid", 70: "ask"}
DELAY = timedelta(minutes=15)
NEEDED = frozenset({"bid", "ask"})


@dataclass(slots=True)
class Line:
    """What ticks for one symbol; a price of -1 or 0 is an empty side."""

    symbol: str
    prices: dict[str, Decimal] = field(default_factory=dict)
    sizes: dict[str, Decimal] = field(default_factory=dict)
    at: datetime | None = None
    problem: str = ""
    changed: bool = False
    settled: asyncio.Event = field(default_factory=asyncio.Event)

    def tick(self, kind: int, value: float, size: float | None) -> None:
        """Take a price with its size, or a size alone."""
        number = parsing.optional(value) or Decimal(0)
        if size is None:
            if side := SIZES.get(kind):
                self.sizes[side] = number
        elif side := PRICES.get(kind):
            self.prices[side], self.sizes[side] = max(number, Decimal(0)), parsing.optional(size) or Decimal(0)
        else:
            return
        self.at, self.changed = datetime.now(UTC), True
        if self.prices.keys() >= NEEDED:
            self.settled.set()

    def quote(self, feed: str) -> QuoteState | None:
        """The quote as it stands; None while no side has a price. Delayed prices are of a quarter of an hour ago."""
        bid_px, ask_px = (self.prices.get(side, Decimal(0)) for side in ("bid", "ask"))
        if self.at is None or not (bid_px or ask_px):
            return None
        return QuoteState(
            symbol=self.symbol,
            bid_px=bid_px,
            bid_size=self.sizes.get("bid", Decimal(0)) if bid_px else Decimal(0),
            ask_px=ask_px,
            ask_size=self.sizes.get("ask", Decimal(0)) if ask_px else Decimal(0),
            quote_time=self.at - DELAY if feed.startswith("delayed") else self.at,
            feed=feed,
        )


class QuoteBook:
    """The lines of the present connection, and which symbols are watched on every one."""

    def __init__(self, settings: IBSettings, tell: Callable[[QuoteState], None]):
        self._feed, self._tell = settings.market_data, tell
        self._watched: set[str] = set()
        self._lines: dict[int, Line] = {}
        self._kept: dict[str, int] = {}
        self._told_problems: dict[str, str] = {}

    def attach(self, session: Session) -> None:
        """Begin anew on a connection: its lines are gone, what is watched is asked for again."""
        self._lines, self._kept = {}, {}
        session.on_tick, session.on_packet = self._take_tick, self._tell_changes
        self.watch(session, self._watched)

    def watch(self, session: Session | None, symbols: Iterable[str]) -> None:
        """Keep lines open for these symbols and no others."""
        self._watched = set(symbols)
        if session is None or session.lost.done():
            return
        for symbol in self._kept.keys() - self._watched:
            self._close(session, self._kept.pop(symbol))
        for symbol in sorted(self._watched - self._kept.keys()):
            self._kept[symbol] = self._open(session, symbol)

    async def read(self, session: Session, symbols: Iterable[str]) -> list[QuoteState]:
        """Get the latest quote of each symbol that has one; why another has none is logged.

        Raises:
            OutcomeUnknown: the connection was lost meanwhile.
        """
        wanted, found = sorted(set(symbols)), []
        for start in range(0, len(wanted), LINES_AT_ONCE):
            found += await asyncio.gather(*(self._read(session, one) for one in wanted[start : start + LINES_AT_ONCE]))
        return [quote for quote in found if quote is not None]

    def take_notice(self, notice: Notice) -> None:
        """Note that a line brings nothing, and why."""
        if (line := self._lines.get(notice.about)) and notice.code in codes.NO_MARKET_DATA:
            line.problem = f"{notice.code}: {notice.text}"
            line.settled.set()

    async def _read(self, session: Session, symbol: str) -> QuoteState | None:
        kept = self._kept.get(symbol)
        number = self._open(session, symbol) if kept is None else kept
        line = self._lines[number]
        settled = asyncio.ensure_future(line.settled.wait())
        try:
            await asyncio.wait({settled, session.lost}, timeout=FIRST_PRICE, return_when=asyncio.FIRST_COMPLETED)
        finally:
            settled.cancel()
            if kept is None:
                self._close(session, number)
        if session.lost.done():
            raise OutcomeUnknown(f"the connection was lost: {session.lost.result()}")
        if not line.settled.is_set():
            line.problem = line.problem or f"no price within {FIRST_PRICE:g} s"
        quote = line.quote(self._feed)
        self._note_problem(symbol, "" if quote else line.problem)
        return quote

    def _note_problem(self, symbol: str, problem: str) -> None:
        if problem and self._told_problems.get(symbol) != problem:
            log.warning("no quote of %s at Interactive Brokers: %s", symbol, problem)
        self._told_problems[symbol] = problem

    def _open(self, session: Session, symbol: str) -> int:
        number = session.ids.for_request()
        self._lines[number] = Line(symbol)
        session.say(session.client.reqMktData, number, stock(symbol), "", False, False, [])
        return number

    def _close(self, session: Session, number: int) -> None:
        self._lines.pop(number, None)
        session.say(session.client.cancelMktData, number)

    def _take_tick(self, about: int, kind: int, value: float, size: float | None) -> None:
        if line := self._lines.get(about):
            line.tick(kind, value, size)

    def _tell_changes(self) -> None:
        for number in self._kept.values():
            line: Any = self._lines.get(number)
            if line and line.changed and line.settled.is_set():
                line.changed = False
                if quote := line.quote(self._feed):
                    self._tell(quote)
