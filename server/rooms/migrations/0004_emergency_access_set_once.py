from django.db import migrations

from server.common.appendonly import set_once


class Migration(migrations.Migration):
    dependencies = [("rooms", "0003_emergency_access")]
    operations = [
        set_once(
            "rooms_emergencyaccess",
            ["ended_at", "end_reason", "told_at"],
            unique=[["id"]],
            partial=[(["room_id", "user_id"], "ended_at")],
        )
    ]
