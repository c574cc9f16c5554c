from django.db import migrations, models

FIGURES = {
    "connected": models.BooleanField(blank=True, help_text="as its holder last said; null: never connected", null=True),
    "last_message_at": models.DateTimeField(blank=True, help_text="when the broker last spoke unasked", null=True),
    "latency_p50_ms": models.FloatField(blank=True, help_text="of calls answered in the last minutes", null=True),
    "latency_p95_ms": models.FloatField(blank=True, null=True),
    "latency_p99_ms": models.FloatField(blank=True, null=True),
    "budget_limit": models.PositiveIntegerField(blank=True, help_text="requests that the broker takes", null=True),
    "budget_remaining": models.PositiveIntegerField(blank=True, null=True),
    "budget_resets_at": models.DateTimeField(blank=True, null=True),
}


class Migration(migrations.Migration):
    dependencies = [("brokers", "0003_reconciliation_and_breaker")]

    operations = [
        migrations.AddField(model_name="accounthealth", name=name, field=field) for name, field in FIGURES.items()
    ]
