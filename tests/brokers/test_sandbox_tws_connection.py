"""Connections to the sandbox's TWS: who gets in, what breaks, what is there afterwards."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

import pytest
from ib_async import IB, LimitOrder, MarketOrder, Stock

from tests.brokers.sandbox_process import start_sandbox
from tests.brokers.sandbox_tws_client import TwsClient, TwsGone
from tests.waiting import eventually

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def orderly(sandbox):
    sandbox.admin.push_quote("IBM", "181.90", "182.00")
    yield
    sandbox.admin.clear()
    sandbox.admin.tws().open()
    sandbox.admin.tws().market_data("live")


@pytest.fixture
def port(sandbox) -> int:
    return sandbox.tws_port()


def executions(client: TwsClient) -> list[list[str]]:
    """The executions of this client's own orders that a request for executions lists."""
    listed = client.ask(7, 3, 77, client.client_id, "", "", "", "", "", "", until="executions_end")
    return [message for message in listed if message[0] == "11"]


def test_ib_async_connects_without_a_timeout_and_finds_what_was_before(port):
    async def live() -> tuple:
        first, again = IB(), IB()
        await first.connectAsync("127.0.0.1", port, clientId=40, raiseSyncErrors=True)
        trade = first.placeOrder(Stock("IBM", "SMART", "USD"), MarketOrder("BUY", 3, orderRef="connects", tif="DAY"))
        resting = first.placeOrder(Stock("IBM", "SMART", "USD"), LimitOrder("BUY", 1, 100, orderRef="rests", tif="GTC"))
        await asyncio.wait_for(trade.filledEvent, 10)
        while resting.orderStatus.status != "Submitted":
            await asyncio.wait_for(resting.statusEvent, 10)
        first.disconnect()
        await again.connectAsync("127.0.0.1", port, clientId=40, raiseSyncErrors=True)
        fills = [(f.execution.orderRef, f.execution.shares, f.commissionReport.commission) for f in again.fills()]
        open_trades = [(t.order.orderRef, t.orderStatus.status, t.order.permId) for t in again.openTrades()]
        seen = fills, open_trades, again.managedAccounts(), {p.contract.symbol for p in again.positions()}
        again.cancelOrder(again.openTrades()[0].order)
        again.disconnect()
        return (*seen, resting.order.permId)

    fills, open_trades, accounts, held, perm_id = asyncio.run(live())
    assert fills == [("connects", 3.0, 1.0)]
    assert open_trades == [("rests", "Submitted", perm_id)]
    assert accounts == ["DU1000001"]
    assert held == {"IBM"}


def test_second_client_with_the_same_id_gets_326_and_is_let_go(port):
    with TwsClient(port, 41) as first:
        second = TwsClient(port, 41, start=False)
        second.send(71, 2, 41, "")
        second.wait_for_error(326)
        assert second.is_ended()
        first.sync()
    with TwsClient(port, 41) as third:
        third.sync()


def test_client_that_is_too_old_or_no_client_at_all_is_let_go(port):
    for greeting in (b"API\0\0\0\0\x09v100..150", b"GET / HTTP/1.1\r\n\r\n", b"API\0\xff\xff\xff\xff"):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
            raw.sendall(greeting)
            with suppress(ConnectionResetError):
                assert raw.recv(100) == b""


def test_message_that_cannot_be_read_is_refused_and_the_connection_goes_on(port):
    with TwsClient(port, 42) as client:
        client.send(999)
        client.wait_for_error(505)
        for broken in ((3, 1), (3, "one"), (7,), ("what",), (4, 1, "x")):
            client.send(*broken)
            client.wait_for_error(320)
        client.place("IBM", "BUY", "nan")
        client.wait_for_error(320)
        client.sync()


def test_frame_that_is_none_ends_only_its_own_connection(port):
    with TwsClient(port, 42) as client, TwsClient(port, 43) as other:
        client.socket.sendall(b"\xff\xff\xff\xff")
        assert client.is_ended()
        other.sync()


def test_connection_dropped_before_the_order_is_taken_leaves_none(sandbox, port):
    sandbox.admin.fault("drop", when="before", operation="new_order", account="interactive_brokers")
    with TwsClient(port, 44) as client:
        client.place("IBM", "BUY", 1, orderRef="before")
        assert client.is_ended()
        assert not [word for word in client.told() if word.startswith("o")]
    assert not [o for o in sandbox.admin.tws().orders() if o["order_ref"] == "before"]
    assert [line["kind"] for line in sandbox.admin.journal(client_order_id="before")] == ["request", "fault", "dropped"]


