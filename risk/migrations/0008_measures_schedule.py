"""Rates, betas and sectors come to the totals once a minute; a start of the desk never writes over people's changes."""

from django.db import migrations

TASK = "risk.tasks.refresh_measures"
NAME = "Weigh what is held and entered"
SECONDS = 60


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
        ("risk", "0007_sums_of_what_is_there"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]

    operations = [migrations.RunPython(add_schedule, remove_schedule)]
