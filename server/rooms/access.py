"""The one guarded door to a room."""

from uuid import UUID

from server.common.errors import Forbidden, NotFound, Problem, Refusal
from server.consent.models import Consent, State
from server.people.actors import Acting
from server.people.periods import DatabaseNow
from server.rooms import permits
from server.rooms.models import Member, Room
from server.rooms.permits import Permit
from server.rooms.timeline import StaleEpoch


def open_room(acting: Acting, room_id: UUID, *, act: str) -> Permit:
    """The permit of whoever acts; `act` is what the log calls a refusal (`events.viewed`).

    Raises NotFound, alike for foreign, ended and missing; Forbidden (`consent_missing`) to whoever asked for the room
    and waits for the patient's answer.
    """
    permit = permits.load([room_id], users=[acting.user.id]).get((room_id, acting.user.id))
    if permit is not None and fits(acting, permit):
        return permit
    raise refused(acting, room_id, act=act)


def unchanged(permit: Permit) -> None:
    """Call after reading and before answering: what was read was read while the permit held (law 5b).

    Raises StaleEpoch when access has changed since, or the permit's end has come.
    """
    seen = Room.objects.annotate(at=DatabaseNow()).values_list("access_epoch", "at").get(id=permit.room_id)
    if not permit.holds(*seen):
        raise StaleEpoch


def fits(acting: Acting, permit: Permit) -> bool:
    """The permit is for the engagement acted for; a patient's is for no engagement, whatever else they are."""
    if permit.is_patient:
        return acting.patient is not None
    return acting.engagement is not None and acting.engagement.id == permit.engagement_id


def refused(acting: Acting, room_id: UUID, *, act: str) -> Problem:
    """The refusal that this person may know of. The same two statements whether the room is foreign or missing, so that
    time does not tell them apart."""
    member = Member.objects.filter(room_id=room_id, user_id=acting.user.id).first()
    room = Room.objects.filter(id=room_id).first()
    subject = room.patient_id if room is not None else None
    if member is not None and asks(acting, member) and consent_state(room_id) != State.WITHDRAWN:
        return Forbidden(
            code="consent_missing",
            refusal=Refusal(act, "consent_missing", room_id=room_id, subject_id=subject),
        )
    reason = "missing" if room is None else "foreign" if member is None else "no_access"
    return NotFound(refusal=Refusal(act, reason, room_id=room_id, subject_id=subject))


def asks(acting: Acting, member: Member) -> bool:
    """Whether this person asked for the room themselves, and so knows of it; who was proposed knows nothing (S3)."""
    return (
        member.state == Member.State.PROPOSED
        and member.proposed_by_id == acting.user.id
        and acting.engagement is not None
        and acting.engagement.id == member.engagement_id
    )


def consent_state(room_id: UUID) -> str:
    return Consent.objects.filter(room_id=room_id).values_list("state", flat=True).first() or ""
