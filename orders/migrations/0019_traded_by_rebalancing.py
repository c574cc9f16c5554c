"""Name what a leg of a rebalancing plan has traded as FIX names it."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("orders", "0018_indexes_that_are_used")]

    operations = [migrations.RenameField(model_name="rebalanceleg", old_name="filled_qty", new_name="cum_qty")]
