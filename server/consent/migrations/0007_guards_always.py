from django.db import migrations

from server.common.appendonly import always


class Migration(migrations.Migration):
    dependencies = [("consent", "0006_grounds_set_once")]
    operations = [always("consent_version", "consent_statutoryground")]
