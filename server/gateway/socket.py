"""One device's socket: what it follows, what waits to be sent, and the bound on both."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from server.alerts.authentication import actor_of_key
from server.alerts.models import AlertKey
from server.audit.entry import Actor, Entry
from server.common.asgi import Take
from server.gateway import frames
from server.people.actors import Acting
from server.rooms.permits import Permit

Send = Callable[[dict[str, Any]], Awaitable[None]]

OUTBOX_BYTES = 2 * 1024 * 1024
"""Unsent characters beyond which a slow reader is closed; it comes back and resumes from its cursors."""
CLOSE_S = 10.0
"""How long a peer may take to answer a close."""
FRAMES_PER_S = 500.0
BURST = 2_000.0


class Follow:
    """One socket in one room. `cursor` is the highest `seq` that was sent or passed over."""

    __slots__ = ("cursor", "permit", "socket", "typed_at")

    def __init__(self, socket: "Socket", permit: Permit, cursor: int) -> None:
        self.socket = socket
        self.permit = permit
        self.cursor = cursor
        self.typed_at = 0.0


@dataclass(frozen=True, slots=True)
class Call:
    """One socket and one alert: a hash of the frame that was sent last, and what goes on record at the end."""

    digest: bytes
    end: Entry


class Socket:
    """Frames go out through `push`, in order; a frame of a room, or of an alert, can be purged until it is handed to
    the server. Whoever has said hello has either a session (`acting`) or an alert `key`."""

    __slots__ = (
        "_drainer",
        "_outbox",
        "_send",
        "_size",
        "_take",
        "_tokens",
        "_tokens_at",
        "acting",
        "calls",
        "closed",
        "entering",
        "expiry",
        "follows",
        "key",
        "protocol",
        "task",
        "until",
        "unwritten",
        "welcomed",
    )

    def __init__(self, send: Send, take: Take | None) -> None:
        self._send = send
        self._take = take
        self._outbox: deque[tuple[Hashable, str]] = deque()
        self._size = 0
        self._drainer: asyncio.Task[None] | None = None
        self._tokens = BURST
        self._tokens_at = time.monotonic()
        self.acting: Acting | None = None
        self.key: AlertKey | None = None
        self.protocol = 0
        """The version that its hello named; 0 before."""
        self.follows: dict[UUID, Follow] = {}
        self.entering: set[UUID] = set()
        self.calls: dict[UUID, Call] = {}
        self.unwritten = 0
        self.closed: int | None = None
        self.expiry: asyncio.TimerHandle | None = None
        self.until: datetime | None = None
        self.welcomed = False
        self.task: asyncio.Task[Any] | None = None

    @property
    def known(self) -> bool:
        """Whether a hello has told who this is."""
        return self.acting is not None or self.key is not None

    @property
    def sid(self) -> UUID:
        """The public name of the session, or of the alert key: hints of kind `session` name either."""
        if self.key is not None:
            return self.key.id
        assert self.acting is not None
        assert self.acting.session is not None
        return self.acting.session.sid

    @property
    def user_id(self) -> UUID:
        if self.key is not None:
            assert self.key.patient.user_id is not None
            return self.key.patient.user_id
        assert self.acting is not None
        return self.acting.user.id

    @property
    def engagement_id(self) -> UUID | None:
        if self.acting is None or self.acting.engagement is None:
            return None
        return self.acting.engagement.id

    @property
    def actor(self) -> Actor:
        """What the log says about who acts here."""
        if self.key is not None:
            return actor_of_key(self.key)
        assert self.acting is not None
        return self.acting.actor

    def allow_frame(self) -> bool:
        """A token bucket over incoming frames."""
        now = time.monotonic()
        self._tokens = min(BURST, self._tokens + (now - self._tokens_at) * FRAMES_PER_S)
        self._tokens_at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def push(self, frame: str, tag: Hashable = None) -> None:
        """Send a frame after those before it; by its `tag`, a room's id, it can be purged. A reader too slow is closed
        with 4429."""
        if self.closed is not None:
            return
        if not self._outbox and self._take is not None and self._take(frame):
            return
        self._outbox.append((tag, frame))
        self._size += len(frame)
        if self._size > OUTBOX_BYTES:
            self.close(frames.TOO_MANY)
        elif self._drainer is None:
            self._drainer = asyncio.get_running_loop().create_task(self._drain())

    def purge(self, tag: Hashable) -> None:
        """Drop what waits of a room or an alert: nothing of it may reach who lost access (law 5b)."""
        kept = [(one, frame) for one, frame in self._outbox if one != tag]
        self._outbox = deque(kept)
        self._size = sum(len(frame) for _, frame in kept)

    def close(self, code: int) -> None:
        """Close with a code, before anything that still waits."""
        if self.closed is not None:
            return
        self.closed = code
        self._outbox.clear()
        self._size = 0
        asyncio.get_running_loop().call_later(CLOSE_S, self._abandon)
        if self._drainer is None:
            self._drainer = asyncio.get_running_loop().create_task(self._drain())

    def _abandon(self) -> None:
        """The peer takes neither frames nor the close: end the application, and with it the connection."""
        if self.task is not None and not self.task.done():
            self.task.cancel()

    async def _drain(self) -> None:
        try:
            while self._outbox:
                if self._take is not None and not self._take(self._outbox[0][1]):
                    await asyncio.sleep(0.002)
                    continue
                _, frame = self._outbox.popleft()
                self._size -= len(frame)
                if self._take is None:
                    await self._send({"type": "websocket.send", "text": frame})
            if self.closed is not None:
                await self._send({"type": "websocket.close", "code": self.closed})
        except Exception:  # noqa: BLE001 - the peer is gone; the server tells the receive loop
            self._outbox.clear()
        finally:
            self._drainer = None
            if self.closed is None and self._outbox:
                self._drainer = asyncio.get_running_loop().create_task(self._drain())
