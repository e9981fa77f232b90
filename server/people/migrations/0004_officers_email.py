from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("people", "0003_log_verifiers")]
    operations = [migrations.AddField("officer", "email", models.EmailField(blank=True, default="", max_length=254))]
