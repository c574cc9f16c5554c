"""Positions and round trips as a fold over trades."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.round_trips import RoundTrip, book, fold
from tests.orders.facts import at, trade
from tradingdesk.fields import EXACT_DIGITS, MONEY_PLACES, QUANTITY_PLACES, fit, significant_digits
from tradingdesk.fix import Side


def buy(exec_id, qty, px, **facts):
    return trade(exec_id, qty, px, side=Side.BUY, **facts)


def sell(exec_id, qty, px, **facts):
    return trade(exec_id, qty, px, side=Side.SELL, **facts)


def figures(trip: RoundTrip) -> dict:
    """A round trip's numbers as people write them; those that are zero or empty are left out."""
    names = ("direction", "qty", "avg_px", "entry_qty", "entry_px", "exit_qty", "exit_px", "realized_pnl", "commission")
    found = {name: getattr(trip, name) for name in names}
    return {name: f"{Decimal(value).normalize():f}" for name, value in found.items() if value}


@pytest.mark.parametrize(
    ("fills", "trips"),
    [
        ([], []),
        (
            [buy("1", 10, 50)],
            [{"direction": "1", "qty": "10", "avg_px": "50", "entry_qty": "10", "entry_px": "50"}],
        ),
        (
            [buy("1", 10, 50), buy("2", 30, 54)],
            [{"direction": "1", "qty": "40", "avg_px": "53", "entry_qty": "40", "entry_px": "53"}],
        ),
        (
            [sell("1", 10, 50), sell("2", 10, 52)],
            [{"direction": "-1", "qty": "-20", "avg_px": "51", "entry_qty": "20", "entry_px": "51"}],
        ),
        (  # a part of a long is sold: what is left keeps its price
            [buy("1", 10, 50), sell("2", 4, 55)],
            [
                {
                    "direction": "1",
                    "qty": "6",
                    "avg_px": "50",
                    "entry_qty": "10",
                    "entry_px": "50",
                    "exit_qty": "4",
                    "exit_px": "55",
                    "realized_pnl": "20",
                }
            ],
        ),
        (  # a short bought back dearer, to flat
            [sell("1", 10, 50), buy("2", 10, "50.25")],
            [
                {
                    "direction": "-1",
                    "avg_px": "50",
                    "entry_qty": "10",
                    "entry_px": "50",
                    "exit_qty": "10",
                    "exit_px": "50.25",
                    "realized_pnl": "-2.5",
                }
            ],
        ),
        (  # crossing zero closes one and opens the next
            [buy("1", 10, 50), sell("2", 25, 60)],
            [
                {
                    "direction": "1",
                    "avg_px": "50",
                    "entry_qty": "10",
                    "entry_px": "50",
                    "exit_qty": "10",
                    "exit_px": "60",
                    "realized_pnl": "100",
                },
                {"direction": "-1", "qty": "-15", "avg_px": "60", "entry_qty": "15", "entry_px": "60"},
            ],
        ),
        (  # exit and later entry move the average of what is held apart from the average of all entries
            [buy("1", 10, 10), sell("2", 5, 12), buy("3", 5, 14)],
            [
                {
                    "direction": "1",
                    "qty": "10",
                    "avg_px": "12",
                    "entry_qty": "15",
                    "entry_px": "11.333333333",
                    "exit_qty": "5",
                    "exit_px": "12",
                    "realized_pnl": "10",
                }
            ],
        ),
    ],
)
def test_fold_gives_the_round_trips(fills, trips):
    assert [figures(trip) for trip in fold(fills)] == trips


def test_round_trip_names_its_times_and_the_order_that_opened_it():
    trips = fold([buy("1", 10, 50, seconds=1, order_id=7), sell("2", 15, 60, seconds=2, order_id=8)])

    closed, opened = trips
    assert (closed.order_pk, closed.opened_at, closed.last_trade_at, closed.closed_at) == (7, at(1), at(2), at(2))
    assert (opened.order_pk, opened.opened_at, opened.last_trade_at, opened.closed_at) == (8, at(2), at(2), None)
    assert (closed.last_exec_id, opened.last_exec_id) == ("2", "2")


def test_trade_that_exactly_flattens_opens_nothing():
    assert [trip.closed_at for trip in fold([buy("1", 10, 50, seconds=1), sell("2", 10, 60, seconds=2)])] == [at(2)]


def test_after_flat_the_next_trade_opens_a_new_round_trip():
    trips = fold([buy("1", 1, 5), sell("2", 1, 6), sell("3", 1, 7), buy("4", 1, 8), buy("5", 1, 9)])

    assert [(trip.direction, trip.realized_pnl, trip.closed_at is None) for trip in trips] == [
        (1, 1, False),
        (-1, -1, False),
        (1, 0, True),
    ]


