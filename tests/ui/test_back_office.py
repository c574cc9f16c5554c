"""What operators and auditors do, in a real browser; nothing is fetched from elsewhere and nothing is missing."""

from decimal import Decimal

import pytest

from orders.models import Order
from risk.configuration import change_limits
from risk.limits import LimitValue
from risk.models import Control, Scope
from tests.admin import rows
from tests.risk.portfolio.desk import holds, tell

pytestmark = pytest.mark.browser
TILE = (".desk-tile span:first-child", ".desk-tile strong")


def test_overview_shows_the_desk_and_draws_its_charts(desk):
    page = desk.page
    assert page.locator("text=Portfolio value").first.is_visible()
    assert page.locator("canvas.chart").count() == 2
    desk.picture("overview")
    desk.assert_sound()


def test_ticket_is_previewed_submitted_and_leads_to_the_orders_page(desk):
    page = desk.page
    desk.open("/admin/orders/order/add/")
    page.fill("input[name=symbol]", "ibm")
    page.select_option("select[name=side]", "buy")
    page.fill("input[name=order_qty]", "10")
    assert not page.locator("input[name=price]").is_visible()
    page.select_option("select[name=ord_type]", "limit")
    page.fill("input[name=price]", "182.00")
    desk.picture("ticket")
    page.click("button[name=_preview]")
    assert page.locator("#preview h2").inner_text().startswith("Preview: it would be sent to alpaca")
    desk.picture("ticket-preview")
    orders = Order.objects.count()
    page.click("button[name=_submit]")
    page.wait_for_url("**/change/")
    assert Order.objects.count() == orders + 1
    assert page.locator("text=was accepted").is_visible()
    desk.picture("ticket-accepted")
    desk.assert_sound()


def test_double_click_on_submit_makes_one_order(desk):
    page = desk.page
    orders = Order.objects.count()
    desk.open("/admin/orders/order/add/")
    page.fill("input[name=symbol]", "IBM")
    page.select_option("select[name=side]", "buy")
    page.fill("input[name=order_qty]", "10")
    page.dblclick("button[name=_submit]")
    page.wait_for_url("**/change/")
    assert Order.objects.count() == orders + 1


def test_denied_ticket_says_so_at_the_top_and_at_the_field(desk):
    page = desk.page
    desk.open("/admin/orders/order/add/")
    page.fill("input[name=symbol]", "IBM")
    page.select_option("select[name=side]", "buy")
    page.fill("input[name=order_qty]", "1001")
    page.click("button[name=_submit]")
    assert "QUANTITY_EXCEEDS_MAXIMUM" in page.locator("[role=alert]").inner_text()
    assert "max=1000" in page.locator("[data-field=order_qty]").inner_text()
    desk.picture("ticket-denied")
    desk.assert_sound()


def test_order_page_shows_the_whole_life_and_cancels(desk, life):
    page = desk.page
    desk.open(f"/admin/orders/order/{life.pk}/change/")
    assert page.locator("#timeline li").count() >= 9
    page.locator("details.desk-raw summary").first.click()
    desk.picture("order")
    page.fill("#cancel input[name=reason]", "<b>enough</b>")
    page.click("#cancel button[type=submit]")
    page.wait_for_load_state()
    assert page.locator("text=The cancel was requested").is_visible()
    assert "<b>enough</b>" in page.locator("#timeline").inner_text()
    desk.assert_sound()


def test_blotter_filters_and_trail_finds_an_order(desk, life):
    page = desk.page
    desk.open("/admin/orders/order/")
    assert page.locator("#result_list tbody tr").count() == 3
    desk.picture("blotter")
    page.locator("a:has-text('Filters')").first.click()
    page.wait_for_timeout(0)
    desk.picture("blotter-filters")
    desk.open("/admin/orders/order/?status=closed")
    assert page.locator("#result_list tbody tr").count() == 1
    desk.open(f"/admin/tradingdesk/auditevent/?q={life.client_order_id}")
    assert page.locator("#result_list tbody tr").count() >= 4
    desk.picture("trail")
    page.locator("#result_list tbody tr a").first.click()
    page.wait_for_selector(".desk-comparison")
    desk.picture("event")
    desk.assert_sound()


