"""What happens to rooms when consent, engagements or agreements change: implements the ports of the floors below."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from django.db.models import Q, QuerySet

from server.audit.entry import SYSTEM, Actor
from server.common.errors import NotFound, Refusal
from server.common.hints import hint
from server.common.sql import rfc3339
from server.consent.decide import Grant
from server.consent.document import Document
from server.consent.models import Act, Consent, Form, State
from server.consent.ports import RoomFacts
from server.consent.records import excluded_people
from server.people.access import open_patient
from server.people.actors import Acting
from server.people.models import AgreementParty
from server.rooms import emergency
from server.rooms.access import asks, fits
from server.rooms.actions import take_out, waiting
from server.rooms.models import EmergencyAccess, EventType, Member, Room
from server.rooms.permits import load
from server.rooms.settle import decide_again, lock, settle
from server.rooms.timeline import NewEvent

NOBODY = UUID(int=0)
"""No patient's id."""
REASONS: dict[str, str] = {Act.WITHDRAWN: "consent_withdrawn", Act.EXPIRED: "consent_expired"}
"""What `member_left` says when the consent ended; else it was narrowed: `consent`."""


class ConsentInRooms:
    """`consent.ports.RoomEffects`."""

    def lock(self, room_id: UUID) -> None:
        lock(room_id)

    def lock_all_of(self, patient_id: UUID) -> None:
        for room_id in sorted(Room.objects.filter(patient_id=patient_id).values_list("id", flat=True)):
            lock(room_id)

    def members(self, room_id: UUID) -> Sequence[UUID]:
        here = Member.objects.filter(room_id=room_id, state=Member.State.JOINED, engagement__isnull=False)
        return list(here.values_list("user_id", flat=True))

    def may_ask(self, acting: Acting, room_id: UUID) -> Sequence[Grant]:
        inside = acting.engagement is not None and self._inside(acting, room_id)
        member = Member.objects.filter(room_id=room_id, user_id=acting.user.id).first()
        if member is None or acting.engagement is None or not (inside or asks(acting, member)):
            raise NotFound(refusal=Refusal("consent.requested", "no_access", room_id=room_id))
        return waiting(room_id, acting.user.id)

    def may_see(self, acting: Acting, consent: Consent) -> bool:
        if consent.room_id is None:
            return False
        inside = self._inside(acting, consent.room_id)
        member = Member.objects.filter(room_id=consent.room_id, user_id=acting.user.id).first()
        return inside or (member is not None and asks(acting, member))

    def may_record(self, acting: Acting, consent: Consent, *, first: bool) -> bool:
        if consent.room_id is None:
            return False
        if self._inside(acting, consent.room_id):
            return True
        mine = Member.objects.filter(room_id=consent.room_id, user_id=acting.user.id, room__opened_by=acting.user)
        member = mine.first() if first and consent.state != State.ACTIVE else None
        return member is not None and asks(acting, member)

    def state_shown(self, acting: Acting, consent: Consent) -> str:
        inside = consent.room_id is not None and self._inside(acting, consent.room_id)
        return consent.state if inside or consent.state != State.ACTIVE else State.REQUESTED

    def asked(self, consent: Consent, document: Document, actor: Actor) -> None:
        if consent.room_id is None:
            return
        room = lock(consent.room_id)
        settle(room, actor=actor, first=[_event(consent, document)], reason="consent")
        if consent.patient.user_id is not None:
            hint("user", consent.patient.user_id)

    def access_changed(self, consent: Consent, document: Document, actor: Actor) -> None:
        if consent.room_id is None:
            return
        room = lock(consent.room_id)
        settle(
            room,
            actor=actor,
            first=[_event(consent, document)],
            reason=REASONS.get(document.act, "consent"),
            access_changed=True,
        )

    def excluded(self, patient_id: UUID, person_id: UUID, actor: Actor) -> None:
        """Taken out of every room, as if the patient had done it one by one: lifting puts nobody back by itself."""
        rooms = Room.objects.filter(patient_id=patient_id)
        touched = Q(members__user_id=person_id, members__engagement__isnull=False)
        touched |= Q(emergency_accesses__user_id=person_id, emergency_accesses__ended_at=None)
        for room_id in sorted(set(rooms.filter(touched).values_list("id", flat=True))):
            take_out(lock(room_id), person_id, actor)

    def facts(self, acting: Acting, room_id: UUID) -> RoomFacts:
        room = Room.objects.filter(id=room_id).first()
        patient_id = room.patient_id if room is not None else NOBODY  # asked of nobody too, so that time does not tell
        excluded = acting.user.id in excluded_people(patient_id)
        open_patient(acting, patient_id)
        if room is None:
            raise NotFound(refusal=Refusal("ground.recorded", "missing", room_id=room_id))
        if excluded:
            raise NotFound(refusal=Refusal("ground.recorded", "excluded", room_id=room_id, subject_id=room.patient_id))
        return RoomFacts(room.patient_id, room.purpose)

    def distrusted(self, consent: Consent) -> None:
        """Nobody leaves: a record that is put right lets them go on. But no permit of before is good any more (law 5),
        in any room that the consent speaks of."""
        everywhere = consent.form == Form.EXCLUSIONS
        told_of = Q(patient_id=consent.patient_id) if everywhere else Q(id__in=[consent.room_id])
        rooms = Room.objects.filter(told_of)
        for room_id in sorted(rooms.values_list("id", flat=True)):
            decide_again(lock(room_id))

    def grounds_changed(self, room_id: UUID, actor: Actor) -> None:
        settle(lock(room_id), actor=actor, reason="statute", access_changed=True)

    def _inside(self, acting: Acting, room_id: UUID) -> bool:
        """Whether they are a member; emergency access makes none."""
        permit = load([room_id], users=[acting.user.id]).get((room_id, acting.user.id))
        return permit is not None and permit.basis != "emergency" and fits(acting, permit)


def _event(consent: Consent, document: Document) -> NewEvent:
    facts = {
        "consent": str(consent.id),
        "act": document.act,
        "state": document.state,
        "version": document.number,
        "until": rfc3339(end) if (end := document.terms.valid_to) else None,
    }
    return NewEvent(EventType.CONSENT, document.recorder, facts=facts)


class EngagementsInRooms:
    """`people.ports.AccessEffects`: the effect of an end that no consent decides."""

    def engagement_ended(self, engagement_id: UUID) -> None:
        joined = Member.objects.filter(engagement_id=engagement_id, state=Member.State.JOINED)
        emergencies = EmergencyAccess.objects.filter(engagement_id=engagement_id, ended_at=None)
        for room_id in sorted({*_rooms(joined), *_rooms(emergencies)}):  # law 5: locked in id order
            room = lock(room_id)
            emergency.end_of_engagement(room, engagement_id, actor=SYSTEM)
            settle(room, actor=SYSTEM, reason="engagement")

    def agreement_ended(self, agreement_id: UUID) -> None:
        parties = AgreementParty.objects.filter(agreement_id=agreement_id).values("controller_id")
        across = Member.objects.filter(state=Member.State.JOINED, engagement__unit__controller_id__in=parties)
        rooms = Room.objects.filter(home_id__in=parties, id__in=across.values("room_id"))
        for room_id in sorted(rooms.values_list("id", flat=True)):  # law 5: locked in id order
            settle(lock(room_id), actor=SYSTEM, reason="agreement")


def _rooms(rows: QuerySet[Member] | QuerySet[EmergencyAccess]) -> Iterable[UUID]:
    return rows.values_list("room_id", flat=True)
