"""Delivered and read marks (S6): forward only, never beyond what the member may see. «Read» never means «dealt with».

Sockets gather marks in memory and write them at most once a second, all in one batch; a mark that is lost with a
process is sent again by the client.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection, transaction

from server.common.clock import now_sql
from server.common.hints import hint
from server.common.sql import time_out, uuid_in, uuid_out
from server.rooms.models import Member


@dataclass(frozen=True, slots=True)
class Mark:
    """How far one member has come; `read` implies `delivered`."""

    member_id: UUID
    room_id: UUID
    delivered: int
    read: int


def save(marks: Sequence[Mark]) -> None:
    """Move marks forward, in id order so that two processes cannot lock each other out; tell the rooms."""
    if not marks:
        return
    forward = (
        "UPDATE rooms_member SET "
        'delivered = CASE WHEN delivered < %s THEN %s ELSE delivered END, "read" = CASE WHEN "read" < %s THEN %s '
        'ELSE "read" END WHERE id = %s AND state = %s AND (delivered < %s OR "read" < %s)'
    )
    rows = []
    for mark in sorted(marks, key=lambda one: one.member_id):
        delivered = max(mark.delivered, mark.read)
        member = uuid_in(mark.member_id)
        rows.append((delivered, delivered, mark.read, mark.read, member, Member.State.JOINED, delivered, mark.read))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.executemany(forward, rows)
        for room_id in {mark.room_id for mark in marks}:
            hint("marks", room_id)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a room shows of one member's marks."""

    user_id: UUID
    delivered: int
    read: int


@dataclass(frozen=True, slots=True)
class RoomReceipts:
    """The marks of everybody who takes part in a room, and the access epoch and the database's time that the statement
    saw: they are for permits that hold then (law 5)."""

    epoch: int
    at: datetime
    receipts: list[Receipt]


def receipts(room_ids: Iterable[UUID]) -> dict[UUID, RoomReceipts]:
    """The marks in each room; one statement."""
    wanted = [uuid_in(room_id) for room_id in room_ids]
    found: dict[UUID, RoomReceipts] = {}
    if not wanted:
        return found
    with connection.cursor() as cursor:
        places = ", ".join(["%s"] * len(wanted))
        cursor.execute(
            f'SELECT r.id, r.access_epoch, {now_sql()}, m.user_id, m.delivered, m."read" '  # noqa: S608 - placeholders only
            "FROM rooms_member m JOIN rooms_room r ON r.id = m.room_id "
            f"WHERE r.id IN ({places}) AND m.state = %s",
            [*wanted, Member.State.JOINED],
        )
        for room_id, epoch, at, user_id, delivered, read in cursor.fetchall():
            here = found.setdefault(uuid_out(room_id), RoomReceipts(epoch, time_out(at), []))
            here.receipts.append(Receipt(uuid_out(user_id), delivered, read))
    return found
