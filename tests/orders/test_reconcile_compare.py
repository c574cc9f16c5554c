"""The comparison as a function of values: what differs, what does not, and that silence proves nothing."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.messages import PositionState
from orders.reconcile.adjustments import adjustments
from orders.reconcile.compare import (
    BrokerSnapshot,
    DeskOrder,
    DeskSnapshot,
    agreed_after,
    compare,
    confirmed,
    suspected_after,
    was_compared,
)
from orders.round_trips import fold
from tests.orders.facts import OPENING, at, report, trade
from tradingdesk.fix import ExecType, OrdStatus, Side

ORDER = DeskOrder("B-1", "X-1", "IBM", OrdStatus.NEW, Decimal(100), Decimal(0))
quantities = st.integers(-5, 5).map(Decimal)
holdings = st.dictionaries(st.sampled_from(["IBM", "BAC", "AIG"]), quantities.filter(bool), max_size=3)


def told(**facts):
    """What the broker says of ORDER."""
    numbers = {name: Decimal(facts.pop(name)) for name in ("cum_qty", "order_qty") if name in facts}
    facts = {"status": OrdStatus.NEW, "order_qty": Decimal(100), "cum_qty": Decimal(0)} | numbers | facts
    return report(ExecType.ORDER_STATUS, broker_order_id="B-1", client_order_id="X-1", **facts)


def held(positions) -> dict[str, PositionState]:
    return {symbol: PositionState(symbol, Decimal(qty), Decimal(100)) for symbol, qty in positions.items()}


def between(order: DeskOrder, answer) -> list[tuple]:
    """The differences of one order: kind, desk, broker."""
    found = compare(DeskSnapshot(orders=(order,)), BrokerSnapshot(orders={"B-1": answer}))
    return [(one.kind, one.desk_value, one.broker_value) for one in found]


@pytest.mark.parametrize(
    ("order", "answer", "expected"),
    [
        (ORDER, told(), []),
        (ORDER, None, [("order_unknown_there", "new", "no such order")]),
        (replace(ORDER, status=OrdStatus.CANCELED), None, []),
        (ORDER, told(status=OrdStatus.CANCELED), [("status", "new", "canceled")]),
        (ORDER, told(status=OrdStatus.PENDING_CANCEL), []),
        (ORDER, told(order_qty=80), [("quantity", "100", "80")]),
        (ORDER, told(cum_qty=4, status=OrdStatus.PARTIALLY_FILLED), [("fill_missing", "0", "4")]),
        (
            replace(ORDER, cum_qty=Decimal(4), status=OrdStatus.PARTIALLY_FILLED),
            told(),
            [("fill_unknown", "4", "0")],
        ),
        (replace(ORDER, settled=False), None, []),
        (replace(ORDER, settled=False), told(cum_qty=4), []),
        (replace(ORDER, broker_order_id="not asked about"), None, []),
    ],
)
def test_order_is_compared_by_what_traded_then_size_then_state(order, answer, expected):
    assert between(order, answer) == expected


@pytest.mark.parametrize(
    ("cum_qty", "order_qty", "kinds"),
    [(30, 100, []), (10, 80, []), (10, 100, []), (20, 100, ["fill_unknown"]), (10, 90, ["quantity"])],
)
def test_replaced_order_may_be_counted_from_the_replace_or_from_its_beginning(cum_qty, order_qty, kinds):
    status = OrdStatus.PARTIALLY_FILLED
    order = replace(ORDER, cum_qty=Decimal(30), cum_under_id=Decimal(10), status=status)
    found = between(order, told(cum_qty=cum_qty, order_qty=order_qty, status=status))
    assert [kind for kind, *_ in found] == kinds


def test_working_order_that_could_not_be_adopted_is_unknown_here():
    stranger = told(status=OrdStatus.NEW, side=Side.BUY, symbol="XYZ")
    (found,) = compare(DeskSnapshot(), BrokerSnapshot(orders={"B-1": stranger}, unknown_here=(stranger,)))
    assert (found.kind, found.key, found.symbol, found.broker_value) == (
        "order_unknown_here",
        "B-1",
        "XYZ",
        "buy 100 new",
    )


@given(holdings, holdings)
def test_positions_differ_where_their_quantities_do_and_nowhere_else(ours, theirs):
    found = compare(DeskSnapshot(positions=ours), BrokerSnapshot(positions=held(theirs)))
    expected = {s for s in {*ours, *theirs} if ours.get(s, 0) != theirs.get(s, 0)}
    assert {one.symbol for one in found} == expected
    for one in found:
        offset = theirs.get(one.symbol, Decimal(0)) - ours.get(one.symbol, Decimal(0))
        assert Decimal(one.detail["offset"]) == offset
        assert one.kind == "position"


@given(holdings, st.frozensets(st.sampled_from(["orders", "positions", "cash"])), st.sampled_from([None, told()]))
def test_no_answer_is_never_a_difference(ours, unread, answer):
    desk = DeskSnapshot(orders=(ORDER,), positions=ours, cash_expected=Decimal(5))
    broker = BrokerSnapshot(orders={"B-1": answer}, positions={}, cash=Decimal(0))
    part_of = {"order_unknown_there": "orders", "status": "orders", "position": "positions", "cash": "cash"}
    silent = replace(broker, **dict.fromkeys(unread))

    assert {part_of[one.kind] for one in compare(desk, silent)}.isdisjoint(unread)
    assert set(silent.unread) == unread
    for one in compare(desk, broker):
        assert was_compared(desk, silent, one.kind, one.key) is (part_of[one.kind] not in unread)


@given(holdings, holdings, st.frozensets(st.sampled_from(["IBM", "BAC", "AIG"])))
def test_what_moves_while_it_is_read_is_not_compared(ours, theirs, moving):
    desk = DeskSnapshot(positions=ours, unsettled=moving)
    broker = BrokerSnapshot(positions=held(theirs))
    assert not {one.symbol for one in compare(desk, broker)} & moving
    assert not any(was_compared(desk, broker, "position", symbol) for symbol in moving)


@given(holdings, holdings, holdings)
def test_position_that_moved_at_the_broker_alone_is_a_transfer_in_every_later_run(before, ours, theirs):
    start = agreed_after(DeskSnapshot(positions=before), BrokerSnapshot(positions=held(before)), None)
    desk, broker = DeskSnapshot(positions=ours), BrokerSnapshot(positions=held(theirs))
    first = compare(desk, broker, agreed=start)
    for one in first:
        moved_alone = ours.get(one.symbol, 0) == before.get(one.symbol, 0)
        assert (one.kind == "transfer_or_corporate_action") is moved_alone
    assert compare(desk, broker, agreed=agreed_after(desk, broker, start)) == first


def test_holdings_that_were_there_before_the_desk_never_agreed():
    desk, broker = DeskSnapshot(), BrokerSnapshot(positions=held({"IBM": 100}))
    agreed = agreed_after(desk, broker, None)
    assert [one.kind for one in compare(desk, broker, agreed=agreed)] == ["position"]
    assert agreed_after(desk, BrokerSnapshot(), agreed) == agreed == {"IBM": None}


@pytest.mark.parametrize(("cash", "differs"), [("95", False), ("94.99", True), ("105", False), ("105.01", True)])
def test_cash_may_be_off_by_the_allowance_and_no_more(cash, differs):
    desk = DeskSnapshot(cash_expected=Decimal(100), cash_allowance=Decimal(5))
    assert bool(compare(desk, BrokerSnapshot(cash=Decimal(cash)))) is differs
    assert not compare(replace(desk, cash_settled=False), BrokerSnapshot(cash=Decimal(0)))
    assert not compare(replace(desk, cash_expected=None), BrokerSnapshot(cash=Decimal(0)))


def test_difference_is_sure_only_when_a_later_run_finds_it_just_so():
    desk = DeskSnapshot(positions={"IBM": Decimal(10)})
    broker, other = BrokerSnapshot(positions=held({"IBM": 7})), BrokerSnapshot(positions=held({"IBM": 8}))
    found = compare(desk, broker)
    assert confirmed(found, {}, at(0)) == []

    suspected = suspected_after(found, {}, desk, broker, ended_at=at(1))
    assert confirmed(found, suspected, at(0.5)) == []  # a run that began before the other ended
    assert confirmed(found, suspected, at(1)) == found
    assert confirmed(compare(desk, other), suspected, at(2)) == []

    later = suspected_after(found, suspected, desk, broker, ended_at=at(5))
    assert later == suspected


def test_suspicion_survives_silence_and_ends_with_agreement():
    desk = DeskSnapshot(positions={"IBM": Decimal(10)})
    broker = BrokerSnapshot(positions=held({"IBM": 7}))
    suspected = suspected_after(compare(desk, broker), {}, desk, broker, ended_at=OPENING)
    silent, agreeing = BrokerSnapshot(), BrokerSnapshot(positions=held({"IBM": 10}))
    later = OPENING + timedelta(seconds=9)
    assert suspected_after([], suspected, desk, silent, ended_at=later) == suspected
    assert suspected_after([], suspected, desk, agreeing, ended_at=later) == {}


prices = st.integers(1, 10_000).map(lambda cents: Decimal(cents) / 100)


@given(quantities, prices, quantities, prices)
def test_adjustments_end_at_the_brokers_position_and_realize_nothing(ours, our_px, theirs, their_px):
    fills = [trade("opening", abs(ours), our_px, side=Side.BUY if ours > 0 else Side.SELL)] if ours else []
    for number, one in enumerate(adjustments(ours, our_px, theirs, their_px), 1):
        side = Side.BUY if one.qty > 0 else Side.SELL
        fills.append(trade(f"adj-{number}", abs(one.qty), one.px, seconds=number, side=side))
    trips = fold(fills)
    last = trips[-1] if trips and trips[-1].closed_at is None else None
    assert (last.qty if last else Decimal(0)) == theirs
    assert all(trip.realized_pnl == 0 for trip in trips)
    if last is not None and ours != theirs:
        assert abs(last.avg_px - their_px) < Decimal("0.00001")
