"""Streams: what an adapter that claims one tells unasked, in the desk's types, through faults and breaks."""

from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal

import pytest

from brokers.messages import ExecutionReport, OutcomeUnknown
from tests.conformance.bench import RESTING, Bench, assert_well_formed, bench_for, cancel_of, change_of
from tests.conformance.cases import each, stream_faults
from tests.conformance.harness import ASK_PX, BID_PX
from tests.waiting import eventually
from tradingdesk.fix import ExecType, OrdStatus, Side

pytestmark = pytest.mark.slow


@pytest.fixture
def bench(harness) -> Iterator[Bench]:
    """An adapter of the test's own, as a broken stream may take its time to come back."""
    if not harness.adapter_class().capabilities.streaming:
        pytest.skip("the adapter claims no stream")
    with bench_for(harness) as own:
        yield own
        for fact in own.heard.facts:
            if isinstance(fact, ExecutionReport):
                assert_well_formed(fact)


def test_life_of_an_order_is_told(bench):
    report = bench.submit(**RESTING)
    bench.harness.fill(report.broker_order_id, 4, Decimal("99.5"))
    trade = bench.hears(report.broker_order_id, ExecType.TRADE)
    bench.adapter.cancel(cancel_of(report))
    ended = bench.hears(report.broker_order_id, ExecType.CANCELED)
    assert (trade.client_order_id, trade.last_qty, trade.last_px) == (report.client_order_id, 4, Decimal("99.5"))
    assert (ended.client_order_id, ended.cum_qty) == (report.client_order_id, 4)


def test_fill_at_once_is_told(bench):
    report = bench.submit(Side.SELL)
    trade = bench.hears(report.broker_order_id, ExecType.TRADE)
    assert (trade.side, trade.last_qty, trade.last_px) == (Side.SELL, 10, BID_PX)


def test_replace_is_told_by_its_answer_or_the_stream(bench):
    if not bench.claims.replace:
        pytest.skip("the adapter claims no replacing")
    report = bench.submit(**RESTING)
    eventually(lambda: bench.find(report.client_order_id).status == "new", "the order")
    answer = bench.adapter.replace(change_of(report, price=RESTING["price"] + 1))
    if answer.exec_type != ExecType.REPLACED:
        eventually(lambda: is_told(bench, {report.broker_order_id, answer.broker_order_id}), "the change")


def is_told(bench: Bench, broker_order_ids: set[str]) -> bool:
    """Whether a fact says that one of these was replaced, or works with another price."""
    facts = [one for one in bench.heard.facts if one.broker_order_id in broker_order_ids]
    return any(
        one.exec_type in (ExecType.REPLACED, ExecType.RESTATED) or one.price == RESTING["price"] + 1 for one in facts
    )


def test_what_is_done_by_hand_is_told(bench):
    filled, cancelled = bench.submit(**RESTING), bench.submit(**RESTING)
    bench.harness.fill(filled.broker_order_id, 10, Decimal(99))
    bench.harness.cancel_by_hand(cancelled.broker_order_id)
    assert bench.hears(filled.broker_order_id, ExecType.TRADE).last_qty == 10
    bench.hears(cancelled.broker_order_id, ExecType.CANCELED)


def test_rejection_after_the_acceptance_is_told(bench):
    report = bench.submit(**RESTING)
    eventually(lambda: bench.find(report.client_order_id).status == "new", "the order")
    bench.harness.reject(report.broker_order_id)
    bench.hears(report.broker_order_id, ExecType.REJECTED)


def test_correction_and_bust_name_the_trade_that_they_are_about(bench):
    report = bench.submit()
    trade = bench.hears(report.broker_order_id, ExecType.TRADE)
    bench.harness.correct_last_trade(Decimal("181.50"))
    correction = bench.hears(report.broker_order_id, ExecType.TRADE_CORRECT)
    bench.harness.bust_last_trade()
    bust = bench.hears(report.broker_order_id, ExecType.TRADE_CANCEL)
    assert correction.exec_ref_id == trade.exec_id
    assert (correction.last_qty, correction.last_px) == (10, Decimal("181.50"))
    assert bust.exec_ref_id in (trade.exec_id, correction.exec_id)


def test_quotes_of_watched_symbols_are_told(bench):
    bench.adapter.watch_quotes([bench.harness.symbol])

    def told() -> bool:
        bench.harness.show(BID_PX + 2, ASK_PX + 2)  # again and again: the subscription takes a moment
        return any(one.ask_px == ASK_PX + 2 for one in bench.heard.quotes)

    eventually(told, "the quote")
    assert {one.symbol for one in bench.heard.quotes} == {bench.harness.symbol}


def test_lost_connection_is_told_and_comes_back_and_no_fill_is_missed(bench):
    report = bench.submit(**RESTING)
    before = bench.heard.connections
    bench.harness.cut()
    eventually(lambda: bench.heard.lost, "the loss")
    bench.harness.fill(report.broker_order_id, 10, Decimal(99))
    eventually(lambda: bench.heard.connections > before, "the connection")
    trades = [o for o in bench.answered(bench.adapter.executions) if o.broker_order_id == report.broker_order_id]
    assert [(one.last_qty, one.last_px) for one in trades] == [(10, 99)]
    assert bench.heard.lost[0]


def test_fact_that_the_desk_could_not_take_is_a_lost_connection(bench):
    bench.heard.fails_on = ExecType.CANCELED
    before = bench.heard.connections
    report = bench.submit(**RESTING)
    bench.harness.cancel_by_hand(report.broker_order_id)
    eventually(lambda: bench.heard.connections > before, "the connection")


@each(stream_faults)
def test_fault_of_the_stream_loses_no_fill_and_makes_none(bench, case):
    """What is told is known by its exec_id; what is not told is read after `on_connected`, or at the next sync."""
    bench.harness.spoil(case, ExecType.TRADE)
    order = bench.new_order()
    with suppress(OutcomeUnknown):  # the connection that breaks may take the answer along
        bench.adapter.submit(order)
    report = eventually(lambda: bench.stands(order.client_order_id, OrdStatus.FILLED), "the fill")
    after = bench.submit(Side.SELL, order_qty=Decimal(3))
    eventually(lambda: fills_of(bench, after) == {3}, "the next fill, told or read")
    told = bench.heard.reports(report.broker_order_id, ExecType.TRADE)
    assert len({one.exec_id for one in told}) <= 1
    assert {(one.last_qty, one.last_px) for one in told} <= {(10, ASK_PX)}
    assert fills_of(bench, report) == {10}


def fills_of(bench: Bench, report: ExecutionReport) -> set[Decimal]:
    """Quantities of an order's trades as they are read."""
    return {o.last_qty for o in bench.answered(bench.adapter.executions) if o.broker_order_id == report.broker_order_id}


def test_calls_come_one_at_a_time(bench):
    for _ in range(5):
        bench.submit(order_qty=Decimal(1))
    eventually(lambda: len([o for o in bench.heard.facts if o.exec_type == ExecType.TRADE]) >= 5, "the fills")
    assert len(bench.heard.threads) == 1


def test_closed_adapter_tells_nothing_more(harness):
    if not harness.adapter_class().capabilities.streaming:
        pytest.skip("the adapter claims no stream")
    with bench_for(harness) as own:
        report = own.submit(**RESTING)
    told = len(own.heard.facts)
    harness.cancel_by_hand(report.broker_order_id)
    eventually(lambda: harness.taken()[-1].status == "canceled", "the cancel")
    assert len(own.heard.facts) == told
