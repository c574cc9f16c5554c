"""/v2/assets, /v2/clock, /v2/calendar: what is traded, and when."""

from __future__ import annotations

from datetime import date, timedelta

from aiohttp import web

from brokers.sandbox.alpaca.errors import invalid, not_found
from brokers.sandbox.alpaca.gate import FRONT, answer
from brokers.sandbox.alpaca.words import asset_words, market_time
from brokers.sandbox.tape import SATURDAY, is_session, market_day

MAX_DAYS = 3_700


async def assets(request: web.Request) -> web.Response:
    """GET /v2/assets with status, asset_class, exchange."""
    query, known = request.query, request.app[FRONT].venue.assets
    if query.get("asset_class", "us_equity") not in ("us_equity", "all") or query.get("status", "active") == "inactive":
        return answer([])
    chosen = (a for _, a in sorted(known.items()) if query.get("exchange", a.about.exchange) == a.about.exchange)
    return answer([asset_words(asset) for asset in chosen])


async def asset(request: web.Request) -> web.Response:
    """GET /v2/assets/{symbol_or_asset_id}."""
    wanted = request.match_info["symbol"]
    found = request.app[FRONT].venue.asset(wanted)
    if found is None:
        raise not_found(f"asset not found for {wanted}")
    return answer(asset_words(found))


async def clock(request: web.Request) -> web.Response:
    """GET /v2/clock: the market is open while a session replays."""
    feed = request.app[FRONT].feed
    return answer(
        {
            "timestamp": market_time(feed.venue.clock()),
            "is_open": feed.is_open,
            "next_open": market_time(feed.next_opens_at),
            "next_close": market_time(feed.closes_at if feed.is_open else feed.next_opens_at + feed.session_length),
        }
    )


async def calendar(request: web.Request) -> web.Response:
    """GET /v2/calendar with start, end: weekdays, and today whatever day it is."""
    now = request.app[FRONT].venue.clock()
    today = market_day(now)
    start = _date(request.query.get("start"), today - timedelta(days=30))
    end = _date(request.query.get("end"), today + timedelta(days=30))
    count = min(max((end - start).days + 1, 0), MAX_DAYS)
    days = (start + timedelta(days=offset) for offset in range(count))
    return answer([_day_words(day) for day in days if is_session(day, now)])


def _date(raw: str | None, default: date) -> date:
    if not raw:
        return default
    try:
        return date.fromisoformat(raw[:10])
    except ValueError:
        raise invalid("start and end must be YYYY-MM-DD") from None


def _day_words(day: date) -> dict[str, str]:
    settles = day + timedelta(days=1)
    while settles.weekday() >= SATURDAY:
        settles += timedelta(days=1)
    return {
        "date": day.isoformat(),
        "open": "09:30",
        "close": "16:00",
        "session_open": "0400",
        "session_close": "2000",
        "settlement_date": settles.isoformat(),
    }
