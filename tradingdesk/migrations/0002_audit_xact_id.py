"""The transaction that wrote each event: ids are given before commit, so only this tells what a reader may have missed."""

from django.db import migrations


def add_xact_id(apps, schema_editor):
    """PostgreSQL fills it in; SQLite has one writer at a time and needs none."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE audit_events ADD COLUMN xact_id xid8 NOT NULL DEFAULT pg_current_xact_id()")


def drop_xact_id(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE audit_events DROP COLUMN xact_id")


class Migration(migrations.Migration):
    dependencies = [("tradingdesk", "0001_initial")]

    operations = [migrations.RunPython(add_xact_id, drop_xact_id)]
