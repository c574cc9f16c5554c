"""django-celery-beat compares the time of the last change with the one it saw before: without any, it misses the first."""

from django.db import migrations
from django.utils import timezone


def begin(apps, schema_editor):
    apps.get_model("django_celery_beat", "PeriodicTasks").objects.get_or_create(
        ident=1, defaults={"last_update": timezone.now()}
    )


class Migration(migrations.Migration):
    dependencies = [
        ("tradingdesk", "0006_versions_from_people"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]

    operations = [migrations.RunPython(begin, migrations.RunPython.noop)]
