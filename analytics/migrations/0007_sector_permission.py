"""Risk officers may set the sector of an instrument."""

from django.apps.registry import Apps
from django.contrib.auth.management import create_permissions
from django.db import migrations

MAY = ("risk officer",)
ALLOWED = {"brokers": ["change_instrument"]}


def grant(apps: Apps, schema_editor) -> None:
    _make_permissions(apps)
    for group in apps.get_model("auth", "Group").objects.filter(name__in=MAY):
        group.permissions.add(*_permissions(apps))


def take_away(apps: Apps, schema_editor) -> None:
    for group in apps.get_model("auth", "Group").objects.filter(name__in=MAY):
        group.permissions.remove(*_permissions(apps))


def _permissions(apps: Apps) -> list:
    found = apps.get_model("auth", "Permission").objects
    return [
        permission
        for label, codenames in ALLOWED.items()
        for permission in found.filter(content_type__app_label=label, codename__in=codenames)
    ]


def _make_permissions(apps: Apps) -> None:
    """Django makes permissions after all migrations; the groups need them now."""
    for label in ALLOWED:
        config = apps.get_app_config(label)
        kept, config.models_module = getattr(config, "models_module", None), True
        create_permissions(config, verbosity=0, apps=apps)
        config.models_module = kept


class Migration(migrations.Migration):
    dependencies = [
        ("analytics", "0006_configuration_permissions"),
        ("brokers", "0006_daily_bars"),
    ]

    operations = [migrations.RunPython(grant, take_away)]
