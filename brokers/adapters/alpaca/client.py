"""alpaca-py's clients, made fit for orders: bounded waits, no blind re-send, exact numbers, shared connections.

alpaca-py 0.44 sends any request again on 429 and 504, POST too (three more times, `common/rest.py`), passes no
time-out to requests, and reads JSON numbers as floats. Everything else is left as the SDK does it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import quote

from alpaca.common.exceptions import APIError
from alpaca.data.historical.stock import StockHistoricalDataClient
from alpaca.trading.client import TradingClient
from requests import Response, Session
from requests.adapters import HTTPAdapter
from requests.exceptions import ConnectionError as ConnectionFailed
from requests.exceptions import ConnectTimeout, HTTPError
from requests.utils import get_environ_proxies

from tradingdesk.redaction.known import redact

from .config import AlpacaSettings
from .parsing import NEW_YORK

FILLS = "/account/activities/FILL"
THREADS = 16
ORDERS_PAGE = 500
ACTIVITIES_PAGE = 100
SYMBOLS_A_CALL = 200
SIMPLE = (None, "", "simple")
BARS_PAGE = 10_000
A_MOMENT = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """What the broker last said of its request budget: `remaining` of `limit` requests until `resets_at`."""

    limit: int
    remaining: int
    resets_at: datetime


class BoundedClient:
    """Mixed into an alpaca-py client: each request is sent once, in bounded time; `get` once more if its
    connection was lost, since a kept-alive connection may have been closed just before."""

    def _bound(self, settings: AlpacaSettings) -> None:
        self._timeout = settings.timeout
        # The constructor ignores retry_attempts=0 and an empty list (it tests their truth).
        self._retry, self._retry_codes = 0, []
        self._session = pooled_session(self._base_url)
        self._headers = super()._get_default_headers()
        self.rate_limit: RateLimit | None = None

    def _get_default_headers(self) -> dict:
        return self._headers

    def _one_request(self, method: str, url: str, opts: dict, retry: int) -> Any:
        response = self._sent(method, url, opts)
        self.rate_limit = read_rate_limit(response) or self.rate_limit
        if response.status_code >= 300:
            raise APIError(redact(response.text), HTTPError(response=response))  # before anybody cuts it short
        return response.json(parse_float=Decimal) if response.content else None

    def _sent(self, method: str, url: str, opts: dict) -> Response:
        try:
            return self._session.request(method, url, timeout=self._timeout, **opts)
        except ConnectTimeout:
            raise
        except ConnectionFailed:
            if method != "GET":
                raise
        return self._session.request(method, url, timeout=self._timeout, **opts)

    def close(self) -> None:
        """Close the kept connections."""
        self._session.close()


class Trading(BoundedClient, TradingClient):
    """The Trading API: orders, account, positions, assets, clock."""

    def __init__(self, settings: AlpacaSettings):
        super().__init__(
            api_key=settings.api_key,
            secret_key=settings.secret_key,
            paper=settings.paper_trading,
            raw_data=True,
            url_override=settings.trading_url,
        )
        self._bound(settings)

    def open_orders(self) -> Iterator[dict]:
        """Read every open order, oldest first, legs of other orders too.

        Pages go by submission time, so an order that closes meanwhile shifts nothing. The next page starts a
        microsecond before the last order, as orders may share their time; known ones are skipped.
        """
        query, known = {"status": "open", "limit": ORDERS_PAGE, "direction": "asc", "nested": "false"}, set()
        while page := rows(self.get("/orders", query)):
            fresh = [raw for raw in page if raw["id"] not in known]
            yield from fresh
            known.update(raw["id"] for raw in fresh)
            if len(page) < ORDERS_PAGE:
                return
            if not fresh:
                raise ValueError("a page of open orders repeats itself")
            last = datetime.fromisoformat(page[-1]["submitted_at"]).astimezone(UTC) - timedelta(microseconds=1)
            query = {**query, "after": _zulu(last)}

    def order(self, broker_order_id: str) -> dict:
        """Read one order, with its legs."""
        return self.get(order_path(broker_order_id), {"nested": "true"})

    def with_legs(self, raw: dict) -> dict:
        """Give an order with its legs, which are not told when it is asked for by its client's id."""
        return raw if raw.get("order_class") in SIMPLE or raw.get("legs") else self.order(raw["id"])

    def first_of_group(self, broker_order_id: str) -> dict | None:
        """Read the order that a leg was placed with, with its legs: among those of the leg's symbol and time."""
        leg = self.order(broker_order_id)
        at = datetime.fromisoformat(leg["submitted_at"]).astimezone(UTC)
        query = {"status": "all", "nested": "true", "symbols": leg["symbol"], "limit": ORDERS_PAGE}
        query |= {"until": _zulu(at + A_MOMENT), "direction": "desc"}
        for raw in rows(self.get("/orders", query)):
            if any(one.get("group_id") == leg["group_id"] for one in raw.get("legs") or ()):
                return raw
        return None

    def fills(self, since: Mapping[str, str]) -> Iterator[dict]:
        """Read the FILL activities from `since` (`after`), oldest first; alpaca-py has no method for them."""
        query = {"direction": "asc", "page_size": ACTIVITIES_PAGE, **since}
        while page := rows(self.get(FILLS, query)):
            yield from page
            if len(page) < ACTIVITIES_PAGE:
                return
            if page[-1]["id"] == query.get("page_token"):
                raise ValueError("a page of activities repeats itself")
            query = {**query, "page_token": page[-1]["id"]}

    def fill_before(self, activity_id: str) -> dict | None:
        """Read the activity that comes just before another; None where that is the first, or unknown here."""
        try:
            page = rows(self.get(FILLS, {"direction": "desc", "page_size": 1, "page_token": activity_id}))
        except APIError as failure:
            if failure.status_code not in (400, 404, 422):
                raise
            return None
        return page[0] if page else None

    def positions(self) -> list[dict]:
        """Read every position."""
        return rows(self.get_all_positions())

    def asset(self, symbol: str) -> dict:
        """Read one asset; a pair's slash is escaped, which alpaca-py leaves to the caller."""
        return self.get_asset(quote(symbol, safe=""))

    def assets(self) -> list[dict]:
        """Read every active US equity, in one call."""
        return rows(self.get("/assets", {"status": "active", "asset_class": "us_equity"}))


