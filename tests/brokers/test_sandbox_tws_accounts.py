"""What the sandbox's TWS does at accounts and installations that are set up otherwise."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.brokers.sandbox_process import SandboxProcess, start_sandbox
from tests.brokers.sandbox_tws_client import TwsClient

pytestmark = pytest.mark.slow

CLIENT_IDS = itertools.count(10)
ODD = {"filled_first_probability": 1, "status_twice_probability": 1, "account_id": "DU1000002"}
OTHERS = {
    "odd": {"kind": "interactive_brokers", "latency_ms": 0, "starting_cash": 5000, "tws": ODD},
    "strict": {
        "kind": "interactive_brokers",
        "tws": {"account_id": "DU1000003", "read_only": True, "max_messages_per_s": 5},
    },
    "fine": {"kind": "interactive_brokers", "tws": {"account_id": "DU1000004", "fractional_orders": True}},
    "slow": {"kind": "interactive_brokers", "cancel_delay_ms": 1000, "tws": {"account_id": "DU1000006"}},
    "lazy": {"kind": "interactive_brokers", "ack_delay_ms": 50, "tws": {"account_id": "DU1000007"}},
    "few": {
        "kind": "interactive_brokers",
        "tws": {"account_id": "DU1000005", "max_working_per_side": 1, "master_client_id": 99},
    },
}


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory) -> Iterator[SandboxProcess]:
    with start_sandbox(tmp_path_factory.mktemp("tws"), speed=0, accounts=OTHERS) as running:
        yield running


@pytest.fixture(autouse=True)
def quote(sandbox):
    """IBM at 181.90 to 182.00, whatever a test before did."""
    sandbox.admin.push_quote("IBM", "181.90", "182.00")


def of(sandbox: SandboxProcess, account: str, client_id: int | None = None) -> TwsClient:
    return TwsClient(sandbox.tws_port(account), client_id if client_id is not None else next(CLIENT_IDS))


def test_gateway_that_says_things_twice_and_early_tells_filled_before_with_what(sandbox):
    with of(sandbox, "odd") as client:
        order_id = client.place("IBM", "BUY", 1)
        client.wait_for("commission")
        told = client.told(order_id)
    assert told.count("order_status PreSubmitted") == 2
    assert told.index("order_status Filled") < told.index("execution")


def test_order_over_the_funds_is_refused_with_201_and_inactive(sandbox):
    with of(sandbox, "odd") as client:
        order_id = client.place("IBM", "BUY", 1000, orderRef="too-dear")
        error = client.wait_for_error(201)
        assert error[4].startswith("Order rejected - reason:YOUR ORDER IS NOT ACCEPTED")
        assert client.told(order_id) == ["open_order", "order_status Inactive", "error 201"]
        client.sync()
        assert not client.ask(16, 1, until="open_order_end")


def test_short_sale_from_a_cash_account_is_refused(sandbox):
    with of(sandbox, "fine") as client:
        client.place("BAC", "SELL", 1)
        assert "not available for short sale" in client.wait_for_error(201)[4]


def test_read_only_tws_takes_no_orders(sandbox):
    with of(sandbox, "strict") as client:
        client.place("IBM", "BUY", 1)
        assert "Read-Only" in client.wait_for_error(321)[4]


def test_too_many_messages_are_refused_and_far_too_many_end_the_connection(sandbox):
    with of(sandbox, "strict") as client:
        for _ in range(30):
            client.send(49, 1)
        client.wait_for_error(100)
        assert client.is_ended()


def test_fractions_are_taken_where_the_account_has_them(sandbox):
    with of(sandbox, "fine") as client:
        order_id = client.place("IBM", "BUY", "1.5")
        assert client.wait_for_status(order_id, "Filled")[3] == "1.5"


def test_more_working_orders_on_one_side_than_allowed_are_refused(sandbox):
    with of(sandbox, "few") as client:
        first = client.place("BAC", "BUY", 1, "LMT", lmtPrice="1.50")
        client.wait_for_status(first, "Submitted")
        client.place("BAC", "BUY", 1, "LMT", lmtPrice="1.51")
        client.wait_for_error(201)
        client.cancel(first)
        client.wait_for_error(202)


def test_cancel_that_loses_the_race_is_refused_and_the_order_is_filled(sandbox):
    with of(sandbox, "slow") as client:
        order_id = client.place("IBM", "BUY", 1, "LMT", lmtPrice="100")
        client.wait_for_status(order_id, "Submitted")
        client.cancel(order_id)
        client.wait_for_status(order_id, "PendingCancel")
        client.cancel(order_id)
        client.wait_for_error(161)
        tws = sandbox.admin.tws("slow")
        tws.fill(tws.orders()[-1]["perm_id"], 1, "99")
        client.wait_for_status(order_id, "Filled")
        assert client.wait_for_error(10148)[4].endswith("state: Filled.")


def test_changes_and_a_cancel_that_come_fast_are_all_done(sandbox):
    with of(sandbox, "lazy") as client:
        order_id = client.place("IBM", "BUY", 1, "LMT", lmtPrice="100")
        client.place("IBM", "BUY", 2, "LMT", lmtPrice="101", order_id=order_id)
        client.wait_for("open_order", lambda m: "101" in m)
        client.place("IBM", "BUY", 3, "LMT", lmtPrice="102", order_id=order_id)
        client.place("IBM", "BUY", 4, "LMT", lmtPrice="103", order_id=order_id)
        client.cancel(order_id)
        client.wait_for_status(order_id, "Cancelled")
        assert sandbox.admin.tws("lazy").orders()[-1]["status"] == "Cancelled"


def test_master_client_hears_of_every_clients_orders_and_gets_their_commissions(sandbox):
    with of(sandbox, "few", 99) as master, of(sandbox, "few") as client:
        order_id = client.place("IBM", "BUY", 1)
        assert master.wait_for_status(order_id, "Filled")[9] == str(client.client_id)
        report = master.wait_for("commission")
        listed = master.ask(7, 3, 77, 0, "", "", "", "", "", "", until="executions_end")
        assert report in listed
