"""An author's own posts, for their own record (S8): while they are in the room, and for some days after their access
ended (`OWN_POSTS_DAYS`). Withdrawal stops sharing, never care (M4), nor the duty to document what one wrote oneself.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import OuterRef, Subquery

from server.audit.actions import record
from server.audit.entry import Entry
from server.common.clock import now_sql
from server.common.errors import NotFound, Refusal
from server.common.sql import rfc3339_sql, time_out, uuid_in, uuid_out
from server.consent.decide import BrokenRecord, ConsentRecord, Record
from server.consent.records import records_for_rooms
from server.people.actors import Acting
from server.people.models import Engagement
from server.people.periods import DatabaseNow
from server.rooms import permits, timeline
from server.rooms.access import fits
from server.rooms.models import EventType, Member, Room, RoomEvent, Span
from server.rooms.timeline import StaleEpoch, decided_again
from server.vault import actions as vault

NOBODY = UUID(int=0)
"""No room's and no patient's id; asked about beside what exists: a room without a consent costs a question more."""
EXPORTED = "own_posts.exported"


@dataclass(frozen=True, slots=True)
class Correction:
    seq: int
    created_at: str
    body: str


@dataclass(slots=True)
class OwnPost:
    """One message as its author wrote it, with what they did to it since; times RFC 3339 UTC. `erased`: its key is
    destroyed, and the body is empty."""

    seq: int
    created_at: str
    kind: str
    body: str
    erased: bool = False
    retracted: bool = False
    corrections: list[Correction] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Page:
    """Posts in `seq` order; `more` says that there are further ones. `until` is when the right ends, None for a
    member."""

    posts: list[OwnPost]
    more: bool
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Right:
    """What one decision permits: posts from `seq` `first` on, under `epoch`, before `valid_until`. `until` is set for a
    former member."""

    patient_id: UUID
    purpose: str
    key: UUID
    epoch: int
    first: int
    valid_until: datetime | None
    until: datetime | None
    record_ids: tuple[UUID, ...] = ()


def export(*, acting: Acting, room_id: UUID, after: int, limit: int) -> Page:
    """One page of what this person wrote in the room, the oldest after `after`; each page is decided anew (law 5), and
    is one look on record.

    Raises NotFound, alike for every refusal.
    """

    def attempt() -> Page:
        right = _right(acting, room_id)
        chunk = _read(room_id, acting.user.id, max(after, right.first - 1), limit + 1)
        if chunk.epoch != right.epoch or (right.valid_until is not None and right.valid_until <= chunk.at):
            raise StaleEpoch
        # What ends the right of somebody who is out already (an exclusion, the end of their engagement) need not raise
        # the room's epoch: so it is decided once more after reading, and must come out the same.
        if right.until is not None and _right(acting, room_id) != right:
            raise StaleEpoch
        posts = _posts(right.key, chunk.rows)
        shown = posts[:limit]
        with transaction.atomic():
            record(_entry(acting, room_id, right, shown))
        return Page(shown, len(posts) > limit, right.until)

    return decided_again(attempt)


def _right(acting: Acting, room_id: UUID) -> Right:
    """A member's, else that of whoever was one. Emergency access is no membership and gives none. Raises NotFound."""
    permit = permits.load([room_id], users=[acting.user.id]).get((room_id, acting.user.id))
    if permit is None or permit.basis == "emergency" or not fits(acting, permit):
        return _former(acting, room_id)
    return Right(
        patient_id=permit.patient_id,
        purpose=permit.purpose,
        key=permit.key,
        epoch=permit.epoch,
        first=_first(permit.member_id, room_id, acting.engagement),
        valid_until=permit.valid_until,
        until=None,
        record_ids=permit.record_ids,
    )


def _former(acting: Acting, room_id: UUID) -> Right:
    newest = Span.objects.filter(member=OuterRef("id")).order_by("-first").values("until")[:1]
    ending = RoomEvent.objects.filter(room=OuterRef("room"), seq=OuterRef("left_at")).values("created_at")[:1]
    members = Member.objects.filter(room_id=room_id, user_id=acting.user.id, engagement__isnull=False)
    member = (
        members.select_related("engagement")
        .annotate(read_at=DatabaseNow(), left_at=Subquery(newest))
        .annotate(out_since=Subquery(ending))
        .first()
    )
    # Foreign, missing and kept out: the same statements, so that time does not tell them apart.
    room = Room.objects.filter(id=room_id).first()
    patient_id = room.patient_id if room is not None else NOBODY
    records = records_for_rooms({room_id: patient_id, NOBODY: NOBODY})[room_id]
    if member is None or member.engagement is None or room is None:
        raise _refused(room_id, "missing" if room is None else "foreign", room.patient_id if room else None)
    engagement = member.engagement
    if acting.engagement is None or acting.engagement.id != engagement.id or not engagement.holds(member.read_at):
        raise _refused(room_id, "other_engagement", room.patient_id)
    if member.out_since is None:  # never was in; or their end is not on record yet, and counts from when it is
        raise _refused(room_id, "no_access", room.patient_id)
    if kept_out(records, acting.user.id):
        raise _refused(room_id, "excluded", room.patient_id)
    until = ends(member.out_since, settings.ENV.own_posts_days, engagement)
    if until <= member.read_at:
        raise _refused(room_id, "too_late", room.patient_id)
    first = _first(member.id, room_id, engagement)
    return Right(room.patient_id, room.purpose, room.key, room.access_epoch, first, until, until)


