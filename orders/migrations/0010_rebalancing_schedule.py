"""Plans that rebalance are proposed once a minute where something calls for one, and their orders watched; see 0002."""

from django.db import migrations

SCHEDULES = {
    "Propose to rebalance": ("orders.tasks.propose_rebalancing", 60),
    "Place what rebalances": ("orders.tasks.advance_rebalancing", 5),
}


def add_schedules(apps, schema_editor):
    interval = apps.get_model("django_celery_beat", "IntervalSchedule")
    task = apps.get_model("django_celery_beat", "PeriodicTask")
    for name, (path, seconds) in SCHEDULES.items():
        every, _ = interval.objects.get_or_create(every=seconds, period="seconds")
        task.objects.get_or_create(task=path, defaults={"name": name, "interval": every, "expire_seconds": seconds})


def remove_schedules(apps, schema_editor):
    task = apps.get_model("django_celery_beat", "PeriodicTask")
    task.objects.filter(task__in=[path for path, _ in SCHEDULES.values()]).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0009_rebalancing"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]

    operations = [migrations.RunPython(add_schedules, remove_schedules)]
