"""What the gateway asks the database, each a plain function that runs on a database thread."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from server.alerts.authentication import actor_of_key, find_key
from server.alerts.models import AlertKey
from server.audit.actions import record_many
from server.audit.entry import Actor, Entry
from server.common.clock import now
from server.common.errors import Unauthenticated
from server.gateway import frames
from server.people.actors import Acting, acting_in
from server.people.authentication import authenticate_token, live_sessions, note_seen
from server.people.limits import may
from server.people.models import Session
from server.rooms import emergency, marks, permits, timeline
from server.rooms.access import fits
from server.rooms.models import Member, Room
from server.rooms.permits import Permit, entry
from server.rooms.timeline import Chunk, Want

CATCH_UP_EVENTS = 2_000
"""Events of one room that a returning socket is sent; beyond, it pages over REST (`limited`)."""
CATCH_UP_BYTES = 1024 * 1024
READ_LIMIT = 100
TRIES = 4


@dataclass(frozen=True, slots=True)
class OpenedRoom:
    """A room as a socket enters it: the permit, the head as its holder is shown it, the frames it missed, and where it
    stands after them."""

    permit: Permit
    head: int
    cursor: int
    missed: tuple[str, ...] = ()
    limited_from: int | None = None
    cursor_ahead: bool = False


@dataclass(frozen=True, slots=True)
class Begun:
    """A socket's beginning: the rooms it enters, rooms it named that are not open to it."""

    rooms: list[OpenedRoom]
    closed: list[UUID]
    receipts: dict[UUID, marks.RoomReceipts]


def sign_in(token: str) -> Acting:
    """Raises Unauthenticated."""
    session = authenticate_token(token)
    note_seen(session)
    return acting_in(session)


def sign_in_with_key(key: str) -> AlertKey:
    """Raises Unauthenticated."""
    found = find_key(key)
    if found is None or found.patient.user_id is None:
        raise Unauthenticated
    return found


def begin(acting: Acting, cursors: dict[UUID, int]) -> Begun:
    """Everything a `hello` asks for. The `follow` events are committed before the first frame (law 1)."""
    rooms = enter(acting, my_rooms(acting), cursors)
    open_ids = {room.permit.room_id for room in rooms}
    closed = sorted(set(cursors) - open_ids)
    _record_refused(acting.actor, closed)
    return Begun(rooms, closed, marks.receipts(open_ids))


def begin_with_key(key: AlertKey, cursors: dict[UUID, int]) -> Begun:
    """As `begin`; no room is open to an alert key."""
    closed = sorted(cursors)
    _record_refused(actor_of_key(key), closed)
    return Begun([], closed, {})


def _record_refused(actor: Actor, room_ids: Sequence[UUID]) -> None:
    """Rooms that a socket asked for and that are not open to it, each in its patient's log. Ids that are nobody's room
    are counted in one event, so that a list of guesses does not fill the log."""
    patients = dict(Room.objects.filter(id__in=room_ids).values_list("id", "patient_id"))
    refusals = [
        Entry("room.followed", actor, subject_id=patient, room_id=room, outcome="refused", reason="no_access")
        for room, patient in patients.items()
    ]
    if missing := len(room_ids) - len(patients):
        refusals.append(Entry("room.followed", actor, outcome="refused", reason="missing", detail={"rooms": missing}))
    if refusals:
        with transaction.atomic():
            record_many(refusals)


def my_rooms(acting: Acting) -> list[UUID]:
    """Rooms joined by whoever acts, for the engagement acted for, and those they have emergency access to for it."""
    at_work = Q(engagement=acting.engagement) if acting.engagement is not None else Q()
    own = Q(engagement=None)
    mine = Member.objects.filter(at_work | own if at_work else own, user_id=acting.user.id, state=Member.State.JOINED)
    listed = Q(id__in=mine.values("room_id"))
    if acting.engagement is not None:
        accesses = emergency.open_now().filter(user_id=acting.user.id, engagement=acting.engagement)
        listed |= Q(id__in=accesses.values("room_id"))
    return list(Room.objects.filter(listed).values_list("id", flat=True))


def enter(
    acting: Acting, room_ids: Iterable[UUID], cursors: dict[UUID, int], *, joining: bool = False
) -> list[OpenedRoom]:
    """Enter rooms: permit, missed events and the audit `follow`, in one settled view per room. A room without a cursor
    is entered at its head or, when `joining`, where the newest interval of what may be seen begins.

    A room whose access changes, or ends, between the permit and the read is decided again.
    """
    waiting, entered = list(room_ids) if may(acting, "read") else [], []
    for _ in range(TRIES):
        if not waiting:
            break
        found = permits.load(waiting, users=[acting.user.id])
        mine = [permit for permit in found.values() if fits(acting, permit)]
        if joining:
            cursors = {permit.room_id: permit.spans[-1][0] - 1 for permit in mine}
        wants = _affordable([_want(permit, cursors) for permit in mine])
        chunks = timeline.read(wants)
        holds = {one.room_id: one.holds(chunks[one.room_id].epoch, chunks[one.room_id].at) for one in mine}
        settled = [permit for permit in mine if holds[permit.room_id]]
        waiting = [room_id for room_id, good in holds.items() if not good]
        _follow(acting.actor, settled, "room.followed")
        asked = {want.room_id: want for want in wants}
        entered += [
            _opened(permit, chunks[permit.room_id], asked[permit.room_id], cursors.get(permit.room_id))
            for permit in settled
        ]
    return entered


def _want(permit: Permit, cursors: dict[UUID, int]) -> Want:
    cursor = cursors.get(permit.room_id)
    if cursor is None or cursor >= permit.head:
        return Want(permit.room_id, after=permit.head, upto=permit.head, limit=1)
    low = max(cursor, min(first for first, _ in permit.spans) - 1)
    return Want(permit.room_id, after=low, limit=CATCH_UP_EVENTS + 1 if permit.head - low <= CATCH_UP_EVENTS else 0)


