"""The tests' way into the sandbox: order faults and holds, move the market, act on orders, read the record.

It exists only when the sandbox is started for tests, answers on loopback only, and wants its own secret. The
body of every POST is JSON; a wrong one is answered with 400 and the reason.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from aiohttp import web

from brokers.sandbox.alpaca.gate import FRONT, answer
from brokers.sandbox.alpaca.words import order_words
from brokers.sandbox.book import Execution, Order, Quote, Refused
from brokers.sandbox.engine import Engine
from brokers.sandbox.faults import ACTIONS, POINTS, STREAM_ACTIONS, Fault, Held, Hold, StreamFault
from brokers.sandbox.tws.control import TWS
from brokers.sandbox.tws.control import routes as tws_routes
from brokers.sandbox.tws.server import TwsServer
from tradingdesk.fix import OrdStatus

PREFIX = "/sandbox"
SECRET_HEADER = "X-Sandbox-Secret"
MAX_WAIT_S = 60.0
SECRET = web.AppKey("secret", str)


def add_control(app: web.Application, secret: str, tws: dict[str, TwsServer] | None = None) -> None:
    """Add the endpoint to the sandbox's server; `tws` are the TWS ports by account."""
    control = web.Application(middlewares=[guard])
    control[SECRET], control[FRONT], control[TWS] = secret, app[FRONT], tws or {}
    control.router.add_routes(tws_routes())
    control.router.add_routes(
        [
            web.post("/faults", order_fault),
            web.post("/stream_faults", order_stream_fault),
            web.post("/holds", order_hold),
            web.get("/held", wait_for_held),
            web.post("/release", release),
            web.post("/clear", clear),
            web.post("/disconnect", disconnect),
            web.post("/disconnect_streams", disconnect_streams),
            web.get("/streams", streams),
            web.get("/journal", journal),
            web.get("/accounts/{account}", record),
            web.post("/market/quote", push_quote),
            web.post("/market/pause", pause),
            web.post("/market/resume", resume),
            web.post("/market/open", open_session),
            web.post("/market/close", close_session),
            web.post("/orders/{order_id}/{action}", act_on_order),
            web.post("/executions/{exec_id}/bust", bust),
            web.post("/executions/{exec_id}/correct", correct),
        ]
    )
    app.add_subapp(PREFIX, control)


@web.middleware
async def guard(request: web.Request, handler) -> web.StreamResponse:
    """Let in only loopback callers who know the secret; turn wrong requests into 400."""
    if not ipaddress.ip_address(request.remote or "0.0.0.0").is_loopback:
        return web.Response(status=404)
    given = request.headers.get(SECRET_HEADER, "")
    if not hmac.compare_digest(given.encode(), request.app[SECRET].encode()):
        return answer({"message": "wrong secret"}, 403)
    try:
        response = await handler(request)
    except (KeyError, TypeError, ValueError, InvalidOperation) as error:
        return answer({"message": f"{type(error).__name__}: {error}"}, 400)
    except Refused as refused:
        return answer({"message": refused.reason, **{k: str(v) for k, v in refused.details.items()}}, 409)
    await request.app[FRONT].venue.durable()
    return response


async def order_fault(request: web.Request) -> web.Response:
    """Order a fault: fields of faults.Fault."""
    fault = Fault(**await request.json())
    if fault.action not in ACTIONS or fault.when not in ("before", "after"):
        raise ValueError(f"action={fault.action} when={fault.when}")
    request.app[FRONT].mischief.faults.append(fault)
    return answer({})


async def order_stream_fault(request: web.Request) -> web.Response:
    """Order a fault of a stream: fields of faults.StreamFault."""
    fault = StreamFault(**await request.json())
    if fault.action not in STREAM_ACTIONS:
        raise ValueError(f"action={fault.action}")
    request.app[FRONT].mischief.stream_faults.append(fault)
    return answer({})


async def order_hold(request: web.Request) -> web.Response:
    """Order a hold: fields of faults.Hold."""
    hold = Hold(**await request.json())
    if hold.point not in POINTS:
        raise ValueError(f"point={hold.point}")
    request.app[FRONT].mischief.holds.append(hold)
    return answer({})


async def wait_for_held(request: web.Request) -> web.Response:
    """What is held, as soon as there are `count` requests or `timeout` seconds are over."""
    seconds = min(float(request.query.get("timeout", 0)), MAX_WAIT_S)
    held = await request.app[FRONT].mischief.wait_for_held(int(request.query.get("count", 1)), seconds)
    return answer([_held_words(one) for one in held])


async def release(request: web.Request) -> web.Response:
    """Let go on what is held: `held_id` or all; `drop` loses the request instead."""
    body = await request.json()
    count = request.app[FRONT].mischief.release(body.get("held_id"), drop=bool(body.get("drop")))
    return answer({"released": count})


async def clear(request: web.Request) -> web.Response:
    """Forget all faults and holds and let everything go on."""
    request.app[FRONT].mischief.clear()
    return answer({})


async def disconnect(request: web.Request) -> web.Response:
    """Close the connections of an account, or of all."""
    account = (await request.json()).get("account")
    closed = [server.gateway.close_clients() for name, server in request.app[TWS].items() if account in (None, name)]
    return answer({"closed": request.app[FRONT].disconnect(account) + sum(closed)})


