"""Halts over HTTP, and limits and exposure to read."""

from decimal import Decimal

import pytest

from orders.models import Order
from risk.limits import LimitValue, set_limits
from risk.models import Halt
from tradingdesk.audit.models import AuditEvent

pytestmark = pytest.mark.django_db

ORDER = {"symbol": "IBM", "side": "buy", "order_qty": "1", "ord_type": "limit", "price": "182.40"}


@pytest.fixture
def officer(client_of):
    return client_of("risk officer")


def test_halt_stops_orders_until_it_is_cleared_with_a_reason(officer, trader, desk):
    made = officer.post("/api/v1/risk/halts/", {"reason": "prices look wrong"}, format="json")
    assert made.status_code == 201
    assert (made.json()["scope"], made.json()["in_force"]) == ("firm", True)
    denied = trader.post("/api/v1/orders/", ORDER, format="json")
    assert (denied.status_code, denied.json()["code"]) == (422, "TRADING_HALTED")

    path = f"/api/v1/risk/halts/{made.json()['id']}/"
    assert officer.delete(path).json() == {"code": "REASON_REQUIRED", "detail": "say why", "field": "reason"}
    cleared = officer.delete(path, {"reason": "feed mended, ticket 12"}, format="json")
    assert (cleared.status_code, cleared.json()["in_force"]) == (200, False)
    assert cleared.json()["clear_reason"] == "feed mended, ticket 12"
    assert trader.post("/api/v1/orders/", ORDER, format="json").status_code == 201

    who = Halt.objects.get().set_by
    trail = AuditEvent.objects.filter(entity="halt").order_by("id").values_list("kind", "actor", "reason")
    assert list(trail) == [("kill.halt", who, "prices look wrong"), ("kill.resume", who, "feed mended, ticket 12")]


def test_reason_of_a_resume_may_stand_in_the_url(officer, desk):
    made = officer.post(
        "/api/v1/risk/halts/", {"scope": "account", "scope_key": "alpaca", "reason": "r"}, format="json"
    )
    answer = officer.delete(f"/api/v1/risk/halts/{made.json()['id']}/?reason=mended")
    assert (answer.status_code, answer.json()["clear_reason"]) == (200, "mended")


def test_halt_cleared_twice_is_409(officer, desk):
    made = officer.post("/api/v1/risk/halts/", {"reason": "r"}, format="json").json()
    path = f"/api/v1/risk/halts/{made['id']}/"
    assert officer.delete(path, {"reason": "r"}, format="json").status_code == 200
    assert officer.delete(path, {"reason": "r"}, format="json").status_code == 409


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "reason"),
        ({"reason": " "}, "reason"),
        ({"reason": 7}, "reason"),
        ({"reason": "r", "scope": "moon"}, "scope"),
        ({"reason": "r", "scope": "account", "scope_key": "nobody"}, "scope_key"),
        ({"reason": "r", "scope_key": "alpaca"}, "scope_key"),
        ({"reason": "r", "why": "r"}, "why"),
        ({"reason": "r", "level": "total"}, "level"),
        ({"reason": "r", "level": "reject"}, "operation"),
        ({"reason": "r", "operation": "market"}, "operation"),
    ],
)
def test_halt_that_makes_no_sense_is_400_and_stops_nothing(officer, desk, body, field):
    answer = officer.post("/api/v1/risk/halts/", body, format="json")
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert not Halt.objects.exists()


def test_halt_of_a_level_tells_what_became_of_its_cancels(officer, trader, desk):
    made = trader.post("/api/v1/orders/", ORDER, format="json").json()
    body = {"level": "cancel_all", "reason": "runaway"}
    halted = officer.post("/api/v1/risk/halts/", body, format="json").json()
    counts = {"orders": 1, "unsent": 1, "waiting": 0, "dispatched": 0, "acknowledged": 0, "still_open": 0}
    assert (halted["level"], halted["cancels"], halted["held"]) == ("cancel_all", counts, [])
    assert trader.get(f"/api/v1/orders/{made['client_order_id']}/").json()["status"] == "canceled"
    assert trader.get(f"/api/v1/risk/halts/{halted['id']}/").json()["cancels"] == counts
    assert [row["id"] for row in officer.get("/api/v1/risk/halts/?level=cancel_all").json()["results"]] == [
        halted["id"]
    ]