def _affordable(wants: list[Want]) -> list[Want]:
    """Bound what one hello reads, in events and bytes, before it is read: a room that does not fit is asked for
    its head alone, and paged over REST (`limited`)."""
    sizes = timeline.sizes([want for want in wants if want.limit > 1])
    left, found = CATCH_UP_BYTES, []
    for want in wants:
        size = sizes.get(want.room_id, 0)
        fits_in = size <= left
        left -= size if fits_in else 0
        found.append(want if fits_in else Want(want.room_id, after=want.after, limit=0))
    return found


def _opened(permit: Permit, chunk: Chunk, want: Want, cursor: int | None) -> OpenedRoom:
    head = permit.newest(chunk.head)
    if cursor is not None and permit.ahead(cursor, chunk.head):
        return OpenedRoom(permit, head, chunk.head, cursor_ahead=True)
    if want.limit == 0:
        return OpenedRoom(permit, head, chunk.head, limited_from=cursor)
    if cursor is None or cursor >= permit.head:
        return OpenedRoom(permit, head, chunk.head if cursor is None else cursor)
    missed = tuple(frames.event(one.view(permit.room_id)) for one in chunk.events if permit.sees(one.seq, one.about))
    full = len(chunk.events) == want.limit
    return OpenedRoom(permit, head, chunk.events[-1].seq if full else chunk.head, missed=missed)


def _follow(actor: Actor, permits_: Iterable[Permit], type_: str) -> None:
    entries = [entry(permit, actor, type_) for permit in permits_]
    if entries:
        with transaction.atomic():
            record_many(entries)


def unfollow(entries: Sequence[Entry]) -> None:
    """The ends of following, gathered from several sockets."""
    with transaction.atomic():
        record_many(entries)


@dataclass(frozen=True, slots=True)
class Ask:
    """One room to read: from where, for whom, and the epochs that their permits were made under."""

    room_id: UUID
    after: int
    users: frozenset[UUID]
    epochs: frozenset[int]


@dataclass(frozen=True, slots=True)
class Reading:
    """What one read of a room found. `frames` are serialised once, for every socket (law 4). `permits` is None while
    the epoch is the one that every asker's permit was made under."""

    room_id: UUID
    epoch: int
    head: int
    after: int
    upto: int
    at: datetime
    frames: tuple[tuple[int, int, str], ...]
    """`seq`, the `seq` whose words it tells, and the frame."""
    users: frozenset[UUID]
    permits: dict[UUID, Permit] | None


def read_rooms(asks: Sequence[Ask]) -> list[Reading]:
    """Epoch and news of every dirty room, in one statement; permits again where the epoch has moved (law 5)."""
    chunks = timeline.read([Want(ask.room_id, after=ask.after, limit=READ_LIMIT) for ask in asks])
    moved = [ask for ask in asks if ask.room_id in chunks and ask.epochs != {chunks[ask.room_id].epoch}]
    users = {user for ask in moved for user in ask.users}
    fresh = permits.load([ask.room_id for ask in moved], users=users) if moved else {}
    moved_ids = {ask.room_id for ask in moved}
    found = []
    for ask in asks:
        chunk = chunks.get(ask.room_id)
        if chunk is None:
            continue
        again = {user: fresh[(ask.room_id, user)] for user in ask.users if (ask.room_id, user) in fresh}
        full = len(chunk.events) == READ_LIMIT
        found.append(
            Reading(
                room_id=ask.room_id,
                epoch=chunk.epoch,
                head=chunk.head,
                after=ask.after,
                upto=chunk.events[-1].seq if full else max(chunk.head, ask.after),
                at=chunk.at,
                frames=tuple((one.seq, one.about, frames.event(one.view(ask.room_id))) for one in chunk.events),
                users=ask.users,
                permits=again if ask.room_id in moved_ids else None,
            )
        )
    return found


@dataclass(frozen=True, slots=True)
class Standing:
    """What the heartbeat finds: which sessions still hold, which accounts are closed, and who is in which room."""

    at: datetime
    live: dict[UUID, UUID | None]
    """Sessions that hold → the engagement each acts for now."""
    until: dict[UUID, datetime]
    """Sessions that hold → until when, as known now: a refresh puts it off."""
    deactivated: frozenset[UUID]
    rooms: dict[tuple[UUID, UUID | None], dict[UUID, tuple[int, int]]]
    """(user, engagement) → room → (head, access epoch)."""


def standing(sids: Sequence[UUID], users: Sequence[UUID]) -> Standing:
    """Sessions, memberships and emergency access again, so that even a lost last hint heals (law 4); two or three
    statements."""
    sessions = live_sessions(list(sids))
    live = {sid: session.engagement_id for sid, session in sessions.items()}
    until = {sid: session.valid_until for sid, session in sessions.items()}
    gone = [sid for sid in sids if sid not in live]
    closed = Session.objects.filter(sid__in=gone, user__is_active=False).values_list("sid", flat=True) if gone else []
    told = ("user_id", "engagement_id", "room_id", "room__head", "room__access_epoch")
    members = Member.objects.filter(user_id__in=users, state=Member.State.JOINED).values_list(*told)
    accesses = emergency.open_now().filter(user_id__in=users).values_list(*told)
    rooms: dict[tuple[UUID, UUID | None], dict[UUID, tuple[int, int]]] = {}
    for user, engagement, room, head, epoch in members.union(accesses, all=True):
        rooms.setdefault((user, engagement), {})[room] = (head, epoch)
    return Standing(now(), live, until, frozenset(closed), rooms)
