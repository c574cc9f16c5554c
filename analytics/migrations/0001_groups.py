from django.apps.registry import Apps
from django.db import migrations

from analytics.grants import granting

SEEN_BY_VIEWERS = [
    "brokers.view_brokeraccount",
    "brokers.view_accounthealth",
    "brokers.view_instrument",
    "brokers.view_listing",
    "brokers.view_quote",
    "orders.view_order",
    "orders.view_orderrequest",
    "orders.view_execution",
    "orders.view_brokermessage",
    "orders.view_position",
    "orders.view_tradelog",
    "orders.view_riskdecision",
    "orders.view_routingdecision",
    "risk.view_exposuretotal",
    "risk.view_limit",
    "risk.view_halt",
]
GROUPS = {
    "viewer": SEEN_BY_VIEWERS,
    "trader": [*SEEN_BY_VIEWERS, "orders.add_order", "orders.change_order", "orders.cancel_order"],
    "risk officer": [*SEEN_BY_VIEWERS, "risk.add_limit", "risk.change_limit", "risk.add_halt", "risk.clear_halt"],
    "auditor": [*SEEN_BY_VIEWERS, "tradingdesk.view_auditevent", "tradingdesk.view_configurationrecord"],
}


def make_groups(apps: Apps, schema_editor) -> None:
    for name in GROUPS:
        apps.get_model("auth", "Group").objects.get_or_create(name=name)


def remove_groups(apps: Apps, schema_editor) -> None:
    apps.get_model("auth", "Group").objects.filter(name__in=GROUPS).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("tradingdesk", "0001_initial"),
        ("brokers", "0001_initial"),
        ("risk", "0001_initial"),
        ("orders", "0001_initial"),
    ]

    operations = [migrations.RunPython(make_groups, remove_groups), granting(GROUPS)]
