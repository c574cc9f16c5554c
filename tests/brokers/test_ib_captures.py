"""Sessions captured at real Gateways, replayed to the adapter: the states and fills are those that they show."""

from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from brokers.adapters.interactive_brokers.adapter import Adapter
from brokers.messages import NewOrder, OrderRefused, OutcomeUnknown
from tradingdesk.fix import ExecType, OrdStatus, OrdType, Side, TimeInForce

from . import tws_messages as tws
from .ib_desk import Desk, cancel, connected, replacement
from .scripted_tws import Recorder, scripted_tws
from .tws_captures import CAPTURES, raw_messages, replayed

pytestmark = pytest.mark.skipif(not CAPTURES.exists(), reason=f"no captured sessions at {CAPTURES}; set DESK_SHARED")

ACCOUNT = "DU9000001"


@contextmanager
def at(replay, *, account_id=ACCOUNT, client_id=1, **settings):
    """Connect an adapter to a replay; `told()` gives what came of it."""
    values = {"account_id": account_id, "client_id": client_id, "port": replay.port, "paper_trading": True}
    adapter, heard = Adapter(values | {"request_timeout": 3.0, "commission_wait": 5.0} | settings), Recorder()
    try:
        adapter.start(heard)
        heard.wait_until(lambda: heard.connections)
        yield Desk(adapter, replay, heard)
    finally:
        adapter.close()


def order(client_order_id="c-1", **terms):
    given = {"symbol": "AAPL", "side": Side.BUY, "ord_type": OrdType.LIMIT, "time_in_force": TimeInForce.DAY}
    return NewOrder(client_order_id=client_order_id, **given | {"order_qty": Decimal(1)} | terms)


def test_order_rests_and_is_cancelled():
    with replayed("api_order_rest_cancel_aapl") as replay, at(replay) as made:
        report = made.adapter.submit(order(price=Decimal(10)))
        assert (report.broker_order_id, report.exec_type, report.leaves_qty) == ("12345", ExecType.NEW, 1)
        made.adapter.cancel(cancel("12345"))
        ended = made.wait_for(ExecType.CANCELED)
        replay.wait_until_played()
        assert made.told() == [("new", "c-1"), ("pending_cancel", "c-1"), ("canceled", "c-1")]
    assert (ended.status, ended.cum_qty, ended.leaves_qty) == (OrdStatus.CANCELED, 0, 0)


def test_gtc_order_is_cancelled_and_trailing_stop_fills():
    with replayed("api_tif_attribute_matrix_aapl") as replay, at(replay) as made:
        made.adapter.submit(order(price=Decimal(10), time_in_force=TimeInForce.GTC))
        made.adapter.cancel(cancel("142600"))
        trail = {"ord_type": OrdType.TRAILING_STOP, "side": Side.SELL, "trail_percent": Decimal("1.5")}
        taken = made.adapter.submit(order("c-2", **trail))
        trade = made.wait_for(ExecType.TRADE)
        replay.wait_until_played()
        filled = made.wait_for(ExecType.ORDER_STATUS)
        assert made.told().count(("canceled", "c-1")) == 1
        assert ("restated", "c-2") not in made.told()
    assert (taken.broker_order_id, taken.ord_type) == ("142601", OrdType.TRAILING_STOP)
    assert (trade.exec_id, trade.client_order_id, trade.side) == ("0000dc8f.6a313731.01.01", "c-2", Side.SELL)
    assert (trade.last_qty, trade.last_px, trade.commission) == (1, Decimal("263.88"), 1)
    assert trade.transact_time == datetime(2026, 4, 15, 15, 7, 9, tzinfo=UTC)
    assert (filled.status, filled.avg_px, filled.broker_order_id) == (OrdStatus.FILLED, Decimal("263.88"), "142601")


def test_another_client_cancels_an_order_that_it_did_not_place():
    with replayed("api_cross_client_cancel_aapl") as replay:
        with at(replay, client_id=1) as first:
            placed = first.adapter.submit(
                order(order_qty=Decimal(10), price=Decimal("13.27"), time_in_force=TimeInForce.GTC)
            )
            replay.wait_until_played(0)
        replay.hang_up(0)
        with at(replay, client_id=2) as second:
            second.adapter.cancel(cancel(placed.broker_order_id))
            ended = second.wait_for(ExecType.CANCELED)
            replay.wait_until_played(1)
            assert second.told().count(("canceled", "")) == 1
    assert (placed.broker_order_id, placed.exec_type) == ("1426086047", ExecType.NEW)
    assert (ended.broker_order_id, ended.leaves_qty, ended.order_qty) == ("1426086047", 0, 10)


