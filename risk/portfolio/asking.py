"""Reading what a person or a program asks of the portfolio's risk: a tail, and perhaps a trade."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from risk.portfolio.assessment import DEFAULT_TAIL
from risk.portfolio.words import ProposedTrade
from tradingdesk.errors import InvalidInput
from tradingdesk.fields import EXACT_DIGITS, QUANTITY_PLACES, decimal_places, significant_digits
from tradingdesk.fix import Side

TRADE = ("symbol", "side", "order_qty")
NAMES = ("tail", *TRADE)


def parse_question(given: Mapping[str, str]) -> tuple[Decimal, ProposedTrade | None]:
    """Read the tail (0.05 when it is left out) and the trade (None when no part of one is given).

    Raises:
        InvalidInput: an unknown name, a part of the trade is missing, or a value cannot be read.
    """
    if unknown := sorted(set(given) - set(NAMES)):
        detail = f"{unknown[0]}: not a parameter; there are {', '.join(NAMES)}"
        raise InvalidInput("UNKNOWN_FILTER", detail, unknown[0])
    tail = _decimal(given["tail"], "tail") if given.get("tail") else DEFAULT_TAIL
    return tail, _trade({name: given.get(name, "").strip() for name in TRADE})


def _trade(given: Mapping[str, str]) -> ProposedTrade | None:
    if not any(given.values()):
        return None
    for name, value in given.items():
        if not value:
            raise InvalidInput("REQUIRED", f"{name}: a trade needs {', '.join(TRADE)}", name)
    side, qty = given["side"].lower(), _decimal(given["order_qty"], "order_qty")
    if side not in Side.values:
        raise InvalidInput("INVALID_CHOICE", f"side={given['side']}: expected {', '.join(Side.values)}", "side")
    if qty <= 0 or decimal_places(qty) > QUANTITY_PLACES or significant_digits(qty) > EXACT_DIGITS or qty >= 10**12:
        raise InvalidInput("OUT_OF_RANGE", f"order_qty={given['order_qty']}: a quantity above 0 is needed", "order_qty")
    return ProposedTrade(given["symbol"].upper(), Side(side), qty)


def _decimal(text: str, name: str) -> Decimal:
    try:
        found = Decimal(text)
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite():
        raise InvalidInput("INVALID_NUMBER", f"{name}={text}: a plain number is needed", name)
    return found
