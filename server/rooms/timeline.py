"""The append-only timeline: writing without holes (law 2) and reading in one statement (laws 4 and 5)."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from django.db import connection

from server.common.clock import now_sql
from server.common.errors import Conflict
from server.common.ids import new_id
from server.common.sql import insert, rfc3339_sql, time_in, time_out, uuid_in, uuid_or_none, uuid_out
from server.rooms.models import EventType, Room, RoomEvent
from server.vault import actions as vault
from server.vault.errors import Unreadable

PLACE = "room_event.sealed"
TRIES = 4
SIDE_BY_SIDE = 200


class StaleEpoch(Exception):
    """Access to the room has changed, or a permit has run out, since the write was decided: decide again."""


R = TypeVar("R")


def decided_again(attempt: Callable[[], R]) -> R:
    """Run `attempt`, which decides and acts, again when access changed between the two (law 2)."""
    for _attempt in range(TRIES):
        try:
            return attempt()
        except StaleEpoch:
            continue
    raise Conflict(code="try_again")


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event about to be written. `body` is content and is sealed; `facts` are identifiers and codes."""

    type: EventType
    sender_id: UUID | None
    facts: dict[str, Any] = field(default_factory=dict)
    body: str | None = None
    txn_id: str | None = None
    fingerprint: bytes | None = None
    id: UUID = field(default_factory=new_id)


@dataclass(frozen=True, slots=True)
class Happened:
    """An event as read: `content` is what a client sees, `created_at` RFC 3339 UTC."""

    seq: int
    type: str
    sender_id: UUID | None
    created_at: str
    content: dict[str, Any]

    @property
    def about(self) -> int:
        """The `seq` whose words this event tells: an edit tells those of its message."""
        return int(self.content.get("of", self.seq))

    def view(self, room_id: UUID) -> dict[str, Any]:
        """The contract's event."""
        return {
            "room": str(room_id),
            "seq": self.seq,
            "type": self.type,
            "sender": str(self.sender_id) if self.sender_id else None,
            "created_at": self.created_at,
            "content": self.content,
        }


@dataclass(frozen=True, slots=True)
class Want:
    """Which events of a room to read: `after < seq <= upto`, at most `limit`, oldest first (newest first if
    `backwards`)."""

    room_id: UUID
    after: int
    limit: int
    upto: int = 2**62
    backwards: bool = False


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one statement found: the epoch and head it saw, the database's time, and the events in `seq` order."""

    epoch: int
    head: int
    at: datetime
    events: tuple[Happened, ...]


@dataclass(frozen=True, slots=True)
class Move:
    """How many numbers a write wants to take in a room, and under which epoch and until when it was decided."""

    room_id: UUID
    by: int
    epoch: int | None = None
    fresh_until: datetime | None = None
    access_changed: bool = False


def move_head(room_id: UUID, *, by: int, epoch: int | None = None, **more: Any) -> int:
    """Take `by` numbers in one room; see `move_heads`."""
    return move_heads([Move(room_id, by, epoch, **more)])[0]


def move_heads(moves: Sequence[Move]) -> list[int]:
    """Take numbers: the new heads, once this transaction commits. The rows stay locked until then, so the caller gives
    them in id order (law 5). In a pipeline all of it is one round trip.

    Raises StaleEpoch when an epoch is no longer the one given, or the database's time has reached `fresh_until`.
    """
    cursors = [_begin_move(move) for move in moves]
    heads = []
    for cursor in cursors:
        with cursor:
            row = cursor.fetchone()
        if row is None:
            raise StaleEpoch
        heads.append(int(row[0]))
    return heads


def _begin_move(move: Move) -> Any:
    conditions = ["id = %s"]
    parameters: list[Any] = [move.by, int(move.access_changed), uuid_in(move.room_id)]
    if move.epoch is not None:
        conditions.append("access_epoch = %s")
        parameters.append(move.epoch)
    if move.fresh_until is not None:
        conditions.append(f"{now_sql()} < %s")
        parameters.append(time_in(move.fresh_until))
    cursor = connection.cursor()
    cursor.execute(
        "UPDATE rooms_room SET head = head + %s, access_epoch = access_epoch + %s "  # noqa: S608 - no outside text
        f"WHERE {' AND '.join(conditions)} RETURNING head",
        parameters,
    )
    return cursor


def write(room: Room, events: Sequence[NewEvent], *, head: int) -> list[RoomEvent]:
    """Insert `events` with the numbers that end at `head`, which `move_head` took in this transaction."""
    first = head - len(events) + 1
    rows = [row_of(room.id, room.key, event, first + offset) for offset, event in enumerate(events)]
    RoomEvent.objects.bulk_create(rows)
    return rows


def insert_rows(rows: Sequence[RoomEvent]) -> None:
    """Insert rows by plain SQL, for the hot path; `created_at` is the database's own."""
    insert(
        "rooms_roomevent",
        ("id", "room_id", "seq", "type", "sender_id", "facts", "sealed", "txn_id", "fingerprint"),
        [
            (
                uuid_in(row.id),
                uuid_in(row.room_id),
                row.seq,
                str(row.type),
                uuid_or_none(row.sender_id),
                json.dumps(row.facts),
                row.sealed,
                row.txn_id,
                row.fingerprint,
            )
            for row in rows
        ],
    )


