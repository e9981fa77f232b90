"""Emergency access as its reviewer sees it (L3): what was written when it began, beside the duty to answer for it."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from server.audit.actions import record
from server.audit.entry import Entry
from server.common.errors import NotFound, Refusal
from server.duties.access import mine
from server.duties.models import Kind
from server.people.actors import Acting
from server.rooms.emergency import DELAY_REASON, REASON
from server.rooms.emergency_telling import DAY
from server.rooms.models import EmergencyAccess
from server.vault import actions as vault
from server.vault.errors import Unreadable

NO_ROOM = UUID(int=0)
"""No room's id."""


@dataclass(frozen=True, slots=True)
class Reviewed:
    """`delay_reason` is None unless the patient was, or is, to be told later. `again` are the later accesses of the
    same person to the same room that the same review answers for."""

    access: EmergencyAccess
    reason: str
    delay_reason: str | None
    again: tuple[UUID, ...]


@transaction.atomic
def look(*, acting: Acting, access_id: UUID) -> Reviewed:
    """For officers who owe the review of it, answered or not; one look, recorded.

    Raises NotFound, the same for foreign and missing.
    """
    access = EmergencyAccess.objects.select_related("room__patient", "engagement").filter(id=access_id).first()
    nobodys = EmergencyAccess(id=access_id, room_id=NO_ROOM, user_id=acting.user.id, begun_at=acting.at)
    day = _day(access or nobodys)  # asked of what is missing too, so that time does not tell
    reviews = mine(acting).filter(kind=Kind.EMERGENCY_REVIEW, object_id__in=[access_id, *day])
    owed = {id_ for id_ in reviews.values_list("object_id", flat=True) if id_ is not None}
    act = "emergency_access.viewed"
    if access is None or not _covered(access, day, owed):
        room = access.room if access is not None else None
        raise NotFound(
            refusal=Refusal(
                act,
                "missing" if room is None else "foreign",
                room_id=room.id if room is not None else None,
                subject_id=room.patient_id if room is not None else None,
                object_id=access_id,
            )
        )
    record(
        Entry(
            act,
            acting.actor,
            subject_id=access.room.patient_id,
            room_id=access.room_id,
            object_id=access.id,
            purpose=access.room.purpose,
            basis="duty",
        )
    )
    vault.load_keys([access.room.patient.key])
    delay = access.delay_reason_sealed
    return Reviewed(
        access,
        _words(access.reason_sealed, REASON, access),
        _words(delay, DELAY_REASON, access) if delay is not None else None,
        tuple(id_ for id_, begun in day.items() if access.begun_at < begun and id_ not in owed),
    )


def _day(access: EmergencyAccess) -> dict[UUID, datetime]:
    """When other accesses of the same person to the same room, a day before and after, began."""
    near = (access.begun_at - DAY, access.begun_at + DAY)
    same = EmergencyAccess.objects.filter(room_id=access.room_id, user_id=access.user_id, begun_at__range=near)
    return dict(same.exclude(id=access.id).order_by("begun_at", "id").values_list("id", "begun_at"))


def _covered(access: EmergencyAccess, day: Mapping[UUID, datetime], owed: Set[UUID]) -> bool:
    """By a review of its own, or of one that began up to a day before it."""
    return access.id in owed or any(day[id_] <= access.begun_at for id_ in owed)


def _words(sealed: bytes | memoryview, place: str, access: EmergencyAccess) -> str:
    try:
        return vault.unseal(bytes(sealed), place=place, row=access.id)
    except Unreadable:
        return _("(erased)")
