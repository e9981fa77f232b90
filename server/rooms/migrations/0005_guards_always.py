from django.db import migrations

from server.common.appendonly import always


class Migration(migrations.Migration):
    dependencies = [("rooms", "0004_emergency_access_set_once")]
    operations = [always("rooms_roomevent", "rooms_emergencyaccess")]
