"""The exits of a bracket, "oco" or "oto" order from its request, with Alpaca's rules on the way.

Which refusals Alpaca gives in which words is documented for a few of them only; the others are in its manner.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from brokers.sandbox.alpaca.errors import invalid, unprocessable
from brokers.sandbox.alpaca.numbers import check_tick, read_decimal
from brokers.sandbox.book import Leg, Ticket
from tradingdesk.fix import LegRole, OrderClass, OrdType, Side, TimeInForce

CENT = Decimal("0.01")
EXITS = ("take_profit", "stop_loss")
LASTING = (TimeInForce.DAY, TimeInForce.GTC)
ENTRIES = (OrdType.MARKET, OrdType.LIMIT)


def with_legs(ticket: Ticket, body: Mapping[str, Any]) -> Ticket:
    """The ticket with its class and exits. Raises AlpacaError."""
    order_class = _class_of(body)
    if order_class is OrderClass.SIMPLE:
        if any(body.get(name) for name in EXITS):
            raise unprocessable("simple orders must not have take_profit or stop_loss")
        return ticket
    profit, loss = _take_profit(body), _stop_loss(body)
    _check_presence(order_class, profit, loss)
    if order_class is OrderClass.OCO:
        ticket = _as_profit_taker(ticket, profit)
    ticket = replace(ticket, order_class=order_class)
    _check_terms(ticket)
    _check_sides(ticket, profit, loss)
    legs = (loss,) if order_class is OrderClass.OCO else (profit, loss)
    return replace(ticket, legs=tuple(leg for leg in legs if leg))


def _class_of(body: Mapping[str, Any]) -> OrderClass:
    given = body.get("order_class") or OrderClass.SIMPLE.value
    if not isinstance(given, str) or given not in OrderClass.values:
        raise unprocessable(f"order_class {given} is not supported by the sandbox")
    return OrderClass(given)


def _take_profit(body: Mapping[str, Any]) -> Leg | None:
    given = _exit(body, "take_profit")
    if given is None:
        return None
    price = read_decimal(given, "limit_price")
    if price is None:
        raise unprocessable("take_profit.limit_price is required")
    check_tick("take_profit.limit_price", price)
    return Leg(LegRole.TAKE_PROFIT, price=price)


def _stop_loss(body: Mapping[str, Any]) -> Leg | None:
    given = _exit(body, "stop_loss")
    if given is None:
        return None
    stop_px, price = read_decimal(given, "stop_price"), read_decimal(given, "limit_price")
    if stop_px is None:
        raise unprocessable("stop_loss.stop_price is required")
    check_tick("stop_loss.stop_price", stop_px)
    check_tick("stop_loss.limit_price", price)
    return Leg(LegRole.STOP_LOSS, price=price, stop_px=stop_px)


def _exit(body: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    given = body.get(name)
    if given is not None and not isinstance(given, Mapping):
        raise invalid(f"{name} is invalid")
    return given or None


def _check_presence(order_class: OrderClass, profit: Leg | None, loss: Leg | None) -> None:
    if order_class is OrderClass.OTO:
        if (profit is None) == (loss is None):
            raise unprocessable("oto orders require either take_profit or stop_loss")
    elif profit is None or loss is None:
        missing = "take_profit.limit_price" if profit is None else "stop_loss.stop_price"
        raise unprocessable(f"{order_class.value} orders require {missing}")


def _as_profit_taker(ticket: Ticket, profit: Leg) -> Ticket:
    """An "oco" order is itself the limit order that takes the profit; the stop is its leg."""
    if ticket.ord_type is not OrdType.LIMIT:
        raise unprocessable("oco orders must be limit orders")
    return replace(ticket, price=profit.price)


def _check_terms(ticket: Ticket) -> None:
    name = ticket.order_class.value
    if ticket.order_qty is None or ticket.order_qty % 1:
        raise unprocessable(f"{name} orders must be for a whole number of shares")
    if ticket.time_in_force not in LASTING:
        raise unprocessable(f"{name} orders must be DAY or GTC orders")
    if ticket.extended_hours:
        raise unprocessable(f"{name} orders must not be extended hours orders")
    if ticket.ord_type not in ENTRIES:
        raise unprocessable(f"{name} orders must be market or limit orders")


def _check_sides(ticket: Ticket, profit: Leg | None, loss: Leg | None) -> None:
    """An exit has to be a cent beyond the entry's limit, and the two of them on either side of one another."""
    closing = ticket.side if ticket.order_class is OrderClass.OCO else ticket.side.opposite
    sign = 1 if closing is Side.SELL else -1
    base = ticket.price if ticket.order_class is not OrderClass.OCO else None
    if profit and loss and (profit.price - loss.stop_px) * sign < CENT:
        raise unprocessable("take_profit.limit_price and stop_loss.stop_price are on the wrong sides of one another")
    if base and profit and (profit.price - base) * sign < CENT:
        raise unprocessable(f"take_profit.limit_price must be {_beyond(sign)}")
    if base and loss and (base - loss.stop_px) * sign < CENT:
        raise unprocessable(f"stop_loss.stop_price must be {_beyond(-sign)}")


def _beyond(sign: int) -> str:
    return ">= base_price + 0.01" if sign > 0 else "<= base_price - 0.01"