def test_commission_is_counted_once_even_when_the_trade_crosses_zero():
    trips = fold([buy("1", 10, 50, commission=Decimal("1.25")), sell("2", 25, 60, commission=Decimal("0.75"))])

    assert [trip.commission for trip in trips] == [Decimal("2.00"), 0]


def test_fractions_close_to_exactly_flat():
    trips = fold([buy("1", "0.1", 3), buy("2", "0.2", 3), sell("3", "0.3", 3)])

    assert [(trip.qty, trip.closed_at is not None) for trip in trips] == [(0, True)]


def test_figures_that_grow_beyond_what_the_database_stores_exactly_are_rounded_not_refused():
    trips = fold([buy("1", "999999.999999999", 1), buy("2", "0.000000001", 1), buy("3", "1.000000001", 1)])

    assert [fit(trip.qty) for trip in trips] == [trip.qty for trip in trips] == [Decimal("1000001")]


fills_of_one_side_or_other = st.lists(
    st.builds(
        lambda side, qty, px, commission: (side, qty, px, commission),
        st.sampled_from([Side.BUY, Side.SELL]),
        st.one_of(st.integers(1, 1000).map(Decimal), st.decimals("0.000001", "1000", places=6)),
        st.decimals("0.01", "5000", places=4),
        st.none() | st.decimals("0", "10", places=6),
    ),
    max_size=12,
).map(
    lambda drawn: [
        trade(str(number), qty, px, seconds=number, side=side, commission=commission)
        for number, (side, qty, px, commission) in enumerate(drawn)
    ]
)


@given(fills_of_one_side_or_other)
def test_signed_trades_add_up_to_the_position(fills):
    trips = fold(fills)

    assert sum((trip.qty for trip in trips), Decimal(0)) == sum(
        (fill.last_qty * fill.side.sign for fill in fills), Decimal(0)
    )
    assert all(trip.qty == 0 for trip in trips[:-1])
    assert all((trip.qty == 0) == (trip.closed_at is not None) for trip in trips)


@given(fills_of_one_side_or_other)
def test_round_trips_enter_and_exit_what_they_held(fills):
    for trip in fold(fills):
        assert trip.qty == (trip.entry_qty - trip.exit_qty) * trip.direction
        assert trip.entry_qty > 0
        assert (trip.exit_px is None) == (trip.exit_qty == 0)


@given(fills_of_one_side_or_other)
def test_profit_and_what_is_held_at_cost_account_for_all_cash(fills):
    trips = fold(fills)

    cash = sum((-fill.side.sign * fill.last_qty * fill.last_px for fill in fills), Decimal(0))
    realized = sum((trip.realized_pnl for trip in trips), Decimal(0))
    held = sum((trip.qty * trip.avg_px for trip in trips), Decimal(0))
    rounding = Decimal("0.00001") * (
        len(fills) + 1
    )  # a 1e-9 step in a price times some thousand units, and 1e-6 a gain
    assert abs(cash + held - realized) <= rounding


@given(fills_of_one_side_or_other)
def test_round_trip_profit_is_what_the_exits_fetched_above_the_entries(fills):
    for trip in fold(fills):
        if trip.closed_at:
            expected = (trip.exit_px - trip.entry_px) * trip.entry_qty * trip.direction
            assert abs(trip.realized_pnl - expected) <= Decimal("0.0001")


@given(fills_of_one_side_or_other)
def test_commissions_are_all_counted(fills):
    paid = sum((fill.commission or Decimal(0) for fill in fills), Decimal(0))

    assert sum((trip.commission for trip in fold(fills)), Decimal(0)) == paid


@given(fills_of_one_side_or_other, st.integers(0, 12))
def test_going_on_from_a_stored_trip_equals_folding_all_over_again(fills, split):
    known = fold(fills[:split])
    for fill in fills[split:]:
        current = known.pop() if known and known[-1].closed_at is None else None
        known += book(current, fill)

    assert known == fold(fills)


@given(fills_of_one_side_or_other)
def test_every_figure_is_one_that_every_database_stores_exactly(fills):
    for trip in fold(fills):
        for name in ("qty", "avg_px", "entry_qty", "entry_px", "exit_qty", "exit_px"):
            value = getattr(trip, name)
            assert value is None or (fit(value, QUANTITY_PLACES) == value and significant_digits(value) <= EXACT_DIGITS)
        for name in ("realized_pnl", "commission"):
            value = getattr(trip, name)
            assert fit(value, MONEY_PLACES) == value
