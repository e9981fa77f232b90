"""Emergency access (L3): health personnel, a chosen ground and reason, one room, a short time, told and reviewed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from server.audit.actions import record
from server.audit.entry import SYSTEM, Actor, Entry
from server.common.clock import now
from server.common.errors import Conflict, NotFound, Refusal
from server.common.hints import hint
from server.common.ids import new_id
from server.common.sql import rfc3339
from server.consent import sealing
from server.people.actors import Acting
from server.people.models import Engagement
from server.people.periods import NOW
from server.rooms import decide, emergency_door, emergency_telling, hidden, permits, timeline
from server.rooms.access import fits
from server.rooms.models import EmergencyAccess, EventType, Member, Room
from server.rooms.sealed_access import believed, document_of
from server.rooms.settle import lock
from server.rooms.timeline import NewEvent
from server.vault import actions as vault

REASON, DELAY_REASON = "emergency_access.reason", "emergency_access.delay_reason"


@dataclass(frozen=True, slots=True)
class Delay:
    """Telling the patient would endanger somebody: they are told after `hours`, and why is on record."""

    hours: int
    reason: str


def open_now() -> QuerySet[EmergencyAccess]:
    """Those that have neither been ended nor run out, by the database's time."""
    return EmergencyAccess.objects.filter(ended_at=None, until__gt=NOW)


@transaction.atomic
def begin(
    *, acting: Acting, room_id: UUID, ground: str, reason: str, delay: Delay | None = None
) -> tuple[EmergencyAccess, bool]:
    """Let health personnel read one room for a few hours. The mark in the timeline, the log, the tellings and the
    review are written in the same transaction, or nothing is.

    `ground` is a code of `forms/emergency.json`. Returns the access, and whether it is new: while one is open, it is
    answered instead, so that whoever never got the answer may ask again.

    Raises Forbidden (`staff_only`, `health_personnel_only`, `step_up_needed`), NotFound, the same for a missing room,
    for want of a relation and for somebody whom the patient has excluded; Conflict (`already_inside`,
    `other_engagement`).
    """
    engagement = emergency_door.health_personnel(acting, "emergency_access.begun")
    emergency_door.open_door(acting, engagement, room_id)
    room = lock(room_id)
    emergency_door.still_open(acting, engagement, room)  # whom the patient excluded a moment ago stays out
    known = _mine_open(room, acting)
    if known is not None:
        return known, False
    _not_inside(acting, room)
    before = emergency_telling.of_a_day(room, acting)
    access = _new(acting, engagement, room, ground, reason, delay, before)
    head = _say(room, access, acting.actor, "begun", ground=ground, until=rfc3339(access.until))
    _record(access, room, "emergency_access.begun", acting.actor, ground, sealed_hash=access.hash)
    emergency_telling.owe(access, engagement, room, acting.actor, before)
    hint("room", room.id, seq=head)
    hint("user", access.user_id)
    return access, True


@transaction.atomic
def end_own(*, acting: Acting, room_id: UUID) -> None:
    """End one's own emergency access to a room now. Raises NotFound when there is none that is open."""
    room = Room.objects.filter(id=room_id).first()
    mine = open_now().filter(room_id=room_id, user_id=acting.user.id, engagement=acting.engagement)
    if not mine.exists() or room is None:
        subject = room.patient_id if room is not None else None
        raise NotFound(refusal=Refusal("emergency_access.ended", "missing", room_id=room_id, subject_id=subject))
    end_of(lock(room_id), acting.user.id, actor=acting.actor, reason="by_hand")


def end_of(room: Room, user_id: UUID, *, actor: Actor, reason: str) -> None:
    """End this person's emergency access to a room (locked), if they have any. `reason` is a code."""
    access = _locked().filter(room=room, user_id=user_id, ended_at=None).first()
    if access is not None:
        end(room, access, actor=actor, reason=reason)


def end_of_engagement(room: Room, engagement_id: UUID, *, actor: Actor) -> None:
    """End what rests on an engagement, in a room (locked)."""
    for access in _locked().filter(room=room, engagement_id=engagement_id, ended_at=None):
        end(room, access, actor=actor, reason="engagement")


def end(room: Room, access: EmergencyAccess, *, actor: Actor, reason: str) -> None:
    """End one emergency access now: the epoch rises with the event that says so (laws 2 and 5)."""
    access.ended_at, access.end_reason = now(), reason
    access.save(update_fields=["ended_at", "end_reason"])
    head = _say(room, access, actor, "ended", reason=reason)
    _record(access, room, "emergency_access.ended", actor, reason)
    hint("room", room.id, seq=head)
    hint("user", access.user_id)


