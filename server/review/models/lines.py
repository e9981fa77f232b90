"""What officers read: one line for each sealed event and each controller that it concerns, and what was revealed."""

from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from server.common.models import Row
from server.people.models import Controller, Officer


def _by(column: str) -> models.Index:
    """Serves one filter of an officer, alone or with a period, page by page. Where `column` is null nobody looks."""
    wanted: dict[str, Any] = {"fields": ["controller_id", column, "at", "position"], "name": f"line_by_{column}"}
    if column.endswith("_id"):
        wanted["condition"] = Q(**{f"{column}__isnull": False})
    return models.Index(**wanted)


class Line(models.Model):
    """One event as one controller's officers may find it: who acted for it, or whose patient it was about (L4, L6).

    A copy in other order of what the log says, made by `review/lines.py` and never by hand; it can be made anew from
    the log at any time. Order and cursor are (`at`, `position`): moments repeat, positions never do.
    """

    pk = models.CompositePrimaryKey("controller_id", "position")
    controller_id = models.UUIDField()
    position = models.BigIntegerField()
    """Of the event's leaf: `tree << 40 | index`."""
    event_id = models.UUIDField()
    at = models.DateTimeField()
    actor_id = models.UUIDField(null=True)
    unit_id = models.UUIDField(null=True)
    subject_id = models.UUIDField(null=True)
    room_id = models.UUIDField(null=True)
    type = models.CharField(max_length=60)
    basis = models.CharField(max_length=40, blank=True)
    outcome = models.CharField(max_length=10)

    class Meta:
        indexes = [
            models.Index(fields=["controller_id", "at", "position"], name="line_in_time"),
            *(_by(column) for column in ("actor_id", "unit_id", "subject_id", "room_id", "type", "basis", "outcome")),
        ]


class Progress(models.Model):
    """How far the lines have followed the log; one row, locked by whoever makes lines, so that each is made once."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    position = models.BigIntegerField(default=0)
    """Of the last leaf whose lines are made; 0 when there is none."""

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="review_one_progress")]


class Reveal(Row):
    """That an officer had the names and details of one case revealed, and why. The database refuses change."""

    officer = models.ForeignKey(Officer, on_delete=models.PROTECT, related_name="+")
    controller = models.ForeignKey(Controller, on_delete=models.PROTECT, related_name="+")
    event_id = models.UUIDField()
    """The case."""
    reason_sealed = models.BinaryField()
    """In the officer's words; under the key of the patient concerned, or the service's own where there is none."""
    at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes = [models.Index(fields=["controller", "event_id"], name="reveal_of_event")]  # who has seen it before
