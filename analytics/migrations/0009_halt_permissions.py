"""Risk officers may close every position; everybody sees what became of the cancels that halts asked for."""

from django.db import migrations

from analytics.grants import EVERYBODY, granting

SEEN = ["orders.view_haltcancel"]


class Migration(migrations.Migration):
    dependencies = [
        ("analytics", "0008_rebalancing_permissions"),
        ("risk", "0004_halt_levels"),
        ("orders", "0011_halt_cancels"),
    ]

    operations = [granting(dict.fromkeys(EVERYBODY, SEEN) | {"risk officer": [*SEEN, "risk.flatten_halt"]})]
