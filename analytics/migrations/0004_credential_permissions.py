"""Auditors see which credentials are in the database, since when and by whom; setting them is given by hand."""

from django.apps.registry import Apps
from django.contrib.auth.management import create_permissions
from django.db import migrations


def grant(apps: Apps, schema_editor) -> None:
    _make_permissions(apps)
    for group in apps.get_model("auth", "Group").objects.filter(name="auditor"):
        group.permissions.add(*_permissions(apps))


def take_away(apps: Apps, schema_editor) -> None:
    for group in apps.get_model("auth", "Group").objects.filter(name="auditor"):
        group.permissions.remove(*_permissions(apps))


def _permissions(apps: Apps) -> list:
    found = apps.get_model("auth", "Permission").objects
    return list(found.filter(content_type__app_label="tradingdesk", codename="view_credential"))


def _make_permissions(apps: Apps) -> None:
    """Django makes permissions after all migrations; the group needs them now."""
    config = apps.get_app_config("tradingdesk")
    kept, config.models_module = getattr(config, "models_module", None), True
    create_permissions(config, verbosity=0, apps=apps)
    config.models_module = kept


class Migration(migrations.Migration):
    dependencies = [
        ("analytics", "0003_legacy_permissions"),
        ("tradingdesk", "0005_credentials"),
    ]

    operations = [migrations.RunPython(grant, take_away)]
