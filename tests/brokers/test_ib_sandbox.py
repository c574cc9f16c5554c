"""The adapter against the sandbox's TWS, a program of its own that IBKR's client judges."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal

import pytest

from brokers.adapters.interactive_brokers.adapter import Adapter
from brokers.messages import CancelOrder, NewOrder, NotSupported, OrderRefused, OutcomeUnknown, ReplaceOrder, TryLater
from tests.brokers.sandbox_client import TwsAdmin
from tests.brokers.sandbox_process import SandboxProcess, start_sandbox
from tests.waiting import eventually
from tradingdesk.fix import ExecType, OrdStatus, OrdType, Side, TimeInForce

from .scripted_tws import Recorder

pytestmark = pytest.mark.slow

CLIENT_IDS, LABELS = itertools.count(300), itertools.count(1)
ODD = {"filled_first_probability": 1, "status_twice_probability": 1, "account_id": "DU1000002"}
OTHERS = {
    "odd": {"kind": "interactive_brokers", "latency_ms": 0, "starting_cash": 5000, "tws": ODD},
    "strict": {"kind": "interactive_brokers", "tws": {"account_id": "DU1000003", "read_only": True}},
}


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory) -> Iterator[SandboxProcess]:
    with start_sandbox(tmp_path_factory.mktemp("tws"), speed=0, accounts=OTHERS) as running:
        yield running


@pytest.fixture(autouse=True)
def _quote(sandbox):
    """IBM at 181.90 to 182.00, whatever a test before did."""
    sandbox.admin.push_quote("IBM", "181.90", "182.00")
    yield
    sandbox.admin.clear()


@dataclass
class Desk:
    """An adapter at the sandbox, what it has told, and the sandbox's own side."""

    adapter: Adapter
    heard: Recorder
    tws: TwsAdmin

    def submit(self, side=Side.BUY, qty=10, **terms):
        return self.adapter.submit(new_order(side, qty, wire_ref=self.adapter.next_wire_ref(), **terms))

    def wait_for(self, exec_type: ExecType, client_order_id: str):
        def found():
            facts = self.heard.facts
            return [fact for fact in facts if (fact.exec_type, fact.client_order_id) == (exec_type, client_order_id)]

        self.heard.wait_until(found)
        return found()[-1]


@contextmanager
def desk(sandbox: SandboxProcess, account: str = "interactive_brokers", **settings) -> Iterator[Desk]:
    values = {
        "port": sandbox.tws_port(account),
        "account_id": sandbox.tws_account_id(account),
        "client_id": next(CLIENT_IDS),
        "paper_trading": True,
    }
    adapter, heard = Adapter(values | settings), Recorder()
    try:
        adapter.start(heard)
        heard.wait_until(lambda: heard.connections)
        yield Desk(adapter, heard, sandbox.admin.tws(account))
    finally:
        adapter.close()


@pytest.fixture
def made(sandbox) -> Iterator[Desk]:
    with desk(sandbox) as connected:
        yield connected


def new_order(side=Side.BUY, qty=10, *, wire_ref="", **terms) -> NewOrder:
    given = {"ord_type": OrdType.MARKET, "time_in_force": TimeInForce.DAY, "symbol": "IBM"} | terms
    label = given.pop("client_order_id", None) or f"ib-{next(LABELS)}"
    return NewOrder(client_order_id=label, side=side, order_qty=Decimal(qty), wire_ref=wire_ref, **given)


RESTING = {"ord_type": OrdType.LIMIT, "price": Decimal(100), "time_in_force": TimeInForce.GTC}


def test_market_order_fills_with_its_commission(made):
    report = made.submit()
    trade = made.wait_for(ExecType.TRADE, report.client_order_id)
    filled = made.wait_for(ExecType.ORDER_STATUS, report.client_order_id)
    again = next(one for one in made.adapter.executions() if one.exec_id == trade.exec_id)
    found = made.adapter.find_order(report.client_order_id)
    assert report.exec_type == ExecType.NEW
    assert (trade.last_qty, trade.last_px, trade.commission) == (10, Decimal(182), 1)
    assert (filled.status, filled.cum_qty, filled.broker_order_id) == (OrdStatus.FILLED, 10, report.broker_order_id)
    assert (again.last_qty, again.commission, again.client_order_id) == (10, 1, report.client_order_id)
    assert (found.status, found.cum_qty) == (OrdStatus.FILLED, 10)


