"""Historical data as TWS gives it: daily bars only, the present day's among them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

from brokers.sandbox.tape import Bar, market_day
from brokers.sandbox.tws import contracts, refusals, words
from brokers.sandbox.tws.gateway import Gateway
from brokers.sandbox.tws.refusals import Refusal, invalid
from brokers.sandbox.tws.requests import ContractSpec, Fields, read_contract
from brokers.sandbox.tws.words import Message

ADJUSTED = "ADJUSTED_LAST"
KINDS = ("TRADES", "MIDPOINT", ADJUSTED)
UNIT_DAYS = {"D": 1, "W": 7, "M": 30, "Y": 365}


@dataclass(frozen=True, slots=True)
class HistoryRequest:
    """What a client wants to know; `end` empty means up to now."""

    contract: ContractSpec
    end: str
    bar_size: str
    duration: str
    kind: str


def read_request(fields: Fields) -> HistoryRequest:
    """The fields behind the request's id. Raises WireError."""
    contract = read_contract(fields)
    fields.skip(1)  # includeExpired
    end, bar_size, duration = (fields.text() for _ in range(3))
    fields.skip(1)  # useRTH: there are regular hours only
    return HistoryRequest(contract, end, bar_size, duration, fields.text())


def daily_bars(gateway: Gateway, request_id: int, asked: HistoryRequest) -> Message:
    """The answer, which is one message. Raises Refusal."""
    asset = contracts.find(gateway.venue, asked.contract)
    if asset is None:
        raise Refusal(*refusals.NO_CONTRACT)
    if gateway.tws.market_data == "none":
        raise refusals.no_history("No market data permissions for NYSE STK")
    now = gateway.venue.clock()
    begin = now - _span(asked)
    found = gateway.venue.daily_bars(asset.symbol, begin, now)
    if not found:
        raise refusals.no_history(f"HMDS query returned no data: {asset.symbol}@SMART Trades")
    rows = [field for bar in found for field in _fields(bar)]
    return [17, request_id, words.zoned(begin), words.zoned(now), len(found), *rows]


def _span(asked: HistoryRequest) -> timedelta:
    """How far back to go. Raises Refusal for what the sandbox, or TWS, does not answer."""
    if asked.bar_size.lower() != "1 day" or asked.kind not in KINDS:
        raise invalid(f"no {asked.kind} in bars of {asked.bar_size}: the sandbox has daily bars")
    if asked.end:
        raise invalid("End Date not supported with adjusted last" if asked.kind == ADJUSTED else "only up to now")
    match = re.fullmatch(r"(\d{1,4}) ([DWMY])", asked.duration)
    if not match or (match[2] == "D" and int(match[1]) > UNIT_DAYS["Y"]):
        raise invalid("Historical data requests for durations longer than 365 days must be made in years.")
    return int(match[1]) * timedelta(days=UNIT_DAYS[match[2]])


def _fields(bar: Bar) -> list:
    prices = [words.price(value) for value in (bar.open, bar.high, bar.low, bar.close)]
    return [f"{market_day(bar.at):%Y%m%d}", *prices, bar.count, words.price(bar.mean), bar.count]
