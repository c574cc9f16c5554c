"""The requests of TWS's API by message id: how each is read, what it is called for faults, and how it is answered.

Where a request does what one of Alpaca's does, it has that one's name, so that one test hits both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from brokers.sandbox.tws import books, contracts, history, refusals, words
from brokers.sandbox.tws.fills import Fill
from brokers.sandbox.tws.framing import WireError
from brokers.sandbox.tws.gateway import Gateway
from brokers.sandbox.tws.market_data import MarketData
from brokers.sandbox.tws.orders import TwsOrder
from brokers.sandbox.tws.refusals import Refusal
from brokers.sandbox.tws.requests import (
    ExecutionFilter,
    Fields,
    read_contract,
    read_execution_filter,
    read_place_order,
)
from brokers.sandbox.tws.trading import MANUAL_CLIENT, Trading
from brokers.sandbox.tws.words import ZONE, Message

TIME_FORMATS = ("%Y%m%d-%H:%M:%S", "%Y%m%d %H:%M:%S")


class Connection(Protocol):
    """A client's connection, as far as its requests need it."""

    gateway: Gateway
    trading: Trading
    market_data: MarketData
    client_id: int
    wants_positions: bool
    wants_updates: bool
    summaries: dict[int, str]
    multis: dict[int, str]

    def say(self, *messages: Message) -> None:
        """Answer."""

    def end(self, *message: Any) -> None:
        """Answer with what ends a list."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request: its own or its order's id, the order's reference, and what its handler needs."""

    request_id: int = words.NO_REQUEST
    client_order_id: str = ""
    asked: Any = None


@dataclass(frozen=True, slots=True)
class Operation:
    """What a message id means. `trades`: it needs IB's servers and is journaled always."""

    name: str
    read: Callable[[Connection, Fields], Request]
    handle: Callable[[Connection, Request], None]
    trades: bool = False


def find_operation(connection: Connection, fields: list[str]) -> tuple[Operation, Request]:
    """What a message asks for. Raises Refusal when TWS does not know it or cannot read it."""
    read = Fields(fields)
    try:
        operation = OPERATIONS.get(read.integer())
        if operation is None:
            raise Refusal(*refusals.UNKNOWN_MESSAGE)
        request = operation.read(connection, read)
    except WireError as error:
        raise Refusal(320, f"Error reading request. {error}") from error
    if operation.name == "new_order" and connection.gateway.orders.find(connection.client_id, request.request_id):
        operation = REPLACE_ORDER
    return operation, request


def _plainly(connection: Connection, fields: Fields) -> Request:
    return Request()


def _version_and_id(connection: Connection, fields: Fields) -> Request:
    fields.skip(1)
    return Request(fields.integer())


def _read_order(connection: Connection, fields: Fields) -> Request:
    order = read_place_order(fields)
    return Request(order.order_id, order.order_ref, order)


def _read_cancel(connection: Connection, fields: Fields) -> Request:
    fields.skip(1)
    order_id, orders = fields.integer(), connection.gateway.orders
    order = orders.find(connection.client_id, order_id) or next(iter(orders.of_id(order_id)), None)
    return Request(order_id, order.order_ref if order else "")


def _place(connection: Connection, request: Request) -> None:
    connection.trading.place(connection.client_id, request.asked)


def _cancel(connection: Connection, request: Request) -> None:
    connection.trading.cancel(connection.client_id, request.request_id)


def _cancel_all(connection: Connection, request: Request) -> None:
    connection.trading.cancel_all(connection.client_id)


def _open_orders(connection: Connection, request: Request) -> None:
    own = [o for o in connection.gateway.live() if o.client_id == connection.client_id]
    if connection.client_id == MANUAL_CLIENT:
        for order in own:
            connection.gateway.orders.bind(order)
    _show_orders(connection, own)


def _all_open_orders(connection: Connection, request: Request) -> None:
    _show_orders(connection, connection.gateway.live())


def _show_orders(connection: Connection, orders: list[TwsOrder]) -> None:
    for order in orders:
        connection.say(*connection.gateway.show(order))
    connection.end(53, 1)


