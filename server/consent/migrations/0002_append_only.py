from django.db import migrations

from server.common.appendonly import append_only


class Migration(migrations.Migration):
    dependencies = [("consent", "0001_initial")]
    operations = [append_only("consent_consentversion", unique=[["id"], ["consent_id", "number"]])]
