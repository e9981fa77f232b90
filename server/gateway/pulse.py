"""What happens once a second and once a heartbeat: marks, receipts, and a look at everything a lost hint could hide."""

import asyncio
from typing import TYPE_CHECKING
from uuid import UUID

import structlog

from server.common.db import in_db
from server.gateway import frames, jobs
from server.gateway.frames import MarkFrame
from server.gateway.jobs import Standing
from server.gateway.socket import Follow, Socket
from server.rooms import marks
from server.rooms.marks import Mark, Receipt, RoomReceipts
from server.rooms.permits import Permit

if TYPE_CHECKING:
    from server.gateway.hub import Hub

log = structlog.get_logger(__name__)

MARKS_S = 1.0
"""Marks are written, and receipts sent, at most once per second, member and room."""
BATCH = 500


class Pulse:
    def __init__(self, hub: "Hub", heartbeat_s: float) -> None:
        self._hub = hub
        self._marks: dict[UUID, Mark] = {}
        self._moved: set[UUID] = set()
        self._told: dict[UUID, dict[UUID, Receipt]] = {}
        self._heartbeat_s = heartbeat_s

    # --- marks and receipts ----------------------------------------------------------------------------

    def mark(self, follow: Follow, frame: MarkFrame) -> None:
        """Remember how far a member has come; written within a second. Emergency access makes no member: no mark."""
        permit = follow.permit
        if permit.basis == "emergency":
            return
        before = self._marks.get(permit.member_id)
        delivered, read = (before.delivered, before.read) if before else (0, 0)
        if frame.read:
            read = max(read, frame.seq)
        delivered = max(delivered, frame.seq)
        self._marks[permit.member_id] = Mark(permit.member_id, permit.room_id, delivered, read)

    def marks_moved(self, room_id: UUID) -> None:
        if room_id in self._hub.rooms:
            self._moved.add(room_id)

    def begun(self, room_id: UUID, found: RoomReceipts | None, permit: Permit) -> list[Receipt]:
        """What to tell a socket that has just entered: what its own view found or, where that has moved since, what the
        others here were told. Without a view that its permit holds for, everybody is told anew within a second."""
        if found is None or not permit.holds(found.epoch, found.at):
            self._told.pop(room_id, None)
            self._moved.add(room_id)
            return []
        told = self._told.setdefault(room_id, {one.user_id: one for one in found.receipts})
        return [_newest(one, told.get(one.user_id, one)) for one in found.receipts]

    def forget(self, room_id: UUID) -> None:
        self._told.pop(room_id, None)
        self._moved.discard(room_id)

    async def mark_for_ever(self) -> None:
        while True:
            await asyncio.sleep(MARKS_S)
            try:
                await self.flush()
                await self._send_receipts()
                await self._hub.write_unfollowed()
            except Exception as error:  # noqa: BLE001 - kept, and tried again
                log.warning("marks_late", error=type(error).__name__)

    async def flush(self) -> None:
        """Write the marks that have gathered; what cannot be written is kept."""
        pending, self._marks = self._marks, {}
        if not pending:
            return
        try:
            await in_db(marks.save, list(pending.values()))
        except Exception:
            for member_id, mark in pending.items():
                newer = self._marks.get(member_id)
                if newer is None:
                    self._marks[member_id] = mark
                else:
                    self._marks[member_id] = Mark(
                        member_id, mark.room_id, max(mark.delivered, newer.delivered), max(mark.read, newer.read)
                    )
            raise

    async def _send_receipts(self) -> None:
        rooms, self._moved = self._moved, set()
        if not rooms:
            return
        try:
            found = await in_db(marks.receipts, rooms)
        except Exception:
            self._moved |= rooms
            raise
        for room_id in rooms:
            if room_id in found:
                self._spread(room_id, found[room_id])

    def _spread(self, room_id: UUID, found: RoomReceipts) -> None:
        follows = self._hub.rooms.get(room_id, ())
        # Access has changed, or ended: decide that first.
        if any(follow.permit.epoch < found.epoch or follow.permit.over(found.at) for follow in follows):
            self._hub.dirty(room_id)
            self._moved.add(room_id)
            return
        told = self._told.setdefault(room_id, {})
        news = [one for one in found.receipts if told.get(one.user_id) != one]
        for one in news:
            told[one.user_id] = one
            frame = frames.receipt(room_id, one.user_id, one.delivered, one.read)
            for follow in follows:
                follow.socket.push(frame, room_id)

    # --- heartbeat -------------------------------------------------------------------------------------

    async def beat_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_s)
            sockets = [socket for socket in self._hub.sockets if socket.welcomed]
            for start in range(0, len(sockets), BATCH):
                try:
                    await self.look_at(sockets[start : start + BATCH], beat=True)
                except Exception as error:  # noqa: BLE001 - the heart must go on beating
                    log.warning("beat_failed", error=type(error).__name__)

    async def look_at(self, sockets: list[Socket], *, beat: bool = False) -> None:
        """Sessions, memberships, heads, epochs and marks again; then, at a heartbeat, calls for help and the frame."""
        sockets = [socket for socket in sockets if socket.closed is None]
        if beat:
            self._hub.calls.look(sockets, beat=True)
        sockets = [socket for socket in sockets if socket.key is None]  # with an alert key nobody is in a room
        if not sockets:
            return
        try:
            found = await in_db(jobs.standing, [one.sid for one in sockets], list({one.user_id for one in sockets}))
        except Exception as error:  # noqa: BLE001 - the next heartbeat looks again
            log.warning("look_failed", error=type(error).__name__)
            if not beat:
                await asyncio.sleep(1.0)
                self._hub.look_again(sockets)
            return
        for socket in sockets:
            if socket.sid not in found.live:
                deactivated = socket.sid in found.deactivated
                socket.close(frames.DEACTIVATED if deactivated else frames.SESSION_ENDED)
                continue
            if found.live[socket.sid] != socket.engagement_id:  # it acts for another unit now: other rooms are its own
                socket.close(frames.RESTARTING)
                continue
            self._hub.expect_end(socket, found.until[socket.sid], found.at)
            heads = await self._compare(socket, found)
            if beat:
                socket.push(frames.heartbeat(heads))

    async def _compare(self, socket: Socket, found: Standing) -> dict[UUID, int]:
        mine = found.rooms.get((socket.user_id, None), {}) | found.rooms.get((socket.user_id, socket.engagement_id), {})
        for room_id, follow in list(socket.follows.items()):
            head, epoch = mine.get(room_id, (0, -1))
            ran_out = follow.permit.valid_until is not None and follow.permit.valid_until <= found.at
            if follow.cursor < head or follow.permit.epoch != epoch or ran_out:
                self._hub.dirty(room_id)
            self._moved.add(room_id)
        missing = {room_id for room_id in mine if room_id not in socket.follows} - socket.entering
        if missing:
            socket.entering |= missing  # a hint and a heartbeat may look at the same time: one of them enters
            try:
                await self._open(socket, sorted(missing))
            finally:
                socket.entering -= missing
        return {
            room_id: _shown(follow, *mine[room_id]) for room_id, follow in socket.follows.items() if room_id in mine
        }

    async def _open(self, socket: Socket, room_ids: list[UUID]) -> None:
        """Rooms that have become this person's while the socket was open: told, then followed from the joining on."""
        assert socket.acting is not None
        rooms = await in_db(jobs.enter, socket.acting, room_ids, {}, joining=True)
        receipts = await in_db(marks.receipts, [room.permit.room_id for room in rooms])
        for room in rooms:
            room_id = room.permit.room_id
            if room_id in socket.follows:
                self._hub.not_kept(socket, room)
                continue
            socket.push(frames.room_opened(room_id))
            begin(self._hub, socket, room, receipts.get(room_id))


def begin(hub: "Hub", socket: Socket, room: jobs.OpenedRoom, receipts: RoomReceipts | None) -> None:
    """A socket's first frames of one room: what it missed, then how far everybody has come."""
    room_id = room.permit.room_id
    if room.cursor_ahead:
        socket.push(frames.error("cursor_ahead", str(room_id)))
    if room.limited_from is not None:
        socket.push(frames.limited(room_id, room.limited_from, room.head), room_id)
    for frame in room.missed:
        socket.push(frame, room_id)
    hub.enter(socket, room)
    if room_id in socket.follows:
        for one in hub.pulse.begun(room_id, receipts, room.permit):
            socket.push(frames.receipt(room_id, one.user_id, one.delivered, one.read), room_id)


def _shown(follow: Follow, head: int, epoch: int) -> int:
    """The head as the follow's holder is shown it. Nothing is of what came after a change of access that is not decided
    yet: the next heartbeat has it."""
    return follow.permit.newest(head if follow.permit.epoch == epoch else min(head, follow.cursor))


def _newest(one: Receipt, other: Receipt) -> Receipt:
    """Marks only move forward."""
    return Receipt(one.user_id, max(one.delivered, other.delivered), max(one.read, other.read))
