"""A phone in memory: the gateway's other end without a server between, and what tests do to a gateway."""

import asyncio
import json
import random
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from unittest import mock

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db.backends.utils import CursorWrapper

from server.common.asgi import TAKE
from server.common.hints import Hint
from server.gateway.app import Gateway
from tests.base import Opened, TownTransactionTestCase

Frame = dict[str, Any]
Headers = Sequence[tuple[bytes, bytes]]
PATIENCE_S = 8.0
SLACK_S = 3.0
"""Added to every promised time: a loaded machine of two cores stands still for seconds. Far below `PATIENCE_S` and the
long heartbeats, so what only a heartbeat or nothing would bring is still told from what was promised."""


class Phone:
    """One socket. Everything sent to it stands in `frames`; `closed` is the close code once there is one. `reads` is
    cleared by who wants a slow reader; with `takes` the server offers what our own does, else what any other does."""

    def __init__(self, gateway: Gateway, headers: Headers = (), *, takes: bool = False) -> None:
        self._gateway = gateway
        self._scope = {
            "type": "websocket",
            "path": "/ws/v1",
            "headers": list(headers),
            "extensions": {TAKE: self._take} if takes else {},
        }
        self._to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.reads = asyncio.Event()
        self.reads.set()
        self.frames: list[Frame] = []
        self.accepted = False
        self.closed: int | None = None

    async def connect(self) -> "Phone":
        self._to_app.put_nowait({"type": "websocket.connect"})
        self._task = asyncio.create_task(self._gateway(self._scope, self._to_app.get, self._send))
        await self._until(lambda: self.accepted or self.closed is not None or self._task_ended())
        return self

    def _task_ended(self) -> bool:
        return self._task is not None and self._task.done()

    def _take(self, text: str) -> bool:
        """As our own server does: at once, while the connection keeps up."""
        if not self.reads.is_set() or self.closed is not None:
            return False
        self._receive({"type": "websocket.send", "text": text})
        return True

    async def _send(self, message: dict[str, Any]) -> None:
        await self.reads.wait()
        self._receive(message)

    def _receive(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "websocket.accept":
                self.accepted = True
            case "websocket.send":
                self.frames.append(json.loads(message["text"]))
            case "websocket.close":
                self.closed = message["code"]
                self._to_app.put_nowait({"type": "websocket.disconnect", "code": self.closed})
        news, self._news = self._news, asyncio.Event()
        news.set()

    def say(self, **frame: Any) -> None:
        self.say_text(json.dumps(frame))

    def say_text(self, text: str) -> None:
        self._to_app.put_nowait({"type": "websocket.receive", "text": text})

    def say_bytes(self, data: bytes) -> None:
        self._to_app.put_nowait({"type": "websocket.receive", "bytes": data})

    async def hello(self, token: str | None, cursors: dict[str, int] | None = None, **more: Any) -> Frame:
        """Say hello; the welcome. Everything missed has come when this returns."""
        said = {"token": token} if token is not None else {}
        self.say(type="hello", protocol=1, cursors=cursors or {}, **said, **more)
        await self.wait("synced")
        return self.of("welcome")[0]

    def of(self, *kinds: str) -> list[Frame]:
        return [frame for frame in self.frames if frame["type"] in kinds]

    def events(self, room: Opened | str) -> list[Frame]:
        wanted = room if isinstance(room, str) else str(room.id)
        return [frame["event"] for frame in self.of("event") if frame["event"]["room"] == wanted]

    def seqs(self, room: Opened | str) -> list[int]:
        return [event["seq"] for event in self.events(room)]

    def bodies(self, room: Opened | str) -> list[str]:
        return [event["content"]["body"] for event in self.events(room) if event["type"] == "message"]

    def last_receipts(self, room: Opened | str) -> dict[str, tuple[int, int]]:
        """By user, the newest that was told."""
        wanted = room if isinstance(room, str) else str(room.id)
        return {f["user"]: (f["delivered"], f["read"]) for f in self.of("receipt") if f["room"] == wanted}

    async def wait(
        self, wanted: str | Callable[[Frame], bool], *, after: int = 0, patience_s: float = PATIENCE_S
    ) -> Frame:
        """The first frame from index `after` on that is wanted: by type, or as the function says."""
        fits = (lambda frame: frame["type"] == wanted) if isinstance(wanted, str) else wanted
        found: list[Frame] = []

        def there() -> bool:
            found.extend([frame for frame in self.frames[after:] if fits(frame)][:1])
            return bool(found)

        await self._until(there, patience_s)
        return found[0]

    async def has(self, room: Opened | str, seq: int, patience_s: float = PATIENCE_S) -> None:
        await self._until(lambda: seq in self.seqs(room), patience_s)

    async def until_closed(self, patience_s: float = PATIENCE_S) -> int:
        await self._until(lambda: self.closed is not None, patience_s)
        assert self.closed is not None
        return self.closed

    async def wait_or_close(self) -> None:
        """Until a hello has been answered, one way or the other."""
        await self._until(lambda: self.closed is not None or bool(self.of("synced")))

    async def _until(self, true: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
        deadline = time.monotonic() + patience_s
        while not true():
            news, left = self._news, deadline - time.monotonic()
            kinds = [frame["type"] for frame in self.frames[-12:]]
            assert left > 0, f"it did not come within {patience_s:g} s; closed: {self.closed}; the last: {kinds}"
            try:
                await asyncio.wait_for(news.wait(), min(left, 0.05))
            except TimeoutError:
                continue

    async def leave(self, code: int = 1006) -> None:
        """The connection is lost, or the client says why it goes."""
        if self._task is not None:
            self.reads.set()
            self._to_app.put_nowait({"type": "websocket.disconnect", "code": code})
            await asyncio.wait([self._task], timeout=PATIENCE_S)
            assert self._task.done()
            if not self._task.cancelled():
                self._task.result()


class Pause:
    """Stands in for a function that runs on a database thread, and holds its first call: before it does anything, or
    after it has done it."""

    def __init__(self, original: Callable[..., Any], *, after: bool) -> None:
        self._original, self._after = original, after
        self._first = threading.Lock()
        self._reached, self._go = threading.Event(), threading.Event()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        mine = self._first.acquire(blocking=False)
        if mine and not self._after:
            self._hold()
        try:
            return self._original(*args, **kwargs)
        finally:
            if mine and self._after:
                self._hold()

    def _hold(self) -> None:
        self._reached.set()
        assert self._go.wait(20), "nobody let it go"

    async def reached(self) -> None:
        assert await asyncio.to_thread(self._reached.wait, 10), "it was never called"

    def go(self) -> None:
        self._go.set()


@contextmanager
def paused(owner: Any, name: str, *, after: bool) -> Iterator[Pause]:
    """Hold the first call of `owner.name`; let go at the latest when the block ends."""
    pause = Pause(getattr(owner, name), after=after)
    with mock.patch.object(owner, name, pause):
        try:
            yield pause
        finally:
            pause.go()


class Statements:
    """SQL that this process executes, with the thread that did: (thread, SQL). BEGIN and COMMIT do not count."""

    def __init__(self) -> None:
        self.all: list[tuple[str, str]] = []

    @contextmanager
    def recorded(self) -> Iterator["Statements"]:
        one, many = CursorWrapper.execute, CursorWrapper.executemany

        def execute(cursor: Any, sql: Any, params: Any = None) -> Any:
            self._note(sql)
            return one(cursor, sql, params)

        def executemany(cursor: Any, sql: Any, params: Any) -> Any:
            self._note(sql)
            return many(cursor, sql, params)

        with (
            mock.patch.object(CursorWrapper, "execute", execute),
            mock.patch.object(CursorWrapper, "executemany", executemany),
        ):
            yield self

    def _note(self, sql: Any) -> None:
        if not str(sql).lstrip().upper().startswith(("BEGIN", "COMMIT", "ROLLBACK")):
            self.all.append((threading.current_thread().name, str(sql)))

    def touching(self, words: str) -> list[str]:
        return [sql for _, sql in self.all if words in sql]


class Weather:
    """Between the hub and all hints, its own and others': drops, doubles, delays and so reorders them."""

    def __init__(self, gateway: Gateway, seed: int, *, dropped: float, doubled: float, delay_s: float) -> None:
        hub = gateway.hub
        assert hub is not None
        self._heard, self._loop, self._draw = hub.heard, hub.loop, random.Random(seed)
        self._dropped, self._doubled, self._delay_s = dropped, doubled, delay_s
        hub.heard = self.heard  # type: ignore[method-assign]
        hub.layer._heard = self.heard

    def heard(self, hints: Iterable[Hint]) -> None:
        for one in hints:
            if self._draw.random() < self._dropped:
                continue
            for _ in range(2 if self._draw.random() < self._doubled else 1):
                self._loop.call_later(self._draw.random() * self._delay_s, self._heard, [one])


class GatewayTestCase(TownTransactionTestCase):
    """The gateway in this process: `async with self.gateway() as gateway`, then `self.phone(gateway, "kari")`."""

    heartbeat_s = 0.3
    shared = True
    room: Opened

    def setUp(self) -> None:
        super().setUp()
        self._phones: list[Phone] = []
        if self.shared:
            self.room = self.open_shared_room()

    @asynccontextmanager
    async def gateway(self, **environment: Any) -> AsyncIterator[Gateway]:
        changed = settings.ENV.model_copy(update={"heartbeat_s": self.heartbeat_s, **environment})
        with self.settings(ENV=changed):
            app = Gateway()
            try:
                yield app
            finally:
                try:
                    for phone in self._phones:
                        await phone.leave()
                finally:  # a gateway left listening would disturb the tests that follow
                    self._phones.clear()
                    await app.drain()

    async def connect(self, gateway: Gateway, headers: Headers = (), **more: Any) -> Phone:
        phone = Phone(gateway, headers, **more)
        self._phones.append(phone)
        return await phone.connect()

    async def phone(self, gateway: Gateway, who: str, cursors: dict[str, int] | None = None, **more: Any) -> Phone:
        """A phone of theirs that has said hello."""
        phone = await self.connect(gateway, **more)
        await phone.hello((await self.rest(self.person, who)).token, cursors)
        return phone

    async def phones(self, gateway: Gateway, *who: str) -> list[Phone]:
        return [await self.phone(gateway, one) for one in who]

    def rest(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Awaitable[Any]:
        """One of the town's helpers, from an async test."""
        return sync_to_async(call)(*args, **kwargs)

    def head(self, room: Opened | None = None) -> int:
        head: int = self.person("are").ok("get", (room or self.room).path)["head"]
        return head


def quiet(phone: Phone, beats: int = 1) -> Awaitable[Frame]:
    """Until `beats` further heartbeats have come."""
    have = len(phone.of("heartbeat"))
    return phone.wait(lambda _: len(phone.of("heartbeat")) >= have + beats, after=0)