def test_connection_dropped_after_the_order_was_taken_says_nothing_but_it_lives(sandbox, port):
    sandbox.admin.fault("drop", when="after", operation="new_order", client_order_id="after")
    with TwsClient(port, 45) as client:
        client.place("IBM", "BUY", 1, orderRef="after")
        assert client.is_ended()
        assert not [word for word in client.told() if word.startswith("o")]
    eventually(lambda: sandbox.admin.tws().order("after")["status"] == "Filled")
    with TwsClient(port, 45) as again:
        assert again.next_id == 2
        assert [message[26] for message in executions(again)] == ["after"]
        done = again.ask(99, 1, until="completed_orders_end")
        assert any("after" in message for message in done)


def test_order_held_before_its_answer_is_at_the_venue_and_can_still_be_lost(sandbox, port):
    sandbox.admin.hold("before_answer", operation="new_order", client_order_id="held")
    with TwsClient(port, 46) as client:
        client.place("IBM", "BUY", 1, "LMT", lmtPrice="100", orderRef="held", tif="GTC")
        sandbox.admin.wait_for_held()
        assert sandbox.admin.tws().order("held")["status"] in ("PreSubmitted", "Submitted")
        sandbox.admin.release(drop=True)
        assert client.is_ended()
    order = sandbox.admin.tws().order("held")
    assert sandbox.admin.tws().cancel(order["perm_id"])["status"] in ("PendingCancel", "Cancelled")


def test_connection_is_dropped_once_the_answer_has_gone(sandbox, port):
    sandbox.admin.hold("after_answer", operation="new_order", client_order_id="told")
    with TwsClient(port, 47) as client:
        order_id = client.place("IBM", "BUY", 1, "LMT", lmtPrice="100", orderRef="told")
        client.wait_for("order_status")
        sandbox.admin.wait_for_held()
        sandbox.admin.release(drop=True)
        assert client.is_ended()
        assert "order_status PreSubmitted" in client.told(order_id)


def test_executions_can_lack_their_end(sandbox, port):
    with TwsClient(port, 48) as client:
        client.place("IBM", "BUY", 1)
        client.wait_for("commission")
        sandbox.admin.fault("no_end", operation="executions")
        begin = len(client.seen)
        client.send(7, 3, 77, 48, "", "", "", "", "", "")
        client.sync()
        told = [message[0] for message in client.seen[begin:]]
        assert told.count("11") == 1
        assert "55" not in told
        assert len(executions(client)) == 1


def test_executions_come_all_then_all_their_commissions_then_the_end(port):
    with TwsClient(port, 49) as client:
        for _ in range(2):
            client.place("IBM", "BUY", 1)
            client.wait_for("commission")
        told = client.ask(7, 3, 77, 49, "", "", "", "", "", "", until="executions_end")
        assert [message[0] for message in told] == ["11", "11", "59", "59"]
        assert {message[1] for message in told[:2]} == {"77"}


def test_order_events_wait_while_ib_is_lost_and_come_when_it_is_found(sandbox, port):
    tws = sandbox.admin.tws()
    with TwsClient(port, 50) as client:
        order_id = client.place("IBM", "BUY", 1, "LMT", lmtPrice="100", orderRef="lost")
        client.wait_for_status(order_id, "Submitted")
        tws.connectivity(1100)
        client.wait_for_error(1100)
        tws.fill(tws.order("lost")["perm_id"], 1, "99")
        second = client.place("IBM", "BUY", 1, orderRef="late")
        client.sync()
        assert "execution" not in client.told(order_id)
        assert not client.told(second)
        tws.connectivity(1102)
        client.wait_for_error(1102)
        client.wait_for_status(order_id, "Filled")
        client.wait_for_status(second, "Filled")


def test_data_that_is_lost_has_to_be_asked_for_again(sandbox, port):
    with TwsClient(port, 58) as client:
        client.send(*market_data(1, "IBM"))
        client.wait_for("tick_price", lambda m: m[3] == "9")
        sandbox.admin.tws().connectivity(2110)
        client.wait_for_error(2110)
        sandbox.admin.tws().connectivity(1101)
        client.wait_for_error(1101)
        sandbox.admin.push_quote("IBM", "181.00", "182.00")
        client.send(*market_data(2, "IBM"))
        assert client.wait_for("tick_price")[2] == "2"


