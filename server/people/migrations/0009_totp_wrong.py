from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("people", "0008_in_person_retries"),
    ]

    operations = [
        migrations.AddField(
            model_name="session",
            name="totp_wrong",
            field=models.PositiveSmallIntegerField(db_default=0, default=0),
        ),
    ]
