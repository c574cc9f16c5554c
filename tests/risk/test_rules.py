"""The controls as functions of values."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk.levels import HaltInForce
from risk.models import Control, Level, Scope
from risk.rules import (
    Holding,
    Place,
    ProposedOrder,
    Rulebook,
    shorted_qty,
    with_order,
    worst_px,
)
from tradingdesk.fields import plain
from tradingdesk.fix import OrdType, Side

amounts = st.decimals("0", "100000", places=2)
signed = st.decimals("-1000", "1000", places=3)
prices = st.decimals("0.01", "1000", places=2)


def order(side=Side.BUY, ord_type=OrdType.MARKET, **more) -> ProposedOrder:
    more = {name: Decimal(str(value)) for name, value in more.items()}
    return ProposedOrder(symbol="IBM", side=side, ord_type=ord_type, **more)


def book(*limits, halts=None) -> Rulebook:
    """A rulebook of (control, value) for the firm, or (control, value, scope, key)."""
    rows = {}
    for control, value, *where in limits:
        scope, key = where or (Scope.FIRM, "")
        rows[control, scope, key, True] = Decimal(str(value))
    return Rulebook(version=1, limits=rows, halts=halts or {})


@pytest.mark.parametrize(
    ("proposed", "expected"),
    [
        (order(), "101"),
        (order(ord_type=OrdType.LIMIT, price=95), "95"),
        (order(ord_type=OrdType.LIMIT, price=120), "120"),
        (order(ord_type=OrdType.STOP, stop_px=130), "130"),
        (order(ord_type=OrdType.STOP, stop_px=90), "101"),
        (order(ord_type=OrdType.STOP_LIMIT, stop_px=110, price=112), "112"),
        (order(Side.SELL), "100"),
        (order(Side.SELL, OrdType.LIMIT, price=120), "120"),
        (order(Side.SELL, OrdType.LIMIT, price=95), "100"),
        (order(Side.SELL, OrdType.STOP, stop_px=90), "100"),
        (order(Side.SELL, OrdType.STOP_LIMIT, stop_px=105, price=104), "105"),
    ],
)
def test_order_counts_with_the_worst_price_it_can_trade_at(proposed, expected):
    assert worst_px(proposed, bid_px=Decimal(100), ask_px=Decimal(101)) == Decimal(expected)


@pytest.mark.parametrize(
    ("holding", "gross"),
    [
        (Holding(), 0),
        (Holding(position_qty=Decimal(10), mark_px=Decimal(5)), 50),
        (Holding(position_qty=Decimal(-10), mark_px=Decimal(5)), 50),
        (Holding(open_buy_notional=Decimal(30), open_sell_notional=Decimal(20)), 30),
        (Holding(position_qty=Decimal(10), mark_px=Decimal(5), open_buy_notional=Decimal(30)), 80),
        (Holding(position_qty=Decimal(10), mark_px=Decimal(5), open_sell_notional=Decimal(30)), 50),
        (Holding(position_qty=Decimal(10), mark_px=Decimal(5), open_sell_notional=Decimal(130)), 80),
        (Holding(position_qty=Decimal(-10), mark_px=Decimal(5), open_buy_notional=Decimal(50)), 50),
    ],
)
def test_gross_is_the_worst_of_all_bought_and_all_sold(holding, gross):
    assert holding.gross() == gross


@pytest.mark.parametrize(
    ("position", "open_sell", "qty", "short"),
    [(0, 0, 5, 5), (10, 0, 5, 0), (10, 0, 15, 5), (10, 8, 5, 3), (10, 20, 5, 5), (-10, 0, 5, 5)],
)
def test_units_sold_short_are_those_the_position_does_not_cover(position, open_sell, qty, short):
    holding = Holding(position_qty=Decimal(position), open_sell_qty=Decimal(open_sell))

    assert shorted_qty(holding, Decimal(qty)) == short


def test_tightest_limit_of_firm_account_and_symbol_counts():
    rules = book(
        (Control.MAX_ORDER_QTY, 100),
        (Control.MAX_ORDER_QTY, 80, Scope.ACCOUNT, "alpaca"),
        (Control.MAX_ORDER_QTY, 90, Scope.SYMBOL, "IBM"),
        (Control.MAX_ORDER_QTY, 500, Scope.SYMBOL, "BAC"),
    )

    found = [
        rules.limit(Control.MAX_ORDER_QTY, Place(account=broker, symbol=symbol))
        for broker, symbol in (("alpaca", "IBM"), ("other", "IBM"), ("other", "BAC"), ("other", "XYZ"))
    ]
    assert found == [80, 90, 100, 100]
    assert rules.limit(Control.MAX_ORDER_NOTIONAL) is None


@pytest.mark.parametrize(
    ("key", "halted"),
    [
        ((Scope.FIRM, ""), [True, True, True]),
        ((Scope.ACCOUNT, "alpaca"), [True, False, True]),
        ((Scope.SYMBOL, "IBM"), [True, True, False]),
    ],
)
def test_halt_stops_its_scope_only(key, halted):
    rules = book(halts={key: [HaltInForce(*key, Level.FREEZE, "", "breach")]})

    found = [rules.halts_on("alpaca", "IBM"), rules.halts_on("other", "IBM"), rules.halts_on("alpaca", "BAC")]
    assert [bool(halts) for halts in found] == halted
    assert "breach" in str(next(filter(None, found))[0])


@pytest.mark.parametrize(("value", "text"), [("1E+3", "1000"), ("1.500", "1.5"), ("0E-9", "0"), ("-0.10", "-0.1")])
def test_numbers_are_written_plainly(value, text):
    assert plain(Decimal(value)) == text


@given(signed, prices, amounts, amounts, st.sampled_from(Side), amounts)
def test_more_entered_never_lowers_gross(position, mark, buys, sells, side, more):
    holding = Holding(position, Decimal(0), Decimal(0), buys, sells, mark)

    assert with_order(holding, side, Decimal(1), more).gross() >= holding.gross()


@given(signed.filter(bool), prices, st.decimals("0", "1", places=3))
def test_closing_what_is_held_does_not_raise_gross(position, mark, part):
    holding = Holding(position_qty=position, mark_px=mark)
    side = Side.SELL if position > 0 else Side.BUY
    qty = abs(position) * part

    assert with_order(holding, side, qty, qty * mark).gross() == holding.gross()


@given(signed, amounts, amounts, prices)
def test_gross_is_never_below_what_is_held(position, buys, sells, mark):
    holding = Holding(position, Decimal(0), Decimal(0), buys, sells, mark)

    assert holding.gross() >= abs(position * mark)


KEYS = st.sampled_from(["", "a", "b"])
PLACES = st.builds(Place, KEYS, KEYS, KEYS, KEYS, KEYS, KEYS)


@given(st.sets(st.tuples(st.sampled_from(Scope), st.sampled_from(["", "a", "b", "a a", "b a"]))), st.lists(PLACES))
def test_what_is_prepared_for_a_place_is_of_the_limits_there(scopes, places):
    book = Rulebook(1, {("max_order_qty", scope, key, True): Decimal(1) for scope, key in scopes}, halts={})

    for place in places:
        assert book.prepared(_of_size, place) == _of_size(book, place)


def _of_size(book: Rulebook, place: Place):
    return book.bounds_at("max_order_qty", place)
