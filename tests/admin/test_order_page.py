"""An order's page shows its whole life, in a constant number of queries, and asks for cancel and replace."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from orders.admin import life
from orders.models import Order, OrderRequest, RiskDecision
from tests.admin import rows
from tests.orders.desk import Counterparty, sent
from tradingdesk.audit.models import AuditEvent


def page_of(order: Order) -> str:
    return reverse("admin:orders_order_change", args=[order.pk])


def post(client, order: Order, word: str, **data):
    return client.post(reverse(f"admin:orders_order_{word}", args=[order.pk]), data)


def queries_of(client, url: str) -> int:
    client.get(url)
    with CaptureQueriesContext(connection) as captured:
        assert client.get(url).status_code == 200
    return len(captured)


@pytest.fixture
def trader(desk, admin_of):
    return admin_of("trader")


@pytest.fixture
def working(desk) -> Order:
    """An order that its broker has acknowledged."""
    order = rows.submitted()
    sent(order)
    return Counterparty(order).acknowledge()


def test_page_shows_every_part_of_a_filled_orders_life(desk, admin_of):
    order = rows.submitted()
    sent(order)
    broker = Counterparty(order)
    broker.acknowledge()
    broker.fill("T1", 4, 182)
    broker.fill("T2", 6, 181.5)
    auditor = admin_of("auditor")
    body = auditor.get(page_of(order)).content.decode()
    for part in (
        "Risk decision",
        "Routing decision",
        "Requests to the broker",
        "Executions",
        "Broker messages",
        "Audit events",
    ):
        assert part in body
    for fact in (
        "alpaca_margin",
        "Filled",
        "181.7",
        broker.broker_order_id,
        "order.new",
        "position alpaca",
        "trade log",
    ):
        assert fact in body


def test_timeline_is_in_the_order_things_happened(desk):
    order = rows.order_with_history(rows=3)
    moments = life.life_of(order, may_see_trail=True).timeline
    assert len(moments) == 1 + 3 * 7
    assert [moment.at for moment in moments] == sorted(moment.at for moment in moments)


def test_number_of_queries_does_not_grow_with_the_orders_history(desk, superuser):
    short, long = rows.order_with_history(1, rows=1), rows.order_with_history(2, rows=30)
    assert queries_of(superuser, page_of(short)) == queries_of(superuser, page_of(long)) == 12


def test_sections_are_cut_at_the_latest_rows_and_say_so(desk, superuser, monkeypatch):
    monkeypatch.setattr(life, "SHOWN_AT_MOST", 5)
    order = rows.order_with_history(rows=8)
    shown = life.life_of(order, may_see_trail=True)
    assert [row.exec_id for row in shown.executions.rows] == [f"exec-1-{number}" for number in range(3, 8)]
    assert (shown.executions.total, shown.executions.left_out) == (8, 3)
    assert "The latest 5 of 8 are shown" in superuser.get(page_of(order)).content.decode()


def test_denied_order_says_why_at_the_top(desk, superuser):
    order = rows.submitted(order_qty="1001")
    body = superuser.get(page_of(order)).content.decode()
    assert "Denied – nothing was sent" in body
    assert "QUANTITY_EXCEEDS_MAXIMUM" in body
    assert "Request cancel" not in body


def test_order_in_doubt_says_so(desk, superuser):
    order = rows.submitted()
    Order.objects.filter(pk=order.pk).update(outcome_unknown_since=order.created_at)
    assert "in doubt" in superuser.get(page_of(order)).content.decode()


def test_trail_is_left_out_for_those_who_may_not_see_it(desk, admin_of):
    order = rows.order_with_history()
    body = admin_of("viewer").get(page_of(order)).content.decode()
    assert "Audit events" not in body
    assert "order.cancel_requested" not in body


def test_viewer_is_offered_neither_cancel_nor_replace(working, admin_of):
    viewer = admin_of("viewer")
    body = viewer.get(page_of(working)).content.decode()
    assert "Request cancel" not in body
    assert "Request replace" not in body
    assert post(viewer, working, "cancel").status_code == 403
    assert post(viewer, working, "replace", price="181").status_code == 403
    assert OrderRequest.objects.count() == 1


def test_cancel_is_requested_with_its_reason(working, trader):
    answer = post(trader, working, "cancel", reason="changed my mind")
    assert answer["Location"] == page_of(working)
    assert OrderRequest.objects.filter(order=working, kind="cancel", state="queued").count() == 1
    event = AuditEvent.objects.get(kind="order.cancel_requested")
    assert (event.client_order_id, event.reason) == (working.client_order_id, "changed my mind")


def test_cancel_of_a_closed_order_is_refused_on_the_page(working, trader):
    Counterparty(working, working.broker_order_id).fill("T1", 10, 182)
    answer = post(trader, working, "cancel")
    assert answer.status_code == 200
    assert "ORDER_CLOSED" in answer.content.decode()
    assert OrderRequest.objects.count() == 1


def test_cancel_needs_a_post(working, trader):
    assert trader.get(reverse("admin:orders_order_cancel", args=[working.pk])).status_code == 403
    assert OrderRequest.objects.count() == 1


def test_replace_is_requested(working, trader):
    answer = post(trader, working, "replace", price="181.50")
    assert answer["Location"] == page_of(working)
    request = OrderRequest.objects.get(kind="replace")
    assert (request.price, request.state) == (181.5, "queued")


def test_replace_that_risk_denies_shows_the_denial_and_asks_the_broker_for_nothing(working, trader):
    answer = post(trader, working, "replace", order_qty="1001")
    body = answer.content.decode()
    assert "Risk denied the change; the order stands" in body
    assert "QUANTITY_EXCEEDS_MAXIMUM" in body
    assert not OrderRequest.objects.filter(kind="replace").exists()
    assert RiskDecision.objects.filter(about="replace", allowed=False).count() == 1


@pytest.mark.parametrize(
    ("changes", "field"), [({"price": "-1"}, "price"), ({"order_qty": "x"}, "order_qty"), ({}, "__all__")]
)
def test_bad_replace_has_its_error_at_the_field(working, trader, changes, field):
    answer = post(trader, working, "replace", **changes)
    assert answer.status_code == 200
    assert list(answer.context["replace_form"].errors) == [field]
    assert not OrderRequest.objects.filter(kind="replace").exists()


def test_page_of_no_order_goes_back_to_the_list(trader):
    for word in ("change", "cancel", "replace"):
        url = reverse(f"admin:orders_order_{word}", args=[987654])
        answer = trader.get(url) if word == "change" else trader.post(url)
        assert answer.status_code == 302
