"""Bringing a room's memberships in line with what is permitted now: the one place where intervals open and close.

Called under the room's row lock, in the transaction of whatever changed access. The first event of a settlement is the
access-ending one: intervals close just before it, so nothing with its `seq` or a higher one reaches who lost access
(law 5a), and the epoch rises in the same update (law 2).
"""

from collections.abc import Sequence
from uuid import UUID

from server.audit.actions import record_many
from server.audit.entry import Actor, Entry
from server.common.hints import hint
from server.consent.decide import Decision
from server.people.periods import DatabaseNow
from server.rooms import timeline
from server.rooms.models import EventType, Member, Room, RoomEvent, Span
from server.rooms.permits import judge
from server.rooms.timeline import NewEvent


def lock(room_id: UUID) -> Room:
    """The room and its members, locked until the transaction ends; members in id order, as marks are written. Several
    rooms are locked in id order by the caller (law 5)."""
    room = Room.objects.select_for_update(of=("self",)).select_related("patient").get(id=room_id)
    list(Member.objects.select_for_update(of=("self",)).filter(room=room).order_by("id").values_list("id"))
    return room


def settle(
    room: Room, *, actor: Actor, first: Sequence[NewEvent] = (), reason: str, access_changed: bool = False
) -> list[RoomEvent]:
    """Write `first`, then who joined and who left because of it. Without any event nothing is written; where access has
    changed all the same, what was decided before is decided again.

    `reason` stands in the `member_left` events: `consent`, `engagement`, `agreement`, `removed`, `left`.
    """
    members = list(
        Member.objects.filter(room=room, engagement__isnull=False)
        .select_related("room", "engagement__unit", "user")
        .annotate(read_at=DatabaseNow())
        .order_by("id")
    )
    spans = {span.member_id: span for span in Span.objects.filter(member__room=room, until=None)}
    verdicts = judge(members)
    removed = Member.State.REMOVED
    joining = [m for m in members if m.state != removed and verdicts[m.id].permit and m.id not in spans]
    leaving = [m for m in members if m.id in spans and (m.state == removed or not verdicts[m.id].permit)]
    events = [*first, *(_joined(m) for m in joining), *(_left(m, reason) for m in leaving)]
    if not events:
        if access_changed:
            decide_again(room)
        return []
    changed = bool(joining or leaving) or access_changed
    head = timeline.move_head(room.id, by=len(events), access_changed=changed)
    rows = timeline.write(room, events, head=head)
    start = rows[0].seq
    for offset, member in enumerate(joining):
        Span.objects.create(member=member, first=start + len(first) + offset)
    for member in leaving:
        span = spans[member.id]
        span.until = max(span.first, start)
        span.save(update_fields=["until"])
    _save_states(joining, leaving)
    _audit(room, actor, joining, leaving, reason, verdicts)
    hint("room", room.id, seq=head)
    for member in (*joining, *leaving):
        hint("user", member.user_id)
    return rows


def decide_again(room: Room) -> None:
    """Let no permit of before be good any more, in a room (locked), though nothing happened in it.

    The epoch rises alone (law 2): a `seq` orders what happened, and says from where on somebody sees it. Here nobody
    comes or goes and no interval opens or closes; what a permit rests on, or how long, is another, or is not believed
    for the time being. An event would tell everybody in the room of what is no business of theirs.
    """
    timeline.move_head(room.id, by=0, access_changed=True)
    hint("room", room.id)


def _joined(member: Member) -> NewEvent:
    return NewEvent(EventType.MEMBER_JOINED, None, facts=_facts(member))


def _left(member: Member, reason: str) -> NewEvent:
    state = Member.State.REMOVED if member.state == Member.State.REMOVED else Member.State.ENDED
    return NewEvent(EventType.MEMBER_LEFT, None, facts={**_facts(member), "reason": reason, "state": state})


def _facts(member: Member) -> dict[str, str]:
    engagement = member.engagement
    assert engagement is not None
    return {"user": str(member.user_id), "unit": str(engagement.unit_id), "role": engagement.role}


def _save_states(joining: Sequence[Member], leaving: Sequence[Member]) -> None:
    Member.objects.filter(id__in=[m.id for m in joining]).update(state=Member.State.JOINED)
    Member.objects.filter(id__in=[m.id for m in leaving], state=Member.State.JOINED).update(state=Member.State.ENDED)


def _audit(
    room: Room,
    actor: Actor,
    joining: Sequence[Member],
    leaving: Sequence[Member],
    reason: str,
    verdicts: dict[UUID, Decision],
) -> None:
    entries = [
        Entry(
            type="member.joined" if member in joining else "member.left",
            actor=actor,
            subject_id=room.patient_id,
            room_id=room.id,
            object_id=member.user_id,
            purpose=room.purpose,
            basis=verdicts[member.id].basis,
            reason="" if member in joining else reason,
            record_ids=verdicts[member.id].record_ids,
        )
        for member in (*joining, *leaving)
    ]
    if entries:
        record_many(entries)