@transaction.atomic
def tell(access: EmergencyAccess) -> bool:
    """Show the patient what was hidden, once its time has come; the duty that tells them is due at the same time.

    Returns whether it had come.
    """
    room = lock(access.room_id)
    due = _locked().filter(id=access.id, told_at=None, tell_at__lte=NOW).first()
    if due is None:
        return False
    due.told_at = now()
    due.save(update_fields=["told_at"])
    hidden.show(due)
    head = _say(room, due, SYSTEM, "told")
    _record(due, room, "emergency_access.told", SYSTEM, "")
    hint("room", room.id, seq=head)
    if room.patient.user_id is not None:
        hint("user", room.patient.user_id)
    return True


def _locked() -> QuerySet[EmergencyAccess]:
    """In id order, under the room's lock, which the caller holds."""
    return EmergencyAccess.objects.select_for_update(of=("self",)).select_related("engagement").order_by("id")


def _mine_open(room: Room, acting: Acting) -> EmergencyAccess | None:
    """The open access of whoever acts. One that has run out, or whose seal is broken, is ended first.

    Raises Conflict (`other_engagement`) when they have it for another place of work.
    """
    access = _locked().filter(room=room, user_id=acting.user.id, ended_at=None).first()
    if access is None:
        return None
    if access.until <= now():
        end(room, access, actor=SYSTEM, reason="expired")
        return None
    if not believed(access):
        end(room, access, actor=SYSTEM, reason="unreadable")
        return None
    if acting.engagement is None or access.engagement_id != acting.engagement.id:
        raise Conflict(code="other_engagement")
    return access


def _not_inside(acting: Acting, room: Room) -> None:
    """Raises Conflict to a member: they read already, and their membership would hide the other access."""
    if not Member.objects.filter(room=room, user_id=acting.user.id, state=Member.State.JOINED).exists():
        return
    permit = permits.load([room.id], users=[acting.user.id]).get((room.id, acting.user.id))
    if permit is not None:
        raise Conflict(code="already_inside" if fits(acting, permit) else "other_engagement")


def _new(
    acting: Acting,
    engagement: Engagement,
    room: Room,
    ground: str,
    reason: str,
    delay: Delay | None,
    before: Sequence[EmergencyAccess],
) -> EmergencyAccess:
    """The row, sealed; what was written stands under the patient's key."""
    at, id_, key = now(), new_id(), room.patient.key
    access = EmergencyAccess(
        id=id_,
        room=room,
        user=acting.user,
        engagement=engagement,
        ground=ground,
        reason_sealed=vault.seal(key, reason, place=REASON, row=id_),
        begun_at=at,
        until=decide.until(
            at, settings.ENV.emergency_hours, engagement.ends, [one.until for one in before if believed(one)]
        ),
        hidden=delay is not None,
        delay_reason_sealed=vault.seal(key, delay.reason, place=DELAY_REASON, row=id_) if delay else None,
        tell_at=at + timedelta(hours=delay.hours) if delay else at,
        told_at=None if delay else at,
    )
    sealed = sealing.seal(document_of(access), sealing.EMERGENCY)
    access.document, access.hash = sealed.document, sealed.hash
    access.signature, access.key = sealed.signature, sealed.key
    access.save(force_insert=True)
    return access


def _say(room: Room, access: EmergencyAccess, actor: Actor, act: str, **more: str) -> int:
    """Write into the timeline what happened to an access; returns its `seq`. The epoch rises with it: who may see what
    has changed. The patient does not see it before they are told."""
    facts = {
        "access": str(access.id),
        "user": str(access.user_id),
        "unit": str(access.engagement.unit_id),
        "role": access.engagement.role,
        "act": act,
        **more,
    }
    head = timeline.move_head(room.id, by=1, access_changed=True)
    timeline.write(room, [NewEvent(EventType.EMERGENCY_ACCESS, actor.user_id, facts=facts)], head=head)
    if access.told_at is None:
        hidden.hide(room.id, head)
    return head


def _record(
    access: EmergencyAccess, room: Room, type_: str, actor: Actor, reason: str, sealed_hash: str | None = None
) -> None:
    record(
        Entry(
            type_,
            actor,
            subject_id=room.patient_id,
            room_id=room.id,
            object_id=access.id,
            purpose=room.purpose,
            basis="emergency",
            reason=reason,
            record_ids=(access.id,),
            sealed_hash=sealed_hash,
        )
    )
