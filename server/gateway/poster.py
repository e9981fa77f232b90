"""Posts on their way from sockets to the database. What waits while others are being written goes in one transaction:
under load posts share their round trips and their flush to disk, alone a post waits for nobody."""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

import structlog

from server.audit.entry import Actor
from server.audit.refusals import record_refusal
from server.common.db import in_db
from server.common.errors import NotFound, Problem, Refusal, TooMany, Unavailable
from server.common.hints import Hint
from server.gateway import frames
from server.gateway.frames import PostFrame
from server.gateway.pace import Pace
from server.gateway.quota import Quota
from server.gateway.socket import Socket
from server.people.actors import Acting
from server.people.limits import may
from server.rooms import posting, writing
from server.rooms.models import Participation
from server.rooms.posting import Message, NotCommitted, Post
from server.rooms.timeline import StaleEpoch

if TYPE_CHECKING:
    from server.gateway.hub import Hub

log = structlog.get_logger(__name__)

WRITERS = 3
BATCH = 64
UNWRITTEN = 256
"""Posts of one socket that may wait for the database."""


@dataclass(slots=True)
class Waiting:
    socket: Socket
    room_id: UUID
    message: Message


class Poster:
    """At most `WRITERS` transactions at a time, each with at most `BATCH` posts."""

    def __init__(self, hub: "Hub") -> None:
        self._hub = hub
        self._waiting: deque[Waiting] = deque()
        self._busy: set[Socket] = set()
        self._writers = 0
        self._pace = Pace()
        self._quota = Quota()

    def post(self, socket: Socket, frame: PostFrame) -> None:
        """Take a post on. A socket that sends faster than is written is closed, and resumes."""
        if socket.unwritten >= UNWRITTEN:
            socket.close(frames.TOO_MANY)
            return
        who = str(socket.sid if socket.key is not None else socket.user_id)
        try:
            told = self._quota.take(who)
        except TooMany as refusal:
            socket.push(frames.error(refusal.code, frame.message.txn_id))
            return
        if told is not None:
            self._hub.spawn(asyncio.to_thread(self._quota.tell, who, told))
        socket.unwritten += 1
        self._waiting.append(Waiting(socket, frame.room, frame.message))
        if self._writers < WRITERS:
            self._writers += 1
            self._hub.spawn(self._write_until_empty())

    async def finish(self) -> None:
        """Wait until what was taken on is written or refused."""
        while self._writers:  # noqa: ASYNC110 - once in a process's life
            await asyncio.sleep(0.01)

    async def _write_until_empty(self) -> None:
        try:
            while self._waiting:
                await self._pace.turn()
                batch = self._take()
                if not batch:
                    break  # all that waits is behind another writer, who takes it on
                self._pace.took(len(batch))
                sockets = {one.socket for one in batch}
                self._busy |= sockets
                try:
                    await self._write(batch)
                finally:
                    self._busy -= sockets
        finally:
            self._writers -= 1

    def _take(self) -> list[Waiting]:
        """The next batch: what waits longest, but nothing of a socket that another writer is busy with, so that each
        sender's messages keep their order."""
        batch: list[Waiting] = []
        passed_over: list[Waiting] = []
        while self._waiting and len(batch) < BATCH:
            one = self._waiting.popleft()
            (passed_over if one.socket in self._busy else batch).append(one)
        self._waiting.extendleft(reversed(passed_over))
        return batch

    async def _write(self, batch: list[Waiting]) -> None:
        posts, alone = [], []
        out_of_turn: set[Socket] = set()
        for one in batch:
            post = None if one.socket in out_of_turn else self._ready(one)
            if post is None:
                alone.append(one)
                out_of_turn.add(one.socket)  # what this sender wrote afterwards comes afterwards
            else:
                posts.append((one, post))
        if posts:
            try:
                done = await in_db(posting.write, [post for _, post in posts])
            except (StaleEpoch, NotCommitted):
                alone = [*(one for one, _ in posts), *alone]
            except Unavailable as error:
                self._unavailable([*(one for one, _ in posts), *alone], error)
                return
            except Exception as error:  # noqa: BLE001 - each sender gets an answer, whatever it was
                for one, _ in posts:
                    self._failed(one, error)
            else:
                for (one, _), posted in zip(posts, done, strict=True):
                    self._posted(one, posted.seq)
        while alone:
            one = alone.pop(0)
            try:
                await self._write_alone(one)
            except Unavailable as error:
                self._unavailable([one, *alone], error)
                return

    def _unavailable(self, batch: list[Waiting], error: Unavailable) -> None:
        """The database does not answer: whoever waits behind is told now, and not after a time-out for each."""
        waiting, self._waiting = self._waiting, deque()
        for one in (*batch, *waiting):
            self._failed(one, error)

    def _ready(self, one: Waiting) -> Post | None:
        """The post under the permit at hand, or None when it must be decided afresh."""
        follow, acting = one.socket.follows.get(one.room_id), one.socket.acting
        if follow is None or acting is None or not may(acting, "write"):
            return None
        permit = follow.permit
        if permit.is_patient and permit.participation != Participation.ACTIVE:
            return None
        try:
            posting.check(permit, one.message, head=follow.cursor)
        except Problem:
            return None  # decided, and put on record, afresh
        return Post(permit, acting.actor, one.message)

    async def _write_alone(self, one: Waiting) -> None:
        try:
            seq = await in_db(_post_alone, one.socket.acting, one.socket.actor, one.room_id, one.message)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - the sender gets an answer, whatever it was
            self._failed(one, error)
        else:
            self._posted(one, seq)

    def _posted(self, one: Waiting, seq: int) -> None:
        one.socket.unwritten -= 1
        one.socket.push(frames.posted(one.room_id, one.message.txn_id, seq))
        self._hub.tell([Hint("room", str(one.room_id), seq)])

    def _failed(self, one: Waiting, error: Exception) -> None:
        one.socket.unwritten -= 1
        if isinstance(error, Problem):
            code = error.code if error.code in frames.ERROR_CODES else "invalid"
        else:
            log.error("post_failed", exc_info=error)
            code = "internal"
        one.socket.push(frames.error(code, one.message.txn_id))


def _post_alone(acting: Acting | None, actor: Actor, room_id: UUID, message: Message) -> int:
    """Decide and write one post; a refusal goes on record after the rollback and before the answer (law 1). An alert
    key (no `acting`) writes nowhere."""
    try:
        if acting is None:
            raise NotFound(refusal=Refusal("message.posted", "alert_key", room_id=room_id))
        posted, _ = writing.post(acting=acting, room_id=room_id, message=message)
    except Problem as problem:
        if problem.refusal is not None:
            record_refusal(actor, problem.refusal)
        raise
    return posted.seq