def test_fill_comes_before_filled():
    with replayed("place_order_fill_with_execution") as replay, at(replay) as made:
        filled = made.wait_for(ExecType.ORDER_STATUS)
        assert [kind for kind, _ in made.told()] == ["new", "trade", "order_status"]
        trade = made.heard.facts[1]
    assert (trade.last_qty, trade.last_px, trade.commission) == (1, Decimal("149.50"), 1)
    assert trade.broker_order_id == filled.broker_order_id == "12345"
    assert (filled.status, filled.cum_qty) == (OrdStatus.FILLED, 1)


def test_filled_without_an_execution_is_a_state_and_no_trade():
    with replayed("place_order_limit") as replay, at(replay) as made:
        made.adapter.submit(order(price=Decimal(150)))
        filled = made.wait_for(ExecType.ORDER_STATUS)
    assert (filled.status, filled.avg_px) == (OrdStatus.FILLED, Decimal("149.5"))
    assert made.told() == [("new", "c-1"), ("order_status", "c-1")]


def test_unanswered_statuses_end_in_cancelled():
    with replayed("cancel_order") as replay, at(replay) as made:
        made.adapter.submit(order(price=Decimal(150)))
        made.adapter.cancel(cancel("12345"))
        assert made.wait_for(ExecType.CANCELED).client_order_id == "c-1"


def test_order_is_changed_then_cancelled():
    with replayed("place_order_modify") as replay, at(replay, client_id=0) as made:
        made.adapter.submit(order(price=Decimal(50)))
        report = made.adapter.replace(replacement("9001", price=Decimal(51)))
        made.adapter.cancel(cancel("9001"))
        made.wait_for(ExecType.CANCELED)
        assert made.told() == [("new", "c-1"), ("canceled", "c-1")]
    assert (report.exec_type, report.price, report.client_order_id) == (ExecType.REPLACED, 51, "r-1")


def test_order_of_a_wrong_type_gets_321_and_nothing_else():
    with replayed("place_order_invalid_type_live_error") as replay, at(replay) as made:
        with pytest.raises(OrderRefused, match=r"321: Error validating request.*Invalid order type") as refused:
            made.adapter.submit(order(ord_type=OrdType.MARKET))
        assert made.told() == []
    assert refused.value.code == "321"


def test_executions_without_an_end_are_unknown_not_none():
    settings = {"account_id": "DU12345", "request_timeout": 0.4}
    name = "executions_missing_end_live"
    with replayed(name) as replay, at(replay, **settings) as made, pytest.raises(OutcomeUnknown) as error:
        made.adapter.executions()
    assert "did not complete its answer (executions)" in error.value.text


def test_executions_are_read_with_their_commission():
    with replayed("executions") as replay, at(replay, account_id="DU12345") as made:
        [trade] = made.adapter.executions()
    assert (trade.exec_id, trade.last_qty, trade.last_px) == ("exec-1", 10, Decimal("189.11"))
    assert (trade.commission, trade.exec_type) == (Decimal("1.25"), ExecType.TRADE)


def test_open_orders_of_every_client_are_read():
    with replayed("open_orders") as replay, at(replay, account_id="DU12345") as made:
        [report] = made.adapter.open_orders()
    assert (report.symbol, report.order_qty, report.status) == ("AAPL", 10, OrdStatus.NEW)


def test_completed_order_is_found():
    with replayed("completed_orders") as replay, at(replay, account_id="DU12345") as made:
        report = made.adapter.read_order("77")
    assert (report.status, report.cum_qty, report.order_qty) == (OrdStatus.FILLED, 100, 100)


@pytest.mark.parametrize(
    ("name", "account_id", "held"),
    [
        ("positions", "DU12345", [("AAPL", 10, Decimal("189.12"))]),
        (
            "grounded_positions",
            ACCOUNT,
            [
                ("AMZN", 15, Decimal("200.25")),
                ("AAPL", 10, Decimal("256.1")),
                ("XWZ6", 1, Decimal("6.38443")),
                ("QQQ   270115P00500000", -3, Decimal("21.006321")),
            ],
        ),
    ],
)
def test_positions_are_read(name, account_id, held):
    with replayed(name) as replay, at(replay, account_id=account_id) as made:
        assert [(one.symbol, one.qty, one.avg_px) for one in made.adapter.positions()] == held
        replay.wait_until_played()


def test_account_is_read_in_its_own_currency():
    with replayed("grounded_account_summary") as replay, at(replay) as made:
        state = made.adapter.account()
        replay.wait_until_played()
    assert (state.currency, state.equity, state.cash, state.buying_power) == ("EUR", 68000, 12000, 300000)


