"""What people do with rooms. One transaction, one audit record; hints go out after the commit."""

from collections.abc import Sequence
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from server.audit.actions import record
from server.audit.entry import Actor, Entry
from server.common.errors import Conflict, Forbidden, Invalid, NotFound, Refusal
from server.common.hints import hint
from server.common.ids import new_id
from server.consent import actions as consents
from server.consent.decide import Grant
from server.consent.forms import purposes
from server.consent.models import Consent
from server.people.access import agreement_between, current_engagements, open_patient, require_staff
from server.people.actors import Acting
from server.people.models import Engagement, Patient
from server.rooms import emergency, timeline
from server.rooms.access import open_room, refused
from server.rooms.models import EventType, Member, Participation, Room, Span
from server.rooms.settle import lock, settle
from server.rooms.timeline import NewEvent
from server.vault import actions as vault

MAX_MEMBERS = 50
OUT = (Member.State.ENDED, Member.State.REMOVED)


@transaction.atomic
def open_new_room(*, acting: Acting, patient_id: UUID, purpose: str, people: Sequence[UUID]) -> Room:
    """Open a room, propose people and ask the patient, in one act (S2). One room per patient and purpose (S1): if there
    is one, whoever opens it again asks to take part in it and learns nothing of it before the patient has answered.

    Raises NotFound for a patient without a relation, Invalid for an unknown purpose or person, Conflict
    (`no_agreement`, `other_engagement`, `patient_without_account`).
    """
    engagement = require_staff(acting)
    patient = open_patient(acting, patient_id)
    if purpose not in purposes():
        unknown_purpose = _("This value is not one of those that can be chosen.")
        raise Invalid(errors=[{"field": "purpose", "code": "invalid_choice", "detail": unknown_purpose}])
    if patient.user_id is None:
        raise Conflict(code="patient_without_account")
    room = Room.objects.filter(patient=patient, purpose=purpose).first()
    room = lock(room.id) if room is not None else _create_room(acting, engagement, patient, purpose)
    mine = Member.objects.filter(room=room, user_id=acting.user.id, state=Member.State.JOINED).first()
    if mine is not None and mine.engagement_id != engagement.id:
        raise Conflict(code="other_engagement")
    # Whoever is not in the room gets the answers of a new one: agreements are then their own controller's.
    with_whom = room.home_id if mine is not None else engagement.unit.controller_id
    wanted = [engagement, *_engaged(people, room, with_whom)]
    for one in wanted:
        _add_member(acting, room, one)
    ask_for(acting=acting, room=room, engagements=wanted)
    # Somebody who left and whom the consent still covers is in again at once.
    settle(room, actor=acting.actor, reason="consent")
    return room


def _create_room(acting: Acting, engagement: Engagement, patient: Patient, purpose: str) -> Room:
    room_id = new_id()
    try:
        with transaction.atomic():
            room = Room.objects.create(
                id=room_id,
                patient=patient,
                purpose=purpose,
                home=engagement.unit.controller,
                opened_by=acting.user,
                key=vault.create_key(scope="room", owner=room_id),
            )
    except IntegrityError:  # somebody opened it in this moment
        return lock(Room.objects.get(patient=patient, purpose=purpose).id)
    assert patient.user_id is not None
    member = Member.objects.create(
        room=room,
        user_id=patient.user_id,
        state=Member.State.JOINED,
        proposed_by=acting.user,
        participation=Participation.FOLLOWING,
    )
    Span.objects.create(member=member, first=1)
    opened = NewEvent(
        EventType.ROOM_OPENED,
        acting.user.id,
        facts={
            "patient": str(patient.user_id),
            "purpose": purpose,
            "home": str(room.home_id),
            "participation": Participation.FOLLOWING,
        },
    )
    timeline.write(room, [opened], head=timeline.move_head(room.id, by=1))
    _record(acting, room, "room.opened", object_id=room.id, basis="relation")
    hint("user", patient.user_id)
    return room


@transaction.atomic
def propose(*, acting: Acting, room_id: UUID, user_id: UUID) -> Member:
    """Propose a member of staff. They are told nothing before the patient's consent covers them (S3).

    What is answered to somebody who only waits for the room is the same whether or not the person is in it already.

    Raises NotFound, Forbidden, Invalid, Conflict (`no_agreement`, `room_full`).
    """
    room = lock_room(acting, room_id, act="member.proposed")
    basis = _basis(acting, room)
    mine = acting.engagement.unit.controller_id if basis == "relation" and acting.engagement else room.home_id
    engagement = _engaged([user_id], room, mine)[0]
    known = Member.objects.filter(room=room, user_id=user_id).exclude(state__in=OUT).first()
    member = known or _add_member(acting, room, engagement)
    if known is not None:
        _record(acting, room, "member.proposed", object_id=user_id, basis=basis)
    ask_for(acting=acting, room=room, engagements=[engagement])
    # Their unit may be covered already: then they join at once.
    settle(room, actor=acting.actor, reason="consent")
    if basis == "relation" and (known is None or known.proposed_by_id != acting.user.id):
        shown = member.id if known is None else new_id()
        return Member(id=shown, room=room, user_id=user_id, engagement=engagement, state=Member.State.PROPOSED)
    member.refresh_from_db(fields=["state"])
    return member


