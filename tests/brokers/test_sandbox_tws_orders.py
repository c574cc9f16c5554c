"""What the sandbox's TWS does with orders, message by message."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.brokers.sandbox_tws_client import TwsClient

pytestmark = pytest.mark.slow

CLIENT_IDS = itertools.count(10)


@pytest.fixture(autouse=True)
def quote(sandbox):
    """IBM at 181.90 to 182.00, whatever a test before did."""
    sandbox.admin.push_quote("IBM", "181.90", "182.00")


@pytest.fixture
def client(sandbox) -> Iterator[TwsClient]:
    """A client of the first account that no test before was."""
    with TwsClient(sandbox.tws_port(), next(CLIENT_IDS)) as connected:
        yield connected


def test_market_order_is_told_in_the_order_of_the_real_gateway(client):
    order_id = client.place("IBM", "BUY", 10)
    report = client.wait_for("commission")
    assert client.told(order_id) == [
        "open_order",
        "order_status PreSubmitted",
        "open_order",
        "order_status Submitted",
        "execution",
        "open_order",
        "order_status Filled",
    ]
    execution = next(m for m in client.seen if m[0] == "11")
    assert execution[14] == report[2]
    assert execution[1] == "-1"
    assert report[3:5] == ["1", "USD"]


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"symbol": "NOSUCH"}, 200),
        ({"conId": 999}, 200),
        ({"order_type": "WHIM"}, 321),
        ({"order_type": "LMT"}, 321),
        ({"order_type": "STP"}, 321),
        ({"order_type": "TRAIL"}, 321),
        ({"action": "HOLD"}, 321),
        ({"tif": "GTX"}, 321),
        ({"exchange": ""}, 321),
        ({"exchange": "MOON"}, 200),
        ({"quantity": 0}, 321),
        ({"quantity": "1E+40"}, 321),
        ({"order_type": "LMT", "lmtPrice": "1E+40"}, 321),
        ({"order_type": "LMT", "lmtPrice": "-5"}, 321),
        ({"order_type": "TRAIL", "trailingPercent": "-1"}, 321),
        ({"account": "DU7777777"}, 321),
        ({"quantity": "1.5"}, 10243),
        ({"cashQty": "100"}, 10244),
        ({"order_type": "LMT", "lmtPrice": "150.001"}, 110),
    ],
)
def test_wrong_order_gets_an_error_and_never_a_status(client, terms, code):
    wanted = {"symbol": "IBM", "action": "BUY", "quantity": 1, "order_type": "MKT"} | terms
    order_id = client.place(**wanted)
    client.wait_for_error(code)
    client.sync()
    assert client.told(order_id) == [f"error {code}"]


def test_ids_count_by_client_and_are_not_taken_twice(sandbox, client):
    order_id = client.place("IBM", "BUY", 1, "LMT", lmtPrice="100", order_id=50)
    client.wait_for_status(order_id, "Submitted")
    client.place("IBM", "BUY", 1, order_id=20)
    client.wait_for_error(103)
    assert client.ask(8, 1, 1, until="next_valid_id") == []
    assert client.seen[-1][2] == "51"
    with TwsClient(sandbox.tws_port(), next(CLIENT_IDS)) as other:
        assert other.next_id == 1


def test_change_keeps_ids_and_what_is_filled(client):
    order_id = client.place("IBM", "BUY", 2000, "LMT", lmtPrice="182")
    client.wait_for("execution")
    part = client.wait_for_status(order_id, "Submitted")
    assert part[3:5] == ["1000", "1000"]
    client.place("IBM", "BUY", 3000, "LMT", lmtPrice="150", order_id=order_id)
    changed = client.wait_for_status(order_id, "Submitted")
    assert changed[3:5] == ["1000", "2000"]
    assert changed[6] == part[6]
    client.place("IBM", "SELL", 3000, "LMT", lmtPrice="150", order_id=order_id)
    client.wait_for_error(105)
    client.place("IBM", "BUY", 3000, "LMT", lmtPrice="150.001", order_id=order_id)
    client.wait_for_error(110)
    client.cancel(order_id)
    assert client.wait_for_status(order_id, "Cancelled")[3:5] == ["1000", "2000"]


def test_limit_order_is_changed_to_a_market_order(client):
    order_id = client.place("IBM", "BUY", 1, "LMT", lmtPrice="100")
    client.wait_for_status(order_id, "Submitted")
    client.place("IBM", "BUY", 1, "MKT", order_id=order_id)
    client.wait_for_status(order_id, "Filled")


def test_change_of_a_filled_order_is_refused_with_104_and_of_a_cancelled_one_with_103(client):
    filled = client.place("IBM", "BUY", 1)
    client.wait_for_status(filled, "Filled")
    client.place("IBM", "BUY", 2, order_id=filled)
    client.wait_for_error(104)
    cancelled = client.place("IBM", "BUY", 1, "LMT", lmtPrice="100")
    client.cancel(cancelled)
    client.wait_for_status(cancelled, "Cancelled")
    client.place("IBM", "BUY", 2, "LMT", lmtPrice="100", order_id=cancelled)
    client.wait_for_error(103)


def test_cancel_is_told_as_pending_then_done_and_a_second_one_is_too_late(client):
    order_id = client.place("IBM", "BUY", 1, "LMT", lmtPrice="100")
    client.wait_for_status(order_id, "Submitted")
    client.cancel(order_id)
    client.wait_for_error(202)
    assert client.told(order_id)[-3:] == ["order_status PendingCancel", "order_status Cancelled", "error 202"]
    client.cancel(order_id)
    assert client.wait_for_error(10148)[4].endswith("state: Cancelled.")
    client.cancel(4711)
    client.wait_for_error(10147)


def test_cancel_that_a_fill_outran_ends_in_the_truth(sandbox, client):
    order_id = client.place("IBM", "BUY", 1)
    client.wait_for_status(order_id, "Filled")
    client.cancel(order_id)
    assert client.wait_for_error(10148)[4].endswith("state: Filled.")


def test_immediate_order_that_cannot_fill_is_cancelled_and_all_or_nothing_goes_inactive(client):
    ioc = client.place("IBM", "BUY", 1, "LMT", lmtPrice="100", tif="IOC")
    client.wait_for_status(ioc, "Cancelled")
    assert client.told(ioc)[-2:] == ["order_status PendingCancel", "order_status Cancelled"]
    fok = client.place("IBM", "BUY", 5000, "LMT", lmtPrice="182", tif="FOK")
    client.wait_for_status(fok, "Inactive")
    client.sync()
    assert client.told(fok)[-1] == "order_status Inactive"
    assert not any(word.startswith("error") for word in client.told(ioc) + client.told(fok))


def test_stop_waits_for_its_price_and_fills_beyond_it(sandbox, client):
    order_id = client.place("IBM", "SELL", 1, "STP", auxPrice="170")
    waiting = client.wait_for_status(order_id, "PreSubmitted")
    assert waiting[10] == "trigger"
    sandbox.admin.push_quote("IBM", "169.90", "170.10")
    assert client.wait_for_status(order_id, "Filled")[5] == "169.9"


def test_trailing_stop_follows_and_shows_where_it_stands(sandbox, client):
    order_id = client.place("IBM", "SELL", 1, "TRAIL", trailingPercent="1")
    for _ in range(2):  # as it is taken, and as it begins to work
        client.wait_for_status(order_id, "PreSubmitted")
    sandbox.admin.push_quote("IBM", "200.00", "200.10")
    shown = [m for m in client.ask(5, 1, until="open_order_end") if m[0] == "5" and m[1] == str(order_id)]
    assert "198" in shown[0]
    sandbox.admin.push_quote("IBM", "197.90", "198.10")
    client.wait_for_status(order_id, "Filled")


def test_order_without_time_in_force_gets_the_preset_and_lives(client):
    order_id = client.place("IBM", "BUY", 1, "LMT", lmtPrice="100", tif="")
    client.wait_for_error(10349)
    client.wait_for_status(order_id, "Submitted")
    client.cancel(order_id)


def test_order_before_the_open_gets_399_and_works_once_the_market_opens(sandbox, client):
    sandbox.admin.close_session()
    try:
        order_id = client.place("IBM", "BUY", 1, tif="GTC")
        note = client.wait_for_error(399)
        assert "will not be placed at the exchange until" in note[4]
        assert client.told(order_id) == ["open_order", "order_status PreSubmitted", "error 399"]
    finally:
        sandbox.admin.open_session()
    sandbox.admin.push_quote("IBM", "181.90", "182.00")
    client.wait_for_status(order_id, "Filled")


def test_orders_for_the_close_and_for_the_opening_trade_then_and_not_before(sandbox, client):
    at_close = client.place("IBM", "BUY", 1, "MOC")
    client.wait_for_status(at_close, "Submitted")
    client.place("IBM", "BUY", 1, tif="OPG")
    client.wait_for_error(201)
    sandbox.admin.close_session()
    try:
        client.wait_for_status(at_close, "Filled")
        at_open = client.place("IBM", "BUY", 1, tif="OPG")
        client.wait_for_error(399)
    finally:
        sandbox.admin.open_session()
    client.wait_for_status(at_open, "Filled")


def test_day_order_ends_with_the_session(sandbox, client):
    order_id = client.place("IBM", "BUY", 1, "LMT", lmtPrice="100")
    client.wait_for_status(order_id, "Submitted")
    sandbox.admin.close_session()
    sandbox.admin.open_session()
    client.wait_for_status(order_id, "Cancelled")


def test_other_client_sees_the_order_cancels_it_and_is_named_in_its_end(sandbox, client):
    order_id = client.place("IBM", "BUY", 1, "LMT", lmtPrice="100", tif="GTC", order_id=900)
    client.wait_for_status(order_id, "Submitted")
    with TwsClient(sandbox.tws_port(), next(CLIENT_IDS)) as other:
        assert not [m for m in other.ask(5, 1, until="open_order_end") if m[0] == "5"]
        shown = [m for m in other.ask(16, 1, until="open_order_end") if m[0] == "5" and m[1] == "900"]
        assert len(shown) == 1
        other.cancel(order_id)
        assert other.wait_for_status(order_id, "Cancelled")[9] == str(other.client_id)
        other.wait_for_error(202)
    assert client.wait_for_status(order_id, "Cancelled")[9] == str(other.client_id)


def test_global_cancel_ends_every_live_order(client):
    first, second = (client.place("IBM", "BUY", 1, "LMT", lmtPrice="100") for _ in range(2))
    client.wait_for_status(second, "Submitted")
    client.send(58, 1)
    client.wait_for_status(first, "Cancelled")
    client.wait_for_status(second, "Cancelled")
    assert not [m for m in client.ask(16, 1, until="open_order_end") if m[0] == "5"]


def test_estimate_of_an_order_places_none(sandbox, client):
    before = len(sandbox.admin.tws().orders())
    order_id = client.place("IBM", "BUY", 100, "LMT", lmtPrice="100", whatIf=True)
    shown = client.wait_for("open_order")
    assert shown[1] == str(order_id)
    assert "5000" in shown  # half of the value is the margin of an account with multiplier 2
    assert len(sandbox.admin.tws().orders()) == before


def test_correction_has_its_trades_id_but_for_the_revision(sandbox, client):
    reference = f"corrected-{client.client_id}"
    order_id = client.place("IBM", "BUY", 10, orderRef=reference)
    first = client.wait_for("execution")
    client.wait_for_status(order_id, "Filled")
    record = sandbox.admin.record("interactive_brokers")
    exec_id = next(e for e in record["executions"] if e["client_order_id"] == reference)["exec_id"]
    sandbox.admin.correct(exec_id, 10, "181.00")
    second = client.wait_for("execution")
    assert first[14].rpartition(".")[0] == second[14].rpartition(".")[0]
    assert (first[14][-3:], second[14][-3:]) == (".01", ".02")
    assert (second[20], second[25]) == ("181", "181")
    trade = next(t for t in sandbox.admin.tws().record()["trades"] if t["client_order_id"] == reference)
    assert (trade["exec_id"], trade["qty"], trade["px"]) == (second[14], "10", "181")
    sandbox.admin.bust(exec_id)
    third = client.wait_for("execution")
    assert (third[14][-3:], third[19]) == (".03", "0")
    record = sandbox.admin.tws().record()
    assert not [t for t in record["trades"] if t["client_order_id"] == reference]
    again = next(o for o in record["orders"] if o["client_order_id"] == reference)
    assert (again["id"], again["status"], again["filled_qty"]) == (third[21], "new", "0")
    client.cancel(order_id)


def test_partial_fills_accumulate_fees_up_to_the_share_of_their_value(sandbox, client):
    sandbox.admin.push_quote("IBM", "181.90", "182.00", ask_size=300)
    order_id = client.place("IBM", "BUY", 500)
    assert client.wait_for("commission")[3] == "1.5"
    sandbox.admin.push_quote("IBM", "181.90", "182.00")
    client.wait_for_status(order_id, "Filled")
    assert client.wait_for("commission")[3] == "1"
    sandbox.admin.push_quote("PENNY", "0.09", "0.10")
    client.place("PENNY", "BUY", 100)
    assert client.wait_for("commission")[3] == "0.1"


def test_bracket_waits_for_its_parent_and_one_exit_cancels_the_other(sandbox, client):
    parent = client.place("IBM", "BUY", 10, "LMT", lmtPrice="182", transmit=False)
    target = client.place("IBM", "SELL", 10, "LMT", lmtPrice="190", parentId=parent, transmit=False)
    client.sync()
    assert not client.told(parent)
    stop = client.place("IBM", "SELL", 10, "STP", auxPrice="175", parentId=parent)
    held = client.wait_for_status(target, "PreSubmitted")
    assert "child" in held
    client.wait_for_status(parent, "Filled")
    client.wait_for_status(target, "Submitted")
    sandbox.admin.push_quote("IBM", "174.90", "175.00")
    client.wait_for_status(stop, "Filled")
    client.wait_for_status(target, "Cancelled")


def test_child_of_an_order_that_tws_does_not_have_is_refused(client):
    child = client.place("IBM", "SELL", 10, "STP", auxPrice="175", parentId=1)
    client.wait_for_error(10006)
    client.sync()
    assert client.told(child) == ["error 10006"]


def test_cancelled_parent_takes_its_children_along(client):
    parent = client.place("IBM", "BUY", 10, "LMT", lmtPrice="100", transmit=False)
    child = client.place("IBM", "SELL", 10, "LMT", lmtPrice="190", parentId=parent)
    client.wait_for_status(child, "PreSubmitted")
    client.wait_for_status(parent, "Submitted")
    client.cancel(parent)
    client.wait_for_status(parent, "Cancelled")
    client.wait_for_status(child, "Cancelled")


def test_fill_of_one_order_of_a_group_cancels_the_others(client):
    group = {"ocaGroup": f"group-{client.client_id}", "ocaType": 1}
    low = client.place("IBM", "BUY", 10, "LMT", lmtPrice="100", **group)
    client.wait_for_status(low, "Submitted")
    high = client.place("IBM", "BUY", 10, "LMT", lmtPrice="182", **group)
    client.wait_for_status(high, "Filled")
    client.wait_for_status(low, "Cancelled")


def test_part_fill_in_a_group_that_reduces_takes_from_the_others(sandbox, client):
    group = {"ocaGroup": f"reducing-{client.client_id}", "ocaType": 3}
    low = client.place("IBM", "BUY", 10, "LMT", lmtPrice="100", **group)
    client.wait_for_status(low, "Submitted")
    sandbox.admin.push_quote("IBM", "181.90", "182.00", ask_size=4)
    high = client.place("IBM", "BUY", 10, "LMT", lmtPrice="182", **group)
    client.wait_for("execution")
    assert client.wait_for_status(low, "Submitted")[3:5] == ["0", "6"]
    sandbox.admin.push_quote("IBM", "181.90", "182.00")
    client.wait_for_status(high, "Filled")
    client.wait_for_status(low, "Cancelled")


def test_change_of_a_waiting_child_holds_and_its_cancel_leaves_the_parent(client):
    parent = client.place("IBM", "BUY", 10, "LMT", lmtPrice="100", transmit=False)
    child = client.place("IBM", "SELL", 10, "LMT", lmtPrice="190", parentId=parent)
    client.wait_for_status(child, "PreSubmitted")
    client.place("IBM", "SELL", 10, "LMT", lmtPrice="191", parentId=parent, order_id=child)
    assert "191" in client.wait_for("open_order", lambda m: m[1] == str(child))
    client.cancel(child)
    client.wait_for_status(child, "Cancelled")
    # What was still to be said of the parent may come between.
    assert {m[1] for m in client.ask(5, 1, until="open_order_end") if m[0] == "5"} == {str(parent)}
    client.cancel(parent)
    client.wait_for_status(parent, "Cancelled")
