"""Calls for help, live: to the patient's sockets and alert keys, to the team that answers, to staff who raised them.

What a socket remembers of an alert is only what it was sent last, so that the same is not sent twice, and what goes on
record at the end. Who is told what is decided from the database at each look: at a hint for one alert, with a hello and
at each heartbeat for all that are open, so that a lost hint heals and what time alone changes is told.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import structlog

from server.common.db import in_db
from server.common.errors import Unavailable
from server.gateway import call_jobs, frames
from server.gateway.call_jobs import Listener, Told
from server.gateway.pace import Pace
from server.gateway.socket import Call, Socket

if TYPE_CHECKING:
    from server.gateway.hub import Hub

log = structlog.get_logger(__name__)

BATCH = 500
"""Sockets that are looked at with one job, when it is about all that is open."""
RETRY_S = 0.5
PATIENCE_S = 5.0
"""So long a hello waits for calls for help; then it goes on, and they follow."""


class Calls:
    """One job at a time, so that no socket is sent an older state after a newer one."""

    def __init__(self, hub: "Hub") -> None:
        self._hub = hub
        self._dirty: set[UUID] = set()
        self._here: set[Socket] = set()
        self._waiting: dict[Socket, bool] = {}
        self._joining: dict[Socket, asyncio.Future[None]] = {}
        self._wake = asyncio.Event()
        self._pace = Pace()
        self._busy = False

    # --- what asks for a look ----------------------------------------------------------------------------

    def changed(self, alert_id: UUID) -> None:
        """A hint: something has happened with this alert."""
        if self._here:
            self._dirty.add(alert_id)
            self._wake.set()

    def look(self, sockets: Iterable[Socket], *, beat: bool = False) -> None:
        """Look again, soon, at all that is open to these sockets, and whether their alert keys hold. With a `beat`,
        those of keys are sent the heartbeat then; the others' comes with their rooms."""
        for socket in self._here.intersection(sockets):
            self._waiting[socket] = beat or self._waiting.get(socket, False)
        if self._waiting:
            self._wake.set()

    async def join(self, socket: Socket) -> None:
        """Let a socket that was welcomed follow, and send it what is open; from now on hints find it. Returns when that
        is done: sockets that come back all at once share a look. A fault here holds up nobody's rooms."""
        done = self._hub.loop.create_future()
        self._joining[socket] = done
        self._here.add(socket)
        self.look([socket])
        try:
            async with asyncio.timeout(PATIENCE_S):
                await done
        except TimeoutError:
            log.warning("calls_late", sockets=1)
        finally:
            self._joining.pop(socket, None)

    # --- the one reader ----------------------------------------------------------------------------------

    async def look_for_ever(self) -> None:
        structlog.contextvars.clear_contextvars()  # these looks are no one request's
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._dirty or self._waiting:
                self._busy = True
                try:
                    await self._pace.turn()
                    self._pace.took(1)
                    await self._next()
                finally:
                    self._busy = False

    async def finish(self) -> None:
        """Wait until a look that is under way has told what it found."""
        while self._busy:  # noqa: ASYNC110 - once in a process's life
            await asyncio.sleep(0.01)

    async def _next(self) -> None:
        """Hints first, they are news of few alerts; then those who wait, so that no storm of hints holds up a hello."""
        if self._dirty:
            alerts, self._dirty = self._dirty, set()
            await self._look_at(alerts)
        batch = dict(list(self._waiting.items())[:BATCH])
        for socket in batch:
            del self._waiting[socket]
        await self._look_for(batch)
        for socket in batch:
            if (done := self._joining.pop(socket, None)) is not None and not done.done():
                done.set_result(None)

    async def _look_at(self, alerts: Collection[UUID]) -> None:
        try:
            await self._tell(list(self._here), alerts)
        except Exception as error:  # noqa: BLE001 - one bad look must not end all looking
            log.warning("calls_late", alerts=len(alerts), error=type(error).__name__)
            if isinstance(error, Unavailable):
                for one in alerts:
                    self._hub.loop.call_later(RETRY_S, self.changed, one)
            elif len(alerts) > 1:
                for one in alerts:  # one of them is at fault: the others are told; the heartbeat tries it again
                    await self._look_at([one])

    async def _look_for(self, batch: Mapping[Socket, bool]) -> None:
        if not batch:
            return
        try:
            await self._tell(list(batch), None)
        except Exception as error:  # noqa: BLE001 - as above
            log.warning("calls_late", sockets=len(batch), error=type(error).__name__)
            for socket, beat in batch.items():
                if isinstance(error, Unavailable):
                    self._hub.loop.call_later(RETRY_S, self._again, socket, beat)
                elif len(batch) > 1:
                    await self._look_for({socket: beat})
            return
        for socket, beat in batch.items():
            if beat and socket.key is not None:
                socket.push(frames.heartbeat({}))

    def _again(self, socket: Socket, beat: bool) -> None:
        self.look([socket], beat=beat)

    async def _tell(self, sockets: Sequence[Socket], alerts: Collection[UUID] | None) -> None:
        sockets = [one for one in sockets if one.closed is None]
        if not sockets:
            return
        look = await in_db(call_jobs.look, [_listener(one) for one in sockets], alerts)
        for socket, told in zip(sockets, look.told, strict=True):
            if socket.key is not None and socket.key.id in look.revoked:
                socket.close(frames.SESSION_ENDED)
                continue
            self._send(socket, told)
            for alert_id in [one for one in socket.calls if alerts is None or one in alerts]:
                if alert_id not in told:
                    self._leave(socket, alert_id)

    # --- one socket --------------------------------------------------------------------------------------

    def _send(self, socket: Socket, told: Mapping[UUID, Told | None]) -> None:
        """Send what is news to this socket. Of an alert only the newest waits for a slow reader."""
        for alert_id, one in told.items():
            if one is None:
                continue
            before = socket.calls.get(alert_id)
            if socket.closed is not None or socket not in self._here:
                if before is None:  # it was followed in the log, and is not here after all: its end goes there too
                    self._hub.ended(one.end)
                continue
            if before is None or before.digest != one.digest:
                socket.purge(_tag(alert_id))
                socket.push(one.frame, _tag(alert_id))
            socket.calls[alert_id] = Call(one.digest, one.end)
            if one.over:
                self._end(socket, alert_id)

    def gone(self, socket: Socket) -> None:
        """The connection has ended."""
        self._here.discard(socket)
        self._waiting.pop(socket, None)
        for alert_id in list(socket.calls):
            self._end(socket, alert_id)

    def _leave(self, socket: Socket, alert_id: UUID) -> None:
        """It is open to them no longer: what waits is not sent either (law 5)."""
        socket.purge(_tag(alert_id))
        self._end(socket, alert_id)

    def _end(self, socket: Socket, alert_id: UUID) -> None:
        self._hub.ended(socket.calls.pop(alert_id).end)


def _tag(alert_id: UUID) -> tuple[str, UUID]:
    """What an alert's frames are purged by. Its id is the client's own, and might be a room's."""
    return "alert", alert_id


def _listener(socket: Socket) -> Listener:
    return Listener(
        sid=socket.sid,
        by_key=socket.key is not None,
        user_id=socket.user_id,
        engagement_id=socket.engagement_id,
        follows=frozenset(socket.calls),
    )
