"""Who may see and write what in a room: facts from the database, judged by `consent.decide` (laws 2 and 5).

A permit is good for one access epoch and never beyond its `valid_until`. It may be kept by (user, room, epoch); whoever
uses it compares the epoch in the same statement that reads or writes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from server.audit.entry import Actor, Entry
from server.consent.decide import Agreement, Decision, EmergencyRecord, Record, Who, decide
from server.consent.records import records_for_rooms
from server.people.models import AgreementParty, Engagement
from server.people.periods import DatabaseNow
from server.rooms.models import EmergencyAccess, Member, Room, RoomEvent, Span
from server.rooms.sealed_access import believed

Spans = tuple[tuple[int, int | None], ...]
Agreements = dict[tuple[UUID, UUID], tuple[Agreement, ...]]
CATEGORY = "conversation"
"""The category of information that a room's timeline is (forms/room.json)."""


@dataclass(frozen=True, slots=True)
class Permit:
    """One member's standing in one room. `spans` are the `seq` intervals they may see, `first <= seq < until`.

    `reader_until` is set for patients: the last moment at which somebody else may read, as known now; None together
    with `has_reader` means no end. Staff always have the patient as a reader.
    """

    room_id: UUID
    user_id: UUID
    member_id: UUID
    engagement_id: UUID | None
    patient_id: UUID
    purpose: str
    key: UUID
    epoch: int
    head: int
    spans: Spans
    participation: str
    basis: str
    record_ids: tuple[UUID, ...]
    valid_until: datetime | None
    has_reader: bool
    reader_until: datetime | None
    at: datetime
    read_only: bool = False
    """Emergency access, or a consent whose range of content is over: what is written would not be theirs to read."""

    @property
    def is_patient(self) -> bool:
        return self.engagement_id is None

    @property
    def writable_until(self) -> datetime | None:
        """A write after this moment must be decided again."""
        return min((end for end in (self.valid_until, self.reader_until) if end is not None), default=None)

    def holds(self, epoch: int, at: datetime) -> bool:
        """Whether what a statement read is for the permit's holder: `epoch` and `at` (the database's time) are those
        that the statement itself saw (law 5b)."""
        return self.epoch == epoch and not self.over(at)

    def over(self, at: datetime) -> bool:
        return self.valid_until is not None and self.valid_until <= at

    def newest(self, head: int) -> int:
        """The newest `seq` up to `head` that this member may see; 0 without any. A timeline has no holes (law 2), so
        the intervals alone say which it is. It is what a person is shown as a room's head: the real one would tell them
        of what is withheld."""
        ends = ((first, head if until is None else min(head, until - 1)) for first, until in self.spans)
        return max((end for first, end in ends if first <= end), default=0)

    def ahead(self, cursor: int, head: int) -> bool:
        """Whether a cursor lies beyond what can have been given. What a patient may see only grows, so theirs are
        compared with what they are shown; other people's intervals may have become shorter since."""
        return cursor > (self.newest(head) if self.is_patient else head)

    def sees(self, seq: int, about: int | None = None) -> bool:
        """Whether this member may see an event; `about` is the message that it tells the words of (an edit's)."""
        return any(first <= seq and (until is None or seq < until) for first, until in self.spans) and (
            about is None or about == seq or self.sees(about)
        )


def entry(
    permit: Permit, actor: Actor, type_: str, *, object_id: UUID | None = None, detail: Mapping[str, Any] | None = None
) -> Entry:
    """What the log says of an act or a look under a permit."""
    return Entry(
        type=type_,
        actor=actor,
        subject_id=permit.patient_id,
        room_id=permit.room_id,
        object_id=object_id or permit.room_id,
        purpose=permit.purpose,
        basis=permit.basis,
        record_ids=permit.record_ids,
        detail=detail or {},
    )


