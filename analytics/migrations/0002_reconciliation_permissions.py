"""Everybody who reads the desk sees breaks; risk officers resolve them."""

from django.db import migrations

from analytics.grants import EVERYBODY, granting

SEEN = ["orders.view_reconciliationbreak", "orders.view_reconciliationrun"]


class Migration(migrations.Migration):
    dependencies = [("analytics", "0001_groups"), ("orders", "0003_reconciliation")]

    operations = [granting(dict.fromkeys(EVERYBODY, SEEN) | {"risk officer": [*SEEN, "orders.resolve_break"]})]
