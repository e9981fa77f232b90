"""Writing messages: the hot path. One transaction, three round trips: numbers; event and log together; commit."""

import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from server.audit.actions import record_many
from server.audit.entry import Actor, Entry
from server.common.errors import Conflict, FieldError, Forbidden, Invalid, Problem, Refusal
from server.common.hints import hint
from server.common.ids import new_id
from server.common.sql import pipelined
from server.rooms import timeline
from server.rooms.models import EventType, Member, Participation, Room, RoomEvent
from server.rooms.permits import Permit, entry
from server.rooms.timeline import Move, NewEvent
from server.vault import actions as vault

MAX_BODY = 10_000
MAX_TXN = 64
KINDS = ("text", "agreed")


@dataclass(frozen=True, slots=True)
class Message:
    """What somebody wants to write. `txn_id` is the client's own name for it: a retry is the same act (law 3)."""

    txn_id: str
    body: str
    kind: str = "text"
    reply_to: int | None = None

    def problems(self) -> list[FieldError]:
        """What is wrong with it, per field; texts never repeat the value."""
        found = []
        if not self.body.strip():
            found.append(("body", "blank", _("Write something.")))
        elif len(self.body) > MAX_BODY:
            found.append(("body", "too_long", _("At most %(limit)d characters.") % {"limit": MAX_BODY}))
        if not 0 < len(self.txn_id) <= MAX_TXN or not self.txn_id.isprintable():
            found.append(("txn_id", "invalid", _("1 to %(limit)d printable characters.") % {"limit": MAX_TXN}))
        if self.kind not in KINDS:
            found.append(("kind", "invalid_choice", _("This value is not one of those that can be chosen.")))
        if self.reply_to is not None and not 0 < self.reply_to < 2**62:
            found.append(("reply_to", "invalid", _("No such message here.")))
        return [{"field": name, "code": code, "detail": detail} for name, code, detail in found]

    def canonical(self) -> str:
        return json.dumps([self.kind, self.reply_to, self.body], ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Post:
    """One message on its way, with the permit it was decided under."""

    permit: Permit
    actor: Actor
    message: Message
    event_id: UUID = field(default_factory=new_id)


@dataclass(frozen=True, slots=True)
class Posted:
    """A message that is committed. `created` is false for a retry."""

    seq: int
    event_id: UUID
    created: bool


class NotCommitted(Exception):
    """The batch was rolled back as a whole; each post is to be written alone."""


def check(permit: Permit, message: Message, *, head: int) -> None:
    """`head` is the newest `seq` that the caller knows of.

    Raises Invalid for a malformed message, Conflict (`nobody_here`) for one that nobody else could read.
    """
    problems = message.problems()
    if problems:
        raise Invalid(errors=problems)
    check_reader(permit)
    if message.reply_to is not None and (message.reply_to > head or not permit.sees(message.reply_to)):
        raise Invalid(errors=[{"field": "reply_to", "code": "not_found", "detail": _("No such message here.")}])


def check_reader(permit: Permit) -> None:
    """Raises Forbidden (`read_only`) under emergency access and after a consent's range of content, Conflict
    (`nobody_here`) when nobody else could read what is written."""
    if permit.read_only:
        refusal = Refusal("message.posted", "read_only", room_id=permit.room_id, subject_id=permit.patient_id)
        raise Forbidden(code="read_only", refusal=refusal)
    if not permit.has_reader or (permit.reader_until is not None and permit.reader_until <= permit.at):
        raise Conflict(
            code="nobody_here",
            refusal=Refusal("message.posted", "nobody_here", room_id=permit.room_id, subject_id=permit.patient_id),
        )


def write(posts: Sequence[Post]) -> list[Posted]:
    """Write checked posts in one transaction, each with its audit event.

    Raises StaleEpoch when access changed since a permit was made, NotCommitted when a `txn_id` is taken; nothing is
    written then (law 3: a unique violation rolls everything back, `head` too).
    """
    by_room: dict[UUID, list[Post]] = {}
    for post in posts:
        by_room.setdefault(post.permit.room_id, []).append(post)
    rooms = [by_room[room_id] for room_id in sorted(by_room)]  # law 5: several rooms are locked in id order
    done: dict[UUID, int] = {}
    try:
        with transaction.atomic(), pipelined():
            for head, here in zip(timeline.move_heads([_move(here) for here in rooms]), rooms, strict=True):
                done |= {post.event_id: seq for seq, post in enumerate(here, start=head - len(here) + 1)}
            timeline.insert_rows([_row(post, done[post.event_id]) for post in posts])
            record_many(map(_entry, posts))
    except IntegrityError:
        raise NotCommitted from None
    return [Posted(seq=done[post.event_id], event_id=post.event_id, created=True) for post in posts]


def _move(here: Sequence[Post]) -> Move:
    """The numbers that posts of one room need; they must have been decided under one epoch."""
    if any(post.permit.epoch != here[0].permit.epoch for post in here):
        raise NotCommitted
    ends = [end for end in (post.permit.writable_until for post in here) if end is not None]
    return Move(here[0].permit.room_id, len(here), here[0].permit.epoch, min(ends, default=None))


def _row(post: Post, seq: int) -> RoomEvent:
    message, permit = post.message, post.permit
    event = NewEvent(
        EventType.MESSAGE,
        permit.user_id,
        facts={"kind": message.kind, "reply_to": message.reply_to},
        body=message.body,
        txn_id=message.txn_id,
        fingerprint=vault.fingerprint(permit.key, message.canonical()),
        id=post.event_id,
    )
    return timeline.row_of(permit.room_id, permit.key, event, seq)


def _entry(post: Post) -> Entry:
    """Without details, which would be sealed for every message: what was written stands in the row it names."""
    return entry(post.permit, post.actor, "message.posted", object_id=post.event_id)


def write_one(post: Post) -> Posted:
    """Write one checked post; a follower who writes becomes active in the same transaction (S4).

    Raises StaleEpoch; Conflict (`txn_id_reused`) for another body under a known `txn_id`.
    """
    try:
        if post.permit.is_patient and post.permit.participation != Participation.ACTIVE:
            return _write_and_take_part(post)
        return write([post])[0]
    except (NotCommitted, IntegrityError):
        pass
    known = repeated(post.permit, post.message)
    if known is None:
        raise Conflict(code="txn_id_reused")
    return known


def repeated(permit: Permit, message: Message) -> Posted | None:
    """The message that was committed under this `txn_id`, if there is one.

    Raises Conflict (`txn_id_reused`) when it says something else.
    """
    known = earlier(permit.room_id, permit.user_id, message.txn_id)
    if known is None:
        return None
    if not _says(known, permit.key, message):
        raise Conflict(code="txn_id_reused")
    return Posted(seq=known.seq, event_id=known.id, created=False)


def _says(known: RoomEvent, key: UUID, message: Message) -> bool:
    return hmac.compare_digest(bytes(known.fingerprint or b""), vault.fingerprint(key, message.canonical()))


def _write_and_take_part(post: Post) -> Posted:
    permit = post.permit
    with transaction.atomic():
        head = timeline.move_head(
            permit.room_id, by=2, epoch=permit.epoch, fresh_until=permit.writable_until, access_changed=True
        )
        room = Room.objects.get(id=permit.room_id)
        Member.objects.filter(id=permit.member_id).update(participation=Participation.ACTIVE)
        active = NewEvent(
            EventType.PARTICIPATION,
            permit.user_id,
            facts={"user": str(permit.user_id), "participation": Participation.ACTIVE},
        )
        RoomEvent.objects.bulk_create([timeline.row_of(room.id, room.key, active, head - 1), _row(post, head)])
        taking_part = {"participation": Participation.ACTIVE}
        took_part = entry(permit, post.actor, "participation.changed", object_id=permit.member_id, detail=taking_part)
        record_many([took_part, _entry(post)])
    return Posted(seq=head, event_id=post.event_id, created=True)


def earlier(room_id: UUID, user_id: UUID, txn_id: str) -> RoomEvent | None:
    """A message of this sender that was committed under this `txn_id`."""
    found = RoomEvent.objects.filter(room_id=room_id, sender_id=user_id, txn_id=txn_id)
    return found.select_related("room").first()


def received_before_end(room_id: UUID, user_id: UUID, message: Message) -> Problem | None:
    """For a retry after access ended: what to say if the first attempt was committed (law 3)."""
    known = earlier(room_id, user_id, message.txn_id)
    if known is None:
        return None
    if not _says(known, known.room.key, message):
        return Conflict(code="txn_id_reused")  # what is sent now was received by nobody
    return ended(room_id, Refusal("message.posted", "ended", room_id=room_id, subject_id=known.room.patient_id))


def ended(room_id: UUID, refusal: Refusal | None) -> Problem:
    """What was written was received, and can no longer be shown to its writer (law 3)."""
    return Conflict(_("The message was received before your access ended."), code="ended", refusal=refusal)


def tell(room_id: UUID, seq: int) -> None:
    """Hint that a room has moved on, after the commit."""
    hint("room", room_id, seq=seq)