async def disconnect_streams(request: web.Request) -> web.Response:
    """Break the streams of an account, or of all; requests go on."""
    body = await request.json()
    return answer({"closed": request.app[FRONT].disconnect_streams(body.get("account"))})


async def streams(request: web.Request) -> web.Response:
    """What each account listens to: `updates` of trades, `quotes` of symbols, `activities`."""
    return answer({name: [one.hears for one in hearing] for name, hearing in request.app[FRONT].streams.items()})


async def journal(request: web.Request) -> web.Response:
    """Lines of the journal with kind, account, client_order_id, after (a line's number)."""
    store, query = request.app[FRONT].venue.store, dict(request.query)
    store.commit()
    return answer(store.journal(after=int(query.pop("after", 0)), **query))


async def record(request: web.Request) -> web.Response:
    """All that the venue knows of an account: orders, executions as they came and as they stand, positions, cash."""
    front, name = request.app[FRONT], request.match_info["account"]
    account = front.venue.engine.accounts[name]
    executions = [front.venue.engine.executions[exec_id] for exec_id in front.venue.fills[name]]
    return answer(
        {
            "orders": [order_words(order) for order in front.venue.engine.of_account[name]],
            "executions": [_plain(execution) for execution in executions],
            "trades": [_plain(trade) for trade in account.trades.values()],
            "positions": {symbol: str(holding.qty) for symbol, holding in account.holdings.items()},
            "cash": str(account.cash),
            "buying_power": str(account.buying_power(front.venue.engine.mark)),
        }
    )


async def push_quote(request: web.Request) -> web.Response:
    """Show a quote: symbol, bid_px, ask_px and, unless 1000 will do, bid_size and ask_size."""
    venue, body = request.app[FRONT].venue, await request.json()
    symbol = body["symbol"]
    venue.list_asset(symbol)
    sizes = {side: Decimal(str(body.get(side, 1000))) for side in ("bid_size", "ask_size")}
    prices = {side: Decimal(str(body[side])) for side in ("bid_px", "ask_px")}
    venue.quote(Quote(symbol=symbol, at=venue.clock(), **prices, **sizes))
    return answer({})


async def pause(request: web.Request) -> web.Response:
    """Stop the replay; the market stays open and stands still."""
    request.app[FRONT].feed.pause()
    return answer({})


async def resume(request: web.Request) -> web.Response:
    """Let the replay go on."""
    request.app[FRONT].feed.resume()
    return answer({})


async def open_session(request: web.Request) -> web.Response:
    """Open the market."""
    request.app[FRONT].venue.operate(lambda engine, now: engine.open_session(now))
    return answer({})


async def close_session(request: web.Request) -> web.Response:
    """Close the market: day orders expire."""
    request.app[FRONT].venue.operate(lambda engine, now: engine.close_session(now))
    return answer({})


async def act_on_order(request: web.Request) -> web.Response:
    """Do to an order what no client asked for: one of ORDER_ACTIONS; `fill` takes qty and px."""
    front, action = request.app[FRONT], ORDER_ACTIONS[request.match_info["action"]]
    order, body = front.venue.engine.orders[request.match_info["order_id"]], await request.json()
    front.venue.operate(lambda engine, now: action(engine, order, now, body))
    return answer(order_words(order))


async def bust(request: web.Request) -> web.Response:
    """Take a trade back."""
    exec_id = request.match_info["exec_id"]
    return answer(_plain(request.app[FRONT].venue.operate(lambda engine, now: engine.bust(exec_id, now))))


async def correct(request: web.Request) -> web.Response:
    """Correct a trade to qty and px."""
    exec_id, body = request.match_info["exec_id"], await request.json()
    qty, px = Decimal(str(body["qty"])), Decimal(str(body["px"]))
    return answer(_plain(request.app[FRONT].venue.operate(lambda engine, now: engine.correct(exec_id, qty, px, now))))


def _fill(engine: Engine, order: Order, now: datetime, body: Mapping[str, Any]) -> None:
    engine.force_fill(order, Decimal(str(body["qty"])), Decimal(str(body["px"])), now)


ORDER_ACTIONS: dict[str, Callable[[Engine, Order, datetime, Mapping[str, Any]], None]] = {
    "cancel": lambda engine, order, now, body: engine.cancel_unasked(order, now, body.get("text", "")),
    "refuse_cancel": lambda engine, order, now, body: engine.refuse_cancel(order, now),
    "reject": lambda engine, order, now, body: engine.reject(order, now, body.get("text", "")),
    "expire": lambda engine, order, now, body: engine.expire(order, now),
    "fill": _fill,
    "done_for_day": lambda engine, order, now, body: engine.pause(order, now, OrdStatus.DONE_FOR_DAY),
    "suspend": lambda engine, order, now, body: engine.pause(order, now, OrdStatus.SUSPENDED),
    "resume": lambda engine, order, now, body: engine.resume(order, now),
}


def _plain(execution: Execution) -> dict[str, str]:
    return {name: str(value) for name, value in asdict(execution).items()}


def _held_words(held: Held) -> dict[str, Any]:
    return {"held_id": held.held_id, "point": held.point, **asdict(held.call)}
