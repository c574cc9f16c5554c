"""An order over a soft limit in a real browser: entered by one person, approved by another."""

import pytest
from django.contrib.auth.models import User

from orders.models import Order
from risk.models import Control
from tests.factories import member_of
from tests.orders.soft import held_order, limit, soft_limit
from tests.risk.portfolio.desk import tell
from tests.ui.conftest import PASSWORD

pytestmark = pytest.mark.browser

FIRST_USE = 120_000  # ms: a process that measures a portfolio for the first time loads numpy and scikit-learn

CLOSES = [100 + (number * 37 % 11) / 10 for number in range(200)]


@pytest.fixture(autouse=True)
def patient_limits(life):
    """However slow the browser is, quotes are young enough."""
    limit(Control.MAX_QUOTE_AGE, 86_400)
    limit(Control.MAX_QUOTE_LAG, 86_400)


def signed_in_as(desk, *groups: str) -> User:
    """Another person takes the owner's place at the browser."""
    person = member_of(*groups)
    person.is_staff = True
    person.set_password(PASSWORD)
    person.save()
    desk.page.context.clear_cookies()
    desk.open("/admin/login/?next=/admin/")
    desk.page.fill("input[name=username]", person.username)
    desk.page.fill("input[name=password]", PASSWORD)
    desk.page.click("button[type=submit]")
    desk.page.wait_for_url("**/admin/")
    return person


def test_order_over_a_soft_limit_is_entered_by_one_and_approved_by_another(desk):
    page = desk.page
    soft_limit()
    signed_in_as(desk, "trader")
    desk.open("/admin/orders/order/add/")
    page.fill("input[name=symbol]", "IBM")
    page.select_option("select[name=side]", "buy")
    page.fill("input[name=order_qty]", "80")
    page.click("button[name=_preview]")
    assert "it would wait for a second person" in page.locator("#preview h2").inner_text()
    desk.picture("ticket-preview-soft")
    page.click("button[name=_submit]")
    page.wait_for_url("**/change/")
    page.locator("h3:has-text('Waits for a second person')").wait_for()
    desk.picture("order-waits")
    order = Order.objects.get(order_qty=80)

    signed_in_as(desk, "risk officer")
    page.click("a:has-text('Approvals')")
    page.wait_for_url("**/approval/**")
    desk.picture("approvals")
    page.locator("#result_list tbody tr a").first.click()
    page.wait_for_url(f"**/approval/{order.approval.pk}/change/**")
    page.fill("textarea[name=reason]", "hedge of the index position, checked with the desk head")
    desk.picture("approval")
    page.click("button[name=_approve]")
    page.wait_for_url(f"**/order/{order.pk}/change/")
    page.locator("text=was approved and goes to").wait_for()
    desk.picture("order-approved")
    assert Order.objects.get(pk=order.pk).status == "pending"
    desk.assert_sound()


def test_order_is_refused_with_a_reason(desk):
    page = desk.page
    soft_limit()
    order = held_order(order_qty="90")
    desk.open(f"/admin/orders/approval/{order.approval.pk}/change/")
    page.click("button[name=_refuse]")
    page.locator("text=This field is required").wait_for()
    page.fill("textarea[name=reason]", "too large before the close")
    page.click("button[name=_refuse]")
    page.wait_for_url(f"**/order/{order.pk}/change/")
    page.locator("text=APPROVAL_REFUSED").first.wait_for()
    desk.picture("order-refused")
    desk.assert_sound()


def test_preview_measures_what_the_trade_would_do_to_the_portfolio(desk):
    page = desk.page
    tell("IBM", CLOSES)
    desk.open("/admin/orders/order/add/")
    page.fill("input[name=symbol]", "IBM")
    page.select_option("select[name=side]", "buy")
    page.fill("input[name=order_qty]", "10")
    page.click("button[name=_preview_risk]", timeout=FIRST_USE)
    assert page.locator("#portfolio-risk tbody tr").count() == 3
    desk.picture("ticket-preview-risk")
    desk.assert_sound()