@pytest.mark.parametrize(
    "terms",
    [
        {"ord_type": OrdType.LIMIT, "price": Decimal(100)},
        {"ord_type": OrdType.LIMIT, "price": Decimal("100.5"), "time_in_force": TimeInForce.GTC},
        {"ord_type": OrdType.STOP, "stop_px": Decimal(300)},
        {"ord_type": OrdType.STOP_LIMIT, "stop_px": Decimal(300), "price": Decimal(301)},
        {"ord_type": OrdType.TRAILING_STOP, "trail_price": Decimal(20)},
        {"ord_type": OrdType.TRAILING_STOP, "trail_percent": Decimal(10)},
        {"ord_type": OrdType.LIMIT, "price": Decimal(100), "extended_hours": True},
    ],
)
def test_order_of_each_type_rests_and_is_cancelled(made, terms):
    report = made.submit(**terms)
    expected = terms.get("time_in_force", TimeInForce.DAY)
    assert (report.exec_type, report.ord_type, report.time_in_force) == (ExecType.NEW, terms["ord_type"], expected)
    assert (report.price, report.stop_px) == (terms.get("price"), terms.get("stop_px"))
    assert report.broker_order_id in {one.broker_order_id for one in made.adapter.open_orders()}
    made.adapter.cancel(CancelOrder("x", report.client_order_id, report.broker_order_id))
    ended = made.wait_for(ExecType.CANCELED, report.client_order_id)
    assert (ended.cum_qty, ended.leaves_qty) == (0, 0)
    assert made.adapter.read_order(report.broker_order_id).status == OrdStatus.CANCELED
    with pytest.raises(OrderRefused):
        made.adapter.cancel(CancelOrder("x", report.client_order_id, report.broker_order_id))


def test_order_that_must_trade_at_once_ends_cancelled(made):
    limit = {"ord_type": OrdType.LIMIT, "price": Decimal(100)}
    ioc = made.submit(**limit, time_in_force=TimeInForce.IOC)
    fok = made.submit(qty=5000, ord_type=OrdType.LIMIT, price=Decimal(182), time_in_force=TimeInForce.FOK)
    made.wait_for(ExecType.CANCELED, ioc.client_order_id)
    made.wait_for(ExecType.CANCELED, fok.client_order_id)


def test_auction_orders_are_taken(sandbox, made):
    closing = made.submit(time_in_force=TimeInForce.CLS)
    assert (closing.exec_type, closing.time_in_force, closing.ord_type) == (
        ExecType.NEW, TimeInForce.CLS, OrdType.MARKET)  # fmt: skip
    made.adapter.cancel(CancelOrder("x", closing.client_order_id, closing.broker_order_id))
    sandbox.admin.close_session()
    try:
        opening = made.submit(time_in_force=TimeInForce.OPG)
        assert opening.time_in_force == TimeInForce.OPG
    finally:
        sandbox.admin.open_session()


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"symbol": "NOSUCH"}, "200"),
        ({"ord_type": OrdType.LIMIT, "price": Decimal("150.001")}, "110"),
        ({"qty": 10_000_000}, "201"),
    ],
)
def test_refusal_is_proved_and_leaves_no_order(made, terms, code):
    label = f"ib-{next(LABELS)}"
    with pytest.raises(OrderRefused) as refused:
        made.submit(client_order_id=label, **terms)
    assert refused.value.code == code
    assert not isinstance(refused.value, TryLater)
    assert label not in {one.client_order_id for one in made.adapter.open_orders()}


def test_read_only_tws_refuses_orders_in_its_words(sandbox):
    with desk(sandbox, "strict") as strict, pytest.raises(OrderRefused, match="Read-Only"):
        strict.submit()


def test_gateway_that_says_things_twice_and_early_tells_each_thing_once(sandbox):
    with desk(sandbox, "odd") as odd:
        report = odd.submit(qty=1)
        trade = odd.wait_for(ExecType.TRADE, report.client_order_id)
        odd.wait_for(ExecType.ORDER_STATUS, report.client_order_id)
        kinds = [str(fact.exec_type) for fact in odd.heard.facts]
    assert sorted(kinds) == ["new", "order_status", "trade"]
    assert (trade.last_qty, trade.commission) == (1, 0)


def test_change_keeps_the_order_and_refusals_leave_it(made):
    report = made.submit(**RESTING)
    changed = made.adapter.replace(
        ReplaceOrder("r-1", report.client_order_id, report.broker_order_id, order_qty=Decimal(20), price=Decimal(101))
    )
    assert (changed.broker_order_id, changed.client_order_id) == (report.broker_order_id, "r-1")
    assert (changed.exec_type, changed.order_qty, changed.price) == (ExecType.REPLACED, 20, 101)
    with pytest.raises(OrderRefused, match="110"):
        made.adapter.replace(
            ReplaceOrder("r-2", report.client_order_id, report.broker_order_id, price=Decimal("101.001"))
        )
    stands = made.adapter.read_order(report.broker_order_id)
    assert (stands.status, stands.price, stands.order_qty) == (OrdStatus.NEW, 101, 20)