def test_account_summary_of_another_selection_is_unknown():
    summary = "account_summary"
    with replayed(summary) as replay, at(replay, account_id="DU12345") as made, pytest.raises(OutcomeUnknown) as error:
        made.adapter.account()
    assert "TotalCashValue" in error.value.text


def test_farm_messages_are_no_loss_and_a_contract_is_read():
    with replayed("error_farm_status_codes") as replay, at(replay) as made:
        [apple] = made.adapter.instruments(["AAPL"])
        assert made.heard.reasons == []
    assert (apple.broker_instrument_id, apple.name) == ("265598", "APPLE INC")


@pytest.mark.parametrize(
    ("name", "account_id"), [("handshake", "DU67890"), ("grounded_bootstrap", ACCOUNT), ("open_orders", "DU12345")]
)
def test_login_is_taken_with_the_account_that_is_meant(name, account_id):
    with replayed(name) as replay, at(replay, account_id=account_id) as made:
        expected = {"handshake": 1001, "grounded_bootstrap": 1, "open_orders": 1001}[name]
        assert made.adapter.next_wire_ref() == f"1:{expected}"


def test_connection_to_ib_is_lost_and_resumed():
    with replayed("reconnect_1102_resume") as replay, at(replay) as made:
        made.adapter.watch_quotes(["AAPL"])
        made.heard.wait_until(lambda: made.heard.connections == 2)
        assert made.heard.reasons == ["1100: Connectivity between IB and TWS has been lost"]


def test_quotes_are_asked_for_again_when_ib_lost_them():
    with replayed("quote_stream_gap_1101") as replay, at(replay, account_id="DU12345") as made:
        made.adapter.watch_quotes(["AAPL"])
        made.heard.wait_until(lambda: made.heard.connections == 2)
        made.adapter.watch_quotes([])
        replay.wait_until_played()


def test_connection_to_ib_and_then_to_tws_is_lost_and_ids_go_on():
    with replayed("reconnect_1100_then_transport_loss") as replay, at(replay) as made:
        made.adapter.watch_quotes(["AAPL"])
        made.heard.wait_until(lambda: made.heard.reasons)
        replay.hang_up(0)
        made.heard.wait_until(lambda: made.heard.connections == 2)
        made.adapter.watch_quotes([])
        replay.wait_until_played(1)
        assert int(made.adapter.next_wire_ref().partition(":")[2]) >= 100


def test_raw_messages_of_a_market_order_end_in_its_fill():
    """The bytes of another project's Gateway, at its own server version."""
    with scripted_tws(version=164) as server, connected(server, client_id=100, timezone="America/New_York") as made:
        server.next_id = 13
        server.say(*raw_messages("place_order"))
        made.heard.wait_until(lambda: len(made.heard.facts) == 3)
        acknowledged, trade, filled = sorted(made.heard.facts, key=lambda fact: fact.exec_type != ExecType.NEW)
        trade, filled = sorted((trade, filled), key=lambda fact: fact.exec_type != ExecType.TRADE)
    assert (acknowledged.broker_order_id, acknowledged.order_qty, acknowledged.symbol) == ("1376327563", 100, "TSLA")
    assert (trade.exec_id, trade.last_qty, trade.last_px) == ("00025b46.63f8f39c.01.01", 100, Decimal("196.52"))
    assert (trade.commission, trade.cum_qty, trade.broker_order_id) == (1, 100, "1376327563")
    assert trade.transact_time == datetime(2023, 2, 24, 17, 4, 56, tzinfo=UTC)
    assert (filled.status, filled.cum_qty, filled.avg_px) == (OrdStatus.FILLED, 100, Decimal("196.52"))


def test_raw_messages_of_a_cancel_end_in_cancelled():
    with scripted_tws(version=164) as server, connected(server, client_id=100) as made:
        server.say(*raw_messages("cancel_order"))
        assert made.wait_for(ExecType.CANCELED).broker_order_id == "71270927"


def test_raw_completed_order_is_found_as_filled():
    with scripted_tws(version=164) as server, connected(server, client_id=100) as made:
        server.on(tws.ALL_OPEN_ORDERS, lambda line, _: line.send(tws.open_order_end()))
        server.on(tws.EXECUTIONS, lambda line, fields: line.send(tws.executions_end(fields[2])))
        [completed] = raw_messages("completed_orders")
        server.on(tws.COMPLETED_ORDERS, lambda line, _: [line.send(completed), line.send(tws.completed_orders_end())])
        report = made.adapter.read_order("1824933227")
    assert (report.status, report.cum_qty, report.order_qty) == (OrdStatus.FILLED, 100, 100)
    assert report.transact_time == datetime(2023, 3, 6, 20, 28, 30, tzinfo=UTC)
