"""Numbers as the desk stores them: quantities and prices numeric(24,9), money numeric(20,6).

SQLite keeps numerics as 8-byte floats, exact to 15 significant digits; a value with more is
refused there instead of silently rounded.
"""

from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, ROUND_HALF_EVEN, Context, Decimal
from functools import cache

from django.core.exceptions import ValidationError
from django.db import models

QUANTITY_PLACES = 9
MONEY_PLACES = 6
EXACT_DIGITS = 15
_FIFTEEN = Context(prec=EXACT_DIGITS, rounding=ROUND_HALF_EVEN)
# The usual context keeps 28 digits: in it, a longer number would seem to be a shorter one.
_UNROUNDED = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)


def significant_digits(value: Decimal) -> int:
    """Count the digits needed to write the value down, trailing zeros aside."""
    return len(value.normalize(_UNROUNDED).as_tuple().digits)


def decimal_places(value: Decimal) -> int:
    """Count the digits needed after the point."""
    return max(0, -value.normalize(_UNROUNDED).as_tuple().exponent)


def fit(value: Decimal, places: int = QUANTITY_PLACES) -> Decimal:
    """Round a derived value half-even to what every database stores exactly: `places` decimals, 15 digits."""
    rounded = value.quantize(_step(places), rounding=ROUND_HALF_EVEN)
    if rounded.adjusted() < EXACT_DIGITS - places or significant_digits(rounded) <= EXACT_DIGITS:
        return rounded  # most are short enough by where their first digit stands
    return _FIFTEEN.plus(rounded)


@cache
def _step(places: int) -> Decimal:
    return Decimal(1).scaleb(-places)


def plain(value: Decimal | None) -> str | None:
    """Write a decimal as people do: no exponent, no trailing zeros, no minus before zero. None stays None."""
    return None if value is None else f"{value.normalize() + 0:f}"


class ExactDecimalField(models.DecimalField):
    """A decimal that is stored exactly or refused by name."""

    max_places = QUANTITY_PLACES

    def __init__(self, *args, **kwargs):
        kwargs.setdefault("max_digits", 24)
        kwargs.setdefault("decimal_places", self.max_places)
        super().__init__(*args, **kwargs)

    def get_db_prep_save(self, value, connection):
        if isinstance(value, Decimal):
            if not value.is_finite():
                raise ValidationError({self.name: f"{self.name}: {value} is not a number"})
            if connection.vendor == "sqlite" and significant_digits(value) > EXACT_DIGITS:
                raise ValidationError(
                    {self.name: f"{self.name}: {value} has more than {EXACT_DIGITS} significant digits"}
                )
            if connection.vendor == "postgresql":
                return value  # as it takes it
        return super().get_db_prep_save(value, connection)


class QuantityField(ExactDecimalField):
    """Units of an instrument, numeric(24,9)."""


class PriceField(ExactDecimalField):
    """Quote currency per unit, numeric(24,9)."""


class MoneyField(ExactDecimalField):
    """An amount of a currency, numeric(20,6)."""

    max_places = MONEY_PLACES

    def __init__(self, *args, **kwargs):
        kwargs.setdefault("max_digits", 20)
        super().__init__(*args, **kwargs)
