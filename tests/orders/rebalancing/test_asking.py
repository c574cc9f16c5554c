"""The same plan by command, API, back office and manager; each asks for a permission and a reason."""

from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from orders.manager import MultiBrokerManager
from orders.models import Order, RebalancePlan
from orders.rebalancing import plans
from tests.factories import member_of
from tests.orders.rebalancing.desk import buy, lopsided_desk
from tradingdesk.errors import Conflict

pytestmark = pytest.mark.django_db
PLANS = "/api/v1/rebalancing/plans/"
State = RebalancePlan.State


def command(capsys, *arguments) -> list[str]:
    call_command("rebalance_allocations", *arguments)
    return capsys.readouterr().out.splitlines()


def client_of(*groups: str) -> APIClient:
    token = Token.objects.create(user=member_of(*groups))
    return APIClient(HTTP_AUTHORIZATION=f"Token {token.key}")


def test_command_shows_orders_costs_and_shares_and_stores_nothing(capsys):
    lopsided_desk(450)
    lines = command(capsys)
    assert lines[0].startswith("alpaca: share 0.821025 -> 0.77")
    assert lines[0].endswith(", max 0.8")
    assert lines[2].startswith("  1. sell ")
    assert " IBM at alpaca, cost " in lines[2]
    assert lines[3].startswith("  2. buy ")
    assert lines[-1].endswith("nothing was stored; --propose --reason TEXT stores it as a plan")
    assert not RebalancePlan.objects.exists()


def test_command_proposes_and_another_person_approves(capsys, monkeypatch):
    lopsided_desk(450)
    command(capsys, "--propose", "--reason", "too much at one broker")
    plan = RebalancePlan.objects.get()
    assert command(capsys, "--list")[0].startswith(f"plan {plan.pk} (asked): proposed, cost ")
    with pytest.raises(CommandError, match="OWN_PLAN") as refused:
        call_command("rebalance_allocations", "--approve", str(plan.pk), "--reason", "mine")
    assert refused.value.returncode == 1
    path = "orders.management.commands.rebalance_allocations.operator"
    monkeypatch.setattr(path, lambda: "officer")
    assert command(capsys, "--approve", str(plan.pk), "--reason", "fine") == [f"plan {plan.pk} (asked): placing"]
    assert "  1. sell " in "\n".join(command(capsys, "--show", str(plan.pk)))
    assert command(capsys, "--stop", str(plan.pk), "--reason", "no") == [f"plan {plan.pk} (asked): stopping"]


@pytest.mark.parametrize("arguments", [["--propose"], ["--approve", "7", "--reason", "x"], ["--show", "7"]])
def test_command_that_is_used_wrongly_says_so_and_exits_2(arguments):
    lopsided_desk(450)
    with pytest.raises(CommandError) as refused:
        call_command("rebalance_allocations", *arguments)
    assert refused.value.returncode == 2
    assert not RebalancePlan.objects.exists()


def test_api_previews_proposes_and_has_somebody_else_approve():
    lopsided_desk(450)
    trader, officer = client_of("trader"), client_of("risk officer")
    seen = trader.get("/api/v1/rebalancing/preview/").json()
    assert [leg["side"] for leg in seen["legs"]] == ["sell", "buy"]
    made = trader.post(PLANS, {"reason": "too much at one broker"}, format="json")
    assert made.status_code == 201
    plan = made.json()
    assert plan["legs"][0]["order_qty"] == seen["legs"][0]["order_qty"]
    assert Decimal(plan["cost"]) == sum(Decimal(leg["cost"]) for leg in plan["legs"])
    again = trader.post(PLANS, {"reason": "again"}, format="json")
    assert (again.status_code, again.json()["code"]) == (409, "PLAN_IS_OPEN")
    path = f"{PLANS}{plan['id']}/"
    assert trader.post(f"{path}approve/", {"reason": "mine"}, format="json").status_code == 403
    assert officer.post(f"{path}approve/", {}, format="json").json()["code"] == "REASON_REQUIRED"
    assert officer.post(f"{path}approve/", {"reason": "fine"}, format="json").json()["state"] == "placing"
    assert trader.get(path).json()["decision_reason"] == "fine"
    listed = trader.get(PLANS, {"state": "placing"}).json()["results"]
    assert [row["id"] for row in listed] == [plan["id"]]
    assert officer.post(f"{path}stop/", {"reason": "no"}, format="json").json()["state"] == "stopping"


def test_officer_who_proposed_by_api_cannot_approve():
    lopsided_desk(450)
    officer = client_of("risk officer")
    plan = officer.post(PLANS, {"reason": "mine"}, format="json").json()
    answer = officer.post(f"{PLANS}{plan['id']}/approve/", {"reason": "mine"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "OWN_PLAN")
    assert RebalancePlan.objects.get().state == State.PROPOSED


def signed_in(*groups: str) -> Client:
    user = member_of(*groups)
    user.is_staff = True
    user.save()
    client = Client()
    client.force_login(user)
    return client


def test_pages_propose_and_have_somebody_else_decide():
    lopsided_desk(450)
    trader, officer = signed_in("trader"), signed_in("risk officer")
    add = "/admin/orders/rebalanceplan/add/"
    assert "Preview: 2 orders" in trader.get(add).content.decode()
    assert "This field is required" in trader.post(add, {"reason": ""}).content.decode()
    trader.post(add, {"reason": "too much at one broker"})
    plan = RebalancePlan.objects.get()
    page = f"/admin/orders/rebalanceplan/{plan.pk}/"
    assert "Approve and place" not in trader.get(f"{page}change/").content.decode()
    assert trader.post(f"{page}approve/", {"reason": "mine"}).status_code == 403
    assert officer.get(f"{page}approve/").status_code == 403
    assert "Approve and place" in officer.get(f"{page}change/").content.decode()
    assert officer.post(f"{page}approve/", {"reason": "fine"}).status_code == 302
    plan.refresh_from_db()
    assert (plan.state, plan.decision_reason) == (State.PLACING, "fine")
    assert "PLAN_NOT_OPEN" in officer.post(f"{page}reject/", {"reason": "late"}).content.decode()


def test_manager_proposes_and_another_one_approves():
    lopsided_desk(450)
    manager = MultiBrokerManager()
    assert [leg.side for leg in manager.preview_rebalancing().legs] == ["sell", "buy"]
    plan = manager.rebalance_allocations()
    assert (plan.cause, plan.state, plan.proposed_by) == ("asked", State.PROPOSED, "system:manager")
    with pytest.raises(Conflict):
        manager.approve_rebalancing(plan, reason="mine")
    assert MultiBrokerManager("officer").approve_rebalancing(plan, reason="fine").state == State.PLACING
    assert not Order.objects.filter(strategy="rebalancing").exists()


def test_statements_for_a_plan_do_not_grow_with_what_is_held():
    lopsided_desk(300)
    with CaptureQueriesContext(connection) as few:
        plans.preview()
    buy(10, "alpaca_margin", "BAC")
    buy(10, "alpaca", "BAC")
    with CaptureQueriesContext(connection) as more:
        plans.preview()
    assert len(more) <= len(few)
