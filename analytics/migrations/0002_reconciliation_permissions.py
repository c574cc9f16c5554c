"""Everybody who reads the desk sees breaks; risk officers resolve them."""

from django.apps.registry import Apps
from django.contrib.auth.management import create_permissions
from django.db import migrations

VIEWERS = ("viewer", "trader", "risk officer", "auditor")
SEEN = ["view_reconciliationbreak", "view_reconciliationrun"]
GROUPS = {name: [*SEEN, "resolve_break"] if name == "risk officer" else SEEN for name in VIEWERS}


def grant(apps: Apps, schema_editor) -> None:
    _make_permissions(apps)
    Group, Permission = apps.get_model("auth", "Group"), apps.get_model("auth", "Permission")
    for name, needed in GROUPS.items():
        for group in Group.objects.filter(name=name):
            found = Permission.objects.filter(content_type__app_label="orders", codename__in=needed)
            group.permissions.add(*found)


def take_away(apps: Apps, schema_editor) -> None:
    Group, Permission = apps.get_model("auth", "Group"), apps.get_model("auth", "Permission")
    for group in Group.objects.filter(name__in=GROUPS):
        found = Permission.objects.filter(content_type__app_label="orders", codename__in=[*SEEN, "resolve_break"])
        group.permissions.remove(*found)


def _make_permissions(apps: Apps) -> None:
    """Django makes permissions after all migrations; the groups need them now."""
    config = apps.get_app_config("orders")
    kept, config.models_module = getattr(config, "models_module", None), True
    create_permissions(config, verbosity=0, apps=apps)
    config.models_module = kept


class Migration(migrations.Migration):
    dependencies = [("analytics", "0001_groups"), ("orders", "0003_reconciliation")]

    operations = [migrations.RunPython(grant, take_away)]