def load(rooms: Iterable[UUID], *, users: Iterable[UUID] | None = None) -> dict[tuple[UUID, UUID], Permit]:
    """The permits of `users` (everybody, if None) in `rooms`, by (room, user); who may not is absent.

    Four statements, and one where one of them has emergency access. The epoch is read first: what is read after it can
    only be newer, and a write or a read under an older epoch is decided again.

    A room that nobody of `users` is in costs what a room does that does not exist: the first statement, and nothing of
    its consent is read or verified.
    """
    room_ids = list(rooms)
    wanted = set(users) if users is not None else None
    accesses = _open_accesses() if wanted is None else _open_accesses().filter(user_id__in=wanted)
    members = list(
        Member.objects.filter(room_id__in=room_ids, state=Member.State.JOINED)
        .select_related("room", "engagement__unit", "user")
        .annotate(read_at=DatabaseNow(), has_emergency=Exists(accesses.filter(room_id=OuterRef("room_id"))))
    )
    emergencies = _emergencies({m.room_id for m in members if m.has_emergency}, wanted)
    mine = [member for member in members if wanted is None or member.user_id in wanted]
    open_to_them = {one.room_id for one in mine} | {one.room_id for one in emergencies}
    members = [member for member in members if member.room_id in open_to_them]
    spans: dict[UUID, list[tuple[int, int | None]]] = {}
    asked_for = [member.id for member in mine]
    for member_id, first, until in Span.objects.filter(member_id__in=asked_for).values_list(
        "member_id", "first", "until"
    ):
        spans.setdefault(member_id, []).append((first, until))
    facts = _facts([*members, *emergencies])
    verdicts = {member.id: _judge(member, facts) for member in members}
    readers: dict[UUID, list[datetime | None]] = {}
    for member in members:
        verdict = verdicts[member.id]
        if verdict.permit and not member.is_patient and not _range_over(verdict, member.read_at):
            readers.setdefault(member.room_id, []).append(verdict.valid_until)
    found: dict[tuple[UUID, UUID], Permit] = {}
    for access in emergencies:
        verdict = facts.decide_emergency(access)
        if verdict.basis == "emergency":
            found[access.room_id, access.user_id] = _emergency_permit(access, verdict)
    for member in mine:
        verdict = verdicts[member.id]
        if verdict.permit and member.id in spans:
            visible = ranged(member.room, sorted(spans[member.id]), verdict, member.read_at)
            found[member.room_id, member.user_id] = _permit(member, verdict, visible, readers.get(member.room_id, []))
    return found


def judge(members: Sequence[Member]) -> dict[UUID, Decision]:
    """The decision for each member, by id, emergency access aside: it makes no member. Members carry `room`,
    `engagement__unit`, `user` and `read_at`. Two statements."""
    facts = _facts(members)
    return {member.id: _judge(member, facts) for member in members}


def ranged(room: Room, spans: Spans | list[tuple[int, int | None]], verdict: Decision, at: datetime) -> Spans:
    """The intervals that a consent's range of content leaves: the open one is then that range, from the time that the
    patient chose; without a range it begins when the member joined."""
    start, end = verdict.content_from, verdict.content_to
    if start is None and not _range_over(verdict, at):
        return tuple(spans)
    low = _seq_at(room, start) if start is not None else None
    high = _seq_at(room, end) if end is not None and _range_over(verdict, at) else None
    cut = []
    for first, until in spans:
        begin = first if low is None else low if until is None else max(first, low)
        stop = until if high is None else high if until is None else min(until, high)
        if stop is None or begin < stop:
            cut.append((begin, stop))
    return tuple(sorted(cut))


def _permit(member: Member, verdict: Decision, spans: Spans, readers: list[datetime | None]) -> Permit:
    return Permit(
        room_id=member.room_id,
        user_id=member.user_id,
        member_id=member.id,
        engagement_id=member.engagement_id,
        patient_id=member.room.patient_id,
        purpose=member.room.purpose,
        key=member.room.key,
        epoch=member.room.access_epoch,
        head=member.room.head,
        spans=spans,
        participation=member.participation if member.is_patient else "",
        basis=verdict.basis,
        record_ids=verdict.record_ids,
        valid_until=verdict.valid_until,
        has_reader=bool(readers) or not member.is_patient,
        reader_until=_last(readers) if member.is_patient else None,
        at=member.read_at,  # type: ignore[attr-defined]
        read_only=_range_over(verdict, member.read_at),  # type: ignore[attr-defined]
    )


