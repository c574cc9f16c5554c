"""Versions of the configuration in a real browser: compared, and gone back to."""

from decimal import Decimal

import pytest

from risk.configuration import change_limits
from risk.limits import LimitValue, limits_in_force
from risk.models import Control

pytestmark = pytest.mark.browser


def set_limit(value: str, reason: str) -> None:
    change_limits([LimitValue(Control.MAX_ORDER_QTY, Decimal(value))], actor="rita", reason=reason)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_person_compares_two_versions_and_goes_back_to_the_first(desk, theme):
    page = desk.page
    page.emulate_media(color_scheme=theme)
    set_limit("800", "results are due")
    set_limit("50", "a very bad day")
    desk.open("/admin/tradingdesk/configurationrecord/")
    desk.picture(f"{theme}-versions")
    page.click("text=Compare versions")
    page.wait_for_selector("#side-by-side")
    desk.picture(f"{theme}-compare")
    assert page.locator("#side-by-side td.desk-new").count() == 1
    page.click("text=Go back to this version…")
    page.wait_for_selector("text=This is what would change")
    desk.picture(f"{theme}-go-back")
    page.fill("textarea[name=reason]", "the day is over")
    page.click("button:has-text('in force again')")
    page.wait_for_selector("text=version 3 is in force: as version 1 was.")
    desk.picture(f"{theme}-version")
    assert {limit.value for limit in limits_in_force() if limit.control == Control.MAX_ORDER_QTY} == {800}
    desk.assert_sound()


def test_person_is_told_that_shares_do_not_add_up(desk):
    page = desk.page
    desk.open("/admin/brokers/brokeraccount/")
    page.click("text=Shares and switches")
    page.fill("input[name=share_alpaca]", "0.9")
    page.fill("textarea[name=reason]", "more there")
    page.click("button:has-text('Put in force')")
    page.wait_for_selector("text=adds up to")
    desk.picture("shares")
    desk.assert_sound()
