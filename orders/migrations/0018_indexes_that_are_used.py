"""Take away indexes that no query needs and that every order paid for, or whose columns others begin with.

On PostgreSQL Django gives a unique text two; nobody looks for requests by the beginning of their ids.
"""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

REQUESTS_BY_BEGINNING = """
    SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'order_requests'::regclass
    AND indclass[0] IN (SELECT oid FROM pg_opclass WHERE opcname = 'varchar_pattern_ops')
"""


def drop_requests_by_beginning(apps, schema_editor):
    if schema_editor.connection.vendor != "postgresql":
        return
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(REQUESTS_BY_BEGINNING)
        for (name,) in cursor.fetchall():
            cursor.execute(f"DROP INDEX {name}")


class Migration(migrations.Migration):
    dependencies = [
        ("brokers", "0008_clock_of_accounts"),
        ("orders", "0017_who_asked"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="order",
            name="order_working",
        ),
        migrations.AlterField(
            model_name="brokermessage",
            name="account",
            field=models.ForeignKey(
                db_column="broker_name",
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="brokers.brokeraccount",
            ),
        ),
        migrations.AlterField(
            model_name="execution",
            name="account",
            field=models.ForeignKey(
                db_column="broker_name",
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="executions",
                to="brokers.brokeraccount",
            ),
        ),
        migrations.AlterField(
            model_name="order",
            name="instrument",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="orders",
                to="brokers.instrument",
            ),
        ),
        migrations.AlterField(
            model_name="order",
            name="parent",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="legs",
                to="orders.order",
            ),
        ),
        migrations.AlterField(
            model_name="order",
            name="submitted_by",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AlterField(
            model_name="position",
            name="account",
            field=models.ForeignKey(
                db_column="broker_name",
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="positions",
                to="brokers.brokeraccount",
            ),
        ),
        migrations.AlterField(
            model_name="tradelog",
            name="account",
            field=models.ForeignKey(
                db_column="broker_name",
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="trade_logs",
                to="brokers.brokeraccount",
            ),
        ),
        migrations.AddIndex(
            model_name="order",
            index=models.Index(
                condition=models.Q(("account__isnull", False), ("closed_at", None)),
                fields=["instrument", "account"],
                name="order_working_in",
            ),
        ),
        migrations.AddIndex(
            model_name="order",
            index=models.Index(condition=models.Q(("parent__isnull", False)), fields=["parent"], name="order_parent"),
        ),
        migrations.RunPython(drop_requests_by_beginning, migrations.RunPython.noop),
    ]