def _bind_orders(connection: Connection, request: Request) -> None:
    if connection.client_id != MANUAL_CLIENT:
        raise Refusal(321, "Error validating request.-'bN' : cause - Only client 0 may bind orders")
    connection.gateway.bound.add(MANUAL_CLIENT)


def _completed_orders(connection: Connection, request: Request) -> None:
    gateway = connection.gateway
    since = _since(gateway, "")
    for order in gateway.orders.orders.values():
        seen = gateway.seen(order)
        was_taken = seen is not None or order.ended == "Cancelled"
        if was_taken and gateway.is_done(order) and words.done_at(order, seen) >= since:
            connection.say(words.completed_order(order, seen, gateway.account_id))
    connection.end(102)


def _read_executions(connection: Connection, fields: Fields) -> Request:
    fields.skip(1)
    return Request(fields.integer(), asked=read_execution_filter(fields))


def _executions(connection: Connection, request: Request) -> None:
    """All executions, then all commissions that this client may see, then the end."""
    gateway, orders = connection.gateway, connection.gateway.orders.orders
    wanted = [fill for fill in gateway.fills.all if _chosen(gateway, fill, request.asked)]
    for fill in wanted:
        details = words.execution_details(request.request_id, orders[fill.perm_id], fill, gateway.account_id)
        connection.say(details)
    for fill in wanted:
        if connection.client_id in (orders[fill.perm_id].client_id, gateway.tws.master_client_id):
            connection.say(words.commission_report(fill.exec_id, fill.fee))
    connection.end(55, 1, request.request_id)


def _chosen(gateway: Gateway, fill: Fill, wanted: ExecutionFilter) -> bool:
    order, execution = gateway.orders.orders[fill.perm_id], fill.execution
    side = "SELL" if execution.side.sign < 0 else "BUY"
    return (
        execution.at >= _since(gateway, wanted.time)
        and wanted.client_id in (0, order.client_id)
        and wanted.account in ("", gateway.account_id)
        and wanted.symbol.upper() in ("", order.symbol)
        and wanted.sec_type.upper() in ("", "STK")
        and wanted.exchange.upper() in ("", order.exchange)
        and wanted.side.upper()[:1] in ("", side[:1])
    )


def _since(gateway: Gateway, raw: str) -> datetime:
    """From when on executions are told: the day's begin in TWS's zone, or what was asked for, if later."""
    now = gateway.venue.clock().astimezone(ZONE)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    earliest = midnight - timedelta(days=gateway.tws.execution_days - 1)
    for pattern in TIME_FORMATS if raw else ():
        try:
            asked = datetime.strptime(" ".join(raw.split()[:2]), pattern).replace(tzinfo=ZONE)
        except ValueError:
            continue
        return max(asked, earliest)
    return earliest


def _positions(connection: Connection, request: Request) -> None:
    connection.wants_positions = True
    connection.say(*books.positions(connection.gateway))
    connection.end(62, 1)


def _cancel_positions(connection: Connection, request: Request) -> None:
    connection.wants_positions = False


def _read_updates(connection: Connection, fields: Fields) -> Request:
    fields.skip(1)
    return Request(asked=fields.truth())


def _updates(connection: Connection, request: Request) -> None:
    connection.wants_updates = request.asked
    if request.asked:
        connection.say(*books.updates(connection.gateway))
        connection.end(54, 1, connection.gateway.account_id)


def _read_multi(connection: Connection, fields: Fields) -> Request:
    fields.skip(1)
    request_id, account, model = fields.integer(), fields.text(), fields.text()
    return Request(request_id, asked=(account, model))


def _multi(connection: Connection, request: Request) -> None:
    account, model = request.asked
    if account not in ("", connection.gateway.account_id):
        raise Refusal(321, "Error validating request.-'bN' : cause - Invalid account code")
    connection.multis[request.request_id] = model
    connection.say(*books.multi(connection.gateway, request.request_id, model))
    connection.end(74, 1, request.request_id)


def _cancel_multi(connection: Connection, request: Request) -> None:
    connection.multis.pop(request.request_id, None)


def _read_summary(connection: Connection, fields: Fields) -> Request:
    fields.skip(1)
    request_id, _, tags = fields.integer(), fields.text(), fields.text()
    return Request(request_id, asked=tags)


