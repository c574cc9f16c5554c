"""Everybody who reads the desk sees what came from a legacy database: signals and their decisions, and what was left."""

from django.db import migrations

from analytics.grants import EVERYBODY, granting

SEEN = [
    "orders.view_signal",
    "orders.view_signaldecision",
    "orders.view_migrationrun",
    "orders.view_quarantinedrow",
    "brokers.view_accountsnapshot",
]


class Migration(migrations.Migration):
    dependencies = [
        ("analytics", "0002_reconciliation_permissions"),
        ("brokers", "0005_account_snapshots"),
        ("orders", "0006_legacy_rows"),
    ]

    operations = [granting(dict.fromkeys(EVERYBODY, SEEN))]
