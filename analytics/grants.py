"""What migrations give to groups. Migrations of every age use this: what it does may not change."""

from collections.abc import Iterable, Iterator, Mapping

from django.apps.registry import Apps
from django.contrib.auth.management import create_permissions
from django.db import migrations

EVERYBODY = ("viewer", "trader", "risk officer", "auditor")


def granting(permissions: Mapping[str, Iterable[str]]) -> migrations.RunPython:
    """Make the operation that gives groups, by name, permissions ("app.codename"); backwards it takes them away."""

    def grant(apps: Apps, schema_editor) -> None:
        _make_permissions(apps, {one.partition(".")[0] for names in permissions.values() for one in names})
        for group, needed in _groups(apps, permissions):
            group.permissions.add(*needed)

    def take_away(apps: Apps, schema_editor) -> None:
        for group, needed in _groups(apps, permissions):
            group.permissions.remove(*needed)

    return migrations.RunPython(grant, take_away)


def _groups(apps: Apps, permissions: Mapping[str, Iterable[str]]) -> Iterator[tuple]:
    known = {
        f"{permission.content_type.app_label}.{permission.codename}": permission
        for permission in apps.get_model("auth", "Permission").objects.select_related("content_type")
    }
    for group in apps.get_model("auth", "Group").objects.filter(name__in=permissions):
        yield group, [known[one] for one in permissions[group.name]]


def _make_permissions(apps: Apps, labels: Iterable[str]) -> None:
    """Django makes permissions after all migrations; the groups need them now."""
    for label in sorted(labels):
        config = apps.get_app_config(label)
        kept, config.models_module = getattr(config, "models_module", None), True
        create_permissions(config, verbosity=0, apps=apps)
        config.models_module = kept
