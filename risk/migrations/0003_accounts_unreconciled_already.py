from django.db import migrations


def copy(apps, schema_editor):
    totals = apps.get_model("risk", "ExposureTotal").objects
    for account in apps.get_model("brokers", "BrokerAccount").objects.exclude(unreconciled=""):
        found = {"broker_name": account.broker_name, "unreconciled": account.unreconciled}
        totals.update_or_create(key=f"1:{account.broker_name}", defaults=found)


class Migration(migrations.Migration):
    """Keep refusing orders where open breaks refused them before."""

    dependencies = [("risk", "0002_unreconciled_accounts"), ("brokers", "0003_reconciliation_and_breaker")]

    operations = [migrations.RunPython(copy, migrations.RunPython.noop)]
