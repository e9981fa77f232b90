from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("people", "0009_totp_wrong"),
    ]

    operations = [
        migrations.AddField(
            model_name="handover",
            name="proved_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
