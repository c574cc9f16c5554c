"""Reads: the account, its positions and fills, the market; complete, and in the desk's types."""

from datetime import UTC, timedelta
from decimal import Decimal

import pytest

from brokers.messages import NotSupported
from tests.conformance.bench import FAR_BELOW, RESTING, assert_well_formed, bench_for, cancel_of, change_of
from tests.conformance.harness import ASK_PX, BID_PX
from tests.waiting import eventually
from tradingdesk.fix import ExecType, OrdStatus, Side

pytestmark = pytest.mark.slow

CENT = Decimal("0.01")


def test_executions_go_on_from_the_last_one_without_a_gap(bench):
    orders = [bench.fills(qty) for qty in (1, 2, 3)]
    everything = bench.adapter.executions()
    for report in everything:
        assert_well_formed(report)
    later = bench.fills(4)
    since_id = bench.adapter.executions(after_id=everything[-1].exec_id)
    since_then = bench.adapter.executions(after=everything[-1].transact_time)
    times = [report.transact_time for report in everything]
    ours = {report.broker_order_id for report in orders}
    assert [one.last_qty for one in everything if one.broker_order_id in ours] == [1, 2, 3]
    assert times == sorted(times)
    for found in (since_id, since_then):
        assert [one.last_qty for one in found if one.broker_order_id == later.broker_order_id] == [4]
        assert len({one.exec_id for one in found}) == len(found)


def test_executions_are_the_same_to_another_adapter_of_the_account(harness, bench):
    bench.fills(5)
    known = {(one.exec_id, one.last_qty, one.last_px) for one in bench.adapter.executions()}
    with bench_for(harness, listens=False) as other:
        assert {(one.exec_id, one.last_qty, one.last_px) for one in other.answered(other.adapter.executions)} == known


def test_partial_fills_add_up(bench):
    report = bench.submit(**RESTING)
    bench.harness.fill(report.broker_order_id, 4, Decimal("99.5"))
    bench.harness.fill(report.broker_order_id, 3, Decimal("99"))
    part = eventually(lambda: bench.stands(report.client_order_id, OrdStatus.PARTIALLY_FILLED), "the fill")
    trades = [one for one in bench.adapter.executions() if one.broker_order_id == report.broker_order_id]
    assert [(one.last_qty, one.last_px) for one in trades] == [(4, Decimal("99.5")), (3, Decimal(99))]
    assert (part.cum_qty, part.leaves_qty or part.order_qty - part.cum_qty) == (7, 3)


def test_positions_and_cash_are_the_brokers(bench):
    bench.fills(7)
    bench.fills(3, Side.SELL)
    held = {one.symbol: one for one in bench.adapter.positions()}
    state = bench.adapter.account()
    assert {symbol: one.qty for symbol, one in held.items()} == bench.harness.positions()
    assert abs(state.cash - bench.harness.cash()) < CENT
    assert state.account_id
    assert state.currency == "USD"
    assert state.equity > 0
    assert state.as_of.tzinfo == UTC


def test_short_position_is_negative(bench):
    bench.fills(6, Side.SELL)
    [short] = [one for one in bench.adapter.positions() if one.symbol == bench.harness.symbol]
    assert short.qty == bench.harness.positions()[short.symbol] < 0
    assert short.avg_px > 0


def test_instruments_are_those_that_exist(bench):
    symbol = bench.harness.symbol
    [info] = bench.adapter.instruments([symbol, bench.harness.no_symbol])
    assert (info.symbol, info.currency, info.tradable) == (symbol, "USD", True)
    assert info.broker_instrument_id
    assert symbol in {one.symbol for one in bench.adapter.instruments()}


def test_quotes_are_the_markets_and_what_has_none_is_left_out(bench):
    bench.harness.show(BID_PX + 1, ASK_PX + 1)
    [quote] = eventually(
        lambda: [
            one
            for one in bench.adapter.quotes([bench.harness.symbol, bench.harness.no_symbol])
            if one.bid_px == BID_PX + 1
        ],
        "the quote",
    )
    assert (quote.symbol, quote.ask_px) == (bench.harness.symbol, ASK_PX + 1)
    assert quote.bid_size > 0
    assert quote.quote_time.utcoffset() == timedelta(0)


