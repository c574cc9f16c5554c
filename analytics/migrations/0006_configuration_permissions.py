"""Risk officers enable accounts, set their shares, and put an earlier configuration in force again."""

from django.db import migrations

from analytics.grants import granting

MAY = [
    "brokers.change_brokeraccount",
    "tradingdesk.view_configurationrecord",
    "tradingdesk.enact_configurationrecord",
]


class Migration(migrations.Migration):
    dependencies = [
        ("analytics", "0005_bar_permissions"),
        ("tradingdesk", "0006_versions_from_people"),
        ("brokers", "0005_account_snapshots"),
    ]

    operations = [granting({"risk officer": MAY})]
