"""The log as an officer looks through it: codes and pseudonymous ids, by filter and period, newest first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from server.audit.actions import record
from server.audit.entry import Entry
from server.audit.models import AuditEvent, Checkpoint, position, tree_of
from server.common.sql import rfc3339, time_in, time_out, uuid_in, uuid_out
from server.people.actors import Acting
from server.people.models import Patient

COLUMNS = {
    "actor": "actor_id",
    "unit": "unit_id",
    "subject": "subject_id",
    "room": "room_id",
    "type": "type",
    "basis": "basis",
    "outcome": "outcome",
}
"""Each filter's column; each has an index of its own (`models/lines.py`)."""


class Seen(NamedTuple):
    """One line, as it is listed."""

    position: int
    event_id: UUID
    at: datetime
    actor_id: UUID | None
    unit_id: UUID | None
    subject_id: UUID | None
    room_id: UUID | None
    type: str
    basis: str
    outcome: str


class Place(NamedTuple):
    """Where in the order a line stands: pages go on from the last one shown, whatever is written meanwhile."""

    at: datetime
    position: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look for; all of it must hold. The period is `[since, until)`; `same` has names of `COLUMNS`."""

    since: datetime | None = None
    until: datetime | None = None
    same: Mapping[str, UUID | str] = field(default_factory=dict)

    def said(self) -> dict[str, str]:
        """As it was asked for, for the log."""
        period = {"from": self.since, "to": self.until}
        told = {name: rfc3339(moment) for name, moment in period.items() if moment is not None}
        return told | {name: str(value) for name, value in self.same.items()}


class Question(NamedTuple):
    """A statement and its parameters."""

    sql: str
    values: list[Any]


def question(controller_id: UUID, wanted: Wanted, after: Place | None, limit: int) -> Question:
    """What one page costs: an index whose order is the page's, entered where the last page ended."""
    terms = ["controller_id = %s"]
    values: list[Any] = [uuid_in(controller_id)]
    for name, value in wanted.same.items():
        terms.append(f"{COLUMNS[name]} = %s")
        values.append(uuid_in(value) if isinstance(value, UUID) else value)
    for term, moment in (("at >= %s", wanted.since), ("at < %s", wanted.until)):
        if moment is not None:
            terms.append(term)
            values.append(time_in(moment))
    if after is not None:
        terms.append("(at, position) < (%s, %s)")
        values += [time_in(after.at), after.position]
    sql = (
        f"SELECT {', '.join(Seen._fields)} FROM review_line WHERE {' AND '.join(terms)} "  # noqa: S608 - our own names
        "ORDER BY at DESC, position DESC LIMIT %s"
    )
    return Question(sql, [*values, limit])


def find(controller_id: UUID, wanted: Wanted, after: Place | None, limit: int) -> list[Seen]:
    """Lines of one controller, newest first, after `after`; at most `limit`. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(*question(controller_id, wanted, after, limit))
        return [_seen(row) for row in cursor.fetchall()]


def record_look(*, acting: Acting, wanted: Wanted, seen: Sequence[Seen]) -> None:
    """Record that one page was looked at, in the transaction that read it (law 1). It stands in the log of the patient
    whom it was narrowed to."""
    told: dict[str, Any] = {"filters": wanted.said(), "count": len(seen)}
    if seen:
        told |= {"newest": str(seen[0].event_id), "oldest": str(seen[-1].event_id)}
    subject = wanted.same.get("subject")
    known = subject is not None and Patient.objects.filter(id=subject).exists()
    record(
        Entry(
            "review.events_viewed",
            acting.actor,
            subject_id=subject if known and isinstance(subject, UUID) else None,
            basis="officer",
            detail=told,
        )
    )


def record_opened(*, acting: Acting, event: AuditEvent, type_: str, record_ids: tuple[UUID, ...] = ()) -> None:
    """Record that an officer opened one event, or what belongs to it; in the patient's log too."""
    record(
        Entry(
            type_,
            acting.actor,
            subject_id=event.subject_id,
            room_id=event.room_id,
            object_id=event.id,
            basis="officer",
            record_ids=record_ids,
        )
    )


def is_published(leaf: int) -> bool:
    """Whether a signed checkpoint covers the leaf at this position."""
    beyond = position(tree_of(leaf) + 1, 0)
    return Checkpoint.objects.filter(position__gt=leaf, position__lt=beyond).exclude(note="").exists()


def _seen(row: Sequence[Any]) -> Seen:
    position, event_id, at, *ids, type_, basis, outcome = row
    actor, unit, subject, room = (None if one is None else uuid_out(one) for one in ids)
    return Seen(position, uuid_out(event_id), time_out(at), actor, unit, subject, room, type_, basis, outcome)
