"""Everybody who reads the desk sees the daily bars that the brokers told."""

from django.db import migrations

from analytics.grants import EVERYBODY, granting


class Migration(migrations.Migration):
    dependencies = [
        ("analytics", "0004_credential_permissions"),
        ("brokers", "0006_daily_bars"),
    ]

    operations = [granting(dict.fromkeys(EVERYBODY, ("brokers.view_dailybar",)))]
