"""Rounding to what every database stores: `places` decimals, and 15 digits where that is fewer."""

from decimal import ROUND_HALF_EVEN, Context, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradingdesk.fields import EXACT_DIGITS, MONEY_PLACES, QUANTITY_PLACES, decimal_places, fit, significant_digits

NUMBERS = st.decimals(min_value=-(10**14), max_value=10**14, places=12)


@pytest.mark.parametrize(
    ("value", "places", "fitted"),
    [
        ("0.1234567895", 9, "0.12345679"),
        ("0.1234567885", 9, "0.123456788"),
        ("999999.999999999", 9, "999999.999999999"),
        ("1000000.000000001", 9, "1000000"),
        ("1234567.123456789", 9, "1234567.12345679"),
        ("999999999.9999994", 6, "999999999.999999"),
        ("1234567890.1234567", 6, "1234567890.12346"),
        ("-0.0000000004", 9, "0"),
    ],
)
def test_value_at_the_boundary_of_places_or_digits(value, places, fitted):
    assert fit(Decimal(value), places) == Decimal(fitted)


@given(value=NUMBERS, places=st.sampled_from([MONEY_PLACES, QUANTITY_PLACES]))
def test_any_value_fits_and_is_the_nearest_that_does(value, places):
    found = fit(value, places)
    assert decimal_places(found) <= places
    assert significant_digits(found) <= EXACT_DIGITS
    by_places = value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_EVEN)
    assert found == Context(prec=EXACT_DIGITS, rounding=ROUND_HALF_EVEN).plus(by_places)
