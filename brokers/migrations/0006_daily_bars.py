"""Daily bars, when they were read last, and sectors."""

import django.db.models.deletion
import tradingdesk.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("brokers", "0005_account_snapshots"),
    ]

    operations = [
        migrations.AddField(
            model_name="instrument",
            name="sector",
            field=models.CharField(blank=True, default="", help_text="as a broker or a person has it", max_length=64),
        ),
        migrations.AddField(
            model_name="listing",
            name="daily_bars_read_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.CreateModel(
            name="DailyBar",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField()),
                ("open_px", tradingdesk.fields.PriceField(decimal_places=9, max_digits=24)),
                ("high_px", tradingdesk.fields.PriceField(decimal_places=9, max_digits=24)),
                ("low_px", tradingdesk.fields.PriceField(decimal_places=9, max_digits=24)),
                ("close_px", tradingdesk.fields.PriceField(decimal_places=9, max_digits=24)),
                ("volume", tradingdesk.fields.QuantityField(decimal_places=9, max_digits=24)),
                ("feed", models.CharField(blank=True, default="", max_length=16)),
                ("received_at", models.DateTimeField()),
                (
                    "listing",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="daily_bars",
                        to="brokers.listing",
                    ),
                ),
            ],
            options={
                "db_table": "daily_bars",
                "ordering": ["listing", "-day"],
                "constraints": [models.UniqueConstraint(fields=("listing", "day"), name="daily_bar_once")],
            },
        ),
    ]
