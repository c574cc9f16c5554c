"""What holds at every broker: one order, however often it is asked for and whoever dies; nothing by hand is missed."""

import sqlite3
from decimal import Decimal

import pytest

from tests.brokers.sandbox_records import records
from tests.conformance.harness import Harness
from tests.conformance.harnesses import harness_class, harness_names
from tests.environment import ROOT, manage
from tests.flows.running_desk import RunningDesk, eventually
from tradingdesk.fix import Side
from tradingdesk.running.sandbox import sandbox_keys

pytestmark = [pytest.mark.flow, pytest.mark.slow]

RESTING = {"symbol": "IBM", "side": "buy", "order_qty": "10", "ord_type": "limit", "price": "100.00"}


@pytest.fixture(params=harness_names())
def venue(request, sandbox) -> Harness:
    """The broker's own side of an account of the shipped configuration."""
    return harness_class(request.param)(sandbox)


@pytest.fixture
def desk(venue, sandbox, migrated_env, new_desk) -> RunningDesk:
    keys = sandbox_keys(ROOT / "config" / "desk.yaml", ROOT / "config" / "sandbox.yaml")
    desk = new_desk(migrated_env(**sandbox.addresses, **keys))
    desk.start()
    listed = {"symbol": "IBM", "side": "buy", "order_qty": "1", "broker_name": venue.account}
    eventually(lambda: desk.call("POST", "/api/v1/orders/preview/", listed)[0] == 200, "the account trades")
    return desk


def place(desk: RunningDesk, venue: Harness, name: str) -> int:
    """Send a resting order; the answer's status."""
    body = RESTING | {"client_order_id": name, "broker_name": venue.account, "time_in_force": "gtc"}
    return desk.call("POST", "/api/v1/orders/", body)[0]


def working(desk: RunningDesk, name: str) -> str:
    """Wait until an order works; the broker's id of it."""
    eventually(lambda: desk.order(name)["acknowledged_at"], f"{name} is acknowledged")
    return desk.order_in(name, "new")["broker_order_id"]


def assert_one_order(desk: RunningDesk, venue: Harness, name: str) -> None:
    [there] = [order for order in venue.taken() if order.client_order_id == name]
    [here] = [order for order in desk.all("/api/v1/orders/") if order["client_order_id"] == name]
    assert (here["broker_order_id"], here["status"]) == (there.broker_order_id, there.status)


def test_answer_that_is_dropped_and_a_client_that_asks_again_make_one_order(desk, venue, sandbox):
    sandbox.admin.fault("drop", when="after", operation="new_order", account=venue.account)
    assert place(desk, venue, "asked-twice") == 201
    assert place(desk, venue, "asked-twice") == 200
    working(desk, "asked-twice")
    assert place(desk, venue, "asked-twice") == 200
    assert_one_order(desk, venue, "asked-twice")


def test_desk_that_is_killed_while_the_answer_is_on_its_way_has_one_order(desk, venue, sandbox):
    sandbox.admin.hold("before_answer", operation="new_order", account=venue.account)
    assert place(desk, venue, "killed") == 201
    sandbox.admin.wait_for_held(1, timeout=30)
    desk.kill()
    sandbox.admin.release()
    desk.start()
    assert place(desk, venue, "killed") == 200
    working(desk, "killed")
    assert_one_order(desk, venue, "killed")


BRACKET = RESTING | {
    "order_class": "bracket",
    "take_profit": {"limit_price": "250.00"},
    "stop_loss": {"stop_price": "90.00"},
}


@pytest.mark.parametrize("point", ["request_received", "before_answer"])
def test_desk_that_is_killed_in_the_middle_of_a_bracket_has_one_whole_bracket(desk, venue, sandbox, point):
    """At TWS, where a bracket is three requests, it dies between the first exit and the second."""
    held = "torn-L1" if venue.name == "interactive_brokers" else "torn"
    sandbox.admin.hold(point, operation="new_order", account=venue.account, client_order_id=held)
    body = BRACKET | {"client_order_id": "torn", "broker_name": venue.account, "time_in_force": "gtc"}
    assert desk.call("POST", "/api/v1/orders/", body)[0] == 201
    sandbox.admin.wait_for_held(1, timeout=30)
    desk.kill()
    sandbox.admin.release(drop=point == "request_received")
    desk.start()
    for name in ("torn", "torn-L1", "torn-L2"):
        working(desk, name)
    here = sorted(row["broker_order_id"] for row in desk.all("/api/v1/orders/"))
    assert len(here) == 3
    assert sorted(raw["id"] for raw in records(sandbox)[venue.account]["orders"]) == here


def test_what_was_done_by_hand_is_here_after_one_sync(desk, venue):
    for name in ("filled", "cancelled"):
        assert place(desk, venue, name) == 201
    filled, cancelled = working(desk, "filled"), working(desk, "cancelled")
    assert desk.stop() == 0
    venue.fill(filled, Decimal(10), Decimal(99))
    venue.cancel_by_hand(cancelled)
    by_hand = venue.place_by_hand(Side.BUY, Decimal(3), Decimal(90))
    manage("sync_broker", venue.account, env=desk.env)
    with sqlite3.connect(desk.data / "trading.db") as database:
        orders = {row[0]: row[1:] for row in database.execute("SELECT broker_order_id, status, source FROM orders")}
        fills = database.execute("SELECT order_id, last_qty, last_px FROM executions").fetchall()
        cancels = database.execute("SELECT 1 FROM order_requests WHERE kind = 'cancel'").fetchall()
    assert orders == {filled: ("filled", "api"), cancelled: ("canceled", "api"), by_hand: ("new", "external")}
    assert [(Decimal(str(qty)), Decimal(str(px))) for _, qty, px in fills] == [(10, 99)]
    assert cancels == []
