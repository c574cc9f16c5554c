"""Auditors see which credentials are in the database, since when and by whom; setting them is given by hand."""

from django.db import migrations

from analytics.grants import granting


class Migration(migrations.Migration):
    dependencies = [
        ("analytics", "0003_legacy_permissions"),
        ("tradingdesk", "0005_credentials"),
    ]

    operations = [granting({"auditor": ["tradingdesk.view_credential"]})]
