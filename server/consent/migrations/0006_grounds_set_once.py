from django.db import migrations

from server.common.appendonly import set_once


class Migration(migrations.Migration):
    dependencies = [("consent", "0005_append_only_versions")]
    operations = [set_once("consent_statutoryground", ["ended_at"], unique=[["id"]])]
