"""The order ticket: previews store nothing, a submission goes through intake once, refusals are at their fields."""

import pytest
from django.urls import reverse

from orders.models import Order, OrderRequest, RiskDecision, RoutingDecision
from tests.admin import rows
from tradingdesk.audit.models import AuditEvent

TICKET = reverse("admin:orders_order_add")
FILLED = {
    "symbol": "ibm",
    "side": "buy",
    "order_qty": "10",
    "ord_type": "limit",
    "price": "182.00",
    "time_in_force": "day",
}


def fresh(client, **changes) -> dict:
    """A ticket as the form was rendered, filled in."""
    form = client.get(TICKET).context["form"]
    return {"client_order_id": form["client_order_id"].value(), **FILLED, **changes}


def submit(client, ticket: dict):
    return client.post(TICKET, {**ticket, "_submit": "1"})


def preview(client, ticket: dict):
    return client.post(TICKET, {**ticket, "_preview": "1"})


@pytest.fixture
def trader(desk, admin_of):
    return admin_of("trader")


def test_submitted_ticket_is_an_order_of_the_person_and_leads_to_its_page(trader):
    answer = submit(trader, fresh(trader))
    order = Order.objects.get()
    assert answer.status_code == 302
    assert answer["Location"] == reverse("admin:orders_order_change", args=[order.pk])
    assert (order.symbol, order.order_qty, order.price, order.status) == ("IBM", 10, 182, "pending")
    assert (order.source, order.submitted_by.is_staff) == ("admin", True)
    actors = AuditEvent.objects.filter(client_order_id=order.client_order_id).values_list("actor", flat=True)
    assert set(actors) == {order.submitted_by.username}


def test_ticket_submitted_twice_is_one_order(trader):
    ticket = fresh(trader)
    first, second = submit(trader, ticket), submit(trader, ticket)
    assert first["Location"] == second["Location"]
    assert Order.objects.count() == OrderRequest.objects.count() == 1
    assert "had been submitted before" in trader.get(second["Location"]).content.decode()


def test_ticket_changed_and_submitted_again_sends_nothing_and_names_the_first_order(trader):
    ticket = fresh(trader)
    submit(trader, ticket)
    answer = submit(trader, ticket | {"order_qty": "11"})
    order = Order.objects.get()
    body = answer.content.decode()
    assert "had been submitted already" in body
    assert order.client_order_id in body
    assert answer.context["form"]["client_order_id"].value() != ticket["client_order_id"]


def test_every_rendering_of_the_ticket_has_its_own_id(trader):
    assert fresh(trader)["client_order_id"] != fresh(trader)["client_order_id"]


def test_preview_shows_risk_and_ranked_routing_and_stores_nothing(trader):
    ticket = fresh(trader)
    answer = preview(trader, ticket)
    body = answer.content.decode()
    assert "it would be sent to alpaca" in body
    assert "alpaca_margin" in body
    assert answer.context["form"]["client_order_id"].value() == ticket["client_order_id"]
    assert not Order.objects.exists()
    assert not RiskDecision.objects.exists()
    assert not RoutingDecision.objects.exists()


def test_preview_of_too_large_an_order_says_it_would_be_denied(trader):
    body = preview(trader, fresh(trader, order_qty="1001")).content.decode()
    assert "it would be denied" in body
    assert "QUANTITY_EXCEEDS_MAXIMUM" in body
    assert not Order.objects.exists()


def test_denied_ticket_is_shown_plainly_and_never_sent(trader):
    answer = submit(trader, fresh(trader, order_qty="1001"))
    order = Order.objects.get()
    assert (answer.status_code, order.status) == (200, "denied")
    body = answer.content.decode()
    assert "Denied" in body
    assert "QUANTITY_EXCEEDS_MAXIMUM" in body
    assert order.client_order_id in body
    assert answer.context["form"].errors["order_qty"]
    assert not OrderRequest.objects.exists()


def test_denied_ticket_reposted_is_the_same_denied_order(trader):
    ticket = fresh(trader, order_qty="1001")
    submit(trader, ticket)
    submit(trader, ticket)
    assert Order.objects.count() == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"symbol": ""}, "symbol"),
        ({"symbol": "NOSUCH"}, "symbol"),
        ({"symbol": rows.HTML}, "symbol"),
        ({"side": ""}, "side"),
        ({"side": "hold"}, "side"),
        ({"order_qty": ""}, "order_qty"),
        ({"order_qty": "-1"}, "order_qty"),
        ({"order_qty": "0"}, "order_qty"),
        ({"order_qty": "NaN"}, "order_qty"),
        ({"order_qty": "1e30"}, "order_qty"),
        ({"order_qty": "1.0000000001"}, "order_qty"),
        ({"order_qty": "ten"}, "order_qty"),
        ({"order_qty": "1_000"}, "order_qty"),
        ({"notional": "100"}, "order_qty"),
        ({"price": ""}, "price"),
        ({"price": "1,5"}, "price"),
        ({"ord_type": "market"}, "price"),
        ({"broker_name": "nobody"}, "broker_name"),
        ({"strategy": "x" * 65}, "strategy"),
        ({"time_in_force": "soon"}, "time_in_force"),
    ],
)
def test_bad_ticket_has_its_error_at_the_field_and_leaves_no_row(trader, changes, field):
    answer = submit(trader, fresh(trader, **changes))
    assert answer.status_code == 200
    assert list(answer.context["form"].errors) == [field]
    assert not Order.objects.exists()
    assert "<script>alert" not in answer.content.decode()


def test_forged_ticket_id_is_refused_and_leaves_no_row(trader):
    answer = submit(trader, fresh(trader) | {"client_order_id": "no such; id"})
    assert answer.status_code == 200
    assert answer.context["form"].errors
    assert not Order.objects.exists()


def test_viewer_can_neither_open_nor_post_a_ticket(desk, admin_of):
    viewer = admin_of("viewer")
    assert viewer.get(TICKET).status_code == 403
    assert submit(viewer, FILLED | {"client_order_id": "mine"}).status_code == 403
    assert not Order.objects.exists()


def test_ticket_asks_for_a_login(client, db):
    assert client.get(TICKET).status_code == 302
    assert client.post(TICKET, FILLED).status_code == 302
    assert not Order.objects.exists()


def test_bracket_is_one_order_with_its_legs_on_its_page(trader):
    exits = {"take_profit.limit_price": "190", "stop_loss.stop_price": "170"}
    answer = submit(trader, fresh(trader, order_class="bracket", **exits))
    order = Order.objects.get(parent=None)
    assert answer["Location"] == reverse("admin:orders_order_change", args=[order.pk])
    page = trader.get(answer["Location"]).content.decode()
    assert all(leg.client_order_id in page for leg in order.legs.all())
    leg_page = trader.get(reverse("admin:orders_order_change", args=[order.legs.first().pk])).content.decode()
    assert f">{order}</a>" in leg_page


def test_exit_on_the_wrong_side_is_refused_at_its_field(trader):
    exits = {"take_profit.limit_price": "190", "stop_loss.stop_price": "185"}
    answer = submit(trader, fresh(trader, order_class="bracket", **exits))
    assert "PRICE_ON_WRONG_SIDE" in str(answer.context["form"].errors["stop_loss.stop_price"])
    assert not Order.objects.exists()
