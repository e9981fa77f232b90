"""What happened, what stood for what, and what people agreed on stay as they were written (law 8)."""

from django.db import migrations

from server.common.appendonly import append_only


class Migration(migrations.Migration):
    dependencies = [("alerts", "0001_initial")]

    operations = [
        append_only("alerts_alertevent", unique=[["id"], ["alert_id", "n"]]),
        append_only("alerts_alertalias", unique=[["id"]]),
        append_only("alerts_policy", unique=[["id"], ["programme_id", "version"]]),
        append_only("alerts_plan", unique=[["id"], ["patient_id", "version"]]),
    ]
