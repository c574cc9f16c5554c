"""Numbers as people send them: read exactly, or refused by name."""

import re
from decimal import Decimal, InvalidOperation
from typing import Any

from tradingdesk.errors import InvalidInput
from tradingdesk.fields import QUANTITY_PLACES, decimal_places

_NUMERAL = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
_LARGEST = Decimal(10) ** 14


def read_decimal(name: str, value: Any, *, places: int = QUANTITY_PLACES) -> Decimal:
    """Read a positive decimal from a string, integer or Decimal, exactly.

    Raises:
        InvalidInput: not a number, not finite, not above zero, too large, or with more than `places` decimals.
    """
    try:
        number = Decimal(value) if _is_numeral(value) else None
    except InvalidOperation:  # an exponent beyond all bounds
        number = None
    if number is None:
        raise InvalidInput("INVALID_NUMBER", f"{name}={str(value)[:40]!r}: give a decimal as a string", name)
    if not number.is_finite() or number <= 0:
        raise InvalidInput("NOT_POSITIVE", f"{name}={number}: give a number above zero", name)
    if number >= _LARGEST:
        raise InvalidInput("TOO_LARGE", f"{name}: give a number below {_LARGEST:f}", name)
    if decimal_places(number) > places:
        raise InvalidInput("TOO_PRECISE", f"{name}={number}: give at most {places} decimals", name)
    return number


def _is_numeral(value: Any) -> bool:
    """Tell whether it is a number as JSON writes it; Decimal itself also takes 1_000 and digits of other scripts."""
    if isinstance(value, str):
        return _NUMERAL.fullmatch(value) is not None
    return isinstance(value, int | Decimal) and not isinstance(value, bool)
