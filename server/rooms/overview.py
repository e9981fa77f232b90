"""What a person sees of their rooms: a page of them costs a fixed number of statements, however many rooms it has."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Count, F, Q, QuerySet

from server.consent.models import Consent, State
from server.people.actors import Acting
from server.people.hours import next_attended
from server.people.names import display_names
from server.people.periods import DatabaseNow
from server.rooms import emergency, permits
from server.rooms.access import fits
from server.rooms.models import EventType, Member, Participation, Room, RoomEvent
from server.rooms.permits import Permit


@dataclass(frozen=True, slots=True)
class RoomCard:
    """One room in a list. Whoever waits for the patient's answer sees neither head nor events nor whether the patient
    takes part (`waiting`): a room that has been used looks like a new one."""

    room: Room
    patient_name: str
    permit: Permit | None
    head: int
    unread: int
    last_type: str | None
    last_at: datetime | None
    consent_id: UUID | None
    consent_state: str
    next_attended: datetime | None
    participation: str


def rooms_of(acting: Acting) -> QuerySet[Room]:
    """Rooms this person may list: their own, those they are in, those they asked for and wait, and those they have
    emergency access to."""
    visible = Q(state=Member.State.JOINED, engagement=None)
    if acting.engagement is not None:
        withdrawn = Consent.objects.filter(state=State.WITHDRAWN).values("room_id")
        waits = Q(state=Member.State.PROPOSED, proposed_by_id=acting.user.id) & ~Q(room_id__in=withdrawn)
        visible |= Q(engagement=acting.engagement) & (Q(state=Member.State.JOINED) | waits)
    mine = Member.objects.filter(visible, user_id=acting.user.id)
    listed = Q(id__in=mine.values("room_id"))
    if acting.engagement is not None:
        emergencies = emergency.open_now().filter(user_id=acting.user.id, engagement=acting.engagement)
        listed |= Q(id__in=emergencies.values("room_id"))
    return Room.objects.filter(listed).select_related("patient")


def cards(acting: Acting, rooms: Sequence[Room]) -> list[RoomCard]:
    """The rooms of one page, in the order given; rooms that are not (or no longer) this person's are left out."""
    ids = [room.id for room in rooms]
    mine = {
        room_id: permit
        for (room_id, _), permit in permits.load(ids, users=[acting.user.id]).items()
        if fits(acting, permit)
    }
    consents = {row.room_id: row for row in Consent.objects.filter(room_id__in=ids)}
    members = list(Member.objects.filter(room_id__in=ids).select_related("engagement__unit"))
    waits = {
        member.room_id
        for member in members
        if member.user_id == acting.user.id
        and member.state == Member.State.PROPOSED
        and member.proposed_by_id == acting.user.id
    }
    names = display_names({room.patient.user_id for room in rooms if room.patient.user_id})
    unread = _unread(acting, [room_id for room_id, permit in mine.items() if permit.basis != "emergency"])
    last = _last_seen(mine.values())
    seen = Room.objects.filter(id__in=list(mine)).annotate(at=DatabaseNow()).values_list("id", "access_epoch", "at")
    still = {room_id for room_id, epoch, at in seen if mine[room_id].holds(epoch, at)}
    found = []
    for room in rooms:
        permit = mine.get(room.id)
        if permit is not None and room.id not in still:
            continue  # access changed, or ended, while the page was read (law 5b); the next look decides again
        if permit is None and room.id not in waits:
            continue
        consent, shown = consents.get(room.id), last.get(room.id)
        found.append(
            RoomCard(
                room=room,
                patient_name=names.get(room.patient.user_id, "") if room.patient.user_id else "",
                permit=permit,
                head=permit.newest(permit.head) if permit is not None else 0,
                unread=unread.get(room.id, 0),
                last_type=shown.type if shown else None,
                last_at=shown.created_at if shown else None,
                consent_id=consent.id if consent else None,
                consent_state=_state_shown(consent, permit),
                next_attended=_attended(room.id, members, acting) if permit is not None else None,
                participation=_participation(room.id, members) if permit is not None else Participation.FOLLOWING,
            )
        )
    return found


def _state_shown(consent: Consent | None, permit: Permit | None) -> str:
    """To whoever waits, a consent that is in force for others is still only asked for."""
    if consent is None:
        return ""
    if permit is None and consent.state == State.ACTIVE:
        return State.REQUESTED
    return consent.state


def _participation(room_id: UUID, members: Sequence[Member]) -> str:
    return next((one.participation for one in members if one.room_id == room_id and one.is_patient), "")


def _attended(room_id: UUID, members: Sequence[Member], acting: Acting) -> datetime | None:
    """When somebody else who works here is next at work (S10); UTC."""
    moments = [
        next_attended(member.engagement.unit.office_hours, acting.at)
        for member in members
        if member.room_id == room_id
        and member.state == Member.State.JOINED
        and member.engagement is not None
        and member.user_id != acting.user.id
    ]
    return min((moment for moment in moments if moment is not None), default=None)


def _last_seen(mine: Iterable[Permit]) -> dict[UUID, RoomEvent]:
    """The newest event of each room that its permit shows, which need not be its newest one; one statement."""
    places = Q()
    for permit in mine:
        if seq := permit.newest(permit.head):
            places |= Q(room_id=permit.room_id, seq=seq)
    rows = RoomEvent.objects.filter(places).defer("sealed") if places else ()
    return {row.room_id: row for row in rows}


def _unread(acting: Acting, ids: list[UUID]) -> dict[UUID, int]:
    """Messages by others beyond the read mark, within what may be seen, per room; one statement.

    Served by the unique index on (room, seq).
    """
    rows = (
        RoomEvent.objects.filter(  # one filter(): the conditions on spans must meet in one and the same span
            Q(room__members__spans__until=None) | Q(room__members__spans__until__gt=F("seq")),
            room_id__in=ids,
            type=EventType.MESSAGE,
            room__members__user_id=acting.user.id,
            seq__gt=F("room__members__read"),
            room__members__spans__first__lte=F("seq"),
        )
        .exclude(sender_id=acting.user.id)
        .values("room_id")
        .annotate(n=Count("id", distinct=True))
    )
    return {row["room_id"]: row["n"] for row in rows}
