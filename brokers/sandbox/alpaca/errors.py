"""Alpaca's refusals: HTTP status, code and message, and which of the engine's reasons becomes which."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from brokers.sandbox.alpaca.words import number
from brokers.sandbox.book import OPEN, Refused
from tradingdesk.fix import OrdStatus

ALPACAS_STATUS = {OrdStatus.PENDING: "pending_new"}
INVALID, UNPROCESSABLE, FORBIDDEN, NOT_FOUND = 40010001, 42210000, 40310000, 40410000


class AlpacaError(Exception):
    """An answer that is not a success. `body` None is an empty one."""

    def __init__(self, status: int, body: dict[str, Any] | None):
        super().__init__(status, body)
        self.status, self.body = status, body


def error(status: int, code: int, message: str, **more: Any) -> AlpacaError:
    """Alpaca's usual error body."""
    return AlpacaError(status, {"code": code, "message": message, **more})


def invalid(message: str) -> AlpacaError:
    """The request itself is wrong."""
    return error(422, INVALID, message)


def unprocessable(message: str) -> AlpacaError:
    """The request is well formed but cannot be done."""
    return error(422, UNPROCESSABLE, message)


def forbidden(message: str, **more: Any) -> AlpacaError:
    """The account may not, or cannot afford it; Alpaca has one code for many such reasons."""
    return error(403, FORBIDDEN, message, **more)


def not_found(message: str) -> AlpacaError:
    """There is no such thing."""
    return error(404, NOT_FOUND, message)


def _insufficient_buying_power(buying_power, cost_basis) -> AlpacaError:
    amounts = {"buying_power": number(buying_power, 2), "cost_basis": number(cost_basis, 2)}
    return forbidden("insufficient buying power", **amounts)


def _insufficient_qty(symbol, requested, available, existing_qty, held_for_orders) -> AlpacaError:
    message = f"insufficient qty available for order (requested: {number(requested)}, available: {number(available)})"
    return forbidden(
        message,
        symbol=symbol,
        available=number(available),
        existing_qty=number(existing_qty),
        held_for_orders=number(held_for_orders),
        related_orders=[],
    )


def _wash_trade(existing_order_id) -> AlpacaError:
    return forbidden(
        "potential wash trade detected. use complex orders",
        existing_order_id=existing_order_id,
        reject_reason="opposite side order exists",
    )


def _not_replaceable(status) -> AlpacaError:
    if status in OPEN:
        return unprocessable(f"cannot replace order in {ALPACAS_STATUS.get(status, status.value)} status")
    return unprocessable(f'order is already in "{status.value}" state')


IN_ALPACAS_WORDS: dict[str, Callable[..., AlpacaError]] = {
    "duplicate_client_order_id": lambda: invalid("client_order_id must be unique"),
    "insufficient_buying_power": _insufficient_buying_power,
    "insufficient_qty": _insufficient_qty,
    "wash_trade": _wash_trade,
    "short_not_allowed": lambda symbol, requested: forbidden("account is not allowed to short"),
    "fractional_short": lambda symbol, requested: unprocessable("fractional orders cannot be sold short"),
    "below_minimum": lambda cost_basis, minimum: forbidden(
        f"cost basis must be >= minimal amount of order {number(minimum)}"
    ),
    "no_market_data": lambda symbol: unprocessable(f'no market data is available for "{symbol}"'),
    "exit_without_position": lambda symbol: unprocessable("oco orders must be exit orders"),
    "linked_qty_not_replaceable": lambda: unprocessable("qty of an advanced order cannot be replaced"),
    "opening_is_over": lambda: unprocessable("opg orders are not accepted after the market has opened"),
    "not_cancelable": lambda status: unprocessable(f'order is already in "{status.value}" state'),
    "not_replaceable": _not_replaceable,
    "notional_not_replaceable": lambda: unprocessable("notional orders cannot be replaced"),
    "unknown_order": lambda order_id="", client_order_id="": not_found(
        f"order not found for {order_id or client_order_id}"
    ),
}


def in_alpacas_words(refused: Refused) -> AlpacaError:
    """What Alpaca would answer for the engine's refusal."""
    return IN_ALPACAS_WORDS[refused.reason](**refused.details)
