"""Migrations since the last release leave the version before them working, or say that it must be stopped."""

import json
from collections.abc import Iterator

import pytest
from django.db import migrations, models
from django.db.migrations import Migration, operations
from django.db.migrations.loader import MigrationLoader

from tests.operations.additive import stops
from tests.support.served import ROOT, sqlite_only

pytestmark = sqlite_only

LISTED = json.loads((ROOT / "deploy" / "migrations.json").read_text())
OURS = set(LISTED["released"])


def since() -> Iterator[Migration]:
    """Ours that are newer than the last release, in the order in which they run."""
    loader = MigrationLoader(None)
    order = [key for leaf in sorted(loader.graph.leaf_nodes()) for key in loader.graph.forwards_plan(leaf)]
    for app, name in dict.fromkeys(order):
        if app in OURS and name > LISTED["released"][app]:
            yield loader.get_migration(app, name)


def test_every_app_of_ours_has_its_last_released_migration() -> None:
    loader = MigrationLoader(None)
    here = {app for app, name in loader.disk_migrations if (ROOT / "server" / app).is_dir()}
    assert here == OURS
    for app, name in LISTED["released"].items():
        assert (app, name) in loader.disk_migrations


def test_who_still_serves_the_version_before_is_not_hurt() -> None:
    """Red when a migration takes something away under those who still serve, and nobody has written down that they must
    be stopped, or why it does no harm."""
    made: set[tuple[str, str]] = set()
    found = {f"{one.app_label} {one.name}": list(stops(one, made)) for one in since()}
    said = {**LISTED["stop"], **LISTED["harmless"]}
    assert {name: why for name, why in found.items() if why and name not in said} == {}
    assert [name for name in said if not found.get(name)] == [], "it needs no entry"
    assert all(len(why) > 20 for why in said.values())


@pytest.mark.parametrize(
    ("step", "hurts"),
    [
        (migrations.CreateModel("New", [("id", models.BigAutoField(primary_key=True))]), False),
        (migrations.AddIndex("old", models.Index(fields=["x"], name="x")), False),
        (migrations.AddField("old", "x", models.TextField(null=True)), False),
        (migrations.AddField("old", "x", models.TextField(db_default="")), False),
        (migrations.RemoveConstraint("old", "x"), False),
        (migrations.AddField("old", "x", models.TextField(default="")), True),
        (migrations.RemoveField("old", "x"), True),
        (migrations.RenameField("old", "x", "y"), True),
        (migrations.AlterField("old", "x", models.TextField()), True),
        (migrations.DeleteModel("Old"), True),
        (migrations.RenameModel("Old", "New"), True),
        (migrations.AddConstraint("old", models.CheckConstraint(condition=models.Q(x=1), name="x")), True),
        (migrations.RunPython(lambda apps, editor: None), True),
        (migrations.RunSQL("DROP TABLE x"), True),
    ],
)
def test_what_hurts(step: operations.base.Operation, hurts: bool) -> None:
    one = type("Migration", (Migration,), {"operations": [step]})("0002_x", "rooms")
    assert bool(list(stops(one, set()))) is hurts
    if hurts and hasattr(step, "model_name"):
        assert list(stops(one, {("rooms", "old")})) == [], "what is new in this release concerns nobody"
