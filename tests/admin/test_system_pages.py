"""Users, groups, tokens and schedules: edited by hand, each change in the trail, no secret shown or recorded."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.urls import reverse
from django_celery_beat.models import PeriodicTask
from rest_framework.authtoken.models import Token

from tests import factories
from tradingdesk.audit.models import AuditEvent
from tradingdesk.config.models import ConfigurationRecord

ADD_SCHEDULE = reverse("admin:django_celery_beat_periodictask_add")
PASSWORD = "correct horse battery"


def everything_recorded() -> str:
    return str(list(AuditEvent.objects.values())) + str(list(LogEntry.objects.values()))


def test_user_is_added_and_changed_with_an_event_each(superuser):
    data = {"username": "ann", "password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
    answer = superuser.post(reverse("admin:auth_user_add"), data)
    assert answer.status_code == 302
    ann = User.objects.get(username="ann")
    assert ann.check_password(PASSWORD)
    url = reverse("admin:auth_user_change", args=[ann.pk])
    form = superuser.get(url).context["adminform"].form
    given = {"username": "ann", "is_active": "on", "is_staff": "on", "groups": [Group.objects.get(name="viewer").pk]}
    joined = form.initial["date_joined"]
    given |= {"date_joined_0": f"{joined:%Y-%m-%d}", "date_joined_1": f"{joined:%H:%M:%S}"}
    assert superuser.post(url, given).status_code == 302
    kinds = AuditEvent.objects.filter(entity="user", entity_key=str(ann.pk)).order_by("id").values_list("kind", "actor")
    assert list(kinds) == [("user.added", "root-user"), ("user.changed", "root-user")]
    assert PASSWORD not in everything_recorded()


def test_password_change_is_an_event_without_the_password(superuser):
    user = factories.UserFactory()
    data = {"password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
    assert superuser.post(reverse("admin:auth_user_password_change", args=[user.pk]), data).status_code == 302
    assert AuditEvent.objects.filter(kind="user.changed", entity_key=str(user.pk)).count() == 1
    assert PASSWORD not in everything_recorded()


def test_group_deleted_is_an_event(superuser):
    group = Group.objects.create(name="old")
    assert superuser.post(reverse("admin:auth_group_delete", args=[group.pk]), {"post": "yes"}).status_code == 302
    assert AuditEvent.objects.get(kind="group.deleted").after["name"] == "old"


def test_token_key_is_shown_once_and_recorded_nowhere(superuser):
    user = factories.UserFactory()
    add = reverse("admin:authtoken_tokenproxy_add")
    shown = superuser.post(add, {"user": user.pk}, follow=True).content.decode()
    key = Token.objects.get(user=user).key
    assert key in shown
    assert key not in superuser.get(reverse("admin:authtoken_tokenproxy_changelist")).content.decode()
    assert key not in superuser.get(reverse("admin:authtoken_tokenproxy_change", args=[user.pk])).content.decode()
    delete = reverse("admin:authtoken_tokenproxy_delete", args=[user.pk])
    assert key not in superuser.get(delete).content.decode()
    assert key not in superuser.post(delete, {"post": "yes"}, follow=True).content.decode()
    assert not Token.objects.filter(user=user).exists()
    assert list(AuditEvent.objects.filter(entity="tokenproxy").order_by("id").values_list("kind", flat=True)) == [
        "tokenproxy.added",
        "tokenproxy.deleted",
    ]
    assert key not in everything_recorded()


@pytest.fixture
def entry(db) -> dict[str, str]:
    """What a person types to add to the schedule."""
    return {"name": "again", "task": "orders.tasks.sweep", "every": "30", "enabled": "on", "reason": "a slow broker"}


def test_schedule_is_added_to_changed_and_taken_away_as_versions_of_the_configuration(superuser, entry):
    assert superuser.post(ADD_SCHEDULE, entry).status_code == 302
    row = PeriodicTask.objects.get(name="again")
    assert (row.task, row.interval.every, row.enabled) == ("orders.tasks.sweep", 30, True)
    change = reverse("admin:django_celery_beat_periodictask_change", args=[row.pk])
    assert superuser.get(change).context["form"]["every"].value() == 30
    timing = {"every": "", "crontab": "5 4 * * *", "timezone": "Europe/Berlin", "enabled": "", "reason": "by night"}
    assert superuser.post(change, entry | timing).status_code == 302
    row.refresh_from_db()
    assert (row.interval, row.crontab.hour, str(row.crontab.timezone), row.enabled) == (
        None,
        "4",
        "Europe/Berlin",
        False,
    )
    superuser.post(reverse("admin:schedule_entry_remove", args=[row.pk]), {"reason": "over"})
    assert not PeriodicTask.objects.filter(name="again").exists()
    told = ConfigurationRecord.objects.order_by("version").values_list("version", "changed_by", "source", "reason")
    assert list(told) == [
        (1, "root-user", "back office", "a slow broker"),
        (2, "root-user", "back office", "by night"),
        (3, "root-user", "back office", "over"),
    ]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"reason": " "}, "reason"),
        ({"every": "0"}, "every"),
        ({"every": "soon"}, "every"),
        ({"every": "", "crontab": "61 * * * *"}, "crontab"),
        ({"timezone": "Mars"}, "timezone"),
        ({"task": "os.system"}, "task"),
        ({"kwargs": "{"}, "kwargs"),
        ({"kwargs": "[1]"}, "kwargs"),
        ({"kwargs": '{"a": 1}'}, "__all__"),
        ({"every": ""}, "__all__"),
        ({"crontab": "5 4 * * *"}, "__all__"),
        ({"name": "celery.mine"}, "__all__"),
    ],
)
def test_schedule_that_is_refused_says_where_and_changes_nothing(superuser, entry, changes, field):
    answer = superuser.post(ADD_SCHEDULE, entry | changes)
    assert answer.status_code == 200
    assert field in answer.context["form"].errors
    assert not ConfigurationRecord.objects.exists()
    assert not PeriodicTask.objects.filter(name=changes.get("name", "again")).exists()


def test_the_desks_own_entry_is_switched_off_and_given_back(superuser):
    row = PeriodicTask.objects.get(name="Back the desk up")
    change = reverse("admin:django_celery_beat_periodictask_change", args=[row.pk])
    form = superuser.get(change).context["form"]
    given = {name: form[name].value() for name in form.fields} | {"enabled": "", "reason": "the disk is full"}
    assert superuser.post(change, given).status_code == 302
    row.refresh_from_db()
    assert (row.enabled, row.kwargs) == (False, '{"keep_days": 14, "keep_at_least": 3}')
    superuser.post(reverse("admin:schedule_entry_remove", args=[row.pk]), {"reason": "a new disk"})
    row.refresh_from_db()
    assert row.enabled
    assert ConfigurationRecord.objects.first().whole["schedule"] == {}
