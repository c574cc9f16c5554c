"""Shares, the Herfindahl index, and what a broker's failure costs: exact values."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk.portfolio.concentration import concentration, failure

amounts = st.decimals(-10_000_000, 10_000_000, places=2, allow_nan=False, allow_infinity=False)


def test_shares_are_of_the_gross_value_and_the_largest_comes_first():
    found = concentration([("IBM", Decimal(100)), ("BAC", Decimal(-300)), ("IBM", Decimal(100))])
    assert list(found.shares.items()) == [("BAC", Decimal("0.6")), ("IBM", Decimal("0.4"))]
    assert found.herfindahl == Decimal("0.52")
    assert found.effective_number == 1 / Decimal("0.52")


def test_nothing_held_is_not_concentrated():
    found = concentration([("IBM", Decimal(0))])
    assert (found.shares, found.herfindahl, found.effective_number) == ({}, None, None)


@given(st.lists(st.tuples(st.sampled_from("ABCDE"), amounts), min_size=1))
def test_the_effective_number_lies_between_one_and_the_number_of_places(held):
    found = concentration(held)
    if found.shares:
        assert sum(found.shares.values()) == pytest.approx(1)
        assert Decimal("0.999999") <= found.effective_number <= len(found.shares) + Decimal("0.000001")


@pytest.mark.parametrize(
    ("cash", "positions", "protected", "lost_cash", "lost_positions"),
    [
        (0, 400_000, 400_000, 0, 0),
        (0, 500_000, 500_000, 0, 0),
        (0, 500_001, 500_000, 0, 1),
        (250_000, 250_000, 500_000, 0, 0),
        (250_001, 0, 250_000, 1, 0),
        (300_000, 300_000, 500_000, 50_000, 50_000),
        (-100_000, 700_000, 500_000, 0, 100_000),  # a margin loan is set off
        (400_000, -200_000, 200_000, 0, 0),  # so are shorts
        (-100_000, 50_000, 0, 0, 0),  # who owes has nothing to lose
    ],
)
def test_a_failure_costs_what_is_above_protection(cash, positions, protected, lost_cash, lost_positions):
    found = failure(cash=Decimal(cash), positions=Decimal(positions))
    assert (found.protected, found.lost_cash, found.lost_positions) == (protected, lost_cash, lost_positions)


@given(amounts, amounts)
def test_what_is_protected_and_what_is_lost_are_the_whole_claim(cash, positions):
    found = failure(cash=cash, positions=positions)
    assert found.protected + found.lost == max(cash + positions, 0)
    assert found.equity == cash + positions