class MarketData(BoundedClient, StockHistoricalDataClient):
    """The Market Data API for US equities."""

    def __init__(self, settings: AlpacaSettings):
        super().__init__(
            api_key=settings.api_key,
            secret_key=settings.secret_key,
            raw_data=True,
            url_override=settings.data_url,
        )
        self._bound(settings)

    def latest_quotes(self, symbols: list[str], feed: str) -> Iterator[tuple[str, dict]]:
        """Read the latest quote of each symbol that has one."""
        for start in range(0, len(symbols), SYMBOLS_A_CALL):
            wanted = ",".join(symbols[start : start + SYMBOLS_A_CALL])
            yield from self.get("/stocks/quotes/latest", {"symbols": wanted, "feed": feed})["quotes"].items()

    def daily_bars(self, symbols: list[str], feed: str, *, start: date, end: date) -> list[tuple[str, dict]]:
        """Read the days of each symbol, page by page, by symbol and day."""
        found: dict[str, list[dict]] = {symbol: [] for symbol in symbols}
        span = {"start": market_midnight(start), "end": market_midnight(end)}
        terms = {"timeframe": "1Day", "adjustment": "all", "feed": feed, "limit": BARS_PAGE, **span}
        for begin in range(0, len(symbols), SYMBOLS_A_CALL):
            asked = terms | {"symbols": ",".join(symbols[begin : begin + SYMBOLS_A_CALL])}
            while True:
                page = self.get("/stocks/bars", asked)
                for symbol, bars in (page["bars"] or {}).items():
                    found[symbol] += rows(bars)
                if not page["next_page_token"]:
                    break
                asked["page_token"] = page["next_page_token"]
        return [(symbol, raw) for symbol, bars in found.items() for raw in bars]


def pooled_session(url: str) -> Session:
    """Make a session that several threads may use at once: a pool of kept connections and no cookies.

    The environment (proxies, CA bundle) is read once here; requests would read it, and netrc, on every call.
    """
    session = Session()
    session.trust_env = False
    session.proxies = get_environ_proxies(url)
    session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(pool_connections=2, pool_maxsize=THREADS, max_retries=0))
    return session


def order_path(broker_order_id: str) -> str:
    """The path of one order; alpaca-py's own methods refuse ids that are no UUID with a bare ValueError."""
    return f"/orders/{quote(broker_order_id, safe='')}"


def market_midnight(day: date) -> str:
    """When a day begins in New York: the time that its bar bears."""
    return _zulu(datetime(day.year, day.month, day.day, tzinfo=NEW_YORK).astimezone(UTC))


def _zulu(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def rows(answer: Any) -> list[dict]:
    """Insist on a list: an empty body or another object must not pass for "nothing there".

    Raises:
        ValueError: it is no list.
    """
    if not isinstance(answer, list):
        raise ValueError(f"a list was expected, not {type(answer).__name__}")
    return answer


def read_rate_limit(response: Response) -> RateLimit | None:
    """Read X-RateLimit-*; None where an answer carries none or nonsense."""
    headers = response.headers
    try:
        return RateLimit(
            limit=int(headers["X-RateLimit-Limit"]),
            remaining=int(headers["X-RateLimit-Remaining"]),
            resets_at=datetime.fromtimestamp(int(headers["X-RateLimit-Reset"]), UTC),
        )
    except (KeyError, ValueError, OverflowError, OSError):
        return None
