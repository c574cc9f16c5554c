"""Market Data API v2: latest quotes and trades, bars, snapshots. Here prices are JSON numbers, as at Alpaca.

The recording has quotes only: a "trade" is the last midpoint, a bar is made of midpoints.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from brokers.sandbox.alpaca.errors import AlpacaError
from brokers.sandbox.alpaca.gate import FRONT, Front, answer
from brokers.sandbox.alpaca.orders import read_limit, read_time
from brokers.sandbox.alpaca.words import NEW_YORK, timestamp
from brokers.sandbox.book import Quote
from brokers.sandbox.tape import DAY, Bar
from brokers.sandbox.venue import Venue

MAX_BARS = 10_000
DEFAULT_BARS = 1_000
SPANS = {"Min": timedelta(minutes=1), "T": timedelta(minutes=1), "Hour": timedelta(hours=1), "H": timedelta(hours=1)}
SPANS |= {"Day": timedelta(days=1), "D": timedelta(days=1), "Week": timedelta(weeks=1), "W": timedelta(weeks=1)}
Words = Callable[[Front, str], dict[str, Any] | None]


def latest(plural: str, single: str, words: Words) -> tuple[Callable, Callable]:
    """The handlers of one kind of latest thing: for `symbols` of the query, and for the symbol of the path."""

    async def of_many(request: web.Request) -> web.Response:
        found = {symbol: words(request.app[FRONT], symbol) for symbol in _symbols(request)}
        return answer({plural: {symbol: thing for symbol, thing in found.items() if thing}})

    async def of_one(request: web.Request) -> web.Response:
        symbol = request.match_info["symbol"].upper()
        thing = words(request.app[FRONT], symbol)
        if thing is None:
            raise AlpacaError(404, {"message": f"no {single} found for {symbol}"})
        return answer({"symbol": symbol, single: thing})

    return of_many, of_one


async def bars(request: web.Request) -> web.Response:
    """GET /v2/stocks/bars: pages over all symbols, in order of symbol and time."""
    rows, token = _page(request, _symbols(request))
    by_symbol: dict[str, list] = {}
    for symbol, bar in rows:
        by_symbol.setdefault(symbol, []).append(_bar_words(bar))
    return answer({"bars": by_symbol, "next_page_token": token})


async def bars_of_one(request: web.Request) -> web.Response:
    """GET /v2/stocks/{symbol}/bars."""
    symbol = request.match_info["symbol"].upper()
    rows, token = _page(request, [symbol])
    return answer({"symbol": symbol, "bars": [_bar_words(bar) for _, bar in rows], "next_page_token": token})


async def snapshots(request: web.Request) -> web.Response:
    """GET /v2/stocks/snapshots."""
    front = request.app[FRONT]
    found = {symbol: snapshot_words(front, symbol) for symbol in _symbols(request)}
    return answer({symbol: thing for symbol, thing in found.items() if thing})


async def snapshot(request: web.Request) -> web.Response:
    """GET /v2/stocks/{symbol}/snapshot."""
    symbol = request.match_info["symbol"].upper()
    found = snapshot_words(request.app[FRONT], symbol)
    if found is None:
        raise AlpacaError(404, {"message": f"no snapshot found for {symbol}"})
    return answer({"symbol": symbol, **found})


def quote_words(front: Front, symbol: str) -> dict[str, Any] | None:
    """The latest quote."""
    quote = _quote(front, symbol)
    if quote is None:
        return None
    return {
        "t": timestamp(quote.at),
        "ax": "V",
        "ap": float(quote.ask_px),
        "as": int(quote.ask_size),
        "bx": "V",
        "bp": float(quote.bid_px),
        "bs": int(quote.bid_size),
        "c": ["R"],
        "z": "A",
    }


def trade_words(front: Front, symbol: str) -> dict[str, Any] | None:
    """The latest midpoint as a trade."""
    quote = _quote(front, symbol)
    if quote is None:
        return None
    price = float(front.venue.engine.mark(symbol))
    serial = int(quote.at.timestamp() * 1000)
    return {"t": timestamp(quote.at), "i": serial, "x": "V", "p": price, "s": 100, "c": ["@"], "z": "A"}


def bar_words(front: Front, symbol: str) -> dict[str, Any] | None:
    """The latest minute."""
    known = front.venue.tape.bars.get(symbol)
    return _bar_words(known[-1]) if known else None


def snapshot_words(front: Front, symbol: str) -> dict[str, Any] | None:
    """Quote, trade, minute and day of a symbol."""
    if _quote(front, symbol) is None:
        return None
    now = front.venue.clock()
    days = front.venue.daily_bars(symbol, now - timedelta(days=7), now)
    return {
        "latestTrade": trade_words(front, symbol),
        "latestQuote": quote_words(front, symbol),
        "minuteBar": bar_words(front, symbol),
        "dailyBar": _bar_words(days[-1]),
        "prevDailyBar": _bar_words(days[-2] if len(days) > 1 else days[-1]),
    }


def _quote(front: Front, symbol: str) -> Quote | None:
    book = front.venue.engine.books.get(symbol)
    return book.quote if book else None


def _symbols(request: web.Request) -> list[str]:
    given = [symbol.strip().upper() for symbol in request.query.get("symbols", "").split(",") if symbol.strip()]
    if not given:
        raise AlpacaError(400, {"message": "symbols is required"})
    return sorted(set(given))


def _page(request: web.Request, symbols: list[str]) -> tuple[list[tuple[str, Bar]], str | None]:
    query, venue = request.query, request.app[FRONT].venue
    now = venue.clock()
    start = read_time(query.get("start"), "start") or _start_of_day(now)
    end = read_time(query.get("end"), "end") or now
    length, limit = _timeframe(query.get("timeframe", "1Min")), read_limit(query.get("limit"), DEFAULT_BARS, MAX_BARS)
    found = [(symbol, bar) for symbol in symbols for bar in _sorted(_bars(venue, symbol, start, end, length), query)]
    begin = _offset(query.get("page_token"))
    return found[begin : begin + limit], str(begin + limit) if len(found) > begin + limit else None


def _bars(venue: Venue, symbol: str, start: datetime, end: datetime, length: timedelta) -> list[Bar]:
    if length == DAY:
        return venue.daily_bars(symbol, start, end)
    return venue.tape.between(symbol, start, end, length)


def _offset(token: str | None) -> int:
    if token and not (token.isascii() and token.isdecimal()):
        raise AlpacaError(400, {"message": f"invalid page_token: {token}"})
    return int(token or 0)


def _sorted(found: list[Bar], query) -> list[Bar]:
    return found[::-1] if query.get("sort") == "desc" else found


def _timeframe(raw: str) -> timedelta:
    match = re.fullmatch(r"(\d{1,2})([A-Za-z]+)", raw)
    if not match or match[2] not in SPANS or int(match[1]) == 0:
        raise AlpacaError(400, {"message": f"invalid timeframe: {raw}"})
    return int(match[1]) * SPANS[match[2]]


def _start_of_day(now: datetime) -> datetime:
    return now.astimezone(NEW_YORK).replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)


def _bar_words(bar: Bar) -> dict[str, Any]:
    return {
        "t": f"{bar.at:%Y-%m-%dT%H:%M:%SZ}",
        "o": float(bar.open),
        "h": float(bar.high),
        "l": float(bar.low),
        "c": float(bar.close),
        "v": bar.count,
        "n": bar.count,
        "vw": round(float(bar.mean), 6),
    }
