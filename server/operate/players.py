"""People in a story: a session each, REST calls, and a phone with a socket that keeps every frame."""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

PATIENCE_S = 10.0
Frame = dict[str, Any]
Tell = Callable[[str], None]


class StoryFailed(AssertionError):
    """A check that did not hold."""


@dataclass
class Device:
    """A phone with one socket: it keeps every frame and its own cursors, and answers `delivered`."""

    name: str
    url: str
    token: str
    cursors: dict[str, int] = field(default_factory=dict)
    frames: list[Frame] = field(default_factory=list)
    acknowledge: bool = True
    alert_key: str = ""
    """In place of a session: it follows its patient's calls for help."""
    _socket: ClientConnection | None = None
    _task: asyncio.Task[None] | None = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    closed_with: int | None = None

    async def open(self) -> None:
        """Connect, say hello, and wait until the missed events have come."""
        self._socket = await connect(self.url, compression=None, max_size=None)
        self.closed_with = None
        seen = len(self.frames)
        proof = {"alert_key": self.alert_key} if self.alert_key else {"token": self.token}
        await self.send(type="hello", protocol=1, cursors=self.cursors, **proof)
        self._task = asyncio.create_task(self._listen(self._socket))
        await self.wait(lambda frame: frame["type"] == "synced", after=seen)

    async def _listen(self, socket: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for text in socket:
                await self._hear(json.loads(text))
        self.closed_with = socket.close_code
        self._wake()

    async def _hear(self, frame: Frame) -> None:
        self.frames.append(frame)
        if frame["type"] == "event":
            event = frame["event"]
            self.cursors[event["room"]] = event["seq"]
            if self.acknowledge:
                await self.send(type="delivered", room=event["room"], seq=event["seq"])
        elif frame["type"] == "welcome":
            for room, head in frame["rooms"].items():
                self.cursors.setdefault(room, head)
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def send(self, **frame: Any) -> None:
        assert self._socket is not None
        await self._socket.send(json.dumps(frame))

    async def wait(self, wanted: Callable[[Frame], bool], *, after: int = 0, patience_s: float = PATIENCE_S) -> Frame:
        """The first frame from index `after` on that is wanted. Raises StoryFailed when it does not come."""
        deadline = time.monotonic() + patience_s
        while True:
            news = self._news
            for frame in self.frames[after:]:
                if wanted(frame):
                    return frame
            left = deadline - time.monotonic()
            if left <= 0:
                raise StoryFailed(f"{self.name}: the awaited frame did not come within {patience_s:g} s")
            try:
                await asyncio.wait_for(news.wait(), left)
            except TimeoutError:
                continue

    def events(self, room: str, kind: str | None = None) -> list[Frame]:
        """Events of a room that have come, in the order they came."""
        found = [frame["event"] for frame in self.frames if frame["type"] == "event"]
        return [one for one in found if one["room"] == room and kind in (None, one["type"])]

    async def drop(self) -> None:
        """The phone loses the net: no close frame, nothing said."""
        assert self._socket is not None
        assert self._task is not None
        self._task.cancel()
        self._socket.transport.abort()
        await asyncio.sleep(0)

    async def close(self) -> None:
        if self._socket is not None:
            await self._socket.close()


class Person:
    """Somebody with a session: REST calls and a device."""

    def __init__(self, name: str, base: str) -> None:
        self.name = name
        self._base = base
        verify = not base.startswith("http:")  # a client reads all certificates there are: 30 ms for each person
        self._client = httpx.AsyncClient(base_url=base, timeout=30, verify=verify)
        self.user = ""
        self.token = ""
        self.device: Device

    async def sign_in(self) -> None:
        answer = await self._client.post("/api/v1/demo/sign-in", json={"persona": self.name})
        answer.raise_for_status()
        said = answer.json()
        self.token = said["token"]
        self.user = said["user"]["id"] if isinstance(said["user"], dict) else said["user"]
        self._client.headers["Authorization"] = f"Bearer {self.token}"
        self.device = Device(self.name, self._base.replace("http", "ws", 1) + "/ws/v1", self.token)

    async def call(self, method: str, path: str, body: Any = None, *, expect: int) -> Any:
        """One request. Raises StoryFailed on another status than expected."""
        answer = await self._client.request(method, f"/api/v1/{path}", json=body)
        if answer.status_code != expect:
            code = answer.json().get("code") if "json" in answer.headers.get("content-type", "") else ""
            raise StoryFailed(f"{self.name}: {method} answered {answer.status_code} {code}, not {expect}")
        return answer.json() if answer.content else None

    async def post(self, room: str, body: str, *, expect: int = 201) -> Any:
        return await self.call("POST", f"rooms/{room}/messages", {"txn_id": str(uuid4()), "body": body}, expect=expect)

    async def leave(self) -> None:
        if hasattr(self, "device"):
            await self.device.close()
        await self._client.aclose()


class Story:
    """Steps that say what happens, and checks of what must be true; the first that is not stops the story."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self.checks = 0

    def step(self, words: str) -> None:
        self._tell(f"\n• {words}")

    def check(self, words: str, holds: bool) -> None:
        if not holds:
            raise StoryFailed(words)
        self.checks += 1
        self._tell(f"    ✓ {words}")