@pytest.mark.parametrize("status", [500, 504])
def test_failure_of_another_brokers_kind_breaks_the_connection(sandbox, port, status):
    sandbox.admin.fault("error", operation="new_order", when="before", status=status)
    with TwsClient(port, 59) as client:
        client.place("IBM", "BUY", 1, orderRef=f"failure-{status}")
        assert client.is_ended()
    assert not [o for o in sandbox.admin.tws().orders() if o["order_ref"] == f"failure-{status}"]


def test_too_many_requests_are_refused_in_tws_words(sandbox, port):
    sandbox.admin.fault("error", operation="new_order", when="before", status=429)
    with TwsClient(port, 60) as client:
        order_id = client.place("IBM", "BUY", 1)
        assert client.wait_for_error(100)[2] == str(order_id)
        client.sync()
        assert client.told(order_id) == ["error 100"]


def test_request_that_arrives_twice_is_a_change_that_changes_nothing(sandbox, port):
    sandbox.admin.fault("echo", operation="new_order", client_order_id="twice")
    with TwsClient(port, 61) as client:
        order_id = client.place("IBM", "BUY", 1, "LMT", lmtPrice="100", orderRef="twice")
        client.wait_for_status(order_id, "Submitted")
        assert [o["status"] for o in sandbox.admin.tws().orders() if o["order_ref"] == "twice"] == ["Submitted"]
        client.cancel(order_id)
        client.wait_for_status(order_id, "Cancelled")


def test_reset_breaks_all_connections_and_refuses_new_ones_until_it_is_over(sandbox, port):
    tws = sandbox.admin.tws()
    with TwsClient(port, 51) as client:
        tws.close()
        assert client.is_ended()
    with pytest.raises((ConnectionRefusedError, TwsGone)):
        TwsClient(port, 51)
    tws.open()
    TwsClient(port, 51).close()
    tws.reset(0.2)

    def back() -> bool:
        try:
            TwsClient(port, 51).close()
        except (ConnectionError, TwsGone):
            return False
        return True

    eventually(back)


def test_disconnect_reaches_the_clients_of_tws(sandbox, port):
    with TwsClient(port, 52) as client:
        assert sandbox.admin.disconnect("interactive_brokers") == 1
        assert client.is_ended()
    eventually(lambda: sandbox.admin.tws().clients() == [])


def test_stream_faults_drop_and_double_order_messages(sandbox, port):
    with TwsClient(port, 53) as client:
        sandbox.admin.stream_fault("drop", event="execution", account="interactive_brokers")
        sandbox.admin.stream_fault("duplicate", event="commission", account="interactive_brokers")
        order_id = client.place("IBM", "BUY", 1, orderRef="spoiled")
        first = client.wait_for("commission")
        assert client.wait_for("commission") == first
        assert "execution" not in client.told(order_id)
        assert len(executions(client)) == 1
    faults = [line["detail"] for line in sandbox.admin.journal(kind="fault", client_order_id="spoiled")]
    assert [(fault["event"], fault["action"]) for fault in faults] == [
        ("execution", "drop"),
        ("commission", "duplicate"),
    ]


def test_manual_order_has_no_id_until_client_0_binds_it(sandbox, port):
    tws = sandbox.admin.tws()
    placed = tws.place("IBM", "BUY", 2, order_type="LMT", lmt_price="100", tif="GTC")
    assert (placed["client_id"], placed["order_id"]) == (0, 0)
    with TwsClient(port, 54) as other, TwsClient(port, 0) as zero:
        shown = [m for m in other.ask(16, 1, until="open_order_end") if m[0] == "5"]
        assert ("0", "0", str(placed["perm_id"])) in [(m[1], m[24], m[25]) for m in shown]
        zero.send(15, 1, 1)
        zero.ask(5, 1, until="open_order_end")
        bound = tws.orders()[-1]["order_id"]
        assert bound < 0
        tws.cancel(placed["perm_id"])
        zero.wait_for_status(bound, "Cancelled")
        later = tws.place("IBM", "BUY", 2)
        zero.wait_for_status(later["order_id"], "Filled")
        other.sync()
        assert not [word for word in other.told() if "Filled" in word]


