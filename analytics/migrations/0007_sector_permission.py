"""Risk officers may set the sector of an instrument."""

from django.db import migrations

from analytics.grants import granting


class Migration(migrations.Migration):
    dependencies = [
        ("analytics", "0006_configuration_permissions"),
        ("brokers", "0006_daily_bars"),
    ]

    operations = [granting({"risk officer": ["brokers.change_instrument"]})]