def test_changes_by_hand_are_told(made):
    report = made.submit(**RESTING)
    perm_id, label = int(report.broker_order_id), report.client_order_id
    before = made.tws.order(label)["venue_order_id"]
    made.tws.change(perm_id, lmt_price="99")
    assert made.wait_for(ExecType.RESTATED, label).price == 99
    eventually(lambda: made.tws.order(label)["venue_order_id"] != before)
    made.tws.fill(perm_id, 4, "98.5")
    trade = made.wait_for(ExecType.TRADE, report.client_order_id)
    assert (trade.last_qty, trade.last_px) == (4, Decimal("98.5"))
    part = made.adapter.find_order(report.client_order_id)
    assert (part.status, part.cum_qty, part.leaves_qty) == (OrdStatus.PARTIALLY_FILLED, 4, 6)
    made.tws.cancel(perm_id)
    made.wait_for(ExecType.CANCELED, report.client_order_id)


def test_order_placed_by_hand_is_read_and_its_fill_too(made):
    placed = made.tws.place("IBM", "BUY", 3, order_type="LMT", lmt_price="100", tif="GTC")
    perm_id = str(placed["perm_id"])
    mine = next(one for one in made.adapter.open_orders() if one.broker_order_id == perm_id)
    assert (mine.client_order_id, mine.order_qty, mine.price) == ("", 3, 100)
    with pytest.raises(NotSupported, match="by hand"):
        made.adapter.cancel(CancelOrder("x", "", perm_id))
    made.tws.fill(int(perm_id), 3, "100")
    [trade] = [one for one in made.adapter.executions() if one.broker_order_id == perm_id]
    assert (trade.last_qty, trade.last_px) == (3, 100)


def test_order_of_another_client_is_cancelled(sandbox, made):
    report = made.submit(**RESTING)
    for _ in range(20):  # so that the other client's own ids do not reach the order's
        made.adapter.next_wire_ref()
    report = made.submit(**RESTING)
    with desk(sandbox) as other:
        other.adapter.cancel(CancelOrder("x", report.client_order_id, report.broker_order_id))
        other.wait_for(ExecType.CANCELED, report.client_order_id)
        made.wait_for(ExecType.CANCELED, report.client_order_id)


def test_corrections_are_told_and_read(sandbox, made):
    report = made.submit()
    trade = made.wait_for(ExecType.TRADE, report.client_order_id)
    record = sandbox.admin.record("interactive_brokers")
    exec_id = next(e for e in record["executions"] if e["client_order_id"] == report.client_order_id)["exec_id"]
    sandbox.admin.correct(exec_id, 10, "181.00")
    correction = made.wait_for(ExecType.TRADE_CORRECT, report.client_order_id)
    assert (correction.exec_ref_id, correction.last_px) == (trade.exec_id, 181)
    with desk(sandbox) as later:
        read = {one.exec_id: one for one in later.adapter.executions() if one.client_order_id == report.client_order_id}
    assert read[correction.exec_id].exec_ref_id == trade.exec_id


def test_answer_that_got_lost_is_found_by_its_label(sandbox, made):
    label = f"ib-{next(LABELS)}"
    sandbox.admin.fault("drop", operation="new_order", account="interactive_brokers", when="after")
    with pytest.raises(OutcomeUnknown):
        made.submit(client_order_id=label, **RESTING)
    made.heard.wait_until(lambda: made.heard.connections == 2)
    found = made.adapter.find_order(label)
    assert (found.client_order_id, found.status, found.order_qty) == (label, OrdStatus.NEW, 10)
    assert len([order for order in made.tws.orders() if order["order_ref"] == label]) == 1


def test_order_that_never_arrived_is_proved_missing(sandbox, made):
    label = f"ib-{next(LABELS)}"
    sandbox.admin.fault("drop", operation="new_order", account="interactive_brokers", when="before")
    with pytest.raises(OutcomeUnknown):
        made.submit(client_order_id=label, **RESTING)
    made.heard.wait_until(lambda: made.heard.connections == 2)
    assert made.adapter.find_order(label) is None
    assert made.submit(client_order_id=label, **RESTING).status == OrdStatus.NEW


