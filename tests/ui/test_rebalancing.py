"""A plan in a real browser: previewed, proposed by the desk, approved with a reason, and its orders watched."""

import pytest

from orders.models import Order, RebalancePlan
from orders.rebalancing import placing, plans
from tests.orders.rebalancing.desk import fill, lopsided_desk

pytestmark = pytest.mark.browser


@pytest.fixture
def life(transactional_db):
    """A desk whose first account holds more than it may."""
    lopsided_desk(450)


def test_plan_is_previewed_approved_and_carried_out(desk, life):
    page = desk.page
    desk.open("/admin/orders/rebalanceplan/add/")
    assert page.locator("#legs h2").inner_text().startswith("Preview: 2 orders")
    desk.picture("rebalancing-preview")
    (plan,) = plans.propose_where_due()
    desk.open("/admin/orders/rebalanceplan/")
    page.click("#result_list tbody th a, #result_list tbody td a >> nth=0")
    assert page.locator("#legs tbody tr").count() == 2
    desk.picture("rebalancing-plan")
    page.fill("#decide textarea[name=reason]", "too much at one broker")
    page.click("#decide button[name=_approve]")
    page.wait_for_selector("#decide button[name=_stop]")
    plan.refresh_from_db()
    assert (plan.state, plan.decided_by) == ("placing", "owner")
    for _ in range(2):
        placing.advance(plan.pk)
        fill(Order.objects.filter(strategy="rebalancing").latest("id"))
    placing.advance(plan.pk)
    page.reload()
    assert page.locator("#outcome").inner_text() == "every order was filled"
    assert page.locator("#legs tbody a").count() == 2
    assert page.locator("#decide").count() == 0
    desk.picture("rebalancing-done")
    desk.assert_sound()


def test_plan_of_ones_own_cannot_be_approved_on_its_page(desk, life):
    page = desk.page
    desk.open("/admin/orders/rebalanceplan/add/")
    page.fill("#propose textarea[name=reason]", "it looks wrong")
    page.click("#propose button[type=submit]")
    page.wait_for_selector("#decide")
    assert "somebody else approves it" in page.locator("#decide").inner_text()
    assert page.locator("button[name=_approve]").count() == 0
    desk.picture("rebalancing-own-plan")
    page.fill("#decide textarea[name=reason]", "better not")
    page.click("#decide button[name=_reject]")
    page.wait_for_selector("text=is rejected")
    assert RebalancePlan.objects.get().state == "rejected"
    desk.assert_sound()
