"""Faults: each leads to the right class of error, the truth can be found afterwards, and nothing is sent twice."""

import contextlib

import pytest

from brokers.messages import BrokerError, OrderRefused, OutcomeUnknown, TryLater
from tests.conformance.bench import RESTING, Bench, cancel_of, change_of, new_order
from tests.conformance.cases import each, read_faults, send_faults
from tests.waiting import eventually
from tradingdesk.fix import OrdStatus

pytestmark = pytest.mark.slow
READS = {
    "find_order": lambda bench, report: bench.adapter.find_order(report.client_order_id).broker_order_id,
    "read_order": lambda bench, report: bench.adapter.read_order(report.broker_order_id).broker_order_id,
    "open_orders": lambda bench, report: {one.broker_order_id for one in bench.adapter.open_orders()},
    "executions": lambda bench, report: {one.exec_id for one in bench.adapter.executions()},
    "positions": lambda bench, report: {one.symbol: one.qty for one in bench.adapter.positions()},
    "account": lambda bench, report: bench.adapter.account().cash,
    "clock": lambda bench, report: bench.adapter.clock().is_open,
    "instruments": lambda bench, report: {one.symbol for one in bench.adapter.instruments([bench.harness.symbol])},
    "quotes": lambda bench, report: {one.ask_px for one in bench.adapter.quotes([bench.harness.symbol])},
    "daily_bars": lambda bench, report: {one.day: one.close_px for one in bench.daily_bars()},
}


def outcome(call) -> type[BrokerError] | None:
    """The class of the error that a call raises; None when it answers."""
    try:
        call()
    except BrokerError as error:
        return type(error)
    return None


@each(send_faults)
def test_submit_that_goes_wrong_is_never_a_second_order(bench_with, case):
    bench: Bench = bench_with(impatient=case.silent)
    order, before = bench.new_order(**RESTING), bench.harness.arrived("submit")
    bench.harness.inject(case, "submit")
    assert outcome(lambda: bench.adapter.submit(order)) == case.answer
    assert bench.harness.arrived("submit") <= before + 1
    if case.arrives:
        found = eventually(lambda: bench.find(order.client_order_id), "the order that arrived")
        assert found.broker_order_id == bench.the_one_taken(order.client_order_id).broker_order_id
    else:
        assert bench.find(order.client_order_id) is None
        assert bench.taken(order.client_order_id) == []


@each(send_faults)
def test_submit_in_doubt_may_be_sent_again_where_ids_are_unique(bench_with, case):
    bench: Bench = bench_with(impatient=case.silent)
    if not bench.claims.unique_client_order_ids:
        pytest.skip("the adapter does not claim that its broker refuses an id that was used")
    order = bench.new_order(**RESTING)
    bench.harness.inject(case, "submit")
    outcome(lambda: bench.adapter.submit(order))
    again = bench.answered(lambda: bench.adapter.submit(order))
    eventually(lambda: len(bench.taken(order.client_order_id)) == 1, "the order")
    assert again.broker_order_id == bench.the_one_taken(order.client_order_id).broker_order_id


@each(send_faults)
def test_cancel_that_goes_wrong_is_done_or_not_and_can_be_asked_again(bench_with, case):
    bench: Bench = bench_with(impatient=case.silent)
    report = bench.answered(lambda: bench.submit(**RESTING))
    before = bench.harness.arrived("cancel")
    bench.harness.inject(case, "cancel")
    said = outcome(lambda: bench.adapter.cancel(cancel_of(report)))
    assert said in ((case.answer,) if case.answer else (None, OrderRefused))
    assert bench.harness.arrived("cancel") <= before + 1
    if not case.arrives:
        assert bench.find(report.client_order_id).status == OrdStatus.NEW
        bench.answered(lambda: bench.adapter.cancel(cancel_of(report)))
    eventually(lambda: bench.stands(report.client_order_id, OrdStatus.CANCELED), "the cancel")


@each(send_faults)
def test_replace_that_goes_wrong_is_done_or_not_and_never_twice(bench_with, case):
    bench: Bench = bench_with(impatient=case.silent)
    if not bench.claims.replace:
        pytest.skip("the adapter claims no replacing")
    report = bench.answered(lambda: bench.submit(**RESTING))
    eventually(lambda: bench.stands(report.client_order_id, OrdStatus.NEW), "the order")
    change, before = change_of(report, price=RESTING["price"] + 1), bench.harness.arrived("replace")
    bench.harness.inject(case, "replace")
    said = outcome(lambda: bench.adapter.replace(change))
    assert said in ((case.answer,) if case.answer else (None, OrderRefused))
    assert bench.harness.arrived("replace") <= before + 1
    wanted = RESTING["price"] + (1 if case.arrives else 0)
    eventually(lambda: bench.the_one_taken(report.client_order_id).terms["price"] == wanted, "the change, or none")
    assert [one.price for one in bench.answered(bench.adapter.open_orders)] == [wanted]


@pytest.mark.parametrize("read", READS)
@each(read_faults)
def test_read_that_goes_wrong_says_so_and_never_gives_less(bench_with, case, read):
    """The fault stays until it is cleared, so that asking again does not help. A quote may be missing instead."""
    bench: Bench = bench_with(impatient=case.silent)
    if read == "daily_bars" and not bench.claims.daily_bars_at_once:
        pytest.skip("the adapter claims no daily bars")
    report = bench.answered(lambda: bench.submit(**RESTING))
    truth = bench.answered(lambda: READS[read](bench, report))
    bench.harness.inject(case, read, times=None)
    with contextlib.suppress(OutcomeUnknown, TryLater):
        found = READS[read](bench, report)
        assert found == truth or (read == "quotes" and found <= truth)
    bench.harness.clear()
    assert bench.answered(lambda: READS[read](bench, report)) == truth


def test_account_that_cannot_be_reached_gets_no_order_and_says_why(harness):
    for what, changes in harness.wrong_settings().items():
        adapter = harness.adapter_class()(harness.settings(impatient=True) | changes)
        before = harness.arrived("submit")
        try:
            assert outcome(adapter.account) is not None, what
            said = outcome(lambda to=adapter: to.submit(new_order(symbol=harness.symbol, wire_ref=to.next_wire_ref())))
            assert said is not None, what
            assert issubclass(said, OrderRefused), what
            assert harness.arrived("submit") == before, what
        finally:
            adapter.close()