def test_chosen_orders_are_cancelled_from_the_list(desk, life):
    page = desk.page
    desk.open("/admin/orders/order/?status=open")
    for box in page.locator("input.action-select").all():
        box.check()
    page.select_option("select[name=action]", "cancel")
    desk.picture("blotter-action")
    page.locator("#changelist-actions-wrapper button:visible").last.click()
    page.wait_for_load_state()
    assert page.locator(f"text={life}: cancel requested").is_visible()
    desk.picture("blotter-cancelled")
    desk.assert_sound()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_other_pages_in_both_themes(desk, life, theme):
    page = desk.page
    page.emulate_media(color_scheme=theme)
    pages = {
        "overview": "",
        "order": f"orders/order/{life.pk}/change/",
        "ticket": "orders/order/add/",
        "accounts": "brokers/brokeraccount/",
        "account": "brokers/brokeraccount/alpaca/change/",
        "executions": "orders/execution/",
        "execution": f"orders/execution/{life.executions.first().pk}/change/",
        "positions": "orders/position/",
        "limits": "risk/limit/",
        "limit": "risk/limit/add/",
        "halt": "risk/halt/add/",
        "exposure": "risk/exposuretotal/",
        "decisions": "orders/riskdecision/",
        "users": "auth/user/",
        "user": "auth/user/add/",
        "tokens": "authtoken/tokenproxy/",
        "token": "authtoken/tokenproxy/add/",
        "schedules": "django_celery_beat/periodictask/",
        "schedule": "django_celery_beat/periodictask/add/",
    }
    for name, path in pages.items():
        desk.open(f"/admin/{path}")
        desk.picture(f"{theme}-{name}")
    desk.assert_sound()


def test_html_in_text_fields_is_never_run(desk):
    order = rows.order_with_history(7, text=rows.HTML)
    desk.page.on("dialog", lambda dialog: desk.failures.append(f"dialog: {dialog.message}"))
    for path in (
        f"orders/order/{order.pk}/change/",
        "orders/order/",
        "tradingdesk/auditevent/",
        "orders/orderrequest/",
    ):
        desk.open(f"/admin/{path}")
    desk.open(f"/admin/orders/order/?q={rows.HTML}")
    desk.assert_sound()


def test_portfolio_risk_is_shown_and_a_trade_asked_about(desk):
    holds("IBM", 400, 182)
    holds("BAC", -3000, 14, "alpaca_margin")
    tell("IBM", [180 + number * 37 % 11 / 3 for number in range(200)])
    tell("BAC", [14 + number * 23 % 7 / 20 for number in range(200)], "alpaca_margin")
    page = desk.page
    desk.open("/admin/")
    page.click("text=Portfolio risk")
    page.wait_for_url("**/portfolio/")
    page.fill("input[name=symbol]", "IBM")
    page.select_option("select[name=side]", "sell")
    page.fill("input[name=order_qty]", "100")
    page.click("text=Work out")
    assert page.locator("#trade h2").inner_text().startswith("sell 100 IBM")
    assert page.locator("#losses tbody tr").count() == 3
    desk.picture("portfolio-risk")
    desk.assert_sound()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_limits_page_shows_use_and_history(desk, theme):
    page = desk.page
    page.emulate_media(color_scheme=theme)
    values = [
        LimitValue(Control.PORTFOLIO_RISK_LIMIT, Decimal(19_000)),
        LimitValue(Control.MIN_BROKER_DIVERSIFICATION, Decimal(3), hard=False),
        LimitValue(Control.MAX_BROKER_ALLOCATION, Decimal("0.5"), Scope.ACCOUNT, "alpaca"),
    ]
    change_limits(values, actor="rita", reason="quiet week: nothing large until the audit is over")
    desk.open("/admin/")
    page.click("a:has-text('Limits')")
    bars = {bar.get_attribute("aria-label"): bar for bar in page.locator(".desk-bar").all()}
    assert "desk-bad" in bars["portfolio_risk_limit"].get_attribute("class")
    account = page.locator("section:has-text('Account alpaca')")
    account.locator("summary:has-text('1 change')").click()
    assert "rita: not set → 0.5" in account.locator(".desk-past").inner_text()
    desk.picture(f"limits-{theme}")
    desk.assert_sound()


def test_kill_switch_is_thrown_and_read_at_a_glance(desk, life):
    page = desk.page
    page.click("#switch")
    page.wait_for_url("**/switch/")
    assert page.locator("#state h2").inner_text() == "TRADING"
    desk.picture("kill-switch-trading")
    page.select_option("#stop select[name=level]", "cancel_all")
    page.fill("#stop textarea[name=reason]", "runaway loop")
    page.click("#stop button[type=submit]")
    page.wait_for_selector(".desk-halt[data-level=cancel_all]")
    assert page.locator("#state h2").inner_text() == "HALTED"
    tiles = dict(zip(*[page.locator(f"[data-cancels] {part}").all_inner_texts() for part in TILE], strict=False))
    assert (tiles["Orders to cancel"], tiles["Dispatched"], tiles["Still open"]) == ("2", "0", "1")
    desk.picture("kill-switch-halted")
    page.click("text=Flatten…")
    page.fill("textarea[name=reason]", "out of here")
    page.fill("input[name=confirm]", "FLATTEN")
    desk.picture("flatten")
    page.click("button:has-text('Close everything')")
    page.wait_for_selector(".desk-halt[data-level=reduce_only]")
    desk.picture("kill-switch-flattening")
    desk.open("/admin/")
    assert page.locator("#switch strong").inner_text() == "Halted"
    desk.picture("overview-halted")
    desk.assert_sound()