def row_of(room_id: UUID, key: UUID, event: NewEvent, seq: int) -> RoomEvent:
    sealed = vault.seal(key, event.body, place=PLACE, row=event.id) if event.body is not None else None
    return RoomEvent(
        id=event.id,
        room_id=room_id,
        seq=seq,
        type=event.type,
        sender_id=event.sender_id,
        facts=event.facts,
        sealed=sealed,
        txn_id=event.txn_id,
        fingerprint=event.fingerprint,
    )


def read(wants: Iterable[Want]) -> dict[UUID, Chunk]:
    """Epoch, head and events of several rooms, in one statement; rooms that do not exist are absent.

    The caller compares the epoch with the one it decided under before it shows anything: a statement that began after
    an access-ending commit sees that commit's epoch (law 5b).
    """
    wanted = list(wants)
    if not wanted:
        return {}
    together = connection.vendor == "postgresql" and not any(want.backwards for want in wanted)
    rows: list[tuple[Any, ...]] = []
    with connection.cursor() as cursor:
        for statement, parameters in [_in_one(wanted)] if together else _side_by_side(wanted):
            cursor.execute(statement, parameters)
            rows += cursor.fetchall()
    vault.load_keys({uuid_out(row[11]) for row in rows})
    found: dict[UUID, tuple[int, int, datetime, list[Happened]]] = {}
    for room_id, epoch, head, at, seq, type_, sender, created_at, facts, sealed, id_, _key in rows:
        room = uuid_out(room_id)
        if room not in found:
            found[room] = (epoch, head, time_out(at), [])
        if seq is not None:
            found[room][3].append(
                Happened(
                    seq=seq,
                    type=type_,
                    sender_id=uuid_out(sender) if sender else None,
                    created_at=created_at,
                    content=content_of(type_, facts, sealed, id_),
                )
            )
    return {
        room: Chunk(epoch, head, at, tuple(sorted(events, key=lambda one: one.seq)))
        for room, (epoch, head, at, events) in found.items()
    }


def sizes(wants: Sequence[Want]) -> dict[UUID, int]:
    """How many bytes of content each want would read: a few statements, and no content."""
    found: dict[UUID, int] = {}
    with connection.cursor() as cursor:
        for start in range(0, len(wants), SIDE_BY_SIDE):
            some = wants[start : start + SIDE_BY_SIDE]
            places = " OR ".join(["(room_id = %s AND seq > %s)"] * len(some))
            cursor.execute(
                "SELECT room_id, COALESCE(SUM(LENGTH(sealed)), 0) FROM rooms_roomevent "  # noqa: S608 - placeholders
                f"WHERE {places} GROUP BY room_id",
                [value for want in some for value in (uuid_in(want.room_id), want.after)],
            )
            found |= {uuid_out(room_id): int(size) for room_id, size in cursor.fetchall()}
    return found


def _in_one(wants: Sequence[Want]) -> tuple[str, list[Any]]:
    """For PostgreSQL, oldest first: the same words however many rooms, so that the statement stays prepared."""
    statement = f"""
        SELECT r.id, r.access_epoch, r.head, {now_sql()},
               e.seq, e.type, e.sender_id, {rfc3339_sql("e.created_at")}, e.facts, e.sealed, e.id, r.key
        FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[], %s::bigint[]) AS w(id, after, upto, most)
        JOIN rooms_room r ON r.id = w.id
        LEFT JOIN LATERAL (
            SELECT * FROM rooms_roomevent
            WHERE room_id = w.id AND seq > w.after AND seq <= w.upto ORDER BY seq LIMIT w.most
        ) e ON true"""  # noqa: S608 - no outside text
    columns = [(want.room_id, want.after, want.upto, want.limit) for want in wants]
    return statement, [list(column) for column in zip(*columns, strict=True)]


def _side_by_side(wants: Sequence[Want]) -> Iterator[tuple[str, list[Any]]]:
    """For SQLite, which has no LATERAL and at most 500 SELECTs in a union, and for single pages backwards."""
    for start in range(0, len(wants), SIDE_BY_SIDE):
        yield _union(wants[start : start + SIDE_BY_SIDE])


def _union(wants: Sequence[Want]) -> tuple[str, list[Any]]:
    parts, parameters = [], []
    for want in wants:
        order = "DESC" if want.backwards else "ASC"
        parts.append(
            "SELECT r.id, r.access_epoch, r.head, "  # noqa: S608 - no outside text
            f"{now_sql()}, e.seq, e.type, e.sender_id, {rfc3339_sql('e.created_at')}, e.facts, e.sealed, e.id, r.key "
            "FROM rooms_room r LEFT JOIN (SELECT * FROM rooms_roomevent WHERE room_id = %s AND seq > %s AND seq <= %s "
            f"ORDER BY seq {order} LIMIT %s) e ON e.room_id = r.id WHERE r.id = %s"
        )
        room = uuid_in(want.room_id)
        parameters += [room, want.after, want.upto, want.limit, room]
    return " UNION ALL ".join(parts), parameters


def content_of(type_: str, facts: str | dict[str, Any], sealed: bytes | memoryview | None, id_: UUID | str) -> Any:
    """What a client sees of an event; a text whose key is destroyed is said to be erased."""
    content: dict[str, Any] = json.loads(facts) if isinstance(facts, str) else dict(facts)
    if sealed is not None:
        try:
            content["body"] = vault.unseal(bytes(sealed), place=PLACE, row=uuid_out(id_))
        except Unreadable:
            content |= {"body": "", "erased": True}
    return content
