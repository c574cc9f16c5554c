"""The adapter's streams against the sandbox: facts, quotes, lost connections, and their end."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from decimal import Decimal
from itertools import count

import pytest

from brokers.adapters.alpaca import stream
from brokers.adapters.alpaca.adapter import Adapter
from brokers.adapters.alpaca.config import read_settings
from brokers.messages import CancelOrder, ExecutionReport, NewOrder, ReplaceOrder
from tests.brokers.alpaca_samples import market_order, new_order
from tests.brokers.listeners import KeepingListener
from tests.brokers.sandbox_process import SandboxProcess
from tests.waiting import eventually
from tradingdesk.fix import ExecType, OrdStatus, Side

pytestmark = pytest.mark.slow

ACCOUNT = "alpaca_margin"
numbers = count(1)


@pytest.fixture(autouse=True)
def market(sandbox) -> None:
    sandbox.admin.clear()
    sandbox.admin.push_quote("IBM", "181.90", "182.00", 100_000, 100_000)


def adapter_of(sandbox: SandboxProcess, account: str = ACCOUNT, **settings) -> Adapter:
    key, secret = sandbox.keys(account)
    return Adapter({"api_key": key, "secret_key": secret, "base_url": sandbox.url} | settings)


@contextmanager
def started(adapter: Adapter) -> Iterator[KeepingListener]:
    """An adapter's listener, from the first connection to the end."""
    listener = KeepingListener()
    adapter.start(listener)
    try:
        yield listener
    finally:
        adapter.close()


@pytest.fixture
def adapter(sandbox) -> Adapter:
    return adapter_of(sandbox)


@pytest.fixture
def listener(adapter, sandbox) -> Iterator[KeepingListener]:
    with started(adapter) as listener:
        eventually(lambda: listener.connections, "the first connection")
        yield listener
    eventually(lambda: not sandbox.admin.listens(ACCOUNT), "the end of the stream")


def market_buy(**changes) -> NewOrder:
    return market_order(client_order_id=f"stream-{next(numbers)}", **changes)


def resting(**changes) -> NewOrder:
    return new_order(client_order_id=f"stream-{next(numbers)}", price=Decimal(150), **changes)


def exec_id_of(sandbox: SandboxProcess, broker_order_id: str) -> str:
    executions = sandbox.admin.record(ACCOUNT)["executions"]
    return next(one["exec_id"] for one in executions if one["order_id"] == broker_order_id)


def test_fill_is_told_as_a_trade_that_the_activities_know_by_content(adapter, listener):
    order = adapter.submit(market_buy())
    trade = listener.wait_for(order.broker_order_id, ExecType.TRADE)
    assert (trade.last_qty, trade.last_px, trade.cum_qty, trade.side) == (10, 182, 10, Side.BUY)
    assert (trade.status, trade.client_order_id) == (OrdStatus.FILLED, order.client_order_id)
    (listed,) = [one for one in adapter.executions() if one.broker_order_id == order.broker_order_id]
    same = ("broker_order_id", "last_qty", "last_px", "cum_qty", "transact_time")
    assert [getattr(trade, name) for name in same] == [getattr(listed, name) for name in same]
    assert (trade.exec_id != listed.exec_id, trade.source, listed.source) == (True, "stream", "activities")


def test_states_of_an_order_are_told_in_order(adapter, listener):
    order = adapter.submit(resting())
    listener.wait_for(order.broker_order_id, ExecType.NEW)
    adapter.cancel(CancelOrder("c", order.client_order_id, order.broker_order_id))
    ended = listener.wait_for(order.broker_order_id, ExecType.CANCELED)
    assert (ended.status, ended.leaves_qty) == (OrdStatus.CANCELED, 0)
    kinds = [fact.exec_type for fact in listener.facts if fact.broker_order_id == order.broker_order_id]
    assert kinds == [ExecType.PENDING_NEW, ExecType.NEW, ExecType.PENDING_CANCEL, ExecType.CANCELED]


def test_replacement_is_told_as_the_new_orders_own_facts(adapter, listener):
    order = adapter.submit(resting())
    listener.wait_for(order.broker_order_id, ExecType.NEW)
    request = ReplaceOrder("replaced-by", order.client_order_id, order.broker_order_id, price=Decimal(151))
    successor = adapter.replace(request)
    told = listener.wait_for(successor.broker_order_id, ExecType.NEW)
    assert (told.client_order_id, told.price, told.replaces) == ("replaced-by", 151, order.broker_order_id)
    (gone,) = listener.reports(order.broker_order_id, ExecType.ORDER_STATUS)
    assert (gone.status, gone.replaced_by) == (OrdStatus.REPLACED, successor.broker_order_id)


