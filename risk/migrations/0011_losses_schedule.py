"""Losses are watched every five seconds; a start of the desk never writes over people's changes."""

from django.db import migrations

TASK = "risk.tasks.watch_losses"
NAME = "Watch losses"
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
        ("risk", "0010_equity_marks"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]

    operations = [migrations.RunPython(add_schedule, remove_schedule)]
