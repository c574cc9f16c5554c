"""The schedule in a real browser."""

import pytest
from django_celery_beat.models import PeriodicTask

from tradingdesk.config.models import ConfigurationRecord

pytestmark = pytest.mark.browser


def test_person_adds_to_the_schedule_and_is_told_what_is_wrong_with_it(desk):
    page = desk.page
    desk.open("/admin/django_celery_beat/periodictask/add/")
    page.fill("input[name=name]", "sweep by night")
    page.select_option("select[name=task]", "orders.tasks.sweep")
    page.fill("input[name=crontab]", "61 2 * * *")
    page.fill("textarea[name=reason]", "quiet hours")
    page.click("button:has-text('Add')")
    page.wait_for_selector("text=expected a crontab such as")
    desk.picture("schedule-wrong")
    page.fill("input[name=crontab]", "1 2 * * *")
    page.click("button:has-text('Add')")
    page.wait_for_selector("text=sweep by night: done, with version 1.")
    desk.picture("schedules")
    assert PeriodicTask.objects.get(name="sweep by night").crontab.hour == "2"
    assert ConfigurationRecord.objects.get().reason == "quiet hours"
    desk.assert_sound()
