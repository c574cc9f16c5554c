"""The whole port of the Alpaca adapter against the sandbox broker, a process that shares no code with it."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from uuid import uuid4

import pytest

from brokers.adapters.alpaca.adapter import Adapter
from brokers.messages import (
    CancelOrder,
    ExecutionReport,
    NewOrder,
    OrderRefused,
    OutcomeUnknown,
    ReplaceOrder,
    TryLater,
)
from tests.brokers.alpaca_samples import market_order, new_order
from tests.brokers.sandbox_process import SandboxProcess
from tradingdesk.fix import ExecType, OrdStatus, OrdType, Side, TimeInForce

pytestmark = pytest.mark.slow

DEADLINE_S = 20.0
numbers = count(1)


@pytest.fixture(autouse=True)
def market(sandbox):
    """IBM at 181.90 to 182.00, a thousand shares on each side; no faults left over."""
    sandbox.admin.clear()
    sandbox.admin.push_quote("IBM", "181.90", "182.00")


@pytest.fixture
def adapter(sandbox) -> Iterator[Adapter]:
    adapter = adapter_of(sandbox, "alpaca")
    yield adapter
    adapter.close()


@pytest.fixture
def margin(sandbox) -> Iterator[Adapter]:
    adapter = adapter_of(sandbox, "alpaca_margin")
    yield adapter
    adapter.close()


def adapter_of(sandbox: SandboxProcess, account: str, **settings) -> Adapter:
    api_key, secret_key = sandbox.keys(account)
    return Adapter({"api_key": api_key, "secret_key": secret_key, "base_url": sandbox.url} | settings)


def fresh_id() -> str:
    return f"desk-{next(numbers)}"


def resting(**changes) -> NewOrder:
    """A limit order far below the market."""
    return new_order(**{"client_order_id": fresh_id(), "price": Decimal("150.25")} | changes)


def eventually(read: Callable[[], ExecutionReport | None], status: OrdStatus) -> ExecutionReport:
    deadline = time.monotonic() + DEADLINE_S
    while (report := read()) is None or report.status != status:
        assert time.monotonic() < deadline, f"not {status}: {report}"
        time.sleep(0.01)
    return report


def cancel_of(report: ExecutionReport) -> CancelOrder:
    return CancelOrder(fresh_id(), report.client_order_id, report.broker_order_id)


def test_market_order_is_taken_filled_and_told_as_executions(adapter):
    before = {report.exec_id for report in adapter.executions()}
    order = market_order(client_order_id=fresh_id())
    taken = adapter.submit(order)
    assert (taken.client_order_id, taken.symbol, taken.order_qty) == (order.client_order_id, "IBM", 10)
    assert taken.exec_type in (ExecType.PENDING_NEW, ExecType.NEW)
    filled = eventually(lambda: adapter.find_order(order.client_order_id), OrdStatus.FILLED)
    assert (filled.cum_qty, filled.leaves_qty, filled.avg_px) == (10, 0, Decimal("182.00"))
    assert filled.exec_type == ExecType.ORDER_STATUS
    fills = [report for report in adapter.executions() if report.exec_id not in before]
    assert sum(fill.last_qty for fill in fills) == 10
    assert {(fill.broker_order_id, fill.last_px, fill.side) for fill in fills} == {
        (taken.broker_order_id, Decimal(182), Side.BUY)
    }
    assert fills[-1].status == OrdStatus.FILLED


def test_every_submit_carries_its_client_id_and_strings(sandbox, adapter):
    order = resting(order_qty=Decimal("3.000000000"))
    adapter.submit(order)
    (request,) = sandbox.admin.requests("new_order", client_order_id=order.client_order_id)
    body = request["detail"]["body"]
    assert (body["client_order_id"], body["qty"], body["limit_price"]) == (order.client_order_id, "3", "150.25")
    assert all(type(value) is str for value in body.values())


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, OrdStatus.NEW),
        ({"time_in_force": TimeInForce.GTC}, OrdStatus.NEW),
        ({"time_in_force": TimeInForce.CLS}, OrdStatus.NEW),
        ({"time_in_force": TimeInForce.GTC, "extended_hours": True}, OrdStatus.NEW),
        ({"time_in_force": TimeInForce.IOC}, OrdStatus.CANCELED),
        ({"time_in_force": TimeInForce.FOK}, OrdStatus.CANCELED),
        ({"price": Decimal("182.10")}, OrdStatus.FILLED),
        ({"ord_type": OrdType.STOP, "price": None, "stop_px": Decimal(190)}, OrdStatus.NEW),
        ({"ord_type": OrdType.STOP_LIMIT, "price": Decimal(191), "stop_px": Decimal(190)}, OrdStatus.NEW),
        ({"ord_type": OrdType.TRAILING_STOP, "price": None, "trail_price": Decimal(5)}, OrdStatus.NEW),
        ({"ord_type": OrdType.TRAILING_STOP, "price": None, "trail_percent": Decimal("2.5")}, OrdStatus.NEW),
        ({"ord_type": OrdType.MARKET, "price": None, "order_qty": Decimal("0.123456789")}, OrdStatus.FILLED),
        ({"ord_type": OrdType.MARKET, "price": None, "order_qty": None, "notional": Decimal(500)}, OrdStatus.FILLED),
        ({"order_qty": Decimal("1.5"), "price": Decimal("182.10")}, OrdStatus.FILLED),
    ],
)
def test_each_kind_of_order_comes_to_its_state(adapter, changes, status):
    order = resting(**changes)
    taken = adapter.submit(order)
    report = eventually(lambda: adapter.read_order(taken.broker_order_id), status)
    assert (report.ord_type, report.time_in_force) == (order.ord_type, order.time_in_force)
    assert (report.order_qty, report.notional) == (order.order_qty, order.notional)
    assert report.price == order.price
    if order.ord_type != OrdType.TRAILING_STOP:  # whose stop price the broker sets
        assert report.stop_px == order.stop_px


def test_unknown_orders_are_none(adapter):
    assert adapter.find_order("never-sent") is None
    assert adapter.read_order(str(uuid4())) is None


def test_cancel_is_taken_then_done_and_a_second_one_refused(adapter):
    taken = adapter.submit(resting())
    eventually(lambda: adapter.read_order(taken.broker_order_id), OrdStatus.NEW)
    assert adapter.cancel(cancel_of(taken)) is None
    eventually(lambda: adapter.read_order(taken.broker_order_id), OrdStatus.CANCELED)
    with pytest.raises(OrderRefused, match="canceled") as caught:
        adapter.cancel(cancel_of(taken))
    assert caught.value.code == "NOT_CHANGEABLE"


def test_cancel_of_an_unknown_order_is_refused(adapter):
    with pytest.raises(OrderRefused) as caught:
        adapter.cancel(CancelOrder(fresh_id(), "never-sent", str(uuid4())))
    assert caught.value.code == "NOT_FOUND"


def test_replace_gives_a_new_order_tied_to_the_old_one(adapter):
    taken = adapter.submit(resting())
    eventually(lambda: adapter.read_order(taken.broker_order_id), OrdStatus.NEW)
    request = ReplaceOrder(
        fresh_id(), taken.client_order_id, taken.broker_order_id, order_qty=Decimal(12), price=Decimal("150.50")
    )
    answer = adapter.replace(request)
    assert (answer.exec_type, answer.client_order_id) == (ExecType.PENDING_REPLACE, request.client_order_id)
    assert answer.replaces == taken.broker_order_id
    new = eventually(lambda: adapter.find_order(request.client_order_id), OrdStatus.NEW)
    old = eventually(lambda: adapter.read_order(taken.broker_order_id), OrdStatus.REPLACED)
    assert (new.order_qty, new.price, old.replaced_by) == (12, Decimal("150.50"), new.broker_order_id)
    again = adapter.replace(request)
    assert again.broker_order_id == new.broker_order_id
    with pytest.raises(OrderRefused):
        adapter.replace(ReplaceOrder(fresh_id(), taken.client_order_id, taken.broker_order_id, price=Decimal(151)))


def test_open_orders_are_the_working_ones(sandbox, margin):
    wanted = {margin.submit(resting(order_qty=Decimal(1))).broker_order_id for _ in range(3)}
    gone = margin.submit(resting())
    margin.cancel(cancel_of(gone))
    eventually(lambda: margin.read_order(gone.broker_order_id), OrdStatus.CANCELED)
    found = {report.broker_order_id: report for report in margin.open_orders()}
    assert wanted <= set(found)
    assert gone.broker_order_id not in found
    assert {report.exec_type for report in found.values()} == {ExecType.ORDER_STATUS}
    recorded = [order for order in sandbox.admin.record("alpaca_margin")["orders"] if order["status"] == "new"]
    assert set(found) == {order["id"] for order in recorded}


def test_executions_go_on_from_the_last_one_known(adapter, sandbox):
    known = adapter.executions()
    known_ids = {report.exec_id for report in known}
    taken = adapter.submit(resting())
    eventually(lambda: adapter.read_order(taken.broker_order_id), OrdStatus.NEW)
    sandbox.admin.fill(taken.broker_order_id, qty=4, px="150.25")
    sandbox.admin.fill(taken.broker_order_id, qty=6, px="150.20")
    last_id = known[-1].exec_id if known else ""
    fresh = [report for report in adapter.executions(after_id=last_id) if report.exec_id not in known_ids]
    assert [(fill.last_qty, fill.last_px, fill.cum_qty) for fill in fresh] == [
        (4, Decimal("150.25"), 4),
        (6, Decimal("150.20"), 10),
    ]
    assert adapter.executions(after_id=fresh[-1].exec_id) == []


def test_executions_after_a_restart_leave_no_gap(adapter, sandbox):
    taken = adapter.submit(resting())
    eventually(lambda: adapter.read_order(taken.broker_order_id), OrdStatus.NEW)
    for _ in range(5):
        sandbox.admin.fill(taken.broker_order_id, qty=1, px="150.25")
    everything = [report.exec_id for report in adapter.executions()]
    for known in (everything[0], everything[-3], everything[-1]):
        restarted = adapter_of(sandbox, "alpaca")
        given = [report.exec_id for report in restarted.executions(after_id=known)]
        restarted.close()
        assert set(everything[everything.index(known) + 1 :]) <= set(given)
    by_time = adapter.executions(after=datetime.now(UTC) - timedelta(hours=1))
    assert [report.exec_id for report in by_time] == everything


def test_executions_are_read_over_several_pages(margin, sandbox):
    before = {report.exec_id for report in margin.executions()}
    taken = margin.submit(resting(order_qty=Decimal(230)))
    eventually(lambda: margin.read_order(taken.broker_order_id), OrdStatus.NEW)
    for _ in range(230):
        sandbox.admin.fill(taken.broker_order_id, qty=1, px="150.25")
    fills = [report for report in margin.executions() if report.exec_id not in before]
    assert [fill.cum_qty for fill in fills] == list(range(1, 231))
    assert len({fill.exec_id for fill in fills}) == 230


def test_duplicated_activities_are_the_same_execution_twice(adapter, sandbox):
    adapter.submit(market_order(client_order_id=fresh_id()))
    sandbox.admin.fault("duplicate", operation="activities", account="alpaca")
    reports = adapter.executions()
    assert len(reports) == 2 * len({report.exec_id for report in reports})


def test_positions_and_account_are_those_of_the_venues_record(margin, sandbox):
    order = market_order(client_order_id=fresh_id(), symbol="BAC", side=Side.SELL, order_qty=Decimal(7))
    sandbox.admin.push_quote("BAC", "14.05", "14.06")
    margin.submit(order)
    eventually(lambda: margin.find_order(order.client_order_id), OrdStatus.FILLED)
    held = {position.symbol: position.qty for position in margin.positions()}
    record = sandbox.admin.record("alpaca_margin")
    assert held == {symbol: Decimal(qty) for symbol, qty in record["positions"].items()}
    assert held["BAC"] == -7
    state = margin.account()
    assert state.cash == round(Decimal(record["cash"]), 2)
    assert (state.currency, state.trading_blocked, state.shorting_enabled) == ("USD", False, True)
    assert state.account_id
    assert state.buying_power > 0


def test_refusals_are_told_apart(adapter, sandbox):
    sandbox.admin.push_quote("BAC", "14.05", "14.06")
    cases = {
        "INSUFFICIENT_BUYING_POWER": market_order(order_qty=Decimal(10_000_000)),
        "SUB_PENNY": new_order(price=Decimal("150.123")),
        "SHORTING_REFUSED": market_order(symbol="BAC", side=Side.SELL),
        "NOT_TRADABLE": market_order(symbol="ZZZZ"),
    }
    for word, order in cases.items():
        with pytest.raises(OrderRefused) as caught:
            adapter.submit(NewOrder(**{**fields(order), "client_order_id": fresh_id()}))
        assert (caught.value.code, isinstance(caught.value, TryLater)) == (word, False)


def fields(order: NewOrder) -> dict:
    return {name: getattr(order, name) for name in NewOrder.__dataclass_fields__}


def test_wrong_keys_are_refused(sandbox):
    adapter = adapter_of(sandbox, "alpaca", secret_key="wrong")
    with pytest.raises(OrderRefused) as caught:
        adapter.account()
    assert caught.value.code == "UNAUTHORIZED"
    adapter.close()


def test_instruments_by_name_and_all(adapter):
    (ibm,) = adapter.instruments(["IBM", "ZZZZ"])
    assert (ibm.symbol, ibm.currency, ibm.tradable, ibm.fractionable) == ("IBM", "USD", True, True)
    everything = {info.symbol for info in adapter.instruments()}
    assert {"IBM", "BAC"} <= everything
    many = ["IBM", *(f"Z{n}" for n in range(20))]
    assert [info.symbol for info in adapter.instruments(many)] == ["IBM"]


def test_quotes_of_the_symbols_that_have_one(adapter):
    (quote,) = adapter.quotes(["IBM", "ZZZZ"])
    assert (quote.symbol, quote.bid_px, quote.ask_px) == ("IBM", Decimal("181.9"), Decimal(182))
    assert (quote.bid_size, quote.ask_size) == (1000, 1000)
    assert abs(datetime.now(UTC) - quote.quote_time) < timedelta(minutes=5)


def test_clock_is_aware_and_ordered(adapter):
    clock = adapter.clock()
    assert abs(datetime.now(UTC) - clock.timestamp) < timedelta(minutes=5)
    assert clock.next_close.utcoffset() == clock.next_open.utcoffset() == timedelta(0)


def test_rate_limit_is_read(adapter):
    adapter.clock()
    assert adapter.rate_limit.remaining < adapter.rate_limit.limit
    assert adapter.rate_limit.resets_at > datetime.now(UTC) - timedelta(minutes=5)


@pytest.mark.parametrize(
    ("fault", "error", "taken"),
    [
        ({"action": "error", "when": "before", "status": 429}, TryLater, False),
        ({"action": "error", "when": "before", "status": 504}, OutcomeUnknown, False),
        ({"action": "error", "when": "after", "status": 504}, OutcomeUnknown, True),
        ({"action": "error", "when": "after", "status": 500}, OutcomeUnknown, True),
        ({"action": "drop", "when": "before"}, OutcomeUnknown, False),
        ({"action": "drop", "when": "after"}, OutcomeUnknown, True),
    ],
)
def test_fault_at_submit_is_one_post_and_find_order_tells_what_became_of_it(adapter, sandbox, fault, error, taken):
    order = resting()
    sandbox.admin.fault(operation="new_order", client_order_id=order.client_order_id, **fault)
    with pytest.raises(error):
        adapter.submit(order)
    assert len(sandbox.admin.requests("new_order", client_order_id=order.client_order_id)) == 1
    found = adapter.find_order(order.client_order_id)
    assert (found is not None) is taken
    again = adapter.submit(order)
    assert again.client_order_id == order.client_order_id
    recorded = [o for o in sandbox.admin.record("alpaca")["orders"] if o["client_order_id"] == order.client_order_id]
    assert [o["id"] for o in recorded] == [again.broker_order_id]


def test_submit_that_arrives_twice_is_one_order(adapter, sandbox):
    order = resting()
    sandbox.admin.fault("echo", operation="new_order", client_order_id=order.client_order_id)
    assert adapter.submit(order).client_order_id == order.client_order_id
    recorded = [o for o in sandbox.admin.record("alpaca")["orders"] if o["client_order_id"] == order.client_order_id]
    assert len(recorded) == 1


def test_answer_that_comes_too_late_is_unknown_and_the_order_is_found(adapter, sandbox):
    order = resting()
    hasty = adapter_of(sandbox, "alpaca", read_timeout=0.3)
    sandbox.admin.hold("before_answer", operation="new_order", client_order_id=order.client_order_id)
    with pytest.raises(OutcomeUnknown):
        hasty.submit(order)
    sandbox.admin.wait_for_held()
    sandbox.admin.release()
    assert hasty.find_order(order.client_order_id).client_order_id == order.client_order_id
    hasty.close()


def test_id_of_another_order_is_refused(adapter):
    order = resting()
    adapter.submit(order)
    with pytest.raises(OrderRefused, match="used by another order"):
        adapter.submit(resting(client_order_id=order.client_order_id, order_qty=Decimal(11)))


def test_read_survives_a_connection_closed_while_idle(adapter, sandbox):
    adapter.clock()
    sandbox.admin.disconnect("alpaca")
    assert adapter.clock().timestamp
