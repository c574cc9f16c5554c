"""The desk is backed up every night; a start of the desk never writes over people's changes."""

from django.db import migrations

TASK = "tradingdesk.tasks.back_up_desk"
NAME = "Back the desk up"
ARGUMENTS = '{"keep_days": 14, "keep_at_least": 3}'
EXPIRE_SECONDS = 3600


def add_schedule(apps, schema_editor):
    nightly, _ = apps.get_model("django_celery_beat", "CrontabSchedule").objects.get_or_create(
        minute="15", hour="2", day_of_week="*", day_of_month="*", month_of_year="*", timezone="UTC"
    )
    apps.get_model("django_celery_beat", "PeriodicTask").objects.get_or_create(
        task=TASK,
        defaults={"name": NAME, "crontab": nightly, "kwargs": ARGUMENTS, "expire_seconds": EXPIRE_SECONDS},
    )


def remove_schedule(apps, schema_editor):
    apps.get_model("django_celery_beat", "PeriodicTask").objects.filter(task=TASK).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("tradingdesk", "0003_legacy_versions"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]

    operations = [migrations.RunPython(add_schedule, remove_schedule)]
