"""Which migrations may run while the version before them serves: those that only add.

Servers of both versions work on one database during a rolling restart. The older one must find everything that it reads
and writes as it was: no table, column or constraint is taken away, renamed or narrowed under it, and no new column asks
for a value that it does not give.
"""

from collections.abc import Iterator
from typing import Any

from django.db import models
from django.db.migrations import Migration, operations
from django.db.migrations.operations.base import Operation
from django.db.migrations.operations.special import RunPython, RunSQL

ADDING = (
    operations.CreateModel,
    operations.AddIndex,
    operations.AlterModelOptions,
    operations.AlterModelManagers,
    operations.RemoveConstraint,
    operations.RemoveIndex,
)
"""A constraint that goes narrows nothing; one that comes may refuse what the older version writes."""


def stops(migration: Migration, made: set[tuple[str, str]]) -> Iterator[str]:
    """Why the version before must not serve while this runs or afterwards, one line each; none for one that only adds.

    `made`: (app, model) of tables that are new in this release; what happens to them concerns nobody. Those that this
    migration makes are put into it.
    """
    app = migration.app_label
    for step in migration.operations:
        model = str(getattr(step, "model_name", "") or getattr(step, "name", "")).lower()
        if isinstance(step, operations.CreateModel):
            made.add((app, model))
        elif (app, model) not in made and (why := _why(step)):
            yield f"{app} {migration.name}: {why}"


def _why(step: Operation) -> str:
    if isinstance(step, ADDING):
        return ""
    if isinstance(step, operations.AddField):
        return "" if _may_be_left_out(step.field) else f"{step.model_name}.{step.name} is asked of who does not know it"
    if isinstance(step, operations.SeparateDatabaseAndState):
        return next(filter(None, map(_why, step.database_operations)), "")
    if isinstance(step, RunPython | RunSQL):
        return "runs code of its own: what does it do to who serves?"
    return f"{type(step).__name__}: {step.describe()}"


def _may_be_left_out(field: "models.Field[Any, Any]") -> bool:
    """Django gives a default in the application alone: an older version names no such column, so the database must."""
    if isinstance(field, models.ManyToManyField):
        return True
    return field.null or field.has_db_default() or field.generated
