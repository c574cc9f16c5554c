"""The first of all migrations: on a file of the single-broker system, its tables of the desk's names step aside.

It takes the place of `0001_initial`, so a desk that has that one has this one, too, and runs before the desk's other
apps make their tables. Back again, the tables have their old names.
"""

from importlib import import_module

from django.db import migrations

from tradingdesk.legacy_tables import as_migration, move_aside, move_back

initial_tables = import_module("tradingdesk.migrations.0001_initial").Migration


class Migration(migrations.Migration):
    initial = True
    replaces = [("tradingdesk", "0001_initial")]
    dependencies = []
    run_before = [
        ("brokers", "0001_initial"),
        ("risk", "0001_initial"),
        ("orders", "0001_initial"),
    ]

    operations = [
        migrations.RunPython(as_migration(move_aside), as_migration(move_back)),
        *initial_tables.operations,
    ]
