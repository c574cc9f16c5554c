"""The tests' way into a TWS: its connection to IB, its daily reset, and what a person does at its screen."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from aiohttp import web

from brokers.sandbox.alpaca.words import optional, order_words
from brokers.sandbox.tws import terms, words
from brokers.sandbox.tws.fills import Fill
from brokers.sandbox.tws.framing import text
from brokers.sandbox.tws.gateway import Gateway
from brokers.sandbox.tws.orders import TwsOrder
from brokers.sandbox.tws.refusals import CONNECTIVITY, Refusal
from brokers.sandbox.tws.requests import ContractSpec, PlaceOrder
from brokers.sandbox.tws.server import TwsServer
from brokers.sandbox.tws.trading import MANUAL_CLIENT

TWS: web.AppKey[dict[str, TwsServer]] = web.AppKey("tws", dict)
LOST, RESTORED = (1100, 2110), (1101, 1102)


def routes() -> list[web.RouteDef]:
    """The routes, beside those of the sandbox's own control."""
    return [
        web.post("/tws/{account}/connectivity", connectivity),
        web.post("/tws/{account}/notice", notice),
        web.post("/tws/{account}/market_data", market_data),
        web.post("/tws/{account}/reset", reset),
        web.post("/tws/{account}/close", close),
        web.post("/tws/{account}/open", reopen),
        web.get("/tws/{account}/clients", clients),
        web.get("/tws/{account}/orders", orders),
        web.get("/tws/{account}/record", record),
        web.post("/tws/{account}/orders", place),
        web.post("/tws/{account}/orders/{perm_id}/cancel", cancel),
        web.post("/tws/{account}/orders/{perm_id}/change", change),
    ]


async def connectivity(request: web.Request) -> web.Response:
    """Lose IB (code 1100, 2110), find it again (1101 with data lost, 1102 with data kept), or only say something."""
    server, code = _server(request), int((await request.json())["code"])
    if code in LOST:
        server.gateway.is_lost = True
    elif code in RESTORED:
        server.gateway.is_lost = False
    said = CONNECTIVITY[code].format(port=server.port)
    for session in list(server.gateway.clients.values()):
        session.say(words.error(words.NO_REQUEST, code, said))
    for session in list(server.gateway.clients.values()) if code in RESTORED else ():
        session.restored(data_lost=code == 1101)
    return web.json_response({})


async def notice(request: web.Request) -> web.Response:
    """Send an error or notice to every client: code, text, request_id."""
    server, body = _server(request), await request.json()
    message = words.error(int(body.get("request_id", words.NO_REQUEST)), int(body["code"]), body.get("text", ""))
    for session in list(server.gateway.clients.values()):
        session.say(message)
    return web.json_response({})


async def market_data(request: web.Request) -> web.Response:
    """Set what market data the account may have: live, delayed, none."""
    gateway, allowed = _server(request).gateway, (await request.json())["allowed"]
    if allowed not in ("live", "delayed", "none"):
        raise ValueError(f"allowed={allowed}")
    gateway.tws.market_data = allowed
    return web.json_response({})


async def reset(request: web.Request) -> web.Response:
    """Break all connections and refuse new ones for `seconds`."""
    await _server(request).reset(float((await request.json())["seconds"]))
    return web.json_response({})


async def close(request: web.Request) -> web.Response:
    """Break all connections and refuse new ones until `open`."""
    await _server(request).close()
    return web.json_response({})


async def reopen(request: web.Request) -> web.Response:
    """Let clients in again, on the same port."""
    await _server(request).open()
    return web.json_response({})


async def clients(request: web.Request) -> web.Response:
    """The ids of the clients that are connected."""
    return web.json_response(sorted(_server(request).gateway.clients))


async def orders(request: web.Request) -> web.Response:
    """TWS's orders, oldest first."""
    gateway = _server(request).gateway
    return web.json_response([_order_words(gateway, order) for order in gateway.orders.orders.values()])


async def record(request: web.Request) -> web.Response:
    """All that TWS knows of the account, in the words of the record of an account at Alpaca.

    An order's `id` is its permanent id and its `client_order_id` its reference; a changed order is one order.
    """
    gateway = _server(request).gateway
    account = gateway.venue.engine.accounts[gateway.name]
    return web.json_response(
        {
            "orders": [_record_words(gateway, order) for order in gateway.orders.orders.values()],
            "executions": [_fill_words(gateway, fill) for fill in gateway.fills.all],
            "trades": [_fill_words(gateway, fill) for fill in gateway.fills.standing()],
            "positions": {symbol: str(holding.qty) for symbol, holding in account.holdings.items()},
            "cash": str(account.cash),
            "buying_power": str(account.buying_power(gateway.venue.engine.mark)),
        }
    )


async def place(request: web.Request) -> web.Response:
    """Place an order by hand (client 0), or as another client: symbol, action, quantity, order_type, lmt_price…"""
    server, body = _server(request), await request.json()
    asked = _asked(body, server.gateway)
    try:
        terms.check(asked, server.gateway.tws)
        order = server.trading.place_by_hand(asked, int(body.get("client_id", MANUAL_CLIENT)))
    except Refusal as refusal:
        raise ValueError(f"{refusal.code} {refusal.text}") from refusal
    return web.json_response(_order_words(server.gateway, order))


