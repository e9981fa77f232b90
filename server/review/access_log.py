"""A patient's own access log: who has seen or changed their things, in which role, when, on which basis (L2)."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from server.audit.models import AuditEvent
from server.common.clock import now
from server.duties.models import Duty
from server.review.telling import Told, told
from server.rooms import hidden

CHUNK = 500

_SEARCHED = Q(type="emergency_access.rooms_viewed") | Q(type="emergency_access.begun", outcome="refused")
_REVIEWED = (Q(type__startswith="review.") | Q(type__startswith="finding.") | Q(type="audit.disclosed")) & ~Q(
    type="review.subject_exported"
)


def events_about(patient_id: UUID) -> QuerySet[AuditEvent]:
    """Everything that concerns one patient; pages newest first. Served by the index `audit_subject`.

    What would tell of emergency access before its time is left out until the patient is told (L3): all that the person
    did about the patient from its beginning on, their search for the room before it, the access's own events, and those
    of whoever was told of it or reviews it; officers' looks into the log and details given out of it from then on are
    among them. Every such search is shown late (`hidden.LATER`), and everything else at once: no row that the patient
    has read goes away again.
    """
    events = AuditEvent.objects.filter(subject_id=patient_id).exclude(_SEARCHED, at__gt=now() - hidden.LATER)
    for access in hidden.kept_from(patient_id):
        about = Duty.objects.filter(object_id=access.id).values("id")
        since = Q(at__gte=access.begun_at) | (_SEARCHED & Q(at__gt=access.begun_at - hidden.LATER))
        theirs = Q(actor_id=access.user_id) & since
        reviewed = _REVIEWED & Q(at__gte=access.begun_at)
        events = events.exclude(theirs | reviewed | Q(object_id=access.id) | Q(object_id__in=about))
    return events


def all_about(patient_id: UUID) -> Iterator[list[AuditEvent]]:
    """The same, the oldest first, in chunks; what may be shown is asked anew for each."""
    last = UUID(int=0)
    while chunk := list(events_about(patient_id).filter(id__gt=last).order_by("id")[:CHUNK]):
        yield chunk
        last = chunk[-1].id


def lines(events: list[AuditEvent], *, reader: UUID) -> list[dict[str, Any]]:
    """What the patient whose user is `reader` reads, for one page."""
    return [line(one) for one in told(events, reader=reader)]


def line(one: Told) -> dict[str, Any]:
    event = one.event
    return {
        "id": event.id,
        "at": event.at,
        "type": event.type,
        "who": {
            "user": one.user,
            "name": one.name,
            "code": one.code,
            "role": event.role,
            "unit": one.unit,
            "controller": one.controller,
        },
        "room": event.room_id,
        "purpose": event.purpose,
        "basis": event.basis,
        "outcome": event.outcome,
        "reason": event.reason,
        "emergency": one.emergency,
        "words": one.words,
    }
