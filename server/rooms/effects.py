"""What happens to rooms when consent, engagements or agreements change: implements the ports of the floors below."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from server.audit.entry import SYSTEM, Actor
from server.common.errors import NotFound, Refusal
from server.common.hints import hint
from server.common.sql import rfc3339
from server.consent.decide import Grant
from server.consent.models import Act, Consent, ConsentVersion, State
from server.people.actors import Acting
from server.people.models import AgreementParty
from server.rooms.access import asks, fits
from server.rooms.actions import waiting
from server.rooms.models import EventType, Member, Room
from server.rooms.permits import load
from server.rooms.settle import lock, settle
from server.rooms.timeline import NewEvent

REASONS: dict[str, str] = {Act.WITHDRAWN: "consent_withdrawn", Act.EXPIRED: "consent_expired"}
"""What `member_left` says when the consent ended; else it was narrowed: `consent`."""


class ConsentInRooms:
    """`consent.ports.RoomEffects`."""

    def lock(self, room_id: UUID) -> None:
        lock(room_id)

    def may_ask(self, acting: Acting, room_id: UUID) -> Sequence[Grant]:
        member = Member.objects.filter(room_id=room_id, user_id=acting.user.id).first()
        known = member is not None and (asks(acting, member) or self._inside(acting, room_id))
        if not known or acting.engagement is None:
            raise NotFound(refusal=Refusal("consent.requested", "no_access", room_id=room_id))
        return waiting(room_id, acting.user.id)

    def may_see(self, acting: Acting, consent: Consent) -> bool:
        if consent.room_id is None:
            return False
        member = Member.objects.filter(room_id=consent.room_id, user_id=acting.user.id).first()
        return member is not None and (asks(acting, member) or self._inside(acting, consent.room_id))

    def state_shown(self, acting: Acting, consent: Consent) -> str:
        inside = consent.room_id is not None and self._inside(acting, consent.room_id)
        return consent.state if inside or consent.state != State.ACTIVE else State.REQUESTED

    def asked(self, consent: Consent, version: ConsentVersion, actor: Actor) -> None:
        if consent.room_id is None:
            return
        room = lock(consent.room_id)
        settle(room, actor=actor, first=[_event(consent, version)], reason="consent")
        if consent.patient.user_id is not None:
            hint("user", consent.patient.user_id)

    def access_changed(self, consent: Consent, version: ConsentVersion, actor: Actor) -> None:
        if consent.room_id is None:
            return
        room = lock(consent.room_id)
        settle(
            room,
            actor=actor,
            first=[_event(consent, version)],
            reason=REASONS.get(version.act, "consent"),
            access_changed=True,
        )

    def _inside(self, acting: Acting, room_id: UUID) -> bool:
        permit = load([room_id], users=[acting.user.id]).get((room_id, acting.user.id))
        return permit is not None and fits(acting, permit)


def _event(consent: Consent, version: ConsentVersion) -> NewEvent:
    facts = {
        "consent": str(consent.id),
        "act": version.act,
        "state": version.state,
        "version": version.number,
        "until": rfc3339(version.valid_to) if version.valid_to else None,
    }
    return NewEvent(EventType.CONSENT, version.acted_by_id, facts=facts)


class EngagementsInRooms:
    """`people.ports.AccessEffects`: the effect of an end that no consent decides."""

    def engagement_ended(self, engagement_id: UUID) -> None:
        rooms = Member.objects.filter(engagement_id=engagement_id, state=Member.State.JOINED)
        self._settle_all(rooms.values_list("room_id", flat=True), "engagement")

    def agreement_ended(self, agreement_id: UUID) -> None:
        parties = AgreementParty.objects.filter(agreement_id=agreement_id).values("controller_id")
        across = Member.objects.filter(state=Member.State.JOINED, engagement__unit__controller_id__in=parties)
        rooms = Room.objects.filter(home_id__in=parties, id__in=across.values("room_id"))
        self._settle_all(rooms.values_list("id", flat=True), "agreement")

    def _settle_all(self, room_ids: Iterable[UUID], reason: str) -> None:
        for room_id in sorted(set(room_ids)):  # law 5: locked in id order
            settle(lock(room_id), actor=SYSTEM, reason=reason)
