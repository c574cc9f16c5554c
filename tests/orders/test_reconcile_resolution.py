"""How people end breaks: as a stage, by the API and in the back office."""

import pytest
from django.db import transaction
from django.urls import reverse
from rest_framework.test import APIClient

from orders.models import Execution, Order, Position, ReconciliationBreak
from orders.reconcile import breaks
from orders.reconcile.resolution import resolve_break
from tests.admin.conftest import signed_in
from tests.api.conftest import with_token
from tests.factories import member_of
from tests.orders.invariants import assert_books_balance
from tests.orders.venue import events, transfer, twice, unreconciled
from tradingdesk.errors import Conflict, InvalidInput
from tradingdesk.fix import OrdStatus

pytestmark = pytest.mark.django_db


def test_adjustment_brings_the_brokers_quantity_and_price_and_no_profit(venue):
    row = transfer(venue)

    resolve_break(row=row, take="accept", reason="ACATS in", actor="rita")

    position = Position.objects.get()
    assert (position.qty, position.avg_px, position.realized_pnl) == (50, 180, 0)
    order = Order.objects.get(source="adjustment")
    assert (order.status, order.reserved_qty, order.requests.count()) == (OrdStatus.FILLED, 0, 0)
    assert Execution.objects.get().raw["reason"] == "ACATS in"
    assert twice().differences == 0
    assert unreconciled() == ""
    assert_books_balance()


def test_kept_difference_opens_no_break_again_until_it_changes(venue):
    row = transfer(venue)
    resolve_break(row=row, take="keep", reason="they will take it back", actor="rita")
    assert unreconciled() == ""

    twice()
    assert ReconciliationBreak.objects.count() == 1
    assert not Execution.objects.exists()

    assert transfer(venue, IBM=(70, 180)).broker_value == "70"
    assert ReconciliationBreak.objects.filter(state="open").count() == 1


@pytest.mark.parametrize(("take", "reason", "code"), [("accept", " ", "REASON_REQUIRED"), ("", "x", "INVALID_CHOICE")])
def test_resolution_needs_a_decision_and_a_reason(venue, take, reason, code):
    row = transfer(venue)
    with pytest.raises(InvalidInput, match=code):
        resolve_break(row=row, take=take, reason=reason, actor="rita")
    row.refresh_from_db()
    assert row.is_open


def test_second_resolution_is_a_conflict_and_books_nothing(venue):
    row = transfer(venue)
    resolve_break(row=row, take="accept", reason="first", actor="rita")
    with pytest.raises(Conflict, match="ALREADY_RESOLVED"):
        resolve_break(row=row, take="accept", reason="second", actor="sam")
    assert Execution.objects.count() == 1


def test_owner_is_recorded(venue):
    row, rita = transfer(venue), member_of("risk officer")
    with transaction.atomic():
        breaks.assign(row, owner=rita, actor=rita.username)
    assert events()[-1] == ("reconcile.assigned", rita.username)


def test_api_lists_breaks_and_resolves_for_those_who_may(venue):
    row = transfer(venue)
    path = f"/api/v1/reconciliation/breaks/{row.pk}/resolve/"
    viewer, officer = with_token(member_of("viewer")), with_token(member_of("risk officer"))

    (listed,) = viewer.get("/api/v1/reconciliation/breaks/?state=open").json()["results"]
    shown = {name: listed[name] for name in ("broker_name", "kind", "desk_value", "broker_value", "safe", "state")}
    assert shown == {
        "broker_name": "alpaca",
        "kind": "transfer_or_corporate_action",
        "desk_value": "0",
        "broker_value": "50",
        "safe": False,
        "state": "open",
    }
    assert _post(viewer, path, take="accept", reason="x") == (403, "PERMISSION_DENIED")
    assert _post(officer, path, take="accept") == (400, "REASON_REQUIRED")
    assert _post(officer, path, take=1, reason="x") == (400, "INVALID_TYPE")
    assert _post(officer, path, decision="accept") == (400, "UNKNOWN_FIELD")
    assert _post(officer, path, take="accept", reason="ACATS")[0] == 200
    assert _post(officer, path, take="accept", reason="ACATS") == (409, "ALREADY_RESOLVED")
    assert _post(officer, "/api/v1/reconciliation/breaks/987654/resolve/", take="keep", reason="x")[0] == 404
    row.refresh_from_db()
    assert row.resolution == "accepted"


def _post(client: APIClient, path: str, **body) -> tuple[int, str | None]:
    answer = client.post(path, body, format="json")
    return answer.status_code, answer.json().get("code")


def test_back_office_resolves_with_a_reason_and_shows_errors_in_the_form(venue):
    row, officer = transfer(venue), member_of("risk officer")
    officer.is_staff = True
    officer.save()
    client = signed_in(officer)
    page = reverse("admin:orders_reconciliationbreak_change", args=[row.pk])

    assert "broker=50" in client.get(page).content.decode()
    assert client.post(page, {"take": "accept", "reason": ""}).status_code == 200
    row.refresh_from_db()
    assert row.is_open

    listing = reverse("admin:orders_reconciliationbreak_changelist")
    client.post(listing, {"action": "take_over", "_selected_action": [row.pk]})
    row.refresh_from_db()
    assert row.owner == officer

    assert client.post(page, {"take": "accept", "reason": "ACATS in"}).status_code == 302
    row.refresh_from_db()
    assert (row.state, row.resolved_by, row.reason) == ("resolved", officer.username, "ACATS in")
    assert "resolved" in client.get(listing).content.decode()


def test_back_office_lets_nobody_resolve_without_the_permission(venue):
    row, viewer = transfer(venue), member_of("viewer")
    viewer.is_staff = True
    viewer.save()
    client = signed_in(viewer)
    page = reverse("admin:orders_reconciliationbreak_change", args=[row.pk])

    assert client.get(page).status_code == 200
    assert client.post(page, {"take": "accept", "reason": "mine now"}).status_code == 403
    row.refresh_from_db()
    assert row.is_open
