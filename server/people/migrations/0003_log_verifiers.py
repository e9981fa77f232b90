from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("people", "0002_legal_basis_and_leaders")]
    operations = [migrations.AddField("officer", "verifies_log", models.BooleanField(default=False))]
