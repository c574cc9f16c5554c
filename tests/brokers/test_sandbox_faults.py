"""What the sandbox does wrong on purpose, and what it holds, over a real socket."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import requests

from tests.brokers.sandbox_client import SandboxAdmin, SandboxAdminError
from tests.brokers.sandbox_process import SandboxProcess, start_sandbox

pytestmark = pytest.mark.slow


@pytest.fixture
def admin(sandbox) -> Iterator[SandboxAdmin]:
    yield sandbox.admin
    sandbox.admin.clear()


class Caller:
    """Plain HTTP, so that nothing is tried again behind the test's back."""

    def __init__(self, sandbox: SandboxProcess, account: str = "alpaca"):
        self.url, self.session = sandbox.url, requests.Session()
        key, secret = sandbox.keys(account)
        self.session.headers.update({"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret})

    def order(self, client_order_id: str) -> requests.Response:
        body = {"symbol": "IBM", "qty": "1", "side": "buy", "type": "limit", "limit_price": "10"}
        body |= {"time_in_force": "day", "client_order_id": client_order_id}
        return self.session.post(f"{self.url}/v2/orders", json=body, timeout=30)

    def get(self, path: str, **params: Any) -> requests.Response:
        return self.session.get(f"{self.url}/v2{path}", params=params, timeout=30)

    def has(self, client_order_id: str) -> bool:
        return self.get("/orders:by_client_order_id", client_order_id=client_order_id).status_code == 200

    def in_background(self, client_order_id: str) -> tuple[threading.Thread, list]:
        """Send an order from a thread; what comes back is put in the list."""
        got: list = []

        def send() -> None:
            try:
                got.append(self.order(client_order_id).status_code)
            except requests.ConnectionError as error:
                got.append(type(error))

        thread = threading.Thread(target=send, daemon=True)
        thread.start()
        return thread, got


@pytest.fixture
def caller(sandbox) -> Caller:
    return Caller(sandbox)


@pytest.fixture
def wanted() -> str:
    return str(uuid4())


@pytest.mark.parametrize(("when", "taken"), [("before", False), ("after", True)])
def test_dropped_connection_before_or_after_the_order_was_taken(admin, caller, wanted, when, taken):
    admin.fault("drop", when=when, operation="new_order")
    with pytest.raises(requests.ConnectionError):
        caller.order(wanted)
    assert caller.has(wanted) is taken
    assert caller.order(str(uuid4())).status_code == 200


@pytest.mark.parametrize(("when", "taken"), [("before", False), ("after", True)])
@pytest.mark.parametrize("status", [500, 504])
def test_error_before_or_after_the_order_was_taken(admin, caller, wanted, status, when, taken):
    admin.fault("error", status=status, when=when, client_order_id=wanted)
    assert caller.order(wanted).status_code == status
    assert caller.has(wanted) is taken


def test_gateway_time_out_has_no_json_and_429_has_alpacas_body(admin, caller):
    admin.fault("error", status=504, operation="account")
    assert caller.get("/account").headers["Content-Type"].startswith("text/html")
    admin.fault("error", status=429, operation="account", when="before")
    assert caller.get("/account").json() == {"code": 42910000, "message": "rate limit exceeded"}
    assert caller.get("/account").status_code == 200


def test_fault_with_a_body_of_its_own(admin, caller):
    admin.fault("error", status=500, body="", operation="clock")
    answer = caller.get("/clock")
    assert (answer.status_code, answer.content) == (500, b"")


def test_fault_meets_only_the_order_account_and_number_of_times_it_was_ordered_for(admin, caller, sandbox, wanted):
    admin.fault("error", status=500, when="before", account="alpaca", client_order_id=wanted, times=2)
    assert Caller(sandbox, "alpaca_margin").order(wanted).status_code == 200
    assert caller.order(str(uuid4())).status_code == 200
    assert [caller.order(wanted).status_code for _ in range(3)] == [500, 500, 200]


def test_delayed_answer_comes_late_though_the_order_is_taken_at_once(admin, caller, wanted, sandbox):
    admin.fault("delay", seconds=30, when="after", operation="new_order", client_order_id=wanted)
    thread, got = caller.in_background(wanted)
    other = Caller(sandbox)
    deadline = time.monotonic() + 20
    while not other.has(wanted):
        assert time.monotonic() < deadline
    assert got == []
    admin.disconnect("alpaca")
    thread.join(20)
    assert got == [requests.ConnectionError]


def test_echoed_order_is_answered_as_the_duplicate_it_is(admin, caller, wanted, sandbox):
    admin.fault("echo", client_order_id=wanted)
    answer = caller.order(wanted)
    assert (answer.status_code, answer.json()["message"]) == (422, "client_order_id must be unique")
    assert caller.has(wanted)
    assert len([o for o in admin.record("alpaca")["orders"] if o["client_order_id"] == wanted]) == 1


def test_duplicated_activities_come_twice_with_the_same_ids(admin, caller, wanted):
    caller.order(wanted)
    order = admin.order("alpaca", wanted)
    admin.fill(order["id"], 1, "9.5")
    admin.fault("duplicate", operation="activities")
    ids = [a["id"] for a in caller.get("/account/activities/FILL", order_id=order["id"]).json()]
    assert len(ids) == 2
    assert ids[0] == ids[1]
    assert len(caller.get("/account/activities/FILL", order_id=order["id"]).json()) == 1


def test_disconnect_closes_the_connection_and_the_request_has_no_effect(admin, caller, wanted):
    admin.fault("disconnect", when="before", client_order_id=wanted)
    with pytest.raises(requests.ConnectionError):
        caller.order(wanted)
    assert not caller.has(wanted)


@pytest.mark.parametrize(
    ("point", "taken"), [("request_received", False), ("before_answer", True), ("after_answer", True)]
)
def test_request_is_held_where_it_was_asked_and_goes_on_when_released(admin, caller, sandbox, wanted, point, taken):
    admin.hold(point, operation="new_order", client_order_id=wanted)
    thread, got = caller.in_background(wanted)
    (held,) = admin.wait_for_held()
    assert (held["point"], held["client_order_id"], held["account"]) == (point, wanted, "alpaca")
    assert Caller(sandbox).has(wanted) is taken
    if point == "after_answer":
        thread.join(20)
    assert got == ([200] if point == "after_answer" else [])
    assert admin.release(held["held_id"]) == 1
    thread.join(20)
    assert got == [200]
    assert Caller(sandbox).has(wanted)
    assert admin.held() == []


@pytest.mark.parametrize(("point", "taken"), [("request_received", False), ("before_answer", True)])
def test_held_request_can_be_lost_on_release(admin, caller, sandbox, wanted, point, taken):
    admin.hold(point, client_order_id=wanted)
    thread, got = caller.in_background(wanted)
    admin.wait_for_held()
    admin.release(drop=True)
    thread.join(20)
    assert got == [requests.ConnectionError]
    assert Caller(sandbox).has(wanted) is taken


def test_request_whose_sender_died_while_it_was_held_is_carried_out(admin, sandbox, wanted):
    admin.hold("request_received", client_order_id=wanted)
    dying = Caller(sandbox)
    thread, got = dying.in_background(wanted)
    admin.wait_for_held()
    admin.disconnect("alpaca")
    thread.join(20)
    assert got == [requests.ConnectionError]
    admin.release()
    survivor = Caller(sandbox)
    deadline = time.monotonic() + 20
    while not survivor.has(wanted):
        assert time.monotonic() < deadline


def test_waiting_for_what_is_not_held_ends_in_time(admin):
    with pytest.raises(AssertionError, match="wanted 1"):
        admin.wait_for_held(timeout=0.05)


def test_journal_has_every_request_and_what_became_of_it(admin, caller, wanted):
    admin.fault("error", status=500, when="after", client_order_id=wanted)
    caller.order(wanted)
    caller.order(wanted)
    lines = [(line["kind"], line["detail"].get("status")) for line in admin.journal(client_order_id=wanted)]
    assert [line for line in lines if line[0] in ("request", "answer", "fault")] == [
        ("request", None),
        ("fault", 500),
        ("answer", 500),
        ("request", None),
        ("answer", 422),
    ]
    assert ("pending_new", "pending") in lines
    assert len(admin.requests("new_order", client_order_id=wanted)) == 2


def test_cancel_that_the_venue_refuses_leaves_the_order_working(tmp_path):
    with start_sandbox(tmp_path, speed=0, accounts={"alpaca": {"cancel_delay_ms": 60_000}}) as sandbox:
        caller, wanted = Caller(sandbox), str(uuid4())
        order = caller.order(wanted).json()
        path = f"{sandbox.url}/v2/orders/{order['id']}"
        assert caller.session.delete(path, timeout=10).status_code == 204
        assert caller.session.get(path, timeout=10).json()["status"] == "pending_cancel"
        later = caller.order(str(uuid4())).json()["id"]
        deadline = time.monotonic() + 20
        while caller.get(f"/orders/{later}").json()["status"] != "new":
            assert time.monotonic() < deadline, "a pending cancel holds up other orders"
        sandbox.admin.act(order["id"], "refuse_cancel")
        assert caller.session.get(path, timeout=10).json()["status"] == "new"


@pytest.mark.parametrize(("action", "status"), [("cancel", "canceled"), ("reject", "rejected"), ("expire", "expired")])
def test_order_ends_unasked(admin, caller, wanted, action, status):
    order = caller.order(wanted).json()
    assert admin.act(order["id"], action)["status"] == status
    assert caller.get(f"/orders/{order['id']}").json()["status"] == status


def test_test_endpoint_wants_its_secret(sandbox, admin):
    with pytest.raises(SandboxAdminError, match="403"):
        SandboxAdmin(sandbox.url, "wrong").journal()


@pytest.mark.parametrize("body", [{"action": "explode"}, {"action": "drop", "when": "never"}, {"colour": "red"}])
def test_nonsense_is_not_ordered(admin, body):
    with pytest.raises(SandboxAdminError, match="400"):
        admin._post("/faults", body)


def test_secrets_are_not_written_anywhere(sandbox, caller, admin):
    caller.order(str(uuid4()))
    for account in sandbox.accounts:
        assert sandbox.keys(account)[1] not in sandbox.log
        assert sandbox.keys(account)[1] not in str(admin.journal())
    assert sandbox.secret not in sandbox.log