def lock_room(acting: Acting, room_id: UUID, *, act: str) -> Room:
    """The room, locked, for a member or for whoever asked for it. To whoever is neither, a foreign room is as a missing
    one, and holds nobody up: no lock is taken.

    Raises NotFound.
    """
    here = Q(state=Member.State.JOINED) | Q(proposed_by=acting.user)
    if not Member.objects.filter(here, room_id=room_id, user=acting.user).exists():
        raise refused(acting, room_id, act=act)
    room = lock(room_id)
    problem = _not_open(acting, room_id, act)
    if problem is not None:
        raise problem
    return room


def _not_open(acting: Acting, room_id: UUID, act: str) -> NotFound | None:
    try:
        permit = open_room(acting, room_id, act=act)
        if permit.basis == "emergency":  # it is no membership: nobody is proposed, taken out or asked for under it
            return NotFound(refusal=Refusal(act, "read_only", room_id=room_id, subject_id=permit.patient_id))
    except Forbidden:
        return None  # asked for it and waits: may go on proposing
    except NotFound as problem:
        return problem
    return None


def _engaged(people: Sequence[UUID], room: Room, controller_id: UUID) -> list[Engagement]:
    """The engagement each proposed person would take part for, under an agreement with `controller_id`.

    Raises Invalid for whoever is not staff now, Conflict (`no_agreement`) across controllers without one (L6).
    """
    wanted = list(dict.fromkeys(people))
    found = current_engagements(wanted)
    unknown = [index for index, person in enumerate(wanted) if person not in found]
    if unknown:
        raise Invalid(
            errors=[
                {"field": f"propose.{index}", "code": "not_staff", "detail": _("Nobody who works here now.")}
                for index in unknown
            ]
        )
    for person in wanted:
        if not agreement_between(controller_id, found[person].unit.controller_id):
            raise Conflict(
                code="no_agreement",
                refusal=Refusal("member.proposed", "no_agreement", room_id=room.id, subject_id=room.patient_id),
            )
    return [found[person] for person in wanted]


def _add_member(acting: Acting, room: Room, engagement: Engagement) -> Member:
    known = Member.objects.filter(room=room, user_id=engagement.user_id).first()
    if known is not None and (known.state not in OUT or known.is_patient):
        by_another = known.proposed_by_id != acting.user.id and engagement.user_id == acting.user.id
        if known.state == Member.State.PROPOSED and by_another:
            known.proposed_by = acting.user  # they have now asked themselves
            known.save(update_fields=["proposed_by"])
            _record(acting, room, "member.proposed", object_id=known.user_id, basis="relation")
        return known
    if Member.objects.filter(room=room).exclude(state__in=OUT).count() > MAX_MEMBERS:
        raise Conflict(code="room_full")
    member = known or Member(room=room, user_id=engagement.user_id)
    member.engagement, member.state, member.proposed_by = engagement, Member.State.PROPOSED, acting.user
    member.save()
    proposed = NewEvent(
        EventType.MEMBER_PROPOSED,
        acting.user.id,
        facts={"user": str(member.user_id), "unit": str(engagement.unit_id), "role": engagement.role},
    )
    head = timeline.move_head(room.id, by=1)
    timeline.write(room, [proposed], head=head)
    _record(acting, room, "member.proposed", object_id=member.user_id, basis=_basis(acting, room))
    hint("room", room.id, seq=head)
    return member


def ask_for(*, acting: Acting, room: Room, engagements: Sequence[Engagement]) -> Consent:
    """Ask the patient for those whom this act proposes: nobody whom they turned down before is dragged along, nor
    anybody who could not join for want of an agreement (L6)."""
    grants = [
        Grant(unit_id=one.unit_id, person_id=one.user_id)
        for one in engagements
        if agreement_between(room.home_id, one.unit.controller_id)
    ]
    return consents.ask(acting=acting, patient=room.patient, room_id=room.id, purpose=room.purpose, grants=grants)


def waiting(room_id: UUID, proposed_by: UUID) -> list[Grant]:
    """Members whom one person has proposed and who have not joined, as grants to ask for."""
    rows = Member.objects.filter(room_id=room_id, state=Member.State.PROPOSED, proposed_by_id=proposed_by)
    return [
        Grant(unit_id=member.engagement.unit_id, person_id=member.user_id)
        for member in rows.select_related("engagement").order_by("id")
        if member.engagement is not None
    ]