def test_rejected_operation_is_named_and_others_pass(officer, trader, desk):
    body = {"level": "reject", "operation": "market", "reason": "thin"}
    assert officer.post("/api/v1/risk/halts/", body, format="json").json()["operation"] == "market"
    market = {"symbol": "IBM", "side": "buy", "order_qty": "1", "ord_type": "market"}
    assert trader.post("/api/v1/orders/", market, format="json").json()["code"] == "TRADING_HALTED"
    assert trader.post("/api/v1/orders/", ORDER, format="json").status_code == 201


@pytest.mark.parametrize(
    ("body", "field"),
    [({}, "confirm"), ({"confirm": "yes"}, "confirm"), ({"confirm": "FLATTEN"}, "reason")],
)
def test_flatten_without_the_word_or_a_reason_is_400_and_does_nothing(officer, desk, body, field):
    answer = officer.post("/api/v1/risk/flatten/", body, format="json")
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert not Halt.objects.exists()


def test_flatten_halts_what_increases_exposure_and_shows_what_is_held(officer, trader, desk):
    answer = officer.post("/api/v1/risk/flatten/", {"confirm": "FLATTEN", "reason": "drill"}, format="json")
    assert (answer.status_code, answer.json()["level"], answer.json()["held"]) == (202, "reduce_only", [])
    assert trader.post("/api/v1/orders/", ORDER, format="json").json()["code"] == "TRADING_HALTED"


def test_halts_are_filtered_by_being_in_force(officer, desk):
    made = officer.post("/api/v1/risk/halts/", {"reason": "r"}, format="json").json()
    assert [row["id"] for row in officer.get("/api/v1/risk/halts/?in_force=true").json()["results"]] == [made["id"]]
    assert officer.get("/api/v1/risk/halts/?in_force=false").json()["results"] == []


def test_limits_and_exposure_are_plain_figures(officer, trader, desk):
    limits = {row["control"]: row["value"] for row in officer.get("/api/v1/risk/limits/").json()["results"]}
    assert (limits["max_order_qty"], limits["max_broker_allocation"]) == ("1000", "0.8")

    trader.post("/api/v1/orders/", ORDER, format="json")
    account = Order.objects.get().account_id
    rows = officer.get(f"/api/v1/risk/exposure/?broker_name={account}&symbol=IBM").json()["results"]
    assert [(row["open_buy_qty"], row["open_buy_notional"], row["gross"]) for row in rows] == [("1", "182.4", "182.4")]


def test_soft_limit_stands_beside_the_hard_one_of_its_scope(officer, desk):
    set_limits([LimitValue("max_order_qty", Decimal(800), hard=False)], actor="rita", reason="early")
    path = "/api/v1/risk/limits/?control=max_order_qty"
    assert {row["hard"]: row["value"] for row in officer.get(path).json()["results"]} == {True: "1000", False: "800"}
    assert [row["value"] for row in officer.get(f"{path}&hard=false").json()["results"]] == ["800"]


def test_limits_tell_how_much_of_them_is_in_use(officer, trader, desk):
    trader.post("/api/v1/orders/", ORDER | {"broker_name": "alpaca"}, format="json")
    rows = {row["control"]: row for row in officer.get("/api/v1/risk/limits/").json()["results"]}
    assert (rows["portfolio_risk_limit"]["in_use"], rows["portfolio_risk_limit"]["in_use_at"]) == ("182.4", "")
    assert (rows["max_broker_allocation"]["in_use"], rows["max_broker_allocation"]["in_use_at"]) == (
        "0.0000912",
        "alpaca",
    )
    assert (rows["max_order_qty"]["in_use"], rows["max_order_qty"]["in_use_at"]) == (None, None)
