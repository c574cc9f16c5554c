"""Halts are carried out every two seconds; a start of the desk never writes over people's changes."""

from django.db import migrations

TASK = "orders.tasks.watch_halts"
NAME = "Carry out halts, and trip those that triggers call for"
SECONDS = 2
EXPIRE_SECONDS = 5


def add_schedule(apps, schema_editor):
    every, _ = apps.get_model("django_celery_beat", "IntervalSchedule").objects.get_or_create(
        every=SECONDS, period="seconds"
    )
    apps.get_model("django_celery_beat", "PeriodicTask").objects.get_or_create(
        task=TASK, defaults={"name": NAME, "interval": every, "expire_seconds": EXPIRE_SECONDS}
    )


def remove_schedule(apps, schema_editor):
    apps.get_model("django_celery_beat", "PeriodicTask").objects.filter(task=TASK).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0011_halt_cancels"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]

    operations = [migrations.RunPython(add_schedule, remove_schedule)]