@transaction.atomic
def remove(*, acting: Acting, room_id: UUID, member_id: UUID) -> None:
    """The patient takes somebody out (which narrows the consent too), somebody leaves, or takes back a proposal.

    Raises NotFound, Forbidden (`not_yours_to_remove`).
    """
    room = lock_room(acting, room_id, act="member.removed")
    member = Member.objects.select_related("engagement").filter(id=member_id, room=room).first()
    if member is None or member.is_patient or member.state == Member.State.REMOVED:
        raise NotFound(refusal=Refusal("member.removed", "missing", room_id=room_id, subject_id=room.patient_id))
    own_room = acting.patient is not None and acting.patient.id == room.patient_id
    withdrawn_proposal = member.state == Member.State.PROPOSED and member.proposed_by_id == acting.user.id
    if not own_room and member.user_id != acting.user.id and not withdrawn_proposal:
        raise Forbidden(
            code="not_yours_to_remove",
            refusal=Refusal("member.removed", "not_yours", room_id=room_id, subject_id=room.patient_id),
        )
    left = _out(member, acting.user.id)
    _record(acting, room, "member.removed", object_id=member.user_id, basis="self" if own_room else "membership")
    settle(room, actor=acting.actor, first=left, reason="removed" if own_room else "left")
    consents.leave_out(acting=acting, room_id=room.id, person_id=member.user_id)


def take_out(room: Room, person_id: UUID, actor: Actor) -> None:
    """The patient has excluded somebody: they leave this room (locked) as if the patient had taken them out of it."""
    emergency.end_of(room, person_id, actor=actor, reason="excluded")
    member = Member.objects.select_related("engagement").filter(room=room, user_id=person_id).first()
    if member is not None and not member.is_patient and member.state != Member.State.REMOVED:
        settle(room, actor=actor, first=_out(member, room.patient.user_id), reason="removed", access_changed=True)


def _out(member: Member, by: UUID | None) -> list[NewEvent]:
    """Out of the room; the event that says so, unless settling will (for whoever was in), or none saw them there."""
    was = member.state
    member.state = Member.State.REMOVED
    member.save(update_fields=["state"])
    if was != Member.State.PROPOSED:
        return []
    assert member.engagement is not None
    facts = {
        "user": str(member.user_id),
        "unit": str(member.engagement.unit_id),
        "role": member.engagement.role,
        "reason": "removed",
        "state": member.state,
    }
    return [NewEvent(EventType.MEMBER_LEFT, by, facts=facts)]


@transaction.atomic
def participate(*, acting: Acting, room_id: UUID, member_id: UUID, participation: str) -> Member:
    """The patient takes part, follows, or stays away, whenever they like (S4).

    Raises NotFound, Forbidden (`patient_only`).
    """
    room = lock_room(acting, room_id, act="participation.changed")
    member = Member.objects.filter(id=member_id, room=room).exclude(state=Member.State.REMOVED).first()
    if member is None:
        raise NotFound(refusal=Refusal("participation.changed", "missing", room_id=room_id))
    if not member.is_patient or member.user_id != acting.user.id:
        raise Forbidden(code="patient_only", refusal=Refusal("participation.changed", "patient_only", room_id=room_id))
    if member.participation == participation:
        return member
    member.participation = participation
    member.save(update_fields=["participation"])
    facts = {"user": str(member.user_id), "participation": participation}
    _record(acting, room, "participation.changed", object_id=member.id, basis="self", detail=facts)
    changed = NewEvent(EventType.PARTICIPATION, acting.user.id, facts=facts)
    # The epoch rises so that no cached permit still says «follows» or «takes part».
    settle(room, actor=acting.actor, first=[changed], reason="participation", access_changed=True)
    return member


def _basis(acting: Acting, room: Room) -> str:
    """Why somebody may propose: it is their own room, they are in it, or they have a relation to the patient."""
    if acting.patient is not None and acting.patient.id == room.patient_id:
        return "self"
    inside = Member.objects.filter(room=room, user_id=acting.user.id, state=Member.State.JOINED)
    return "consent" if inside.exists() else "relation"


def _record(
    acting: Acting,
    room: Room,
    type_: str,
    *,
    object_id: UUID,
    basis: str,
    detail: dict[str, str] | None = None,
) -> None:
    record(
        Entry(
            type=type_,
            actor=acting.actor,
            subject_id=room.patient_id,
            room_id=room.id,
            object_id=object_id,
            purpose=room.purpose,
            basis=basis,
            detail=detail or {},
        )
    )


def waits(*, acting: Acting, room_id: UUID) -> bool:
    """Whether they have asked for the room and wait for the patient. Raises NotFound to strangers."""
    try:
        open_room(acting, room_id, act="answer.repeated")
    except Forbidden:
        return True
    return False


def recheck(*, acting: Acting, room_id: UUID) -> None:
    """Before an old answer is given again: is the room still open to them? Raises NotFound, Forbidden."""
    lock_room(acting, room_id, act="answer.repeated")
