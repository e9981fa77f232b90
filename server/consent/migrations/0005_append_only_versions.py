from django.db import migrations

from server.common.appendonly import append_only


class Migration(migrations.Migration):
    dependencies = [("consent", "0004_seal_what_there_is")]
    operations = [
        migrations.DeleteModel(name="ConsentVersion"),
        append_only("consent_version", unique=[["id"], ["consent_id", "number"]]),
    ]
