"""A patient's own access log: who has seen or changed their things, in which role, when, on which basis (L2)."""

from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from server.audit.models import AuditEvent
from server.common.clock import now
from server.duties.models import Duty
from server.people.models import Unit
from server.people.names import display_names
from server.rooms import hidden


def events_about(patient_id: UUID) -> QuerySet[AuditEvent]:
    """Everything that concerns one patient; pages newest first. Served by the index `audit_subject`.

    What would tell of emergency access before its time is left out until the patient is told (L3): all that the person
    did about the patient from its beginning on, their search for the room before it, the access's own events, and those
    of whoever was told of it or reviews it. Every such search is shown late (`hidden.LATER`), and everything else at
    once: no row that the patient has read goes away again.
    """
    events = AuditEvent.objects.filter(subject_id=patient_id).exclude(_SEARCHED, at__gt=now() - hidden.LATER)
    for access in hidden.kept_from(patient_id):
        about = Duty.objects.filter(object_id=access.id).values("id")
        since = Q(at__gte=access.begun_at) | (_SEARCHED & Q(at__gt=access.begun_at - hidden.LATER))
        theirs = Q(actor_id=access.user_id) & since
        events = events.exclude(theirs | Q(object_id=access.id) | Q(object_id__in=about))
    return events


_SEARCHED = Q(type="emergency_access.rooms_viewed") | Q(type="emergency_access.begun", outcome="refused")


def lines(events: list[AuditEvent]) -> list[dict[str, Any]]:
    """What the patient reads, for one page: names, units and roles of those who acted; two statements."""
    names = display_names({event.actor_id for event in events if event.actor_id})
    units = {
        unit.id: unit
        for unit in Unit.objects.filter(id__in={e.unit_id for e in events if e.unit_id}).select_related("controller")
    }
    return [_line(event, names, units) for event in events]


def _line(event: AuditEvent, names: dict[UUID, str], units: dict[UUID, Unit]) -> dict[str, Any]:
    unit = units.get(event.unit_id) if event.unit_id else None
    return {
        "id": event.id,
        "at": event.at,
        "type": event.type,
        "who": {
            "user": event.actor_id,
            "name": names.get(event.actor_id, "") if event.actor_id else "",
            "role": event.role,
            "unit": unit.name if unit else "",
            "controller": unit.controller.name if unit else "",
        },
        "room": event.room_id,
        "purpose": event.purpose,
        "basis": event.basis,
        "outcome": event.outcome,
        "reason": event.reason,
    }