async def cancel(request: web.Request) -> web.Response:
    """Cancel an order by hand, or as another client."""
    server, order = _server(request), _order(request)
    server.trading.cancel_order(order, int((await request.json()).get("client_id", MANUAL_CLIENT)))
    return web.json_response(_order_words(server.gateway, order))


async def change(request: web.Request) -> web.Response:
    """Change an order by hand: quantity, lmt_price, aux_price."""
    server, order, body = _server(request), _order(request), await request.json()
    names = {"quantity": "total_quantity", "lmt_price": "lmt_price", "aux_price": "aux_price"}
    try:
        server.trading.change(order, **{names[name]: Decimal(str(value)) for name, value in body.items()})
    except Refusal as refusal:
        raise ValueError(f"{refusal.code} {refusal.text}") from refusal
    return web.json_response(_order_words(server.gateway, order))


def _server(request: web.Request) -> TwsServer:
    return request.app[TWS][request.match_info["account"]]


def _order(request: web.Request) -> TwsOrder:
    return _server(request).gateway.orders.orders[int(request.match_info["perm_id"])]


def _asked(body: Mapping[str, Any], gateway: Gateway) -> PlaceOrder:
    price = {name: Decimal(str(body[name])) if name in body else None for name in ("lmt_price", "aux_price")}
    return PlaceOrder(
        order_id=0,
        contract=ContractSpec(0, body["symbol"], "STK", "SMART", "", "USD", ""),
        action=body["action"],
        total_quantity=Decimal(str(body["quantity"])),
        order_type=body.get("order_type", "MKT"),
        **price,
        tif=body.get("tif", "DAY"),
        oca_group="",
        oca_type=0,
        account=gateway.account_id,
        order_ref=body.get("order_ref", ""),
        transmit=True,
        parent_id=0,
        outside_rth=False,
        trail_stop_price=None,
        trailing_percent=None,
        cash_qty=None,
        what_if=False,
        algo_strategy="",
        conditions=0,
    )


def _order_words(gateway: Gateway, order: TwsOrder) -> dict[str, Any]:
    seen = gateway.seen(order)
    return {
        "perm_id": order.perm_id,
        "client_id": order.client_id,
        "order_id": order.order_id,
        "order_ref": order.order_ref,
        "symbol": order.symbol,
        "action": order.action,
        "order_type": order.order_type,
        "quantity": text(order.total_quantity),
        "lmt_price": text(order.lmt_price),
        "tif": order.tif,
        "status": gateway.status(order),
        "filled": text(seen.cum_qty) if seen else "0",
        "venue_order_ids": [gateway.venue.engine.by_client_id[(gateway.name, t)].order_id for t in order.tickets],
        "venue_order_id": seen.order_id if seen else None,
    }


def _record_words(gateway: Gateway, order: TwsOrder) -> dict[str, Any]:
    seen = gateway.seen(order)
    if seen is not None:
        said = order_words(seen) | (_terms_at_tws(order) if order.change_due else {})
    else:
        said = {"status": "canceled" if order.ended == "Cancelled" else "rejected" if order.ended else "held"}
        said |= {"filled_qty": "0", "filled_avg_price": None, "symbol": order.symbol, "side": order.side.value}
        said |= {"limit_price": optional(order.lmt_price), "stop_price": None, "qty": text(order.total_quantity)}
        said |= _terms_at_tws(order) if order.held == "parent" or order.ended == "Cancelled" else {}
    said |= {"waits_for": order.held}
    names = {"id": str(order.perm_id), "client_order_id": order.order_ref, "replaces": None, "replaced_by": None}
    ids = {"api_client_id": order.client_id, "api_order_id": order.order_id}
    return said | names | ids | {"venue_order_id": seen.order_id if seen else None}


def _terms_at_tws(order: TwsOrder) -> dict[str, Any]:
    """What an order is that IB has not put to work yet, in the words of the venue's orders."""
    asked = terms.changes(order)
    kind = asked["ord_type"].value
    said = {"type": kind, "order_type": kind, "time_in_force": asked["time_in_force"].value, "extended_hours": False}
    said |= {"qty": text(order.total_quantity)}
    return said | {"limit_price": optional(asked["price"]), "stop_price": optional(asked["stop_px"])}


def _fill_words(gateway: Gateway, fill: Fill) -> dict[str, Any]:
    execution, order = fill.execution, gateway.orders.orders[fill.perm_id]
    return {
        "exec_id": fill.exec_id,
        "venue_exec_id": execution.exec_id,
        "exec_type": execution.exec_type.value,
        "order_id": str(order.perm_id),
        "client_order_id": order.order_ref,
        "symbol": order.symbol,
        "side": execution.side.value,
        "qty": text(execution.qty),
        "px": text(execution.px),
        "fee": text(fill.fee),
    }
