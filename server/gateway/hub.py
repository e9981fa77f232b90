"""The process's one view of its rooms: who follows them here, and one reader for all of them (law 4).

A hint marks a room dirty; one statement then fetches the epoch and what is new, content is decrypted and serialised
once, and each socket checks its own permit and cursor before it sends the same text (law 5). Nothing here is true
because it is remembered: cursors decide, the heartbeat heals.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings

from server.audit.entry import Entry
from server.common.db import in_db
from server.common.errors import Unavailable
from server.common.hints import Hint, listen
from server.gateway import frames, jobs
from server.gateway.calls import Calls
from server.gateway.jobs import Ask, OpenedRoom, Reading
from server.gateway.layer import LayerLink
from server.gateway.pace import Pace
from server.gateway.poster import Poster
from server.gateway.pulse import Pulse
from server.gateway.socket import Follow, Socket
from server.rooms import notices
from server.rooms.access import fits
from server.rooms.permits import entry
from server.vault import actions as vault

log = structlog.get_logger(__name__)

READ_ROOMS = 64
"""Rooms read with one statement."""
RETRY_S = 0.5
EXPECTED_S = 24 * 3600.0


class Hub:
    """Lives on one event loop; every method but `_hinted` is called on it."""

    def __init__(self) -> None:
        self.sockets: set[Socket] = set()
        self.rooms: dict[UUID, set[Follow]] = {}
        self.draining = False
        self._dirty: set[UUID] = set()
        self._unfollowed: list[Entry] = []
        self._wake = asyncio.Event()
        self._pace = Pace()
        self._tasks: set[asyncio.Task[None]] = set()
        self.loop = asyncio.get_running_loop()
        self._unlisten = listen(self._hinted)
        self.layer = LayerLink(self.heard)
        self.pulse = Pulse(self, settings.ENV.heartbeat_s)
        self.poster = Poster(self)
        self.calls = Calls(self)
        self.spawn(self._read_for_ever())
        self.spawn(self.calls.look_for_ever())
        self.spawn(self.pulse.beat_for_ever())
        self.spawn(self.pulse.mark_for_ever())
        self.spawn(self.layer.listen_for_ever())
        self.spawn(self.layer.publish_for_ever())

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` beside everything else, and keep it from being collected."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("gateway_task_failed", exc_info=error)

    # --- hints -----------------------------------------------------------------------------------------

    def _hinted(self, hints: Sequence[Hint]) -> None:
        """This process's own hints, from any thread: the loop is woken at once."""
        self.loop.call_soon_threadsafe(self.tell, hints)

    def tell(self, hints: Iterable[Hint]) -> None:
        """Own hints: act on them here, and pass them to the other processes."""
        hints = list(hints)
        self.heard(hints)
        self.layer.publish(hints)

    def heard(self, hints: Iterable[Hint]) -> None:
        """Act on hints, our own or others'."""
        for one in hints:
            match one.kind:
                case "room":
                    self._room_hint(UUID(one.id), one.seq)
                    notices.HEARD.room(UUID(one.id))
                case "marks":
                    self.pulse.marks_moved(UUID(one.id))
                case "typing":
                    self._typing(UUID(one.id), UUID(one.user))
                case "user":
                    self._changed([s for s in self.sockets if s.known and str(s.user_id) == one.id])
                case "session":
                    self._changed([s for s in self.sockets if s.known and str(s.sid) == one.id])
                case "key":
                    vault.forget_keys()
                case "alert":
                    self.calls.changed(UUID(one.id))

    def _room_hint(self, room_id: UUID, seq: int) -> None:
        follows = self.rooms.get(room_id)
        if follows and (seq == 0 or any(follow.cursor < seq for follow in follows)):
            self.dirty(room_id)

    def dirty(self, room_id: UUID) -> None:
        """Read this room soon."""
        if room_id in self.rooms:
            self._dirty.add(room_id)
            self._wake.set()

    def _changed(self, sockets: list[Socket]) -> None:
        """Something about these people, sessions or alert keys is different now."""
        self.calls.look(sockets)
        self.look_again(sockets)

    def look_again(self, sockets: Iterable[Socket]) -> None:
        """Ask again, soon, whether these sockets' sessions hold and which rooms are theirs."""
        for socket in sockets:
            if socket.welcomed:
                self.spawn(self.pulse.look_at([socket]))

    def expect_end(self, socket: Socket, until: datetime, at: datetime) -> None:
        """Look again when the session ends, as known at `at`: one that was refreshed meanwhile goes on, and is expected
        to end later. Those that last long are left to the heartbeat."""
        if socket.expiry is not None:
            if socket.until == until:
                return
            socket.expiry.cancel()
            socket.expiry = None
        left = (until - at).total_seconds()
        if left < EXPECTED_S:
            socket.until = until
            socket.expiry = self.loop.call_later(max(left, 0) + 0.05, self._may_be_over, socket)

    def _may_be_over(self, socket: Socket) -> None:
        socket.expiry = None
        self.look_again([socket])

    def typing(self, follow: Follow) -> None:
        """Somebody types; told to those here whose permit is of the newest epoch this process knows of. The only hint
        that is itself passed on (law 4). Who may only read writes nothing, and is not shown."""
        if follow.permit.read_only or not self._newest_epoch(follow):
            return
        user = follow.socket.user_id
        self.tell([Hint("typing", str(follow.permit.room_id), user=str(user))])

    def _typing(self, room_id: UUID, user_id: UUID) -> None:
        frame = frames.typing(room_id, user_id)
        for follow in self.rooms.get(room_id, ()):
            if follow.socket.user_id != user_id and self._newest_epoch(follow):
                follow.socket.push(frame, room_id)

    def _newest_epoch(self, follow: Follow) -> bool:
        here = self.rooms.get(follow.permit.room_id, ())
        return follow.permit.room_id not in self._dirty and all(
            other.permit.epoch <= follow.permit.epoch for other in here
        )

    # --- entering and leaving rooms --------------------------------------------------------------------

    def enter(self, socket: Socket, room: OpenedRoom) -> None:
        """Let a socket follow a room from where it stands; whatever came in between is read at once."""
        room_id = room.permit.room_id
        if room_id in socket.follows or socket.closed is not None:
            self.not_kept(socket, room)
            return
        follow = Follow(socket, room.permit, room.cursor)
        socket.follows[room_id] = follow
        self.rooms.setdefault(room_id, set()).add(follow)
        self.dirty(room_id)

    def not_kept(self, socket: Socket, room: OpenedRoom) -> None:
        """A room that was entered in the log, but not here after all: its end goes on record too (law 1)."""
        if socket.acting is not None:
            self.ended(entry(room.permit, socket.acting.actor, "room.unfollowed"))

    def ended(self, following: Entry) -> None:
        """Put the end of a following on record, within a second (law 1)."""
        self._unfollowed.append(following)

    def leave(self, follow: Follow, reason: str | None) -> None:
        """Stop following. With a `reason` access has ended: what waits is purged and the socket is told (law 5)."""
        socket, room_id = follow.socket, follow.permit.room_id
        socket.follows.pop(room_id, None)
        here = self.rooms.get(room_id)
        if here is not None:
            here.discard(follow)
            if not here:
                del self.rooms[room_id]
                self.pulse.forget(room_id)
        if socket.acting is not None:
            self.ended(entry(follow.permit, socket.acting.actor, "room.unfollowed"))
        if reason is not None:
            socket.purge(room_id)
            socket.push(frames.room_closed(room_id, reason))

    def gone(self, socket: Socket) -> None:
        """The connection has ended, from whichever side."""
        self.sockets.discard(socket)
        if socket.expiry is not None:
            socket.expiry.cancel()
        for follow in list(socket.follows.values()):
            self.leave(follow, None)
        self.calls.gone(socket)

    # --- reading ---------------------------------------------------------------------------------------

    async def _read_for_ever(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._dirty:
                await self._pace.turn()
                rooms = [self._dirty.pop() for _ in range(min(READ_ROOMS, len(self._dirty)))]
                self._pace.took(len(rooms))
                await self._attempt(rooms)

    async def _attempt(self, rooms: list[UUID]) -> None:
        """A read that fails is tried again: nothing is lost, only late."""
        try:
            await self._read(rooms)
        except Exception as error:  # noqa: BLE001 - one bad read must not end all reading
            log.warning("read_failed", rooms=len(rooms), error=type(error).__name__)
            if len(rooms) > 1 and not isinstance(error, Unavailable):
                for room_id in rooms:  # one of them cannot be read: the others are not kept waiting
                    await self._attempt([room_id])
                return
            self._dirty.update(rooms)
            await asyncio.sleep(RETRY_S)

    async def _read(self, rooms: list[UUID]) -> None:
        asks = [
            Ask(
                room_id,
                after=min(follow.cursor for follow in follows),
                users=frozenset(follow.socket.user_id for follow in follows),
                epochs=frozenset(follow.permit.epoch for follow in follows),
            )
            for room_id in rooms
            if (follows := self.rooms.get(room_id))
        ]
        for reading in await in_db(jobs.read_rooms, asks) if asks else ():
            self._spread(reading)

    def _spread(self, reading: Reading) -> None:
        for follow in list(self.rooms.get(reading.room_id, ())):
            if self._still_open(follow, reading):
                self._send_news(follow, reading)
        if reading.upto < reading.head:
            self.dirty(reading.room_id)

    def _still_open(self, follow: Follow, reading: Reading) -> bool:
        """Whether the follow's permit may be used with this reading; renews it, or ends the follow (law 5)."""
        if (
            follow.permit.epoch > reading.epoch and reading.permits is None
        ):  # an old reading, a newer permit: read again
            self.dirty(reading.room_id)
            return False
        if reading.permits is not None and follow.socket.user_id in reading.users:
            permit = reading.permits.get(follow.socket.user_id)
            assert follow.socket.acting is not None
            if permit is None and follow.permit.epoch > reading.epoch:
                self.dirty(reading.room_id)
                return False
            if permit is None or not fits(follow.socket.acting, permit):
                self.leave(follow, "access_ended")
                return False
            follow.permit = permit
        if follow.permit.epoch < reading.epoch:  # it came while the read was under way: read again
            self.dirty(reading.room_id)
            return False
        if follow.cursor < reading.after:  # it came from further back while the read was under way: nothing is skipped
            self.dirty(reading.room_id)
            return False
        until = follow.permit.valid_until
        if until is not None and until <= reading.at:
            self.leave(follow, "expired")
            return False
        return True

    def _send_news(self, follow: Follow, reading: Reading) -> None:
        cursor, permit, socket = follow.cursor, follow.permit, follow.socket
        for seq, about, frame in reading.frames:
            if seq > cursor and permit.sees(seq, about):
                socket.push(frame, reading.room_id)
        follow.cursor = max(cursor, reading.upto)

    # --- the end ---------------------------------------------------------------------------------------

    async def write_unfollowed(self) -> None:
        """Record the ends of following that have gathered."""
        entries, self._unfollowed = self._unfollowed, []
        if entries:
            try:
                await in_db(jobs.unfollow, entries)
            except Exception as error:  # noqa: BLE001 - kept, and written with the next ones
                log.warning("unfollow_late", error=type(error).__name__)
                self._unfollowed = entries + self._unfollowed

    async def drain(self, patience_s: float = 5.0) -> None:
        """Before the process stops: 1012 to every socket, wait for them to go, write what is left (section 3)."""
        self.draining = True
        for socket in list(self.sockets):
            socket.close(frames.RESTARTING)
        deadline = self.loop.time() + patience_s
        while self.sockets and self.loop.time() < deadline:  # noqa: ASYNC110 - once in a process's life
            await asyncio.sleep(0.02)
        await self.poster.finish()
        await self.calls.finish()
        await self.pulse.flush()
        await self.write_unfollowed()
        await self.stop()

    async def stop(self) -> None:
        """Leave the layer and end every task."""
        self._unlisten()
        await self.layer.leave()
        while self._tasks:  # a library may swallow a cancellation that comes as its own wait ends: say it again
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks, timeout=0.5)
