"""Reading a room over REST: each page is one look, recorded (law 1), through the one door (law 5)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from uuid import UUID

from django.db import transaction

from server.audit.actions import record, record_many
from server.audit.entry import Entry
from server.people.actors import Acting
from server.rooms import marks, timeline
from server.rooms.access import open_room, unchanged
from server.rooms.marks import Receipt
from server.rooms.models import Member
from server.rooms.overview import RoomCard
from server.rooms.permits import Permit, entry
from server.rooms.timeline import Happened, StaleEpoch, Want, decided_again

MAX_PAGE = 500


@dataclass(frozen=True, slots=True)
class Page:
    """Events in `seq` order. `head` is the newest that the reader may see; `more` says that there are further ones in
    the direction asked for, `ahead` that it began beyond the end."""

    events: list[Happened]
    head: int
    more: bool
    ahead: bool


def look(*, acting: Acting, room_id: UUID, after: int | None, before: int | None, limit: int) -> Page:
    """One page of the timeline: the oldest after `after`, or the newest before `before` (both exclusive).

    Raises NotFound, Forbidden. The statement that reads begins after the permit's and sees its epoch, or all is decided
    again; the look is on record before the answer.
    """

    def attempt() -> Page:
        permit = open_room(acting, room_id, act="events.viewed")
        want = Want(
            room_id,
            after=after if after is not None else 0,
            upto=(before - 1) if before is not None else 2**62,
            limit=limit + 1,
            backwards=after is None,
        )
        chunk = timeline.read(within(want, permit))[room_id]
        if not permit.holds(chunk.epoch, chunk.at):
            raise StaleEpoch
        seen = [event for event in chunk.events if permit.sees(event.seq, event.about)]
        more = len(seen) > limit
        events = seen[:limit] if after is not None else seen[-limit:]
        with transaction.atomic():
            span = {"from": events[0].seq, "to": events[-1].seq} if events else {}
            record(entry(permit, acting.actor, "events.viewed", detail=span))
        ahead = after is not None and permit.ahead(after, chunk.head)
        return Page(events, permit.newest(chunk.head), more, ahead)

    return decided_again(attempt)


def within(want: Want, permit: Permit) -> list[Want]:
    """`want` cut to what may be seen, one part for each interval: a page is then never emptied by what lies between
    them, however long that is. Without any, one part that asks for no event but still reads epoch and head."""
    parts = []
    for first, until in permit.spans:
        after = max(want.after, first - 1)
        upto = want.upto if until is None else min(want.upto, until - 1)
        if after < upto:
            parts.append(replace(want, after=after, upto=upto))
    return parts or [replace(want, limit=0)]


def record_cards(acting: Acting, cards: Iterable[RoomCard]) -> None:
    """Record that rooms of the list were shown: one event for each, for each patient's log (L2)."""
    entries = [
        entry(card.permit, acting.actor, "room.listed")
        if card.permit is not None
        else Entry(
            "room.listed",
            acting.actor,
            subject_id=card.room.patient_id,
            room_id=card.room.id,
            object_id=card.room.id,
            purpose=card.room.purpose,
            basis="relation",
        )
        for card in cards
    ]
    if entries:
        with transaction.atomic():
            record_many(entries)


def record_look(acting: Acting, permit: Permit, type_: str) -> None:
    """Record a look at something of the room other than its timeline."""
    with transaction.atomic():
        record(entry(permit, acting.actor, type_))


def members(*, acting: Acting, room_id: UUID) -> list[Member]:
    """Everybody in the room, or proposed for it, as members may know; one look.

    Raises NotFound, Forbidden.
    """

    def attempt() -> list[Member]:
        permit = open_room(acting, room_id, act="members.viewed")
        found = list(
            Member.objects.filter(room_id=room_id)
            .filter(state__in=(Member.State.PROPOSED, Member.State.JOINED))
            .select_related("engagement__unit__controller", "user")
            .order_by("id")
        )
        unchanged(permit)
        record_look(acting, permit, "members.viewed")
        return found

    return decided_again(attempt)


def receipts(*, acting: Acting, room_id: UUID) -> list[Receipt]:
    """How far everybody has come (S6); one look. Raises NotFound, Forbidden."""

    def attempt() -> list[Receipt]:
        permit = open_room(acting, room_id, act="receipts.viewed")
        found = marks.receipts([room_id])[room_id]
        if not permit.holds(found.epoch, found.at):
            raise StaleEpoch
        record_look(acting, permit, "receipts.viewed")
        return found.receipts

    return decided_again(attempt)
