"""The `schedule:` section: typed, part of the record, and what the real scheduler of beat does."""

import json

import pytest
from celery import current_app
from django.utils import timezone
from django_celery_beat.models import ClockedSchedule, IntervalSchedule, PeriodicTask, PeriodicTasks
from django_celery_beat.schedulers import DatabaseScheduler

from tradingdesk.audit.models import AuditEvent
from tradingdesk.config.document import ConfigurationError
from tradingdesk.config.models import ConfigurationRecord
from tradingdesk.config.record import load, plan, return_to
from tradingdesk.errors import InvalidInput
from tradingdesk.schedule.entry import Entry, own_entries
from tradingdesk.schedule.rows import entry_of, rows
from tradingdesk.schedule.section import change_schedule, known_tasks

pytestmark = pytest.mark.django_db

COMPARE = "Compare the desk with the brokers"
BACKUP = "Back the desk up"
SECTION = f"""\
schedule:
  {COMPARE}:
    every: 120
  alpaca at the open:
    task: orders.tasks.sync_account
    crontab: "31 9 * * 1-5"
    timezone: America/New_York
    kwargs: {{broker_name: alpaca, reads: [executions]}}
"""


def with_schedule(file, text: str = SECTION):
    return file.write(file.path.read_text().partition("schedule:")[0] + text)


def test_every_row_that_migrations_make_is_one_of_the_desks_own_entries():
    assert rows() == own_entries()
    assert PeriodicTasks.last_change() is not None
    assert {row.name: row.expire_seconds for row in PeriodicTask.objects.all()} == {
        "Read what is due at the brokers": 5,
        "Wake workers for what no wake-up reached": 5,
        "Carry out halts, and trip those that triggers call for": 5,
        COMPARE: 60,
        "Weigh what is held and entered": 60,
        "Propose to rebalance": 60,
        "Close orders that nobody approved in time": 5,
        "Place what rebalances": 5,
        "Watch losses": 5,
        BACKUP: 3600,
    }


def test_section_changes_what_it_names_and_adds_the_rest(file):
    load(with_schedule(file), actor="ann", reason="review")
    found = rows()
    assert found[COMPARE] == Entry(task="orders.tasks.dispatch_reconciliations", every=120)
    assert found["alpaca at the open"] == Entry(
        task="orders.tasks.sync_account",
        crontab="31 9 * * 1-5",
        timezone="America/New_York",
        kwargs={"broker_name": "alpaca", "reads": ["executions"]},
    )
    assert {name: found[name] for name in own_entries() if name != COMPARE} == {
        name: entry for name, entry in own_entries().items() if name != COMPARE
    }
    event = AuditEvent.objects.get(entity="schedule", entity_key=COMPARE)
    assert (event.kind, event.actor, event.reason, event.before["every"], event.after["every"]) == (
        "config.changed",
        "ann",
        "review",
        60,
        120,
    )


def test_section_is_part_of_the_record(file):
    record = load(with_schedule(file), actor="ann")
    assert {"path": f"schedule.{COMPARE}.every", "before": None, "after": 120} in record.diff
    assert record.whole["schedule"]["alpaca at the open"]["kwargs"] == {
        "broker_name": "alpaca",
        "reads": ["executions"],
    }
    assert load(file, actor="ann") is None


def test_own_entry_is_switched_off_and_is_as_the_desk_has_it_without_a_word(file):
    load(with_schedule(file, f"schedule:\n  {BACKUP}: {{enabled: false}}\n"), actor="ann")
    row = PeriodicTask.objects.get(name=BACKUP)
    assert (row.enabled, row.crontab.hour, json.loads(row.kwargs)) == (
        False,
        "2",
        {"keep_days": 14, "keep_at_least": 3},
    )
    load(with_schedule(file, ""), actor="ann")
    assert rows() == own_entries()


def test_entry_that_left_the_file_is_gone(file):
    load(with_schedule(file), actor="ann")
    record = load(with_schedule(file, f"schedule:\n  {COMPARE}: {{every: 120}}\n"), actor="ann")
    assert "alpaca at the open" not in rows()
    assert {change["after"] for change in record.diff} == {None}


