"""The largest quantity that would pass is the gate's own answer: it passes, and one more does not."""

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.largest import largest_qty
from risk.models import Control
from tests.orders.desk import submit
from tests.orders.soft import limit


@given(most=st.integers(0, 10**6), more=st.decimals("0.001", 10**6, places=3))
def test_largest_whole_quantity_below_what_was_asked_is_found_in_few_questions(most, more):
    asked, questions = most + more, []

    def passes(qty: Decimal) -> bool:
        questions.append(qty)
        return qty <= most

    found = largest_qty(passes, asked)
    assert found == most
    assert len(questions) <= int(asked).bit_length() + 1


def denied(**body) -> dict:
    order = submit(broker_name="alpaca", **body)
    assert order.status == "denied"
    return order.denials[0]


def largest_told(denial: dict) -> Decimal:
    found = re.fullmatch(r"order_qty of at most (\d+), by every control together", denial["passes"])
    assert found, denial
    return Decimal(found[1])


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("control", "value", "largest"),
    [
        (Control.MAX_ORDER_QTY, 73, 73),
        (Control.MAX_ORDER_NOTIONAL, 10_000, 54),
        (Control.PORTFOLIO_RISK_LIMIT, 9_000, 49),
        (Control.MAX_BROKER_ALLOCATION, "0.005", 54),
    ],
)
def test_what_a_denial_says_would_pass_passes_and_one_more_does_not(desk, wakings, control, value, largest):
    limit(control, value)
    told = largest_told(denied(order_qty="100"))
    assert told == largest
    denied(order_qty=str(told + 1))
    assert submit(broker_name="alpaca", order_qty=str(told)).status == "pending"


@pytest.mark.django_db
def test_largest_quantity_is_within_every_limit_at_once(desk, wakings):
    limit(Control.MAX_ORDER_QTY, 73)
    limit(Control.MAX_ORDER_NOTIONAL, 10_000)
    order = submit(broker_name="alpaca", order_qty="100")
    assert {largest_told(one) for one in order.denials} == {54}


@pytest.mark.django_db
def test_where_no_quantity_would_pass_the_control_speaks_for_itself(desk, wakings):
    limit(Control.PORTFOLIO_RISK_LIMIT, 1)
    assert "together" not in denied(order_qty="100")["passes"]


@pytest.mark.django_db
def test_where_something_else_stands_against_it_no_quantity_is_told(desk, wakings):
    limit(Control.RESTRICTED, 1, "symbol", "IBM")
    limit(Control.MAX_ORDER_QTY, 73)
    order = submit(broker_name="alpaca", order_qty="100")
    assert not any("together" in one["passes"] for one in order.denials)
