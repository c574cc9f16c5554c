"""What beat has the workers do, as rows that people may change; a start of the desk never writes over them."""

from django.db import migrations

SCHEDULES = {
    "Read what is due at the brokers": ("orders.tasks.dispatch_syncs", 1),
    "Wake workers for what no wake-up reached": ("orders.tasks.sweep", 2),
}
EXPIRE_SECONDS = 5


def add_schedules(apps, schema_editor):
    interval = apps.get_model("django_celery_beat", "IntervalSchedule")
    task = apps.get_model("django_celery_beat", "PeriodicTask")
    for name, (path, seconds) in SCHEDULES.items():
        every, _ = interval.objects.get_or_create(every=seconds, period="seconds")
        task.objects.get_or_create(
            task=path, defaults={"name": name, "interval": every, "expire_seconds": EXPIRE_SECONDS}
        )


def remove_schedules(apps, schema_editor):
    task = apps.get_model("django_celery_beat", "PeriodicTask")
    task.objects.filter(task__in=[path for path, _ in SCHEDULES.values()]).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0001_initial"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]

    operations = [migrations.RunPython(add_schedules, remove_schedules)]
