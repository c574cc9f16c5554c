"""The sandbox's streams as the unmodified alpaca-py hears them, and what can go wrong with them on purpose."""

from __future__ import annotations

import asyncio
import json
from itertools import count

import aiohttp
import pytest
from alpaca.trading.client import TradingClient
from alpaca.trading.models import TradeUpdate

from tests.brokers.sandbox_process import SandboxProcess, start_sandbox
from tests.brokers.stream_clients import Heard, quotes, trade_updates
from tests.waiting import eventually

pytestmark = pytest.mark.slow

ACCOUNT = "alpaca_margin"
numbers = count(1)


@pytest.fixture(autouse=True)
def market(sandbox) -> None:
    """IBM at 181.90 to 182.00; no faults left over, nobody listening."""
    sandbox.admin.clear()
    sandbox.admin.push_quote("IBM", "181.90", "182.00", 100_000, 100_000)
    eventually(lambda: not sandbox.admin.listens(ACCOUNT), "the end of the last test's stream")


@pytest.fixture
def trading(sandbox) -> TradingClient:
    return TradingClient(*sandbox.keys(ACCOUNT), url_override=sandbox.url, raw_data=True)


def place(trading: TradingClient, qty: int = 10, **changes) -> dict:
    """Send a market order, or what the changes make of it."""
    order = {"symbol": "IBM", "side": "buy", "type": "market", "time_in_force": "day", "qty": str(qty)} | changes
    return trading.post("/orders", order | {"client_order_id": f"streamed-{next(numbers)}"})


def resting(trading: TradingClient, **changes) -> dict:
    return place(trading, type="limit", limit_price="150", **changes)


def settled(heard: Heard, order: dict, *events: str) -> None:
    """Wait until exactly these events of an order were heard."""
    eventually(lambda: heard.events(order["client_order_id"])[-1:] == [events[-1]], f"{events}")
    assert heard.events(order["client_order_id"]) == list(events)


def test_life_of_a_filled_order_is_told_in_order_with_its_fill(sandbox, trading):
    with trade_updates(sandbox, ACCOUNT) as heard:
        order = place(trading)
        settled(heard, order, "pending_new", "new", "fill")
    fill = heard.update(order["client_order_id"], "fill")
    assert (fill["price"], fill["qty"], fill["order"]["filled_qty"]) == ("182", "10", "10")
    assert (fill["order"]["status"], fill["order"]["id"]) == ("filled", order["id"])
    held = {position["symbol"]: position["qty"] for position in trading.get_all_positions()}
    assert fill["position_qty"] == held["IBM"]


def test_typed_client_reads_every_update(sandbox, trading):
    with trade_updates(sandbox, ACCOUNT, raw_data=False) as heard:
        order = place(trading)
        eventually(lambda: [str(getattr(one.event, "value", one.event)) for one in heard][-1:] == ["fill"])
    assert all(isinstance(update, TradeUpdate) for update in heard)
    assert str(heard[-1].order.id) == order["id"]
    assert heard[-1].qty == 10


def test_partial_fills_carry_their_own_size_and_the_running_total(sandbox, trading):
    with trade_updates(sandbox, ACCOUNT) as heard:
        order = resting(trading)
        heard.update(order["client_order_id"], "new")
        sandbox.admin.fill(order["id"], 4, "150")
        sandbox.admin.fill(order["id"], 6, "149.5")
        settled(heard, order, "pending_new", "new", "partial_fill", "fill")
    part, last = (heard.update(order["client_order_id"], event) for event in ("partial_fill", "fill"))
    assert (part["qty"], part["order"]["filled_qty"]) == ("4", "4")
    assert (last["qty"], last["order"]["filled_qty"], last["order"]["filled_avg_price"]) == ("6", "10", "149.7")
    assert part["execution_id"] != last["execution_id"]


def test_cancel_replace_and_their_refusals_are_told(sandbox, trading):
    with trade_updates(sandbox, ACCOUNT) as heard:
        first = resting(trading)
        heard.update(first["client_order_id"], "new")
        second = trading.patch(f"/orders/{first['id']}", {"limit_price": "151", "client_order_id": "the-second"})
        settled(heard, first, "pending_new", "new", "pending_replace", "replaced")
        settled(heard, second, "pending_new", "new")
        trading.cancel_order_by_id(second["id"])
        settled(heard, second, "pending_new", "new", "pending_cancel", "canceled")
    assert heard.update(first["client_order_id"], "replaced")["order"]["replaced_by"] == second["id"]


