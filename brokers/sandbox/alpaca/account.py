"""/v2/account, its configurations and activities, and /v2/positions."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

from aiohttp import web

from brokers.sandbox.accounts import stable_id
from brokers.sandbox.alpaca.errors import AlpacaError, in_alpacas_words, invalid, not_found
from brokers.sandbox.alpaca.gate import ACCOUNT, FRONT, TWICE, Front, answer
from brokers.sandbox.alpaca.numbers import read_decimal
from brokers.sandbox.alpaca.orders import cancel_words, read_direction, read_limit, read_time
from brokers.sandbox.alpaca.words import (
    NEW_YORK,
    closing_side,
    fee_words,
    fill_words,
    number,
    order_words,
    position_words,
)
from brokers.sandbox.book import ZERO, Execution, Order, Refused, Ticket
from brokers.sandbox.ledger import Account
from tradingdesk.fix import OrdType, TimeInForce

MAX_PAGE = 100
CREATED_AT = "2024-01-02T14:30:00Z"


async def account(request: web.Request) -> web.Response:
    """GET /v2/account."""
    front, name = request.app[FRONT], request[ACCOUNT]
    return answer(_account_words(front, front.venue.engine.accounts[name]))


async def configurations(request: web.Request) -> web.Response:
    """GET /v2/account/configurations."""
    rules = request.app[FRONT].venue.engine.accounts[request[ACCOUNT]].rules
    return answer(
        {
            "disable_overnight_trading": True,
            "fractional_trading": True,
            "max_margin_multiplier": number(rules.multiplier),
            "max_options_trading_level": 0,
            "no_shorting": not rules.shorting,
            "ptp_no_exception_entry": False,
            "suspend_trade": False,
            "trade_confirm_email": "none",
        }
    )


async def activities(request: web.Request) -> web.Response:
    """GET /v2/account/activities[/{type}] with after, until, date, direction, page_size, page_token, order_id."""
    front, query = request.app[FRONT], request.query
    wanted = request.match_info.get("activity_type") or query.get("activity_types", "FILL,FEE")
    size = read_limit(query.get("page_size"), MAX_PAGE, MAX_PAGE)
    listed = _after_token(_rows(front, request[ACCOUNT], set(wanted.split(",")), query), query)
    page = [words for words, _ in zip(listed, range(size), strict=False)]
    return answer([words for words in page for _ in range(2)] if request.get(TWICE) else page)


async def positions(request: web.Request) -> web.Response:
    """GET /v2/positions."""
    front, name = request.app[FRONT], request[ACCOUNT]
    symbols = sorted(front.venue.engine.accounts[name].holdings)
    return answer([_position(front, name, symbol) for symbol in symbols])


async def position(request: web.Request) -> web.Response:
    """GET /v2/positions/{symbol_or_asset_id}."""
    front, name = request.app[FRONT], request[ACCOUNT]
    return answer(_position(front, name, _held_symbol(request)))


async def close_position(request: web.Request) -> web.Response:
    """DELETE /v2/positions/{symbol_or_asset_id}: the market order that closes it, or qty or percentage of it."""
    front, symbol = request.app[FRONT], _held_symbol(request)
    qty, percentage = (read_decimal(request.query, field) for field in ("qty", "percentage"))
    held = abs(front.venue.engine.accounts[request[ACCOUNT]].position(symbol))
    if percentage is not None:
        qty = (held * percentage / 100).quantize(Decimal("1e-9"))
    return answer(order_words(_place_closing(front, request[ACCOUNT], symbol, qty or held)))


async def close_all_positions(request: web.Request) -> web.Response:
    """DELETE /v2/positions: how each closing order was taken."""
    front, name = request.app[FRONT], request[ACCOUNT]
    if request.query.get("cancel_orders", "").lower() == "true":
        for order in list(front.venue.engine.open[name].values()):
            cancel_words(front.venue, name, order)
        front.venue.operate(lambda engine, now: engine.step(now))
    symbols = sorted(front.venue.engine.accounts[name].holdings)
    return answer([_closing_words(front, name, symbol) for symbol in symbols], 207)


def _account_words(front: Front, account: Account) -> dict[str, Any]:
    money = _money(front.venue.engine.mark, account)
    return {
        "id": stable_id("account", account.name),
        "account_number": f"SBX{stable_id('account', account.name)[:8].upper()}",
        "status": "ACTIVE",
        "crypto_status": "INACTIVE",
        "currency": "USD",
        **{name: number(value, 2) for name, value in money.items()},
        "multiplier": number(account.rules.multiplier),
        "trading_blocked": False,
        "transfers_blocked": False,
        "account_blocked": False,
        "trade_suspended_by_user": False,
        "shorting_enabled": account.rules.shorting,
        "options_approved_level": 0,
        "options_trading_level": 0,
        "created_at": CREATED_AT,
        "balance_asof": f"{front.venue.clock().astimezone(NEW_YORK) - timedelta(days=1):%Y-%m-%d}",
    }


def _money(mark: Callable[[str], Decimal], account: Account) -> dict[str, Decimal]:
    equity, power = account.equity(mark), account.buying_power(mark)
    values = [holding.qty * mark(symbol) for symbol, holding in account.holdings.items()]
    long_value, short_value = sum((v for v in values if v > 0), ZERO), sum((v for v in values if v < 0), ZERO)
    gross = long_value - short_value
    plain_power = max(equity - gross - account.held_cash, ZERO)
    return {
        "cash": account.cash,
        "equity": equity,
        "portfolio_value": equity,
        "last_equity": account.begun_with,
        "long_market_value": long_value,
        "short_market_value": short_value,
        "position_market_value": gross,
        "buying_power": power,
        "effective_buying_power": power,
        "regt_buying_power": min(power, max(equity * 2 - gross - account.held_cash, ZERO)),
        "non_marginable_buying_power": plain_power,
        "options_buying_power": plain_power,
        "initial_margin": gross / 2,
        "maintenance_margin": gross * Decimal("0.3"),
        "last_maintenance_margin": ZERO,
        "sma": ZERO,
        "accrued_fees": ZERO,
        "pending_transfer_in": ZERO,
        "pending_transfer_out": ZERO,
        "intraday_adjustments": ZERO,
        "pending_reg_taf_fees": ZERO,
    }


def _rows(front: Front, name: str, wanted: set[str], query) -> Iterator[tuple[str, dict[str, Any]]]:
    """(execution id, activity) of the account's trades as they stand, busts gone, in the order asked for."""
    trades, chosen = front.venue.engine.accounts[name].trades, _chooser(query)
    rising = read_direction(query.get("direction"))
    ids = _in_reach(front, name, query, rising)
    for exec_id in ids if rising else reversed(ids):
        trade = trades.get(exec_id)
        if trade is None or not chosen(trade):
            yield exec_id, {}
            continue
        if "FILL" in wanted:
            yield exec_id, fill_words(trade)
        if "FEE" in wanted and trade.fee:
            yield exec_id, fee_words(trade)


