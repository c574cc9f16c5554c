"""Numbers in requests: JSON strings or numbers, both read as exact decimals."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from brokers.sandbox.alpaca.errors import invalid, unprocessable
from brokers.sandbox.alpaca.words import number
from brokers.sandbox.book import SMALLEST_QTY

LARGEST = Decimal(10) ** 12


def read_decimal(body: Mapping[str, Any], field: str) -> Decimal | None:
    """A positive number of at most nine places, or None. Raises AlpacaError."""
    raw = body.get(field)
    if raw is None or raw == "":
        return None
    if isinstance(raw, bool) or not isinstance(raw, str | int | Decimal):
        raise invalid(f"{field} is invalid")
    try:
        value = Decimal(raw)
    except InvalidOperation:
        raise invalid(f"{field} is invalid") from None
    if not value.is_finite() or value <= 0:
        raise unprocessable(f"{field} must be > 0")
    if value > LARGEST or value != value.quantize(SMALLEST_QTY):
        raise unprocessable(f"{field} is out of range: at most 9 decimal places")
    return value


def check_tick(field: str, price: Decimal | None) -> None:
    """Two places from one dollar up, four below. Raises AlpacaError in Alpaca's words."""
    if price is None:
        return
    places = 2 if price >= 1 else 4
    if price != price.quantize(Decimal(1).scaleb(-places)):
        message = f"invalid {field} {number(price)}. sub-penny increment does not fulfill minimum pricing criteria"
        raise unprocessable(message)
