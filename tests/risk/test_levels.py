"""What each level of a halt lets pass, at the gate and of what waits to be sent."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk.levels import HaltInForce, adds_exposure, closable, holds_back
from risk.models import Level, Operation, Scope
from risk.rules import Holding, ProposedOrder
from tests.risk.judging import account, buy, found, frozen, held, judged, rules, sell
from tradingdesk.fix import OrdType, Side

quantities = st.integers(0, 500).map(Decimal)
LONG = {"position_qty": 100, "mark_px": 100, "gross": 10_000}


def halted(level: str, operation: str = "", **order) -> bool:
    """Whether a halt of the firm denies an order beside a long position of 100."""
    asked = replace(sell(order.pop("qty", 100)), **order)
    verdict = judged(asked, exposure=held(**LONG), book=rules(halts=frozen(Scope.FIRM, "", level, operation)))
    assert {code for code, *_ in found(verdict)} <= {"TRADING_HALTED"}
    return not verdict.allowed


@pytest.mark.parametrize(
    ("level", "operation", "order", "denied"),
    [
        (Level.FREEZE, "", {}, True),
        (Level.CANCEL_ALL, "", {}, True),
        (Level.DRAIN, "", {}, True),
        (Level.DRAIN, "", {"replaces": True, "held_qty": Decimal(100), "held_notional": Decimal(10**6)}, False),
        (Level.REDUCE_ONLY, "", {}, False),
        (Level.REDUCE_ONLY, "", {"qty": 101}, True),
        (Level.REDUCE_ONLY, "", {"side": Side.BUY, "qty": 1}, True),
        (Level.REDUCE_ONLY, "", {"reopens": True}, True),
        (Level.REDUCE_ONLY, "", {"order_qty": None, "notional": Decimal(100)}, True),
        (Level.REJECT, Operation.NEW, {}, True),
        (Level.REJECT, Operation.REPLACE, {}, False),
        (Level.REJECT, Operation.REPLACE, {"replaces": True}, True),
        (Level.REJECT, Operation.MARKET, {}, True),
        (Level.REJECT, Operation.MARKET, {"ord_type": OrdType.LIMIT, "price": Decimal(100)}, False),
        (Level.REJECT, Operation.SHORT_SALE, {}, False),
        (Level.REJECT, Operation.SHORT_SALE, {"qty": 101}, True),
        (Level.REJECT, Operation.SHORT_SALE, {"side": Side.BUY}, False),
    ],
)
def test_level_denies_what_it_stops_and_nothing_else(level, operation, order, denied):
    assert halted(level, operation, **order) is denied


def test_denial_names_the_level_and_what_would_pass():
    verdict = judged(sell(150), exposure=held(**LONG), book=rules(halts=frozen(Scope.FIRM, "", Level.REDUCE_ONLY)))
    (denial,) = verdict.all_denials()
    assert (denial.code, denial.field, denial.found, denial.limit) == ("TRADING_HALTED", "order_qty", "150", "100")
    assert "nothing that increases exposure" in denial.detail
    assert "would pass=100" in denial.detail


def test_what_is_entered_on_the_closing_side_counts_as_closing_already():
    book = rules(halts=frozen(Scope.FIRM, "", Level.REDUCE_ONLY))
    working = LONG | {"open_sell_qty": 60, "open_sell_notional": 6_000}
    assert judged(sell(40), exposure=held(**working), book=book).allowed
    assert not judged(sell(41), exposure=held(**working), book=book).allowed


def test_short_position_is_closed_by_buying_only():
    book = rules(halts=frozen(Scope.SYMBOL, "IBM", Level.REDUCE_ONLY))
    short = {"position_qty": -100, "mark_px": 100, "gross": 10_000}
    assert judged(buy(100), exposure=held(**short), book=book).allowed
    assert not judged(buy(101), exposure=held(**short), book=book).allowed
    assert not judged(sell(1), exposure=held(**short), book=book).allowed


def test_replace_of_an_opening_order_may_get_smaller_or_cheaper_only():
    book = rules(halts=frozen(Scope.FIRM, "", Level.REDUCE_ONLY))
    working = held(open_buy_qty=100, open_buy_notional=10_000, gross=10_000)
    change = replace(buy(100), ord_type=OrdType.LIMIT, replaces=True, held_qty=Decimal(100))
    change = replace(change, held_notional=Decimal(10_000), price=Decimal(100))
    assert judged(replace(change, order_qty=Decimal(50)), exposure=working, book=book).allowed
    assert judged(replace(change, price=Decimal(99)), exposure=working, book=book).allowed
    assert not judged(replace(change, price=Decimal("100.01")), exposure=working, book=book).allowed
    assert not judged(replace(change, order_qty=Decimal(101)), exposure=working, book=book).allowed


def test_halts_of_several_levels_deny_as_the_strictest_does():
    halts = {(Scope.FIRM, ""): [one for of in ("reduce_only", "drain") for one in frozen("firm", "", of)["firm", ""]]}
    assert not judged(sell(10), exposure=held(**LONG), book=rules(halts=halts)).allowed


@pytest.mark.parametrize(
    ("level", "operation", "kept"),
    [
        (Level.FREEZE, "", [True, True]),
        (Level.CANCEL_ALL, "", [True, True]),
        (Level.DRAIN, "", [False, False]),
        (Level.REDUCE_ONLY, "", [False, True]),
        (Level.REJECT, Operation.REPLACE, [False, False]),
        (Level.REJECT, Operation.SHORT_SALE, [False, True]),
    ],
)
def test_accepted_order_waits_in_the_outbox_as_far_as_the_level_goes(level, operation, kept):
    halts = [HaltInForce("firm", "", level, operation, "drill")]
    closing = Holding(position_qty=Decimal(100), open_sell_qty=Decimal(100))
    opening = Holding(position_qty=Decimal(99), open_sell_qty=Decimal(100))
    assert [holds_back(halts, sell(), holding) for holding in (closing, opening)] == kept


@given(
    position=st.integers(-500, 500).map(Decimal),
    entered=st.lists(st.tuples(st.sampled_from(Side), quantities), max_size=6),
)
def test_orders_that_pass_nothing_that_increases_exposure_never_open_a_position(position, entered):
    """Whatever of them trades, and in whatever order, what is held ends between flat and what it was."""
    halt = HaltInForce("firm", "", Level.REDUCE_ONLY, "", "drill")
    holding = Holding(position_qty=position)
    for side, qty in entered:
        order = ProposedOrder(symbol="IBM", side=side, ord_type=OrdType.MARKET, order_qty=qty)
        if qty and not adds_exposure(halt, order, holding, qty=qty, notional=qty):
            name = "open_buy_qty" if side == Side.BUY else "open_sell_qty"
            holding = replace(holding, **{name: getattr(holding, name) + qty})
    assert min(position, 0) <= position + holding.open_buy_qty <= max(position, 0) or not holding.open_buy_qty
    assert min(position, 0) <= position - holding.open_sell_qty <= max(position, 0) or not holding.open_sell_qty
    assert not (holding.open_buy_qty and holding.open_sell_qty)
    assert closable(holding, Side.SELL) >= min(position, 0)


def test_account_that_is_not_halted_takes_the_order():
    book = rules(halts=frozen(Scope.ACCOUNT, "alpaca", Level.REDUCE_ONLY))
    assert judged(buy(), account("other"), book=book).allowed
