"""Who may see and write what in a room: facts from the database, judged by `consent.decide` (laws 2 and 5).

A permit is good for one access epoch and never beyond its `valid_until`. It may be kept by (user, room, epoch); whoever
uses it compares the epoch in the same statement that reads or writes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q

from server.audit.entry import Actor, Entry
from server.consent.decide import Agreement, ConsentRecord, Decision, Who, decide
from server.consent.records import records_for_rooms
from server.people.models import AgreementParty
from server.people.periods import DatabaseNow
from server.rooms.models import Member, Span

Spans = tuple[tuple[int, int | None], ...]


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

    @property
    def is_patient(self) -> bool:
        return self.engagement_id is None

    @property
    def writable_until(self) -> datetime | None:
        """A write after this moment must be decided again."""
        return min((end for end in (self.valid_until, self.reader_until) if end is not None), default=None)

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

    Four statements. The epoch is read first: what is read after it can only be newer, and a write or a read under an
    older epoch is decided again.
    """
    room_ids = list(rooms)
    members = list(
        Member.objects.filter(room_id__in=room_ids, state=Member.State.JOINED)
        .select_related("room", "engagement__unit", "user")
        .annotate(read_at=DatabaseNow())
    )
    wanted = set(users) if users is not None else {member.user_id for member in members}
    spans: dict[UUID, list[tuple[int, int | None]]] = {}
    asked_for = [member.id for member in members if member.user_id in wanted]
    for member_id, first, until in Span.objects.filter(member_id__in=asked_for).values_list(
        "member_id", "first", "until"
    ):
        spans.setdefault(member_id, []).append((first, until))
    verdicts = judge(members)
    readers: dict[UUID, list[datetime | None]] = {}
    for member in members:
        verdict = verdicts[member.id]
        if not member.is_patient and verdict.permit:
            readers.setdefault(member.room_id, []).append(verdict.valid_until)
    found = {}
    for member in members:
        verdict = verdicts[member.id]
        if member.user_id not in wanted or not verdict.permit or member.id not in spans:
            continue
        others = readers.get(member.room_id, [])
        open_ended = None in others or not member.is_patient
        found[(member.room_id, member.user_id)] = Permit(
            room_id=member.room_id,
            user_id=member.user_id,
            member_id=member.id,
            engagement_id=member.engagement_id,
            patient_id=member.room.patient_id,
            purpose=member.room.purpose,
            key=member.room.key,
            epoch=member.room.access_epoch,
            head=member.room.head,
            spans=tuple(sorted(spans[member.id])),
            participation=member.participation if member.is_patient else "",
            basis=verdict.basis,
            record_ids=verdict.record_ids,
            valid_until=verdict.valid_until,
            has_reader=bool(others) or not member.is_patient,
            reader_until=None if open_ended else max((end for end in others if end), default=None),
            at=member.read_at,
        )
    return found


def judge(members: Sequence[Member]) -> dict[UUID, Decision]:
    """The decision for each member, by id; two statements. Members carry `room`, `engagement__unit`, `read_at`."""
    records = records_for_rooms({member.room_id for member in members})
    agreements = _agreements(members)
    return {member.id: _judge(member, records.get(member.room_id, []), agreements) for member in members}


def _judge(
    member: Member, records: list[ConsentRecord], agreements: dict[tuple[UUID, UUID], tuple[Agreement, ...]]
) -> Decision:
    engagement = member.engagement
    if not member.user.is_active:
        return Decision(permit=False, reason="account_deactivated")
    if engagement is None:
        who = Who(user_id=member.user_id, is_subject=True)
    else:
        home, theirs = member.room.home_id, engagement.unit.controller_id
        who = Who(
            user_id=member.user_id,
            unit_id=engagement.unit_id,
            role=engagement.role,
            same_controller=home == theirs,
            agreements=agreements.get((home, theirs), ()),
            until=engagement.ends,
        )
    return decide(records, who, member.room.purpose, member.read_at)  # type: ignore[attr-defined]


def _agreements(members: Sequence[Member]) -> dict[tuple[UUID, UUID], tuple[Agreement, ...]]:
    pairs = {
        (member.room.home_id, member.engagement.unit.controller_id)
        for member in members
        if member.engagement is not None and member.engagement.unit.controller_id != member.room.home_id
    }
    if not pairs:
        return {}
    controllers = {one for pair in pairs for one in pair}
    parties: dict[UUID, tuple[Agreement, set[UUID]]] = {}
    rows = AgreementParty.objects.filter(Q(controller_id__in=controllers)).select_related("agreement")
    for row in rows:
        period = Agreement(row.agreement.valid_from, row.agreement.ends)
        parties.setdefault(row.agreement_id, (period, set()))[1].add(row.controller_id)
    return {pair: tuple(period for period, members_ in parties.values() if members_ >= set(pair)) for pair in pairs}
