"""Everybody who reads the desk sees rebalancing plans; traders and risk officers propose, risk officers decide."""

from django.db import migrations

from analytics.grants import EVERYBODY, granting

SEEN = ["orders.view_rebalanceplan", "orders.view_rebalanceleg"]
PROPOSING = [*SEEN, "orders.add_rebalanceplan"]


class Migration(migrations.Migration):
    dependencies = [("analytics", "0007_sector_permission"), ("orders", "0009_rebalancing")]

    operations = [
        granting(
            dict.fromkeys(EVERYBODY, SEEN)
            | {"trader": PROPOSING, "risk officer": [*PROPOSING, "orders.approve_rebalanceplan"]}
        )
    ]