def test_bust_and_correction_refer_to_the_trade_by_its_id(sandbox, adapter, listener):
    order = adapter.submit(market_buy())
    trade = listener.wait_for(order.broker_order_id, ExecType.TRADE)
    exec_id = exec_id_of(sandbox, order.broker_order_id)
    sandbox.admin.correct(exec_id, 10, "181")
    correction = listener.wait_for(order.broker_order_id, ExecType.TRADE_CORRECT)
    sandbox.admin.bust(exec_id)
    bust = listener.wait_for(order.broker_order_id, ExecType.TRADE_CANCEL)
    assert correction.exec_ref_id == bust.exec_ref_id == trade.exec_id
    assert (correction.last_px, bust.cum_qty) == (181, 0)


def test_bust_that_the_stream_lost_comes_with_the_activity_events(sandbox, adapter, listener):
    order = adapter.submit(market_buy())
    trade = listener.wait_for(order.broker_order_id, ExecType.TRADE)
    sandbox.admin.stream_fault("drop", event="trade_bust")
    sandbox.admin.bust(exec_id_of(sandbox, order.broker_order_id))
    assert listener.wait_for(order.broker_order_id, ExecType.TRADE_CANCEL).exec_ref_id == trade.exec_id


def test_what_happened_while_nobody_listened_is_replayed_by_the_activity_events(sandbox):
    quiet = adapter_of(sandbox, stream=False)
    order = quiet.submit(market_buy())
    eventually(lambda: quiet.read_order(order.broker_order_id).status == OrdStatus.FILLED)
    sandbox.admin.bust(exec_id_of(sandbox, order.broker_order_id))
    with started(adapter_of(sandbox)) as listener:
        bust = listener.wait_for(order.broker_order_id, ExecType.TRADE_CANCEL)
        (trade,) = listener.reports(order.broker_order_id, ExecType.TRADE)
    assert bust.exec_ref_id == trade.exec_id
    quiet.close()


def test_fills_of_before_are_not_told_again(sandbox):
    quiet = adapter_of(sandbox, stream=False)
    before, busted = quiet.submit(market_buy()), quiet.submit(market_buy())
    eventually(lambda: quiet.read_order(busted.broker_order_id).status == OrdStatus.FILLED)
    sandbox.admin.bust(exec_id_of(sandbox, busted.broker_order_id))
    with started(adapter_of(sandbox)) as listener:
        listener.wait_for(busted.broker_order_id, ExecType.TRADE_CANCEL)
    assert listener.reports(before.broker_order_id, ExecType.TRADE) == []
    quiet.close()


def test_lost_connection_is_told_and_opened_again(sandbox, adapter, listener):
    sandbox.admin.disconnect_streams(ACCOUNT)
    eventually(lambda: listener.connections == 2, "the second connection")
    assert len(listener.lost) == 1
    order = adapter.submit(resting())
    listener.wait_for(order.broker_order_id, ExecType.NEW)


def test_fact_that_the_listener_cannot_take_costs_the_connection(adapter, listener):
    listener.fails_on = ExecType.PENDING_NEW
    order = adapter.submit(resting())
    eventually(lambda: listener.connections == 2, "the second connection")
    assert listener.lost == ["the database is away"]
    adapter.cancel(CancelOrder("c", order.client_order_id, order.broker_order_id))
    listener.wait_for(order.broker_order_id, ExecType.CANCELED)


@pytest.mark.parametrize(
    "body", [None, '{"stream": "trade_updates", "data": {"event": "new"}}', '{"stream": "trade_updates"}', "[]"]
)
def test_message_that_cannot_be_read_costs_the_connection(sandbox, adapter, listener, body):
    sandbox.admin.stream_fault("malformed", event="pending_new", **({} if body is None else {"body": body}))
    order = adapter.submit(resting())
    eventually(lambda: listener.connections == 2, "the second connection")
    assert len(listener.lost) == 1
    adapter.cancel(CancelOrder("c", order.client_order_id, order.broker_order_id))
    listener.wait_for(order.broker_order_id, ExecType.CANCELED)


def test_quotes_of_watched_symbols_are_told_and_of_others_not(sandbox, adapter, listener):
    adapter.watch_quotes(["IBM"])
    eventually(lambda: sandbox.admin.subscribes(ACCOUNT), "the subscription")
    sandbox.admin.push_quote("BAC", "13.90", "13.91")
    sandbox.admin.push_quote("IBM", "181.95", "182.05", 300, 400)
    eventually(lambda: listener.quotes, "the quote")
    (quote,) = listener.quotes
    assert (quote.symbol, quote.bid_px, quote.ask_px) == ("IBM", Decimal("181.95"), Decimal("182.05"))
    assert (quote.bid_size, quote.ask_size, quote.feed) == (300, 400, "iex")
    assert quote.quote_time.tzinfo is not None