def ends(out_since: datetime, days: int, engagement: Engagement) -> datetime:
    """When the right of a former member ends: `days` after their access did, or with their engagement."""
    last = out_since + timedelta(days=days)
    return last if engagement.ends is None else min(last, engagement.ends)


def kept_out(records: Sequence[Record], user_id: UUID) -> bool:
    """Whether the patient has excluded this person, or might have: a record of that kind cannot be verified."""
    return any(
        (isinstance(one, ConsentRecord) and user_id in one.excluded_people)
        or (isinstance(one, BrokenRecord) and one.names_people)
        for one in records
    )


def _first(member_id: UUID, room_id: UUID, engagement: Engagement | None) -> int:
    """The first `seq` that is theirs to take: since they last came from another unit, in whose record the posts of that
    time belong (S8, L6). Each interval begins with the event that says for which unit they joined."""
    if engagement is None:
        return 1
    intervals = Span.objects.filter(member_id=member_id).values("first")
    joined = RoomEvent.objects.filter(room_id=room_id, seq__in=intervals).order_by("-seq")
    first = 2**62
    for seq, facts in joined.values_list("seq", "facts"):
        if facts.get("unit") != str(engagement.unit_id):
            break
        first = seq
    return first


@dataclass(frozen=True, slots=True)
class _Chunk:
    epoch: int
    at: datetime
    rows: list[tuple[Any, ...]]
    """(seq, type, created_at, facts, sealed, id), by `seq`; edits and retractions of the messages among them."""


def _read(room_id: UUID, user_id: UUID, after: int, limit: int) -> _Chunk:
    """Epoch, the database's time, and up to `limit` of this person's messages with all that they did to them since, in
    one statement. Raises StaleEpoch when the room is not there."""
    room, user = uuid_in(room_id), uuid_in(user_id)
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH mine AS (SELECT * FROM rooms_roomevent "  # noqa: S608 - no outside text
            "WHERE room_id = %s AND sender_id = %s AND type = 'message' AND seq > %s ORDER BY seq LIMIT %s), "
            "told AS (SELECT * FROM mine UNION ALL SELECT * FROM rooms_roomevent "
            "WHERE room_id = %s AND sender_id = %s AND type IN ('edit', 'retraction') AND seq > %s "
            "AND CAST(facts ->> 'of' AS bigint) IN (SELECT seq FROM mine)) "
            f"SELECT r.access_epoch, {now_sql()}, t.seq, t.type, {rfc3339_sql('t.created_at')}, "
            "t.facts, t.sealed, t.id FROM rooms_room r LEFT JOIN told t ON true WHERE r.id = %s ORDER BY t.seq",
            [room, user, after, limit, room, user, after, room],
        )
        found = cursor.fetchall()
    if not found:
        raise StaleEpoch
    epoch, at = found[0][:2]
    return _Chunk(epoch, time_out(at), [row[2:] for row in found if row[2] is not None])


def _posts(key: UUID, rows: Sequence[tuple[Any, ...]]) -> list[OwnPost]:
    vault.load_keys([key])
    posts: dict[int, OwnPost] = {}
    for seq, type_, created_at, facts, sealed, id_ in rows:
        content = timeline.content_of(type_, facts, sealed, uuid_out(id_))
        if type_ == EventType.MESSAGE:
            posts[seq] = OwnPost(seq, created_at, content["kind"], content["body"], content.get("erased", False))
        elif type_ == EventType.EDIT:
            posts[content["of"]].corrections.append(Correction(seq, created_at, content["body"]))
        else:
            posts[content["of"]].retracted = True
    return list(posts.values())


def _entry(acting: Acting, room_id: UUID, right: Right, posts: Sequence[OwnPost]) -> Entry:
    return Entry(
        EXPORTED,
        acting.actor,
        subject_id=right.patient_id,
        room_id=room_id,
        object_id=room_id,
        purpose=right.purpose,
        basis="own_posts",
        record_ids=right.record_ids,
        detail={"from": posts[0].seq, "to": posts[-1].seq} if posts else {},
    )


def _refused(room_id: UUID, reason: str, patient_id: UUID | None) -> NotFound:
    return NotFound(refusal=Refusal(EXPORTED, reason, room_id=room_id, subject_id=patient_id))
