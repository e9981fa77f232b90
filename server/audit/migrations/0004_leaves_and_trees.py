"""Events get the bytes that are sealed, their details move under a key, and a trigger hands each to the sequencer.

What is already in the log gets its leaf from its columns, and is sealed like everything else.
"""

from typing import Any

import django.db.models.functions.datetime
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from server.audit import detail, leaf
from server.audit.triggers import hand_on, no_guard, swept
from server.common.appendonly import append_only, set_once
from server.common.sql import rfc3339

EVENTS = "audit_auditevent"


def fill(apps: Any, _: BaseDatabaseSchemaEditor) -> None:
    events = apps.get_model("audit", "AuditEvent")
    for event in events.objects.order_by("id").iterator(500):
        kept = detail.keep(event.id, event.subject_id, event.detail)
        said = leaf.of_row(event, commitment=kept.commitment)
        events.objects.filter(id=event.id).update(leaf=said.at(rfc3339(event.at)), detail_sealed=kept.sealed)


def await_sealing(apps: Any, _: BaseDatabaseSchemaEditor) -> None:
    events, pending = apps.get_model("audit", "AuditEvent"), apps.get_model("audit", "Pending")
    waiting = events.objects.order_by("id").values_list("id", flat=True).iterator(2_000)
    pending.objects.bulk_create((pending(event_id=event) for event in waiting), batch_size=2_000)


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0003_sealed_hash"),
        ("consent", "0004_seal_what_there_is"),  # writes events as they were before this
        ("vault", "0001_initial"),
    ]

    operations = [
        no_guard(EVENTS),
        migrations.AddField("auditevent", "detail_sealed", models.BinaryField(null=True)),
        migrations.AddField("auditevent", "leaf", models.TextField(default="")),
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.RemoveField("auditevent", "detail"),
        migrations.AlterField("auditevent", "leaf", models.TextField()),
        migrations.AddIndex("auditevent", models.Index(fields=["at"], name="audit_at")),
        migrations.AddConstraint(
            "auditevent",
            models.CheckConstraint(condition=~models.Q(leaf=""), name="audit_leaf_said"),
        ),
        migrations.AddConstraint(
            "auditevent",
            models.CheckConstraint(condition=models.Q(leaf__octets__lte=65_535), name="audit_leaf_fits"),
        ),
        migrations.CreateModel(
            name="Pending",
            fields=[
                ("event_id", models.UUIDField(primary_key=True, serialize=False)),
                ("since", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.CreateModel(
            name="Tree",
            fields=[
                ("number", models.PositiveIntegerField(primary_key=True, serialize=False)),
                ("origin", models.CharField(max_length=200, unique=True)),
                ("follows", models.TextField(blank=True)),
                ("begun_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.CreateModel(
            name="Head",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("size", models.BigIntegerField(default=0)),
                ("root", models.BinaryField()),
                ("stopped", models.CharField(blank=True, max_length=30)),
                (
                    "tree",
                    models.ForeignKey(on_delete=models.deletion.PROTECT, related_name="+", to="audit.tree"),
                ),
            ],
            options={
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="audit_one_head")],
            },
        ),
        migrations.CreateModel(
            name="Leaf",
            fields=[
                ("position", models.BigIntegerField(primary_key=True, serialize=False)),
                ("event_id", models.UUIDField(unique=True)),
                ("hash", models.BinaryField(max_length=32)),
            ],
        ),
        migrations.CreateModel(
            name="Node",
            fields=[
                ("place", models.BigIntegerField(primary_key=True, serialize=False)),
                ("hash", models.BinaryField(max_length=32)),
            ],
        ),
        migrations.CreateModel(
            name="Checkpoint",
            fields=[
                ("position", models.BigIntegerField(primary_key=True, serialize=False)),
                ("root", models.BinaryField(max_length=32)),
                ("made_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("note", models.TextField(blank=True)),
            ],
        ),
        migrations.CreateModel(
            name="VerifierKey",
            fields=[
                ("line", models.CharField(max_length=300, primary_key=True, serialize=False)),
                ("since", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.RunPython(await_sealing, migrations.RunPython.noop),
        append_only(EVENTS, unique=[["id"]]),
        append_only("audit_tree", unique=[["number"], ["origin"]]),
        append_only("audit_leaf", unique=[["position"], ["event_id"]]),
        append_only("audit_node", unique=[["place"]]),
        append_only("audit_verifierkey", unique=[["line"]]),
        set_once("audit_checkpoint", ["note"], unique=[["position"]]),
        hand_on(),
        swept(),
    ]
