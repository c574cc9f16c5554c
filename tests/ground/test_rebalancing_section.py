"""The `rebalancing:` section: what it means when it is in force, and what is wrong with it, each with its line."""

from decimal import Decimal

import pytest

from orders.rebalancing.configuration import Rebalancing, rebalancing_in_force
from tradingdesk.config.document import ConfigurationError
from tradingdesk.config.record import load

pytestmark = pytest.mark.django_db
SECTION = """\
rebalancing:
  place: true
  max_cost: 12.5
  max_drift: 0.15
  headroom: 0
  leave_unreconciled: true
  fee_schedules: {alpaca_margin: ibkr_tiered}
"""


def with_section(file, text: str = SECTION):
    return file.write(file.path.read_text() + text)


def test_desk_without_the_section_proposes_and_places_nothing_by_itself(file):
    assert rebalancing_in_force() == Rebalancing()
    load(file, actor="ann", reason="first")
    found = rebalancing_in_force()
    assert (found.propose, found.place, found.max_drift, found.headroom) == (True, False, None, Decimal("0.02"))


def test_section_in_force_is_read_as_it_was_written(file):
    load(with_section(file), actor="ann", reason="rebalance")
    assert rebalancing_in_force() == Rebalancing(
        place=True,
        max_cost=Decimal("12.5"),
        max_drift=Decimal("0.15"),
        headroom=Decimal(0),
        leave_unreconciled=True,
        fee_schedules={"alpaca_margin": "ibkr_tiered"},
    )


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("max_drift: 0.15", "max_drift: 15", "max_drift: found 15, expected a number from 0 to 1"),
        ("max_cost: 12.5", "max_cost: -1", "max_cost: found -1, expected an amount of 0 or more"),
        ("place: true", "place: maybe", "place: found 'maybe', expected true or false"),
        ("place: true", "failed_after: 0", "failed_after: found 0, expected a whole number of seconds, 1 to 86400"),
        ("place: true", "plaice: true", "plaice: unknown key; known are propose, place"),
        ("ibkr_tiered", "cheap", "found 'cheap', expected one of none, alpaca, ibkr_fixed, ibkr_tiered"),
        ("{alpaca_margin:", "{robin:", "no account is called 'robin'; there are: alpaca, alpaca_margin"),
    ],
)
def test_wrong_value_is_told_with_its_line_and_nothing_is_in_force(file, right, wrong, said):
    with pytest.raises(ConfigurationError) as refused:
        load(with_section(file, SECTION.replace(right, wrong)), actor="ann", reason="rebalance")
    assert "rebalancing." in str(refused.value)
    assert said in str(refused.value)
    assert rebalancing_in_force() == Rebalancing()
