"""Orders: every kind that is claimed is taken as it was asked for, once, and can be found, cancelled and changed."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from brokers.messages import CancelOrder, NotSupported, OrderRefused, ReplaceOrder, TryLater
from tests.conformance.bench import FAR_ABOVE, RESTING, assert_well_formed, cancel_of, change_of
from tests.conformance.cases import claimed_groups, claimed_orders, each, refused_orders
from tests.waiting import eventually
from tradingdesk.fix import ExecType, OrderClass, OrdStatus, OrdType, Side, TimeInForce

pytestmark = pytest.mark.slow

TERMS = ("order_qty", "notional", "price", "stop_px", "trail_price", "trail_percent", "extended_hours")
AT_ONCE = (TimeInForce.IOC, TimeInForce.FOK)
ENDED = (OrdStatus.FILLED, OrdStatus.CANCELED)


@each(claimed_orders)
def test_claimed_order_is_taken_as_it_was_asked_for(bench, case):
    if case["time_in_force"] == TimeInForce.OPG:
        bench.harness.close_session()
    try:
        order = bench.new_order(**case)
        report = bench.adapter.submit(order)
        there = bench.the_one_taken(order.client_order_id)
        asked = {name: getattr(order, name) for name in TERMS if getattr(order, name)}
        assert_well_formed(report)
        assert (report.client_order_id, report.broker_order_id) == (order.client_order_id, there.broker_order_id)
        assert (there.side, there.ord_type, there.time_in_force) == (order.side, order.ord_type, order.time_in_force)
        assert there.terms == asked
        assert (report.ord_type, report.time_in_force) == (order.ord_type, order.time_in_force)
        assert (report.price, report.stop_px) == (order.price, order.stop_px)
        assert bench.find(order.client_order_id).broker_order_id == report.broker_order_id
    finally:
        bench.harness.open_session()


@each(claimed_groups)
def test_claimed_group_is_placed_whole_and_one_exit_ends_the_other(bench, case):
    before = len(bench.harness.taken())
    if case["order_class"] == OrderClass.OCO:
        bench.fills()
        before += 1
    order = bench.new_order(**case)
    report = bench.adapter.submit(order)
    entry, *exits = bench.harness.taken()[before:]
    assert entry.broker_order_id == report.broker_order_id
    assert {(one.terms.get("price"), one.terms.get("stop_px")) for one in exits} == {
        (leg.price, leg.stop_px) for leg in order.legs
    }
    assert {leg.broker_order_id for leg in report.legs} == {one.broker_order_id for one in exits}
    fill_to_the_end(bench, entry, exits)
    eventually(lambda: bench.harness.positions() == {}, "the exit")
    eventually(lambda: bench.answered(bench.adapter.open_orders) == [], "the end of all")


def fill_to_the_end(bench, entry, exits) -> None:
    """Fill the entry and its first exit, or of an "oco" order, which has no entry, the order that takes the profit."""
    bench.harness.fill(entry.broker_order_id, Decimal(10), Decimal(100))
    if entry.side == Side.BUY:
        bench.harness.fill(exits[0].broker_order_id, Decimal(10), Decimal(120))


def test_order_that_is_not_claimed_is_not_sent(bench, subtests):
    before = bench.harness.arrived("submit")
    for terms in refused_orders(type(bench.harness)):
        with subtests.test(**terms), pytest.raises(NotSupported):
            bench.submit(**terms)
    assert bench.harness.arrived("submit") == before


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_market_order_fills_and_every_way_of_asking_agrees(bench, side):
    report = bench.submit(side)
    filled = eventually(lambda: bench.stands(report.client_order_id, OrdStatus.FILLED), "the fill")
    px = Decimal(182) if side == Side.BUY else Decimal("181.90")
    trades = [one for one in bench.adapter.executions() if one.broker_order_id == report.broker_order_id]
    assert (filled.cum_qty, filled.avg_px, filled.side) == (10, px, side)
    assert [(one.exec_type, one.last_qty, one.last_px, one.side) for one in trades] == [(ExecType.TRADE, 10, px, side)]
    assert bench.adapter.read_order(report.broker_order_id).status == OrdStatus.FILLED
    assert report.broker_order_id not in {one.broker_order_id for one in bench.adapter.open_orders()}


@pytest.mark.parametrize("time_in_force", AT_ONCE)
def test_order_that_cannot_fill_at_once_is_cancelled(bench, time_in_force):
    report = bench.submit(**RESTING | {"time_in_force": time_in_force})
    found = eventually(lambda: bench.stands(report.client_order_id, OrdStatus.CANCELED), "the end")
    assert found.cum_qty == 0


def test_cancelled_order_is_cancelled_everywhere(bench):
    report = bench.submit(**RESTING)
    assert report.broker_order_id in {one.broker_order_id for one in bench.adapter.open_orders()}
    bench.adapter.cancel(cancel_of(report))
    assert eventually(lambda: bench.stands(report.client_order_id, OrdStatus.CANCELED), "the cancel").cum_qty == 0
    assert bench.the_one_taken(report.client_order_id).status == OrdStatus.CANCELED
    assert report.broker_order_id not in {one.broker_order_id for one in bench.adapter.open_orders()}


@pytest.mark.parametrize(
    "changes",
    [
        {"price": Decimal("99.5")},
        {"order_qty": Decimal(12)},
        {"order_qty": Decimal(7), "price": Decimal("101.25")},
    ],
)
def test_replaced_order_is_as_it_was_asked_for_and_still_one(bench, changes):
    report = bench.submit(**RESTING)
    if not bench.claims.replace:
        with pytest.raises(NotSupported):
            bench.adapter.replace(change_of(report, **changes))
        return
    eventually(lambda: bench.stands(report.client_order_id, OrdStatus.NEW), "the order")
    answer = bench.adapter.replace(change_of(report, **changes))
    wanted = {"order_qty": Decimal(10), "price": RESTING["price"]} | changes
    eventually(lambda: wanted.items() <= bench.the_one_taken(report.client_order_id).terms.items(), "the change")
    [working] = [one for one in bench.adapter.open_orders() if one.broker_order_id == answer.broker_order_id]
    assert_well_formed(answer)
    assert (working.order_qty, working.price) == (wanted["order_qty"], wanted["price"])


def test_orders_of_many_threads_are_each_sent_once(bench):
    with ThreadPoolExecutor(6) as pool:
        reports = list(pool.map(lambda _: bench.answered(lambda: bench.submit(order_qty=Decimal(1))), range(18)))
    names = [report.client_order_id for report in reports]
    assert sorted(one.client_order_id for one in bench.harness.taken() if one.client_order_id in names) == sorted(names)
    assert len({report.broker_order_id for report in reports}) == 18


def test_wire_refs_are_never_given_twice(bench):
    given = [bench.adapter.next_wire_ref() for _ in range(20)]
    assert set(given) == {""} or len(set(given)) == 20


def test_same_order_again_is_the_same_order(bench):
    order = bench.new_order(**RESTING)
    first = bench.adapter.submit(order)
    if bench.claims.unique_client_order_ids:
        assert bench.adapter.submit(order).broker_order_id == first.broker_order_id
    assert bench.the_one_taken(order.client_order_id).broker_order_id == first.broker_order_id


def test_id_of_another_order_is_refused_where_ids_are_unique(bench):
    if not bench.claims.unique_client_order_ids:
        pytest.skip("the adapter does not claim that its broker refuses an id that was used")
    order = bench.new_order(**RESTING)
    bench.adapter.submit(order)
    with pytest.raises(OrderRefused):
        bench.submit(**RESTING | {"client_order_id": order.client_order_id, "order_qty": Decimal(11)})
    assert bench.the_one_taken(order.client_order_id).terms["order_qty"] == 10


# Refusals


@pytest.mark.parametrize(
    "terms",
    [
        {"symbol": "NOSUCH"},
        {"order_qty": Decimal(900_000)},
        RESTING | {"price": Decimal("100.123")},
    ],
    ids=["unknown symbol", "too dear", "between two ticks"],
)
def test_refused_order_is_proved_not_taken(bench, terms):
    order = bench.new_order(**terms)
    with pytest.raises(OrderRefused) as caught:
        bench.adapter.submit(order)
    assert not isinstance(caught.value, TryLater)
    assert caught.value.text
    assert all(one.status == OrdStatus.REJECTED for one in bench.taken(order.client_order_id))


@pytest.mark.parametrize(
    "terms",
    [
        {"order_qty": Decimal(0)},
        {"order_qty": None},
        {"client_order_id": ""},
        {"ord_type": OrdType.LIMIT},
        {"ord_type": OrdType.STOP},
        {"ord_type": OrdType.STOP_LIMIT, "stop_px": FAR_ABOVE},
        {"ord_type": OrdType.TRAILING_STOP},
    ],
    ids=lambda terms: "-".join(terms.get("ord_type", name) for name in terms),
)
def test_order_that_makes_no_sense_is_not_sent(bench, terms):
    before = bench.harness.arrived("submit")
    with pytest.raises(NotSupported):
        bench.submit(**terms)
    assert bench.harness.arrived("submit") == before


def test_filled_order_can_be_neither_cancelled_nor_changed(bench):
    filled = bench.fills()
    with pytest.raises(OrderRefused):
        bench.adapter.cancel(cancel_of(filled))
    with pytest.raises((OrderRefused, NotSupported)):
        bench.adapter.replace(change_of(filled, order_qty=Decimal(11)))
    assert bench.the_one_taken(filled.client_order_id).cum_qty == 10


def test_order_that_nobody_knows_can_be_neither_found_nor_cancelled_nor_changed(bench):
    nobodys = bench.harness.no_order_id
    assert bench.adapter.find_order("nobody-s") is None
    assert bench.adapter.read_order(nobodys) is None
    with pytest.raises(OrderRefused):
        bench.adapter.cancel(CancelOrder("c", "nobody-s", nobodys))
    with pytest.raises((OrderRefused, NotSupported)):
        bench.adapter.replace(ReplaceOrder("r", "nobody-s", nobodys, order_qty=Decimal(3)))


def test_change_that_changes_nothing_is_not_sent(bench):
    report = bench.submit(**RESTING)
    before = bench.harness.arrived("replace")
    with pytest.raises(NotSupported):
        bench.adapter.replace(change_of(report))
    assert bench.harness.arrived("replace") == before