def test_timing_of_another_kind_takes_the_place_of_the_desks_own(file):
    load(with_schedule(file, f'schedule:\n  {COMPARE}: {{crontab: "*/5 * * * *"}}\n'), actor="ann")
    row = PeriodicTask.objects.get(name=COMPARE)
    assert (row.interval, row.crontab.minute, row.expire_seconds) == (None, "*/5", 3600)


WRONG = {
    "unknown task": (
        "orders.tasks.sync_account",
        "orders.tasks.sync_acount",
        "desk.yaml:27: schedule.alpaca at the open.task: found 'orders.tasks.sync_acount', expected one of orders.",
    ),
    "missing task": (
        "    task: orders.tasks.sync_account\n",
        "",
        "desk.yaml:26: schedule.alpaca at the open.task: missing; there are orders.tasks.",
    ),
    "crontab of four parts": (
        "31 9 * * 1-5",
        "9 * * 1-5",
        "desk.yaml:28: schedule.alpaca at the open.crontab: found '9 * * 1-5', expected a crontab such as \"30 13 *",
    ),
    "crontab of a minute that there is not": (
        "31 9 * * 1-5",
        "61 9 * * 1-5",
        "desk.yaml:28: schedule.alpaca at the open.crontab: found '61 9 * * 1-5', expected a crontab such as",
    ),
    "interval of nothing": (
        "every: 120",
        "every: 0",
        f"desk.yaml:25: schedule.{COMPARE}.every: found 0, expected a whole number of seconds, 1 or more",
    ),
    "interval in words": (
        "every: 120",
        "every: two minutes",
        f"desk.yaml:25: schedule.{COMPARE}.every: found 'two minutes', expected a whole number of seconds, 1 or more",
    ),
    "two timings": (
        "    timezone: America/New_York\n",
        "    every: 5\n",
        "desk.yaml:28: schedule.alpaca at the open.crontab: every: is given, too; give one of the two",
    ),
    "no timing": (
        '    crontab: "31 9 * * 1-5"\n    timezone: America/New_York\n',
        "",
        "desk.yaml:26: schedule.alpaca at the open: give every: (seconds) or crontab:",
    ),
    "unknown time zone": (
        "America/New_York",
        "America/Gotham",
        "desk.yaml:29: schedule.alpaca at the open.timezone: found 'America/Gotham', expected a time zone such as",
    ),
    "time zone of an interval": (
        "every: 120",
        "every: 120\n    timezone: Europe/Berlin",
        f"desk.yaml:26: schedule.{COMPARE}.timezone: goes with crontab: only",
    ),
    "argument that the task does not take": (
        "broker_name: alpaca",
        "broker: alpaca",
        "desk.yaml:30: schedule.alpaca at the open.kwargs: missing a required argument: 'broker_name'; orders.",
    ),
    "arguments that are a list": (
        "{broker_name: alpaca, reads: [executions]}",
        "[alpaca]",
        "desk.yaml:30: schedule.alpaca at the open.kwargs: found a list, expected a mapping of the task's arguments",
    ),
    "unknown key": (
        "every: 120",
        "evry: 120",
        f"desk.yaml:25: schedule.{COMPARE}.evry: unknown key; known are task, every, crontab, timezone, enabled,",
    ),
    "name of beat's own": (
        "alpaca at the open",
        "celery.alpaca",
        "desk.yaml:26: schedule.celery.alpaca: found 'celery.alpaca', expected a name of up to 200 characters",
    ),
    "entry that is no mapping": (
        "\n    every: 120",
        " 120",
        f"desk.yaml:24: schedule.{COMPARE}: found 120, expected a mapping",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_mistake_is_told_with_its_line_and_the_schedule_in_force_stays(file, what):
    load(with_schedule(file), actor="ann")
    before = rows()
    old, new, told = WRONG[what]
    file.replace(old, new)
    with pytest.raises(ConfigurationError) as error:
        load(file, actor="ann")
    lines = error.value.detail.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith(told)
    assert (ConfigurationRecord.objects.count(), rows()) == (1, before)


@pytest.mark.django_db(transaction=True)
def test_scheduler_of_beat_takes_up_entries_and_their_changes_while_it_runs(file):
    # Beat takes up a crontab of certain hours only near them.
    every_hour = SECTION.replace("31 9 * * 1-5", "31 * * * *")
    PeriodicTasks.update_changed()  # as a migration does, which a flush takes back
    scheduler = DatabaseScheduler(app=current_app._get_current_object(), lazy=False)
    for _tick in range(2):
        assert "alpaca at the open" not in scheduler.schedule
    load(with_schedule(file, every_hour), actor="ann")
    assert scheduler.schedule[COMPARE].schedule.run_every.total_seconds() == 120
    entry = scheduler.schedule["alpaca at the open"]
    assert (entry.task, entry.kwargs) == (
        "orders.tasks.sync_account",
        {"broker_name": "alpaca", "reads": ["executions"]},
    )
    assert str(entry.schedule.tz) == "America/New_York"
    file.replace("every: 120", "enabled: false")
    load(file, actor="ann")
    assert COMPARE not in scheduler.schedule


def test_entry_that_a_person_sets_is_a_version_and_goes_with_a_return(file):
    first = load(file, actor="ann")
    record = change_schedule(
        "sweep again", Entry(task="orders.tasks.sweep", every=30), actor="rita", reason="a slow broker"
    )
    assert record.whole["schedule"] == {"sweep again": {"task": "orders.tasks.sweep", "every": 30}}
    assert (record.changed_by, record.source, record.reason) == ("rita", "back office", "a slow broker")
    assert load(file, actor="system:desk") is None
    return_to(first, seen=2, actor="bob", reason="it is quick again")
    assert rows() == own_entries()


def test_entry_that_a_person_takes_away_is_as_the_desk_has_it(file):
    load(with_schedule(file), actor="ann")
    change_schedule(COMPARE, None, actor="rita", reason="as ever")
    assert rows()[COMPARE] == own_entries()[COMPARE]
    with pytest.raises(InvalidInput, match="NOT_IN_THE_CONFIGURATION"):
        change_schedule(COMPARE, None, actor="rita", reason="once more")


def test_entry_that_beat_could_not_do_is_refused(file):
    load(file, actor="ann")
    with pytest.raises(
        ConfigurationError, match=r"^CONFIGURATION_INVALID: schedule\.x\.task: found 'rm', expected one of"
    ):
        change_schedule("x", Entry(task="rm", every=1), actor="rita", reason="x")
    assert rows() == own_entries()


def test_row_that_people_made_before_is_told_and_stays_until_the_section_changes(file):
    load(file, actor="ann")
    minutes = IntervalSchedule.objects.create(every=5, period="minutes")
    PeriodicTask.objects.create(name="older", task="orders.tasks.sweep", interval=minutes)
    record = change_schedule(COMPARE, Entry(task=rows()[COMPARE].task, every=90), actor="rita", reason="x")
    assert record.whole["schedule"]["older"] == {"task": "orders.tasks.sweep", "every": 300}
    assert [change["path"] for change in record.diff] == [f"schedule.{COMPARE}.task", f"schedule.{COMPARE}.every"]
    said = [str(change) for change in plan(with_schedule(file)).changes]
    assert "- schedule.older.every: 300" in said
    load(file, actor="ann")
    assert "older" not in rows()


def test_row_that_the_section_cannot_say_is_left_alone(file):
    once = ClockedSchedule.objects.create(clocked_time=timezone.now())
    row = PeriodicTask.objects.create(name="once", task="orders.tasks.sweep", clocked=once, one_off=True)
    assert entry_of(row) is None
    record = load(with_schedule(file), actor="ann")
    assert "once" not in record.whole["schedule"]
    assert PeriodicTask.objects.filter(name="once", clocked=once).exists()


def test_known_tasks_are_the_desks_and_none_of_celerys():
    assert {entry.task for entry in own_entries().values()} <= set(known_tasks())
    assert not [name for name in known_tasks() if name.startswith("celery.")]
