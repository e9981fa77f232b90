import django.db.models.functions.datetime
from django.db import migrations, models

import server.common.ids


class Migration(migrations.Migration):
    dependencies = [("audit", "0004_leaves_and_trees")]

    operations = [
        migrations.CreateModel(
            name="CheckpointMail",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=server.common.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("day", models.DateField()),
                ("address", models.CharField(max_length=254)),
                ("due_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("tries", models.PositiveSmallIntegerField(default=0)),
                ("sent_at", models.DateTimeField(null=True)),
                ("position", models.BigIntegerField(null=True)),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("day", "address"), name="checkpoint_mail_once_a_day")],
            },
        ),
    ]
