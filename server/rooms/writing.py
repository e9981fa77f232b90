"""Writing, correcting and taking back messages. One transaction, one audit record; hints go out after the commit."""

from uuid import UUID

from django.db import transaction

from server.audit.actions import record
from server.common.errors import Conflict, Forbidden, Invalid, NotFound, Refusal
from server.common.hints import hint
from server.people.actors import Acting
from server.people.limits import require
from server.rooms import posting, timeline
from server.rooms.access import open_room
from server.rooms.models import EventType, RoomEvent
from server.rooms.permits import Permit, entry
from server.rooms.posting import Message, Post, Posted
from server.rooms.timeline import NewEvent, decided_again


def post(*, acting: Acting, room_id: UUID, message: Message) -> tuple[Posted, Permit]:
    """Write a message (law 3). The hint goes out after the commit.

    Raises NotFound (not sent, nobody has received it), Forbidden, Invalid, Conflict (`nobody_here`, `txn_id_reused`,
    `ended`).
    """

    require(acting, "write")

    def attempt() -> tuple[Posted, Permit]:
        permit = permit_to_post(acting, room_id, message)
        try:
            posting.check(permit, message, head=permit.head)
        except Conflict:  # nobody is here now; the first attempt may have been committed when somebody was (law 3)
            known = posting.repeated(permit, message)
            if known is None:
                raise
            return known, permit
        posted = posting.write_one(Post(permit, acting.actor, message))
        if posted.created:
            posting.tell(room_id, posted.seq)
        return posted, permit

    return decided_again(attempt)


def permit_to_post(acting: Acting, room_id: UUID, message: Message) -> Permit:
    """The permit of whoever writes; raises as `post` does."""
    try:
        return open_room(acting, room_id, act="message.posted")
    except (NotFound, Forbidden):
        ended = posting.received_before_end(room_id, acting.user.id, message)
        if ended is None:
            raise
        raise ended from None


def edit(*, acting: Acting, room_id: UUID, seq: int, body: str) -> RoomEvent:
    """Correct one's own message by a new event; history is kept."""
    problems = Message(txn_id="-", body=body).problems()
    if problems:
        raise Invalid(errors=problems)
    return _amend(acting, room_id, seq, EventType.EDIT, body)


def retract(*, acting: Acting, room_id: UUID, seq: int) -> RoomEvent:
    """Take back one's own message by a new event; history is kept."""
    return _amend(acting, room_id, seq, EventType.RETRACTION, None)


def _amend(acting: Acting, room_id: UUID, seq: int, type_: EventType, body: str | None) -> RoomEvent:
    name = f"message.{type_}"

    @transaction.atomic
    def attempt() -> RoomEvent:
        permit = open_room(acting, room_id, act=name)
        target = RoomEvent.objects.filter(room_id=room_id, seq=seq, type=EventType.MESSAGE).first()
        if target is None or not permit.sees(seq):
            raise NotFound(refusal=Refusal(name, "missing", room_id=room_id, subject_id=permit.patient_id))
        if target.sender_id != acting.user.id:
            raise Forbidden(
                code="not_your_message",
                refusal=Refusal(name, "not_yours", room_id=room_id, subject_id=permit.patient_id),
            )
        if type_ == EventType.EDIT or permit.basis == "emergency":
            posting.check_reader(permit)
        until = permit.writable_until if type_ == EventType.EDIT else permit.valid_until
        head = timeline.move_head(room_id, by=1, epoch=permit.epoch, fresh_until=until)
        if RoomEvent.objects.filter(room_id=room_id, type=EventType.RETRACTION, facts__of=seq).exists():
            raise Conflict(code="retracted")
        event = NewEvent(type_, acting.user.id, facts={"of": seq}, body=body)
        row = timeline.row_of(room_id, permit.key, event, head)
        row.save(force_insert=True)
        record(entry(permit, acting.actor, name, object_id=row.id, detail={"seq": head, "of": seq}))
        hint("room", room_id, seq=head)
        return row

    return decided_again(attempt)


def recheck_written(*, acting: Acting, room_id: UUID) -> None:
    """Before the answer to something written is given again. Raises Conflict (`ended`): it was received, and access has
    ended since."""
    try:
        open_room(acting, room_id, act="answer.repeated")
    except (NotFound, Forbidden) as problem:
        raise posting.ended(room_id, problem.refusal) from None
