"""Risk officers enable accounts, set their shares, and put an earlier configuration in force again."""

from django.apps.registry import Apps
from django.contrib.auth.management import create_permissions
from django.db import migrations

GROUP = "risk officer"
MAY = {
    "brokers": ["change_brokeraccount"],
    "tradingdesk": ["view_configurationrecord", "enact_configurationrecord"],
}


def grant(apps: Apps, schema_editor) -> None:
    _make_permissions(apps)
    for group in apps.get_model("auth", "Group").objects.filter(name=GROUP):
        group.permissions.add(*_permissions(apps))


def take_away(apps: Apps, schema_editor) -> None:
    for group in apps.get_model("auth", "Group").objects.filter(name=GROUP):
        group.permissions.remove(*_permissions(apps))


def _permissions(apps: Apps) -> list:
    found = apps.get_model("auth", "Permission").objects
    return [
        permission
        for label, codenames in MAY.items()
        for permission in found.filter(content_type__app_label=label, codename__in=codenames)
    ]


def _make_permissions(apps: Apps) -> None:
    """Django makes permissions after all migrations; the groups need them now."""
    for label in MAY:
        config = apps.get_app_config(label)
        kept, config.models_module = getattr(config, "models_module", None), True
        create_permissions(config, verbosity=0, apps=apps)
        config.models_module = kept


class Migration(migrations.Migration):
    dependencies = [
        ("analytics", "0005_bar_permissions"),
        ("tradingdesk", "0006_versions_from_people"),
        ("brokers", "0005_account_snapshots"),
    ]

    operations = [migrations.RunPython(grant, take_away)]