def test_daily_bars_are_whole_days_complete_and_what_has_none_is_left_out(bench):
    if not bench.claims.daily_bars_at_once:
        with pytest.raises(NotSupported):
            bench.daily_bars()
        return
    found = bench.daily_bars([bench.harness.symbol, bench.harness.no_symbol], days=600)
    days = [bar.day for bar in found]
    told = {day: px for day, px in bench.harness.closes().items() if day >= days[0]}
    assert days == sorted(set(days))
    assert len(days) > 250
    assert {bar.day: bar.close_px for bar in found} == told
    for bar in found:
        assert bar.symbol == bench.harness.symbol
        assert 0 < bar.low_px <= min(bar.open_px, bar.close_px) <= max(bar.open_px, bar.close_px) <= bar.high_px
        assert bar.volume >= 0


def test_a_few_days_are_asked_for_and_given(bench):
    if not bench.claims.daily_bars_at_once:
        pytest.skip("the adapter claims no daily bars")
    few = bench.daily_bars(days=8)
    assert [bar.day for bar in few] == [bar.day for bar in bench.daily_bars(days=600)][-len(few) :]
    assert 3 <= len(few) <= 8


def test_clock_is_the_markets(bench):
    clock = bench.adapter.clock()
    assert clock.timestamp.utcoffset() == timedelta(0)
    assert clock.next_close > clock.timestamp
    assert clock.next_open > clock.timestamp


def test_no_orders_no_list_of_them(bench):
    assert bench.adapter.open_orders() == []


def test_open_orders_are_complete_whoever_placed_them(bench):
    ours = [bench.submit(**RESTING).broker_order_id for _ in range(3)]
    by_hand = bench.harness.place_by_hand(Side.BUY, 2, FAR_BELOW - 1)
    found = {one.broker_order_id: one for one in bench.adapter.open_orders()}
    for report in found.values():
        assert_well_formed(report)
        assert report.exec_type == ExecType.ORDER_STATUS
    assert found.keys() == {*ours, by_hand}
    assert (found[by_hand].order_qty, found[by_hand].price, found[by_hand].side) == (2, FAR_BELOW - 1, Side.BUY)


def test_order_placed_by_hand_is_changed_and_cancelled_or_said_to_be_out_of_reach(bench):
    by_hand = bench.harness.place_by_hand(Side.BUY, 2, FAR_BELOW - 1)
    report = bench.adapter.read_order(by_hand)
    before = bench.harness.arrived("cancel"), bench.harness.arrived("replace")
    try:
        bench.adapter.replace(change_of(report, price=FAR_BELOW - 2))
    except NotSupported:
        with pytest.raises(NotSupported):
            bench.adapter.cancel(cancel_of(report))
        assert before == (bench.harness.arrived("cancel"), bench.harness.arrived("replace"))


def test_fill_and_cancel_by_hand_are_read(bench):
    filled, cancelled = bench.submit(**RESTING), bench.submit(**RESTING)
    bench.harness.fill(filled.broker_order_id, 10, Decimal(99))
    bench.harness.cancel_by_hand(cancelled.broker_order_id)
    eventually(lambda: bench.stands(filled.client_order_id, OrdStatus.FILLED), "the fill")
    eventually(lambda: bench.stands(cancelled.client_order_id, OrdStatus.CANCELED), "the cancel")
    trades = [one for one in bench.adapter.executions() if one.broker_order_id == filled.broker_order_id]
    assert [(one.last_qty, one.last_px) for one in trades] == [(10, 99)]


def test_order_that_is_rejected_after_it_was_taken_works_no_more(bench):
    report = bench.submit(**RESTING)
    eventually(lambda: bench.stands(report.client_order_id, OrdStatus.NEW), "the order")
    bench.harness.reject(report.broker_order_id)
    eventually(lambda: bench.adapter.open_orders() == [], "the end")
    found = bench.find(report.client_order_id)
    # Some brokers forget what they reject, or list it as cancelled; the stream tells which it was.
    assert found is None or (found.status in (OrdStatus.REJECTED, OrdStatus.CANCELED) and not found.cum_qty)


def test_reads_need_no_connection_where_that_is_claimed(harness):
    if not harness.adapter_class().capabilities.connectionless:
        pytest.skip("the adapter does not claim to read without its long-lived connection")
    with bench_for(harness, listens=False) as bench:
        assert bench.adapter.account().cash == bench.adapter.account().cash
        assert bench.adapter.open_orders() == []
        assert bench.heard.connections == 0


def test_settings_are_accepted_and_empty_ones_are_not(harness):
    assert harness.adapter_class().check_settings(harness.settings()) == []
    assert harness.adapter_class().check_settings({})
    assert harness.adapter_class().label
