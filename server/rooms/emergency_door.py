"""The guarded door to emergency access (L3): who may begin it, and who may ask which rooms a patient has.

Whatever it is that keeps somebody out (no such room, no relation, the patient's exclusion), the answer is the same, and
so is the work it takes, roughly: only the log knows why.
"""

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef

from server.audit.actions import record
from server.audit.entry import Entry
from server.common.errors import Forbidden, NotFound, Refusal
from server.consent import decide as consent
from server.consent.decide import EmergencyRecord, Who
from server.consent.records import records_for_rooms
from server.people.access import require_staff
from server.people.actors import Acting
from server.people.models import Engagement, Patient, Relation
from server.people.periods import PeriodQuerySet
from server.people.step_up import require_fresh
from server.rooms import decide
from server.rooms.models import Room
from server.rooms.permits import CATEGORY
from server.rooms.ports import OPEN_ALERTS

NOBODY = UUID(int=0)
"""No room's and no patient's id; asked about in place of what does not exist, and beside what does: a room without a
consent costs a question more."""


def health_personnel(acting: Acting, act: str) -> Engagement:
    """The engagement of health personnel (helsepersonelloven § 3) who have just proved who they are. It is asked before
    anything is looked up, so it tells nothing of any room.

    Raises Forbidden (`staff_only`, `health_personnel_only`, `step_up_needed`), recorded as `act`.
    """
    engagement = require_staff(acting)
    if not engagement.health_personnel:
        raise Forbidden(code="health_personnel_only", refusal=Refusal(act, "not_health_personnel"))
    require_fresh(acting, act)
    return engagement


def open_door(acting: Acting, engagement: Engagement, room_id: UUID) -> None:
    """Raises NotFound unless the room exists, its patient has a relation to the unit acted for or a call for help open
    to it, and has not excluded whoever acts."""
    related = _relations(engagement).filter(patient_id=OuterRef("patient_id"))
    room = Room.objects.filter(id=room_id).annotate(related=Exists(related)).first()
    patient_id = room.patient_id if room is not None else NOBODY
    reason = decide.closed_because(
        found=room is not None,
        permitted=_permitted(acting, engagement, {room_id: patient_id, NOBODY: NOBODY}),
        related=room is not None and room.related,
        alert=OPEN_ALERTS().has_open(patient_id, engagement),
    )
    if reason:
        subject = room.patient_id if room is not None else None
        raise NotFound(refusal=Refusal("emergency_access.begun", reason, room_id=room_id, subject_id=subject))


def still_open(acting: Acting, engagement: Engagement, room: Room) -> None:
    """The same of the patient's exclusions once more, under the room's lock, which excluding takes too.

    Raises NotFound.
    """
    if not _permitted(acting, engagement, {room.id: room.patient_id}):
        refusal = Refusal("emergency_access.begun", "excluded", room_id=room.id, subject_id=room.patient_id)
        raise NotFound(refusal=refusal)


@transaction.atomic
def find_rooms(*, acting: Acting, patient_id: UUID) -> list[Room]:
    """The rooms of a patient, for somebody who must find the right one at night; one look, recorded.

    Raises as `emergency.begin` does.
    """
    act = "emergency_access.rooms_viewed"
    engagement = health_personnel(acting, act)
    related = _relations(engagement).filter(patient_id=OuterRef("id"))
    patient = Patient.objects.filter(id=patient_id).annotate(related=Exists(related)).first()
    known = patient.id if patient is not None else NOBODY
    rooms = list(Room.objects.filter(patient_id=known).order_by("id"))
    reason = decide.closed_because(
        found=patient is not None,
        permitted=_permitted(acting, engagement, {room.id: known for room in rooms} | {NOBODY: known}),
        related=patient is not None and patient.related,
        alert=OPEN_ALERTS().has_open(known, engagement),
    )
    if reason:
        subject = patient.id if patient is not None else None
        raise NotFound(refusal=Refusal(act, reason, subject_id=subject, object_id=patient_id))
    basis = "relation" if patient is not None and patient.related else "alert"
    record(Entry(act, acting.actor, subject_id=patient_id, object_id=patient_id, basis=basis))
    return rooms


def _relations(engagement: Engagement) -> PeriodQuerySet[Relation]:
    return Relation.objects.current().filter(unit_id=engagement.unit_id)


def _permitted(acting: Acting, engagement: Engagement, rooms: Mapping[UUID, UUID]) -> bool:
    """Whether the patient's records let emergency access through to all of these rooms (room → patient), as the
    decision would find them: it is asked with the access that somebody wants, as if it were there (rules 0 to 2)."""
    at = acting.at
    wanted = EmergencyRecord(NOBODY, acting.user.id, begun=at, until=at + timedelta(seconds=1))
    who = Who(user_id=acting.user.id, unit_id=engagement.unit_id, role=engagement.role, until=engagement.ends)
    return all(
        consent.decide([*records, wanted], who, "", CATEGORY, at).basis == "emergency"
        for records in records_for_rooms(rooms).values()
    )
