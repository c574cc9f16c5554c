"""Everybody who reads the desk sees what waits for approval; risk officers approve and refuse."""

from django.db import migrations

from analytics.grants import EVERYBODY, granting

SEEN = ["orders.view_approval"]


class Migration(migrations.Migration):
    dependencies = [("analytics", "0009_halt_permissions"), ("orders", "0015_approvals")]

    operations = [granting(dict.fromkeys(EVERYBODY, SEEN) | {"risk officer": [*SEEN, "orders.approve_order"]})]