def test_watching_other_symbols_changes_the_subscription(sandbox, adapter, listener):
    adapter.watch_quotes(["IBM"])
    eventually(lambda: sandbox.admin.subscribes(ACCOUNT), "the subscription")
    adapter.watch_quotes(["BAC"])

    def heard_bac() -> bool:
        sandbox.admin.push_quote("BAC", "13.90", "13.91")
        return any(quote.symbol == "BAC" for quote in listener.quotes)

    eventually(heard_bac, "the new symbol's quote")
    before = len([quote for quote in listener.quotes if quote.symbol == "IBM"])
    sandbox.admin.push_quote("IBM", "181.00", "182.00")
    sandbox.admin.push_quote("BAC", "13.80", "13.81")
    eventually(lambda: listener.quotes[-1].bid_px == Decimal("13.8"))
    assert len([quote for quote in listener.quotes if quote.symbol == "IBM"]) == before


def test_quotes_go_on_after_a_lost_connection(sandbox, adapter, listener):
    adapter.watch_quotes(["IBM"])
    eventually(lambda: sandbox.admin.subscribes(ACCOUNT), "the subscription")
    sandbox.admin.disconnect_streams(ACCOUNT)
    eventually(lambda: not sandbox.admin.subscribes(ACCOUNT))
    eventually(lambda: sandbox.admin.subscribes(ACCOUNT), "the subscription, again")
    sandbox.admin.push_quote("IBM", "181.50", "182.50")
    eventually(lambda: any(quote.bid_px == Decimal("181.5") for quote in listener.quotes), "the quote")


def test_listener_is_called_from_one_thread(sandbox, adapter, listener):
    adapter.watch_quotes(["IBM"])
    eventually(lambda: sandbox.admin.subscribes(ACCOUNT), "the subscription")
    sandbox.admin.push_quote("IBM", "181.95", "182.05")
    order = adapter.submit(market_buy())
    listener.wait_for(order.broker_order_id, ExecType.TRADE)
    eventually(lambda: listener.quotes)
    assert len(listener.threads) == 1


def test_account_that_wants_no_stream_has_none(sandbox):
    with started(adapter_of(sandbox, stream=False)) as listener:
        adapter = adapter_of(sandbox)
        order = adapter.submit(market_buy())
        eventually(lambda: adapter.read_order(order.broker_order_id).status == OrdStatus.FILLED)
        adapter.close()
    assert (listener.connections, listener.facts) == (0, [])


def test_wrong_keys_are_told_once_and_closing_is_quick(sandbox):
    with started(adapter_of(sandbox, secret_key="wrong")) as listener:
        eventually(lambda: listener.lost, "the reason")
    assert listener.lost == ["failed to authenticate"]
    assert listener.connections == 0


def test_broker_that_is_down_is_told_once(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    settings = {"api_key": "k", "secret_key": "s", "base_url": f"http://127.0.0.1:{port}"}
    with started(Adapter(settings)) as listener:
        eventually(lambda: listener.lost, "the reason")
    assert len(listener.lost) == 1


def test_closed_stream_tells_nothing_more(sandbox):
    adapter = adapter_of(sandbox)
    with started(adapter) as listener:
        eventually(lambda: listener.connections, "the connection")
    told = len(listener.facts)
    other = adapter_of(sandbox)
    order = other.submit(market_buy())
    eventually(lambda: other.read_order(order.broker_order_id).status == OrdStatus.FILLED)
    other.close()
    assert (len(listener.facts), listener.lost) == (told, [])
    assert all(isinstance(fact, ExecutionReport) for fact in listener.facts)


def test_stream_that_is_closed_while_messages_come_is_closed(sandbox):
    """A cancel that comes with a message may be lost on its way through the SDK: once in some fifteen closes."""
    sender = adapter_of(sandbox)
    with ThreadPoolExecutor(1) as thread:
        for closing in range(40):
            with started(adapter_of(sandbox)) as listener:
                eventually(lambda heard=listener: heard.connections, "the stream")
                sent = [thread.submit(sender.submit, market_buy()) for _ in range(6)]
                time.sleep(closing / 1000)
            assert threads_named("alpaca.stream") == []
            wait(sent)
    sender.close()


def threads_named(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == name]


def test_what_comes_while_the_listener_rests_is_told_together_unless_much_waits(monkeypatch):
    updates = stream.Updates(read_settings({"api_key": "k", "secret_key": "s"}), told := Telling())
    comes_meanwhile = [[2, 3], list(range(2 * stream.MOST_TOGETHER))]
    rests = []

    async def rest(seconds: float) -> None:
        rests.append(seconds)
        if len(rests) > len(comes_meanwhile):
            raise asyncio.CancelledError
        for fact in comes_meanwhile[len(rests) - 1]:
            updates._facts.put_nowait(fact)

    async def pass_on() -> None:
        updates._facts.put_nowait(1)
        await updates._pass_on()

    monkeypatch.setattr(stream.asyncio, "sleep", rest)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(pass_on())

    assert [len(facts) for facts in told.calls] == [1, 2, stream.MOST_TOGETHER, stream.MOST_TOGETHER]
    assert all(0 <= seconds <= stream.LONGEST_REST for seconds in rests)


class Telling:
    """Keeps what is told at once."""

    def __init__(self):
        self.calls: list[list] = []

    async def facts(self, facts: list) -> None:
        self.calls.append(facts)
