"""Orders that nobody has approved in time are closed every few seconds; a start never writes over people's changes."""

from django.db import migrations

TASK = "orders.tasks.expire_approvals"
NAME = "Close orders that nobody approved in time"
SECONDS = 5


def add_schedule(apps, schema_editor):
    every, _ = apps.get_model("django_celery_beat", "IntervalSchedule").objects.get_or_create(
        every=SECONDS, period="seconds"
    )
    apps.get_model("django_celery_beat", "PeriodicTask").objects.get_or_create(
        task=TASK, defaults={"name": NAME, "interval": every, "expire_seconds": SECONDS}
    )


def remove_schedule(apps, schema_editor):
    apps.get_model("django_celery_beat", "PeriodicTask").objects.filter(task=TASK).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0015_approvals"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]

    operations = [migrations.RunPython(add_schedule, remove_schedule)]