@pytest.mark.parametrize(
    ("action", "event"),
    [("reject", "rejected"), ("expire", "expired"), ("done_for_day", "done_for_day"), ("suspend", "suspended")],
)
def test_what_the_venue_does_unasked_is_told(sandbox, trading, action, event):
    with trade_updates(sandbox, ACCOUNT) as heard:
        order = resting(trading)
        heard.update(order["client_order_id"], "new")
        sandbox.admin.act(order["id"], action)
        settled(heard, order, "pending_new", "new", event)


def test_bust_and_correction_name_the_fill_that_they_are_about(sandbox, trading):
    with trade_updates(sandbox, ACCOUNT) as heard:
        order = resting(trading)
        heard.update(order["client_order_id"], "new")
        sandbox.admin.fill(order["id"], 10, "150")
        fill = heard.update(order["client_order_id"], "fill")
        (exec_id,) = [e["exec_id"] for e in sandbox.admin.record(ACCOUNT)["executions"] if e["order_id"] == order["id"]]
        sandbox.admin.correct(exec_id, 10, "149")
        correction = heard.update(order["client_order_id"], "trade_correct")
        sandbox.admin.bust(exec_id)
        bust = heard.update(order["client_order_id"], "trade_bust")
    assert correction["previous_execution_id"] == fill["execution_id"] == bust["previous_execution_id"]
    assert (correction["price"], bust["order"]["filled_qty"]) == ("149", "0")
    assert len({fill["execution_id"], correction["execution_id"], bust["execution_id"]}) == 3


def test_fills_id_on_the_stream_is_what_its_activitys_ends_in(sandbox, trading):
    with trade_updates(sandbox, ACCOUNT) as heard:
        order = place(trading)
        fill = heard.update(order["client_order_id"], "fill")
    (activity,) = [a for a in trading.get("/account/activities/FILL") if a["order_id"] == order["id"]]
    assert activity["id"].partition("::")[2] == fill["execution_id"]
    assert (activity["cum_qty"], activity["qty"], activity["price"]) == ("10", fill["qty"], fill["price"])


def test_other_accounts_orders_are_not_told(sandbox, trading):
    other = TradingClient(*sandbox.keys("alpaca"), url_override=sandbox.url, raw_data=True)
    with trade_updates(sandbox, ACCOUNT) as heard:
        theirs, ours = place(other), place(trading)
        settled(heard, ours, "pending_new", "new", "fill")
    assert heard.events(theirs["client_order_id"]) == []


def test_nothing_is_told_later_of_what_happened_while_nobody_listened(sandbox, trading):
    missed = place(trading)
    eventually(lambda: trading.get(f"/orders/{missed['id']}")["status"] == "filled", "the fill that nobody hears of")
    with trade_updates(sandbox, ACCOUNT) as heard:
        order = place(trading)
        settled(heard, order, "pending_new", "new", "fill")
    assert heard.events(missed["client_order_id"]) == []


def test_client_comes_back_after_its_stream_was_broken(sandbox, trading):
    with trade_updates(sandbox, ACCOUNT) as heard:
        assert sandbox.admin.disconnect_streams(ACCOUNT) == 1
        eventually(lambda: not sandbox.admin.listens(ACCOUNT))
        eventually(lambda: sandbox.admin.listens(ACCOUNT), "the second connection")
        order = place(trading)
        settled(heard, order, "pending_new", "new", "fill")


def test_ordered_faults_lose_repeat_and_reorder_messages(sandbox, trading):
    with trade_updates(sandbox, ACCOUNT) as heard:
        sandbox.admin.stream_fault("drop", event="pending_new")
        sandbox.admin.stream_fault("duplicate", event="fill")
        order = place(trading)
        settled(heard, order, "new", "fill", "fill")
        sandbox.admin.stream_fault("swap", event="new")
        order = place(trading)
        settled(heard, order, "pending_new", "fill", "new")
        sandbox.admin.stream_fault("delay", event="new", seconds=0.05)
        order = place(trading)
        settled(heard, order, "pending_new", "new", "fill")
        sandbox.admin.stream_fault("malformed", event="pending_new")
        order = place(trading)
        settled(heard, order, "new", "fill")