@pytest.mark.parametrize("operation", ["all_open_orders", "completed_orders", "executions"])
def test_list_without_an_end_is_unknown_until_one_is_complete(sandbox, operation):
    with desk(sandbox, request_timeout=0.5) as short:
        assert short.adapter.find_order("nobody's") is None
        sandbox.admin.fault("no_end", operation=operation, account="interactive_brokers")
        with pytest.raises(OutcomeUnknown):
            short.adapter.find_order("nobody's")
        eventually(lambda: answers_with_none(short.adapter))


def answers_with_none(adapter: Adapter) -> bool:
    try:
        return adapter.find_order("nobody's") is None
    except (OutcomeUnknown, TryLater):
        return False


def test_cut_off_from_ib_and_back(made):
    made.tws.connectivity(1100)
    made.heard.wait_until(lambda: made.heard.reasons)
    with pytest.raises(TryLater, match="cut off"):
        made.submit()
    with pytest.raises(OutcomeUnknown):
        made.adapter.find_order("nobody's")
    made.tws.connectivity(1102)
    made.heard.wait_until(lambda: made.heard.connections == 2)
    assert made.submit().exec_type == ExecType.NEW


def test_fill_while_the_daily_reset_lasts_is_read_afterwards(made):
    report = made.submit(**RESTING)
    made.tws.close()
    made.heard.wait_until(lambda: made.heard.reasons)
    made.tws.fill(int(report.broker_order_id), 10, "99")
    with pytest.raises(TryLater, match="not connected"):
        made.adapter.open_orders()
    made.tws.open()
    made.heard.wait_until(lambda: made.heard.connections == 2)
    [trade] = [one for one in made.adapter.executions() if one.client_order_id == report.client_order_id]
    assert (trade.last_qty, trade.commission) == (10, 1)
    assert made.adapter.find_order(report.client_order_id).status == OrdStatus.FILLED


def test_same_client_id_is_waited_for(sandbox):
    client_id = next(CLIENT_IDS)
    with desk(sandbox, client_id=client_id) as first:
        port, account_id = sandbox.tws_port(), sandbox.tws_account_id()
        second = Adapter({"port": port, "account_id": account_id, "client_id": client_id, "paper_trading": True})
        try:
            with pytest.raises(TryLater, match="already in use"):
                second.open_orders()
            first.adapter.close()
            heard = Recorder()
            second.start(heard)
            heard.wait_until(lambda: heard.connections)
            assert second.next_wire_ref().startswith(f"{client_id}:")
        finally:
            second.close()


def test_many_threads_send_each_order_once(made):
    with ThreadPoolExecutor(6) as pool:
        reports = list(pool.map(lambda _: made.submit(qty=1), range(30)))
    labels = [report.client_order_id for report in reports]
    for label in labels:
        made.wait_for(ExecType.TRADE, label)
    sent = [order["order_ref"] for order in made.tws.orders() if order["order_ref"] in labels]
    assert sorted(sent) == sorted(labels)
    assert len({report.broker_order_id for report in reports}) == 30


def test_account_positions_instruments_and_clock_are_read(sandbox, made):
    made.wait_for(ExecType.TRADE, made.submit(qty=7).client_order_id)
    state = made.adapter.account()
    record = sandbox.admin.record("interactive_brokers")
    held = {one.symbol: one for one in made.adapter.positions()}
    [ibm] = made.adapter.instruments(["IBM", "NOSUCH"])
    clock = made.adapter.clock()
    assert (state.account_id, state.currency) == ("DU1000001", "USD")
    assert state.cash == Decimal(str(record["cash"])).quantize(Decimal("0.01"))
    assert held["IBM"].qty == Decimal(record["positions"]["IBM"])
    assert (ibm.symbol, ibm.name) == ("IBM", "International Business Machines Corporation")
    assert clock.is_open
    assert clock.next_close > clock.timestamp


def test_quotes_are_read_watched_and_missing_with_a_reason(made, sandbox, caplog):
    [quote] = made.adapter.quotes(["IBM"])
    assert (quote.bid_px, quote.ask_px, quote.bid_size) == (Decimal("181.9"), 182, 1000)
    made.adapter.watch_quotes(["IBM"])
    made.heard.wait_until(lambda: made.heard.quotes)
    sandbox.admin.push_quote("IBM", "183.00", "183.10")
    made.heard.wait_until(lambda: made.heard.quotes[-1].ask_px == Decimal("183.1"))
    made.adapter.watch_quotes([])
    made.tws.market_data("none")
    try:
        eventually(lambda: made.adapter.quotes(["IBM"]) == [])
        assert "no quote of IBM at Interactive Brokers: 354" in caplog.text
    finally:
        made.tws.market_data("live")
