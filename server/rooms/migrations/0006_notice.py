import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("rooms", "0005_guards_always")]
    operations = [
        migrations.CreateModel(
            name="Notice",
            fields=[
                (
                    "member",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="notice",
                        serialize=False,
                        to="rooms.member",
                    ),
                ),
                ("number", models.PositiveIntegerField(default=1)),
                ("upto", models.BigIntegerField()),
                ("at", models.DateTimeField()),
                ("lost", models.BooleanField(default=False)),
            ],
        ),
    ]
