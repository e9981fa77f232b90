"""Which controllers a patient's data concern: the one answer for who may ask, who is asked, and who is told."""

from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from server.alerts.models import Alert, Enrolment
from server.audit.models import AuditEvent
from server.people.models import Relation
from server.people.periods import NOW
from server.rooms.models import Member, Room

WRITTEN = ("message.posted", "message.edit", "message.retraction")
"""Events of the log that name a row of a timeline, and the controller its author acted for then."""


def _ties() -> list[tuple[QuerySet[Any, Any], str, str]]:
    """What ties a patient and a controller, now or before: rows, and which of their fields is which.

    A place in a room knows the newest engagement only; whoever wrote for another employer before is found by the log.
    """
    return [
        (Relation.objects.filter(valid_from__lte=NOW), "patient_id", "unit__controller_id"),
        (Room.objects.all(), "patient_id", "home_id"),
        (
            Member.objects.filter(engagement__isnull=False).exclude(state=Member.State.PROPOSED),
            "room__patient_id",
            "engagement__unit__controller_id",
        ),
        (Enrolment.objects.all(), "patient_id", "programme__unit__controller_id"),
        (Alert.objects.all(), "patient_id", "programme__unit__controller_id"),
        (written(), "subject_id", "controller_id"),
    ]


def written() -> QuerySet[AuditEvent]:
    return AuditEvent.objects.filter(type__in=WRITTEN, outcome="success", controller_id__isnull=False)


def concerned(patient_id: UUID) -> set[UUID]:
    """Controllers that have, or have had, to do with a patient."""
    some = (
        rows.filter(**{patient: patient_id}).order_by().values_list(controller, flat=True).distinct()
        for rows, patient, controller in _ties()
    )
    return {one for found in some for one in found}


def concerns(controller_id: UUID, patient: str = "id") -> Q:
    """The same, of rows that have a patient's id in the field `patient`."""
    found = Q()
    for rows, whose, controller in _ties():
        found |= Q(Exists(rows.filter(**{whose: OuterRef(patient), controller: controller_id})))
    return found
