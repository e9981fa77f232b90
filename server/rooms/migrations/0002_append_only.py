from django.db import migrations

from server.common.appendonly import append_only


class Migration(migrations.Migration):
    dependencies = [("rooms", "0001_initial")]
    operations = [
        append_only("rooms_roomevent", unique=[["id"], ["room_id", "seq"], ["room_id", "sender_id", "txn_id"]])
    ]