def test_quotes_come_in_full_first_and_then_as_they_change(sandbox, port):
    with TwsClient(port, 55) as client:
        client.send(*market_data(7, "IBM"))
        client.wait_for("tick_price", lambda m: m[3] == "9")
        ticks = {m[3]: m[4] for m in client.seen if m[0] == "1"}
        assert (ticks["1"], ticks["2"], ticks["4"]) == ("181.9", "182", "181.95")
        sandbox.admin.push_quote("IBM", "181.95", "182.00")
        assert client.wait_for("tick_price")[3:6] == ["1", "181.95", "1000"]
        client.send(2, 2, 7)
        client.sync()
        sandbox.admin.push_quote("IBM", "181.90", "182.00")
        begin = len(client.seen)
        client.sync()
        assert [m[0] for m in client.seen[begin:]] == ["15"]


def test_snapshot_ends_and_unknown_symbol_is_refused(port):
    with TwsClient(port, 56) as client:
        told = client.ask(*market_data(8, "IBM", snapshot=True), until="tick_snapshot_end")
        assert {"1", "58", "81"} <= {m[0] for m in told}
        client.send(*market_data(9, "NOSUCH"))
        assert client.wait_for_error(200)[2] == "9"


def test_market_data_needs_permission_and_may_be_delayed(sandbox, port):
    tws = sandbox.admin.tws()
    with TwsClient(port, 57) as client:
        tws.market_data("none")
        client.send(*market_data(1, "IBM"))
        client.wait_for_error(354)
        tws.market_data("delayed")
        client.send(*market_data(2, "IBM"))
        client.wait_for_error(10089)
        client.send(59, 1, 3)
        client.send(*market_data(3, "IBM"))
        client.wait_for_error(10167)
        assert client.wait_for("market_data_type")[3] == "3"
        assert client.wait_for("tick_price")[3:5] == ["66", "181.9"]
        sandbox.admin.fault("error", operation="market_data", when="before", status=10197)
        client.send(*market_data(4, "IBM"))
        assert client.wait_for_error(10197)[2] == "4"


def test_killed_sandbox_knows_its_orders_ids_and_fills_again(tmp_path):
    with start_sandbox(tmp_path, speed=0) as sandbox:
        sandbox.admin.push_quote("IBM", "181.90", "182.00")
        with TwsClient(sandbox.tws_port(), 5) as client:
            filled = client.place("IBM", "BUY", 3, orderRef="filled")
            client.wait_for("commission")
            resting = client.place("IBM", "BUY", 1, "LMT", lmtPrice="100", orderRef="resting", tif="GTC")
            client.wait_for_status(resting, "Submitted")
            client.place("IBM", "BUY", 2, "LMT", lmtPrice="101", orderRef="resting", tif="GTC", order_id=resting)
            client.wait_for_status(resting, "Submitted")
            parent = client.place("IBM", "BUY", 1, "LMT", lmtPrice="99", tif="GTC", transmit=False)
            child = client.place("IBM", "SELL", 1, "LMT", lmtPrice="190", tif="GTC", parentId=parent)
            client.wait_for_status(child, "PreSubmitted")
            client.wait_for_status(parent, "Submitted")
            before, told = sandbox.admin.tws().orders(), executions(client)
        sandbox.restart(kill=True)
        sandbox.admin.push_quote("IBM", "181.90", "182.00")
        with TwsClient(sandbox.tws_port(), 5) as client:
            assert sandbox.admin.tws().orders() == before
            assert executions(client) == told
            assert client.next_id == child + 1
            sandbox.admin.tws().fill(sandbox.admin.tws().orders()[2]["perm_id"], 1, "99")
            client.wait_for_status(child, "Submitted")
            client.cancel(resting)
            client.wait_for_status(resting, "Cancelled")
            client.place("IBM", "BUY", 1, order_id=filled)
            client.wait_for_error(104)
            new = client.place("IBM", "BUY", 1)
            assert int(client.wait_for_status(new, "Filled")[6]) == before[-1]["perm_id"] + 1


def market_data(request_id: int, symbol: str, *, snapshot: bool = False) -> list:
    contract = [0, symbol, "STK", "", "0.0", "", "", "SMART", "", "USD", "", ""]
    return [1, 11, request_id, *contract, 0, "", int(snapshot), 0, ""]