def _in_reach(front: Front, name: str, query, rising: bool) -> list[str]:
    """The account's execution ids without those that `after` and the page token leave out by their time alone."""
    ids, known = front.venue.fills[name], front.venue.engine.executions
    after, last = read_time(query.get("after"), "after"), known.get(_last_id(query))
    begin = bisect_right(ids, after, key=lambda exec_id: known[exec_id].at) if after else 0
    if last is None:
        return ids[begin:]
    if rising:
        return ids[max(begin, bisect_left(ids, last.at, key=lambda exec_id: known[exec_id].at)) :]
    return ids[begin : bisect_right(ids, last.at, key=lambda exec_id: known[exec_id].at)]


def _last_id(query) -> str:
    """The execution that the page token is about."""
    return query.get("page_token", "").rpartition("::")[2].removeprefix("fee-")


def _chooser(query):
    after, until = read_time(query.get("after"), "after"), read_time(query.get("until"), "until")
    day = read_time(query.get("date"), "date")
    order_id = query.get("order_id")

    def chosen(trade: Execution) -> bool:
        return (
            (not after or trade.at > after)
            and (not until or trade.at <= until)
            and (not day or trade.at.astimezone(NEW_YORK).date() == day.date())
            and (not order_id or trade.order_id == order_id)
        )

    return chosen


def _after_token(rows: Iterator[tuple[str, dict]], query) -> Iterator[dict[str, Any]]:
    """The activities behind the page token, which is the id of the last one that the client has."""
    token, last_id = query.get("page_token", ""), _last_id(query)
    passed = not token
    for exec_id, words in rows:
        if passed:
            if words:
                yield words
        elif exec_id == last_id:
            passed = words.get("id", token) == token
    if not passed:
        raise invalid("page_token is invalid")


def _held_symbol(request: web.Request) -> str:
    front = request.app[FRONT]
    asset = front.venue.asset(request.match_info["symbol"])
    if asset is None or not front.venue.engine.accounts[request[ACCOUNT]].position(asset.symbol):
        raise not_found("position does not exist")
    return asset.symbol


def _position(front: Front, name: str, symbol: str) -> dict[str, Any]:
    engine = front.venue.engine
    account = engine.accounts[name]
    holding = account.holdings[symbol]
    available = account.closable(symbol, closing_side(holding))
    mark = engine.mark(symbol)
    return position_words(front.venue.asset(symbol), holding, available, mark, front.feed.lastday.get(symbol, mark))


def _place_closing(front: Front, name: str, symbol: str, qty: Decimal) -> Order:
    holding = front.venue.engine.accounts[name].holdings[symbol]
    ticket = Ticket(symbol, closing_side(holding), OrdType.MARKET, TimeInForce.DAY, qty)
    return front.venue.submit(name, ticket)


def _closing_words(front: Front, name: str, symbol: str) -> dict[str, Any]:
    qty = abs(front.venue.engine.accounts[name].position(symbol))
    try:
        order = _place_closing(front, name, symbol, qty)
    except Refused as refused:
        refusal: AlpacaError = in_alpacas_words(refused)
        return {"symbol": symbol, "status": refusal.status, "body": refusal.body}
    return {"symbol": symbol, "status": 200, "body": order_words(order)}