def _emergency_permit(access: EmergencyAccess, verdict: Decision) -> Permit:
    """All of the timeline, to read; no marks, no words (`member_id` is nobody's)."""
    room = access.room
    return Permit(
        room_id=room.id,
        user_id=access.user_id,
        member_id=access.id,
        engagement_id=access.engagement_id,
        patient_id=room.patient_id,
        purpose=room.purpose,
        key=room.key,
        epoch=room.access_epoch,
        head=room.head,
        spans=((1, None),),
        participation="",
        basis=verdict.basis,
        record_ids=verdict.record_ids,
        valid_until=verdict.valid_until,
        has_reader=True,
        reader_until=None,
        at=access.read_at,  # type: ignore[attr-defined]
        read_only=True,
    )


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the decisions about some people in some rooms rest on."""

    records: dict[UUID, list[Record]]
    agreements: Agreements

    def decide(self, room: Room, user_id: UUID, engagement: Engagement, at: datetime, extra: list[Record]) -> Decision:
        home, theirs = room.home_id, engagement.unit.controller_id
        who = Who(
            user_id=user_id,
            unit_id=engagement.unit_id,
            role=engagement.role,
            same_controller=home == theirs,
            agreements=self.agreements.get((home, theirs), ()),
            until=engagement.ends,
        )
        return decide([*self.records.get(room.id, []), *extra], who, room.purpose, CATEGORY, at)

    def decide_emergency(self, access: EmergencyAccess) -> Decision:
        if not access.user.is_active or not believed(access):
            return Decision(permit=False, reason="unreadable")
        record = EmergencyRecord(access.id, access.user_id, access.begun_at, access.until)
        at: datetime = access.read_at  # type: ignore[attr-defined]
        return self.decide(access.room, access.user_id, access.engagement, at, [record])


def _facts(rows: Sequence[Member | EmergencyAccess]) -> _Facts:
    records = records_for_rooms({row.room_id: row.room.patient_id for row in rows})
    pairs = {
        (row.room.home_id, row.engagement.unit.controller_id)
        for row in rows
        if row.engagement is not None and row.engagement.unit.controller_id != row.room.home_id
    }
    return _Facts(records, _agreements(pairs))


def _judge(member: Member, facts: _Facts) -> Decision:
    if not member.user.is_active:
        return Decision(permit=False, reason="account_deactivated")
    at: datetime = member.read_at  # type: ignore[attr-defined]
    if member.engagement is None:
        return decide([], Who(user_id=member.user_id, is_subject=True), member.room.purpose, CATEGORY, at)
    return facts.decide(member.room, member.user_id, member.engagement, at, [])


def _open_accesses() -> QuerySet[EmergencyAccess]:
    return EmergencyAccess.objects.filter(ended_at=None, until__gt=DatabaseNow())


def _emergencies(room_ids: set[UUID], users: set[UUID] | None) -> list[EmergencyAccess]:
    """No statement while no room has any; every room has its patient as a member, who tells."""
    if not room_ids:
        return []
    rows = _open_accesses().filter(room_id__in=room_ids).select_related("room", "engagement__unit", "user")
    rows = rows.annotate(read_at=DatabaseNow())
    return list(rows if users is None else rows.filter(user_id__in=users))


def _agreements(pairs: set[tuple[UUID, UUID]]) -> Agreements:
    if not pairs:
        return {}
    controllers = {one for pair in pairs for one in pair}
    parties: dict[UUID, tuple[Agreement, set[UUID]]] = {}
    rows = AgreementParty.objects.filter(Q(controller_id__in=controllers)).select_related("agreement")
    for row in rows:
        period = Agreement(row.agreement.valid_from, row.agreement.ends)
        parties.setdefault(row.agreement_id, (period, set()))[1].add(row.controller_id)
    return {pair: tuple(period for period, members_ in parties.values() if members_ >= set(pair)) for pair in pairs}


def _range_over(verdict: Decision, at: datetime) -> bool:
    return verdict.content_to is not None and verdict.content_to <= at


def _seq_at(room: Room, moment: datetime) -> int:
    """The first `seq` of what was written at `moment` or later."""
    later = RoomEvent.objects.filter(room=room, created_at__gte=moment)
    first = later.order_by("seq").values_list("seq", flat=True).first()
    return first if first is not None else room.head + 1


def _last(ends: list[datetime | None]) -> datetime | None:
    known = [end for end in ends if end is not None]
    return max(known) if known and len(known) == len(ends) else None
