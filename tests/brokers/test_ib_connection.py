"""The connection itself: refused, lost, got back, and always bounded."""

import os
import socket
import threading

import pytest

from brokers.adapters.interactive_brokers.adapter import Adapter
from brokers.messages import OutcomeUnknown, TryLater
from tests.waiting import eventually
from tradingdesk.fix import ExecType

from . import tws_messages as tws
from .ib_desk import ACCOUNT, PERM_ID, connected, desk, has_nothing, limit_order
from .scripted_tws import Recorder, scripted_tws


def refused(server, **settings) -> str:
    """Why a call says it was not made."""
    with connected(server, start=False, **settings) as made, pytest.raises(TryLater) as error:
        made.adapter.open_orders()
    return error.value.text


def test_nothing_listening_is_one_line_with_the_fix():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        adapter = Adapter({"client_id": 1, "account_id": ACCOUNT, "port": taken.getsockname()[1]})
        try:
            with pytest.raises(TryLater, match=r"nothing answers at 127\.0\.0\.1:.*start TWS or IB Gateway"):
                adapter.account()
        finally:
            adapter.close()


def test_account_of_another_login_is_refused():
    with scripted_tws(accounts=("DU1", "DU12345678")) as server:
        assert refused(server) == (
            f"not connected: account {ACCOUNT} is not of this login, which has DU1, DU12345678: set account_id"
        )


def test_client_id_in_use_is_said_in_tws_words():
    with scripted_tws() as server:
        server.refuse_with = tws.error(-1, 326, "Unable to connect as the client id is already in use.")
        assert "client id is already in use.: end the program that uses client_id 1 there" in refused(server)


def test_client_id_in_use_is_waited_for_and_not_changed():
    with scripted_tws() as server:
        has_nothing(server)
        server.refuse_with = tws.error(-1, 326, "Unable to connect as the client id is already in use.")
        with connected(server, start=False) as made:
            with pytest.raises(TryLater):
                made.adapter.open_orders()
            server.refuse_with = None
            eventually(lambda: server.lines)
            assert server.lines[0].client_id == 1


def test_port_that_does_not_greet_is_no_tws():
    with scripted_tws() as server:
        server.greets = False
        assert "does not greet as TWS does" in refused(server, connect_timeout=0.3)


def test_lost_connection_is_told_got_back_and_told():
    with desk() as made:
        made.tws.hang_up()
        made.heard.wait_until(lambda: made.heard.connections == 2)
        assert len(made.heard.reasons) == 1
        assert made.adapter.open_orders() == []
        assert [line.client_id for line in made.tws.lines] == [1, 1]


def test_call_while_the_connection_is_lost_sends_nothing():
    with desk() as made:
        made.tws.refuse_with = tws.error(-1, 326, "in use")
        made.tws.hang_up()
        made.heard.wait_until(lambda: made.heard.reasons)
        with pytest.raises(TryLater, match="not connected"):
            made.submit()
        assert made.tws.of(tws.PLACE_ORDER) == []


def test_order_id_tells_which_connection_it_went_out_on():
    with desk() as made:
        sent = made.adapter.next_wire_ref()
        assert not made.adapter.is_sent_on_closed(sent)
        made.tws.hang_up()
        made.heard.wait_until(lambda: made.heard.connections == 2)
        assert made.adapter.is_sent_on_closed(sent)
        assert not made.adapter.is_sent_on_closed(made.adapter.next_wire_ref())
        assert not made.adapter.is_sent_on_closed(f"7{sent}")
        with pytest.raises(TryLater, match="can be used no more"):
            made.adapter.submit(limit_order("c-1", wire_ref=sent))


def test_silent_tws_is_noticed():
    with desk(settings={"heartbeat": 0.2, "request_timeout": 0.2}) as made:
        made.tws.on(tws.CURRENT_TIME, lambda line, fields: None)
        made.heard.wait_until(lambda: made.heard.connections >= 2)
        assert made.heard.reasons[0] == "TWS has stopped answering"


def test_quiet_tws_that_answers_keeps_its_connection():
    with desk(settings={"heartbeat": 0.1}) as made:
        made.tws.wait_for(tws.CURRENT_TIME, 3)
        assert made.heard.reasons == []


def test_being_cut_off_from_ib_is_told_and_being_back_too():
    with desk() as made:
        made.tws.say(tws.error(-1, 2104, "Market data farm connection is OK:usfarm"))
        made.tws.say(tws.error(-1, 2110, "Connectivity between Trader Workstation and server is broken."))
        made.heard.wait_until(lambda: made.heard.reasons)
        assert made.heard.connections == 1
        made.tws.say(tws.error(-1, 2104, "Market data farm connection is OK:usfarm"))
        made.heard.wait_until(lambda: made.heard.connections == 2)
        made.tws.say(tws.error(-1, 1101, "Connectivity has been restored - data lost"))
        made.heard.wait_until(lambda: made.heard.connections == 3)


def test_fact_that_could_not_be_taken_has_everything_read_again():
    with desk() as made:
        made.heard.fails = True
        made.tws.say(tws.order_status(3, "Cancelled", perm_id=55))
        made.wait_for(ExecType.CANCELED)
        made.heard.wait_until(lambda: made.heard.connections == 2)
        assert "could not be taken" in made.heard.reasons[0]


def test_manual_orders_are_bound_for_client_zero():
    with scripted_tws() as server, connected(server, client_id=0):
        assert server.wait_for(15) == ["15", "1", "1"]


def test_facts_come_one_at_a_time_in_tws_order():
    with desk() as made:
        for number in range(1, 51):
            made.tws.say(tws.order_status(number, "Cancelled", perm_id=PERM_ID + number))
        made.heard.wait_until(lambda: len(made.heard.facts) == 50)
    assert [int(fact.broker_order_id) - PERM_ID for fact in made.heard.facts] == list(range(1, 51))


def test_close_ends_the_threads_and_later_calls_say_so():
    with desk() as made:
        names = {thread.name for thread in threading.enumerate()}
        assert {"ib-1", "ib-1-tell"} <= names
        made.adapter.close()
        assert not {"ib-1", "ib-1-tell"} & {thread.name for thread in threading.enumerate()}
        with pytest.raises(TryLater, match="closed"):
            made.adapter.positions()


def test_close_frees_whoever_waits():
    with desk() as made:
        made.tws.on(tws.ALL_OPEN_ORDERS, lambda line, fields: None)
        outcome = []

        def ask():
            try:
                made.adapter.open_orders()
            except (OutcomeUnknown, TryLater) as error:
                outcome.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        made.tws.wait_for(tws.ALL_OPEN_ORDERS)
        made.adapter.close()
        asking.join(10)
        assert len(outcome) == 1


def test_child_process_does_not_talk_on_its_parents_socket():
    with desk() as made:
        made.adapter._connection._pid = os.getpid() + 1
        with pytest.raises(TryLater, match="forked"):
            made.adapter.positions()
        made.adapter._connection._pid = os.getpid()


def test_start_after_a_call_still_tells_that_it_is_connected():
    with desk(start=False) as made:
        made.adapter.open_orders()
        heard = Recorder()
        made.adapter.start(heard)
        heard.wait_until(lambda: heard.connections == 1)
