"""Users, groups, tokens and schedules: edited by hand, each change in the trail, no secret shown or recorded."""

from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.urls import reverse
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from rest_framework.authtoken.models import Token

from tests import factories
from tradingdesk.audit.models import AuditEvent

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


def test_schedules_are_switched_with_an_event_each(superuser):
    every = IntervalSchedule.objects.create(every=7, period="seconds")
    task = PeriodicTask.objects.create(name="a task of ours", task="orders.tasks.sweep", interval=every)
    data = {"action": "disable_tasks", "_selected_action": [task.pk]}
    superuser.post(reverse("admin:django_celery_beat_periodictask_changelist"), data)
    task.refresh_from_db()
    assert not task.enabled
    assert AuditEvent.objects.get(kind="periodictask.changed").after["changes"] == [{"disabled": {}}]
