"""The router's pure core: who gets the order, and why each other did not."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.adapter import Capabilities
from brokers.models import Instrument, Listing
from orders.routing import Candidate, capability_problems, choose, price_step
from orders.ticket import parse_ticket
from risk.rules import Denial
from tradingdesk.fix import AssetClass, OrdType, TimeInForce

NO_CASH = Denial("INSUFFICIENT_BUYING_POWER", "needed=2, available=1")


def candidate(name, share="0.5", gross=0, **more) -> Candidate:
    return Candidate(name, Decimal(share), gross_after=Decimal(gross), **more)


@pytest.mark.parametrize(
    ("candidates", "chosen"),
    [
        ([candidate("a", gross=100), candidate("b", gross=90)], "b"),
        ([candidate("a", "0.7", gross=100), candidate("b", "0.3", gross=90)], "a"),
        ([candidate("a", "0.3"), candidate("b", "0.7")], "b"),
        ([candidate("b"), candidate("a")], "a"),
        ([candidate("a", "0", gross=1), candidate("b", "0.1", gross=10**9)], "b"),
        ([candidate("a", "0")], "a"),
        ([candidate("a", problems=(NO_CASH,)), candidate("b", gross=10**9)], "b"),
        ([candidate("a", healthy=False), candidate("b", gross=10**9)], "b"),
        ([candidate("a", healthy=False), candidate("b", problems=(NO_CASH,))], ""),
        ([], ""),
    ],
)
def test_account_furthest_below_its_share_gets_the_order_if_it_can_take_it(candidates, chosen):
    assert choose(candidates).chosen == chosen


@pytest.mark.parametrize(
    ("preferred", "chosen"), [({"gross": 10**9}, "p"), ({"healthy": False}, ""), ({"problems": (NO_CASH,)}, "")]
)
def test_named_broker_gets_the_order_or_nobody(preferred, chosen):
    choice = choose([candidate("other"), candidate("p", **preferred)], preferred="p")

    assert choice.chosen == chosen
    reasons = {row["broker_name"]: row["reason"] for row in choice.candidates}
    assert reasons["other"] == "NOT_PREFERRED: the order names p"


def test_every_candidate_is_listed_with_its_reason_and_figures():
    choice = choose([candidate("a", gross=100), candidate("b", gross=50), candidate("c", problems=(NO_CASH,))])

    rows = [(row["broker_name"], row["rank"], row["chosen"], row["eligible"], row["load"]) for row in choice.candidates]
    assert rows == [("c", 1, False, False, "0"), ("b", 2, True, True, "100"), ("a", 3, False, True, "200")]
    assert [row["reason"] for row in choice.candidates] == [
        "INSUFFICIENT_BUYING_POWER: needed=2, available=1",
        "chosen",
        "allowed, but b is further below its share",
    ]
    assert choice.reason == "b is furthest below its share of capital (0.5)"


def test_no_account_at_all_is_told_as_such():
    choice = choose([])

    assert [denial.code for denial in choice.denials] == ["NO_BROKER"]


shares = st.decimals("0", "1", places=2)


@given(st.lists(st.tuples(shares, st.integers(0, 1000), st.booleans(), st.booleans()), max_size=5), st.randoms())
def test_choice_does_not_depend_on_the_order_of_candidates_and_takes_only_who_can(drawn, random):
    candidates = [
        Candidate(f"b{number}", share, healthy, (NO_CASH,) if broke else (), Decimal(gross))
        for number, (share, gross, healthy, broke) in enumerate(drawn)
    ]
    shuffled = random.sample(candidates, len(candidates))

    choice = choose(candidates)

    able = {one.broker_name for one in candidates if one.healthy and not one.problems}
    assert choice == choose(shuffled)
    assert choice.chosen in able or (not able and choice.chosen == "")
    assert sum(row["chosen"] for row in choice.candidates) == bool(able)


def listing(**more) -> Listing:
    return Listing(instrument=Instrument(symbol="IBM"), **more)


ABLE = Capabilities(
    ord_types=frozenset({OrdType.MARKET, OrdType.LIMIT}),
    time_in_force=frozenset({TimeInForce.DAY}),
    fractional=True,
    notional=True,
    min_notional=Decimal(1),
)


@pytest.mark.parametrize(
    ("body", "listed", "problems"),
    [
        ({"order_qty": "1"}, listing(), []),
        ({"order_qty": "1"}, None, [("NOT_TRADABLE", "symbol")]),
        ({"order_qty": "1"}, listing(tradable=False), [("NOT_TRADABLE", "symbol")]),
        ({"order_qty": "1", "ord_type": "stop", "stop_px": "5"}, listing(), [("NOT_SUPPORTED_BY_BROKER", "ord_type")]),
        ({"order_qty": "1", "time_in_force": "gtc"}, listing(), [("NOT_SUPPORTED_BY_BROKER", "time_in_force")]),
        ({"order_qty": "1", "extended_hours": True}, listing(), [("NOT_SUPPORTED_BY_BROKER", "extended_hours")]),
        ({"order_qty": "1.5"}, listing(fractionable=True), []),
        ({"order_qty": "1.5"}, listing(), [("NOT_FRACTIONABLE", "order_qty")]),
        ({"notional": "10"}, listing(fractionable=True), []),
        ({"notional": "10"}, listing(), [("NOT_FRACTIONABLE", "notional")]),
        ({"notional": "0.5"}, listing(fractionable=True), [("NOT_SUPPORTED_BY_BROKER", "notional")]),
        ({"order_qty": "4"}, listing(min_order_qty=Decimal(5)), [("QUANTITY_BELOW_MINIMUM", "order_qty")]),
        ({"order_qty": "1", "ord_type": "limit", "price": "5.001"}, listing(), [("PRICE_OFF_TICK", "price")]),
        ({"order_qty": "1", "ord_type": "limit", "price": "0.0001"}, listing(), []),
        (
            {"order_qty": "1", "ord_type": "limit", "price": "5.01"},
            listing(price_increment=Decimal("0.05")),
            [("PRICE_OFF_TICK", "price")],
        ),
    ],
)
def test_what_a_broker_cannot_take_is_told_by_field(body, listed, problems):
    ticket = parse_ticket({"symbol": "IBM", "side": "buy"} | body)

    assert [(denial.code, denial.field) for denial in capability_problems(ticket, ABLE, listed)] == problems


@pytest.mark.parametrize(
    ("asset_class", "increment", "price", "step"),
    [
        (AssetClass.US_EQUITY, None, "1", "0.01"),
        (AssetClass.US_EQUITY, None, "0.9999", "0.0001"),
        (AssetClass.US_EQUITY, "0.05", "3", "0.05"),
        (AssetClass.CRYPTO, None, "3", None),
        (AssetClass.CRYPTO, "0.1", "3", "0.1"),
    ],
)
def test_smallest_price_step_is_the_listings_own_or_that_of_rule_612(asset_class, increment, price, step):
    listed = Listing(
        instrument=Instrument(symbol="X", asset_class=asset_class),
        price_increment=increment and Decimal(increment),
    )

    assert price_step(listed, Decimal(price)) == (step and Decimal(step))