def test_fault_can_break_the_stream_in_place_of_a_fill(sandbox, trading):
    with trade_updates(sandbox, ACCOUNT) as heard:
        sandbox.admin.stream_fault("disconnect", event="fill")
        order = place(trading)
        eventually(lambda: not sandbox.admin.listens(ACCOUNT))
        told = heard.events(order["client_order_id"])
        assert told == ["pending_new", "new"][: len(told)]  # what was said just before the cut may be lost with it
        eventually(lambda: sandbox.admin.listens(ACCOUNT))


def talk(sandbox: SandboxProcess, path: str, *said: dict) -> list:
    """What the server answers to messages, one each, over a bare WebSocket."""

    async def run() -> list:
        async with (
            aiohttp.ClientSession(trust_env=False) as session,
            session.ws_connect(sandbox.url + path) as socket,
            asyncio.timeout(10),
        ):
            answers = []
            for message in said:
                await socket.send_json(message)
                answers.append(await socket.receive())
            return answers

    return asyncio.run(run())


def keys_of(sandbox: SandboxProcess, account: str) -> dict:
    key, secret = sandbox.keys(account)
    return {"action": "authenticate", "data": {"key_id": key, "secret_key": secret}}


LISTEN = {"action": "listen", "data": {"streams": ["trade_updates", "account_updates"]}}


def test_updates_come_in_binary_frames_after_an_acknowledged_listen(sandbox):
    authorized, listening = talk(sandbox, "/stream", keys_of(sandbox, ACCOUNT), LISTEN)
    assert authorized.type == listening.type == aiohttp.WSMsgType.BINARY
    assert json.loads(authorized.data)["data"]["status"] == "authorized"
    assert json.loads(listening.data) == {"stream": "listening", "data": {"streams": ["trade_updates"]}}


@pytest.mark.parametrize(
    "said", [LISTEN, {"action": "authenticate", "data": {"key_id": "no", "secret_key": "no"}}, {"action": "auth"}]
)
def test_without_keys_nothing_can_be_listened_to(sandbox, said):
    (refused,) = talk(sandbox, "/stream", said)
    assert json.loads(refused.data)["data"]["status"] == "unauthorized"


def test_second_connection_of_an_account_is_refused_and_the_first_stays(sandbox, trading):
    with trade_updates(sandbox, ACCOUNT) as heard:
        (refused,) = talk(sandbox, "/stream", keys_of(sandbox, ACCOUNT))
        assert json.loads(refused.data)["data"]["message"] == "connection limit exceeded"
        settled(heard, place(trading), "pending_new", "new", "fill")


@pytest.mark.parametrize("raw_data", [True, False])
def test_quotes_of_subscribed_symbols_come_as_alpaca_py_reads_them(sandbox, raw_data):
    with quotes(sandbox, ACCOUNT, "IBM", raw_data=raw_data) as heard:
        sandbox.admin.push_quote("BAC", "13.90", "13.91")
        sandbox.admin.push_quote("IBM", "181.95", "182.05", 300, 400)
        eventually(lambda: heard, "the quote")
    (quote,) = heard
    if raw_data:
        found = (quote["S"], quote["bp"], quote["bs"], quote["ap"], quote["as"])
    else:
        found = (quote.symbol, quote.bid_price, quote.bid_size, quote.ask_price, quote.ask_size)
    assert found == ("IBM", 181.95, 300, 182.05, 400)


def test_quote_stream_refuses_wrong_keys_and_a_second_connection(sandbox):
    key, secret = sandbox.keys(ACCOUNT)
    connected, failed = talk(sandbox, "/v2/iex", {"action": "auth", "key": key, "secret": "no"}, {"action": "nothing"})
    assert json.loads(connected.data) == [{"T": "success", "msg": "connected"}]
    assert json.loads(failed.data) == [{"T": "error", "code": 402, "msg": "auth failed"}]
    with quotes(sandbox, ACCOUNT, "IBM"):
        answers = talk(sandbox, "/v2/sip", {"action": "auth", "key": key, "secret": secret}, {"action": "nothing"})
        assert json.loads(answers[1].data)[0]["code"] == 406


def test_sandbox_stops_at_once_while_clients_listen(tmp_path):
    with start_sandbox(tmp_path, speed=0) as sandbox, trade_updates(sandbox, "alpaca"):
        assert sandbox.stop() == 0
