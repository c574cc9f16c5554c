"""Everybody who reads the desk sees the exchange rates, and what losses are measured from."""

from django.db import migrations

from analytics.grants import EVERYBODY, granting

SEEN = ["risk.view_exchangerate", "risk.view_equitymark"]


class Migration(migrations.Migration):
    dependencies = [("analytics", "0010_approval_permissions"), ("risk", "0011_losses_schedule")]

    operations = [granting(dict.fromkeys(EVERYBODY, SEEN))]