def _summary(connection: Connection, request: Request) -> None:
    connection.summaries[request.request_id] = request.asked
    connection.say(*books.summary(connection.gateway, request.request_id, request.asked))
    connection.end(64, 1, request.request_id)


def _cancel_summary(connection: Connection, request: Request) -> None:
    connection.summaries.pop(request.request_id, None)


def _ids(connection: Connection, request: Request) -> None:
    connection.say([9, 1, connection.gateway.orders.next_order_id(connection.client_id)])


def _accounts(connection: Connection, request: Request) -> None:
    connection.say([15, 1, connection.gateway.account_id])


def _time(connection: Connection, request: Request) -> None:
    connection.say([49, 1, int(connection.gateway.venue.clock().timestamp())])


def _read_details(connection: Connection, fields: Fields) -> Request:
    fields.skip(1)
    return Request(fields.integer(), asked=read_contract(fields))


def _details(connection: Connection, request: Request) -> None:
    asset = contracts.find(connection.gateway.venue, request.asked)
    if asset is None:
        raise Refusal(*refusals.NO_CONTRACT)
    connection.say(contracts.details(request.request_id, asset, connection.gateway.tws.fractional_orders))
    connection.end(52, 1, request.request_id)


def _read_market_data(connection: Connection, fields: Fields) -> Request:
    fields.skip(1)
    request_id, contract = fields.integer(), read_contract(fields)
    if fields.truth():  # deltaNeutralContract
        fields.skip(3)
    fields.skip(1)  # generic ticks
    return Request(request_id, asked=(contract, fields.truth()))


def _market_data(connection: Connection, request: Request) -> None:
    contract, snapshot = request.asked
    connection.market_data.subscribe(request.request_id, contract, snapshot=snapshot)


def _cancel_market_data(connection: Connection, request: Request) -> None:
    connection.market_data.cancel(request.request_id)


def _market_data_type(connection: Connection, request: Request) -> None:
    connection.market_data.kind = request.request_id


def _read_history(connection: Connection, fields: Fields) -> Request:
    return Request(fields.integer(), asked=history.read_request(fields))


def _history(connection: Connection, request: Request) -> None:
    connection.end(*history.daily_bars(connection.gateway, request.request_id, request.asked))


def _nothing(connection: Connection, request: Request) -> None:
    """Some requests change nothing that the sandbox has."""


REPLACE_ORDER = Operation("replace_order", _read_order, _place, trades=True)
OPERATIONS = {
    1: Operation("market_data", _read_market_data, _market_data),
    2: Operation("cancel_market_data", _version_and_id, _cancel_market_data),
    3: Operation("new_order", _read_order, _place, trades=True),
    4: Operation("cancel_order", _read_cancel, _cancel, trades=True),
    5: Operation("open_orders", _plainly, _open_orders),
    6: Operation("account_updates", _read_updates, _updates),
    7: Operation("executions", _read_executions, _executions),
    8: Operation("ids", _plainly, _ids),
    9: Operation("contract_details", _read_details, _details),
    12: Operation("news_bulletins", _plainly, _nothing),
    14: Operation("log_level", _plainly, _nothing),
    15: Operation("bind_orders", _plainly, _bind_orders),
    16: Operation("all_open_orders", _plainly, _all_open_orders),
    17: Operation("managed_accounts", _plainly, _accounts),
    20: Operation("historical_data", _read_history, _history),
    25: Operation("cancel_historical_data", _version_and_id, _nothing),
    49: Operation("current_time", _plainly, _time),
    58: Operation("cancel_all_orders", _plainly, _cancel_all, trades=True),
    59: Operation("market_data_type", _version_and_id, _market_data_type),
    61: Operation("positions", _plainly, _positions),
    62: Operation("account_summary", _read_summary, _summary),
    63: Operation("cancel_account_summary", _version_and_id, _cancel_summary),
    64: Operation("cancel_positions", _plainly, _cancel_positions),
    76: Operation("account_updates_multi", _read_multi, _multi),
    77: Operation("cancel_account_updates_multi", _version_and_id, _cancel_multi),
    99: Operation("completed_orders", _plainly, _completed_orders),
}
