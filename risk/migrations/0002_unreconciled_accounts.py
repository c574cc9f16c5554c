from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("risk", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="exposuretotal",
            name="unreconciled",
            field=models.TextField(
                blank=True,
                db_default="",
                default="",
                help_text="on what the desk and this account's broker do not agree",
            ),
        ),
    ]
