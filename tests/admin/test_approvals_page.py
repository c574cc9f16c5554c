"""The queue of approvals in the back office: who may decide, and what is told."""

import pytest
from django.urls import reverse

from orders.models import Approval, Order, OrderRequest
from risk.models import Control, Scope
from tests import factories
from tests.admin.conftest import signed_in
from tests.orders.soft import held_order, limit, soft_limit, time_passes

LIST = reverse("admin:orders_approval_changelist")


@pytest.fixture
def officer(desk, admin_of):
    soft_limit()
    return admin_of("risk officer")


def page_of(order: Order) -> str:
    return reverse("admin:orders_approval_change", args=[order.approval.pk])


def text(answer) -> str:
    return " ".join(answer.content.decode().split())


def decide(client, order: Order, button: str = "_approve", reason: str = "hedge"):
    return client.post(page_of(order), {button: "1", "reason": reason})


def test_queue_lists_what_waits(officer):
    order = held_order(by="ann<b>")
    body = text(officer.get(LIST))
    assert order.client_order_id in body
    assert "buy 100 IBM limit at 182.4" in body
    assert "ann&lt;b&gt;" in body


def test_page_says_what_is_approved(officer):
    body = text(officer.get(page_of(held_order())))
    assert "It passes 1 soft limit." in body
    assert "order_qty=100, max=50" in body


def test_approved_order_goes_and_its_page_follows(officer):
    order = held_order()
    answer = decide(officer, order)
    assert (answer.status_code, answer.url) == (302, reverse("admin:orders_order_change", args=[order.pk]))
    assert OrderRequest.objects.filter(order=order).count() == 1
    assert "was approved and goes to" in text(officer.get(answer.url))


def test_refused_order_is_denied(officer):
    order = held_order()
    assert decide(officer, order, "_refuse").status_code == 302
    assert Order.objects.get(pk=order.pk).status == "denied"
    assert not OrderRequest.objects.exists()


def test_without_a_reason_nothing_is_decided(officer):
    order = held_order()
    answer = decide(officer, order, reason="")
    assert (answer.status_code, "reason" in answer.context["form"].errors) == (200, True)
    assert Approval.objects.get().is_waiting


def test_own_order_has_no_button_to_approve_it_and_is_refused_with_the_reason(desk):
    soft_limit()
    person = factories.member_of("trader", "risk officer")
    person.is_staff = True
    person.save()
    order, client = held_order(by=person), signed_in(person)
    page = text(client.get(page_of(order)))
    assert "somebody else approves it" in page
    assert ('name="_approve"' in page, 'name="_refuse"' in page) == (False, True)
    answer = decide(client, order)
    assert "another person must approve it (SAME_PERSON)" in text(answer)
    assert Approval.objects.get().is_waiting


def test_new_soft_limit_is_shown_before_it_is_approved(officer):
    order = held_order()
    limit(Control.MAX_ORDER_NOTIONAL, 10_000, Scope.SYMBOL, "IBM", hard=False)
    body = text(decide(officer, order))
    assert "It passes 2 soft limits." in body
    assert "APPROVAL_CHANGED" in body
    assert decide(officer, order).status_code == 302


def test_order_that_expired_meanwhile_is_told_as_such(officer):
    order = held_order()
    time_passes(order)
    body = text(decide(officer, order))
    assert "It waits no more: expired" in body
    assert "APPROVAL_EXPIRED" in body


def test_trader_sees_the_queue_and_decides_nothing(desk, admin_of):
    soft_limit()
    order, trader = held_order(), admin_of("trader")
    assert trader.get(LIST).status_code == 200
    assert 'name="_approve"' not in text(trader.get(page_of(order)))
    assert decide(trader, order).status_code == 403
    assert Approval.objects.get().is_waiting


def test_orders_page_says_that_it_waits(officer):
    order = held_order()
    body = text(officer.get(reverse("admin:orders_order_change", args=[order.pk])))
    assert "Waits for a second person" in body


def test_ticket_says_that_the_order_waits(desk, admin_of):
    soft_limit()
    trader = admin_of("trader")
    data = {"client_order_id": "T-1", "symbol": "IBM", "side": "buy", "order_qty": "100", "ord_type": "limit"}
    data |= {"price": "182.40", "time_in_force": "day"}
    add = reverse("admin:orders_order_add")
    assert "it would wait for a second person" in text(trader.post(add, data | {"_preview": "1"}))
    answer = trader.post(add, data | {"_submit": "1"})
    assert "T-1 waits for a second person" in text(trader.get(answer.url))
