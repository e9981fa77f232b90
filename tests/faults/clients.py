"""Clients as they should be: they keep what was not acknowledged, come back, and send it again under the same name."""

import asyncio
import contextlib
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

from tests.faults.ledger import Ledger
from tests.faults.stage import Somebody

AGAIN = ("unavailable", "internal")
"""Codes after which the same message is sent again."""
GONE = (OSError, ConnectionClosed, InvalidHandshake, InvalidMessage, TimeoutError, EOFError)
Frame = dict[str, Any]


@dataclass
class Times:
    """Durations in seconds."""

    all: list[float] = field(default_factory=list)

    def add(self, seconds: float) -> None:
        self.all.append(seconds)

    def at(self, share: float) -> float:
        found = sorted(self.all)
        return found[min(int(len(found) * share), len(found) - 1)] if found else 0.0

    def __str__(self) -> str:
        one = [f"{self.at(share) * 1000:.0f}" for share in (0.5, 0.95, 0.99, 1.0)]
        return f"n={len(self.all)} p50/p95/p99/max {'/'.join(one)} ms"


class Phone:
    """One socket that comes back. Every room's events must come in order, each once, without holes."""

    def __init__(
        self, who: Somebody, urls: Callable[[], str], ledger: Ledger, *, seed: int = 0, hello_s: float = 30.0
    ) -> None:
        self.who, self.ledger = who, ledger
        self._urls = urls
        self._random = random.Random(seed)
        self._hello_s = hello_s
        self.cursors: dict[str, int] = {}
        self.bodies: dict[tuple[str, int], str] = {}
        self.heard_at: dict[tuple[str, int], float] = {}
        """(room, seq) → `time.time()` when it came."""
        self.waiting: dict[str, asyncio.Future[int | str]] = {}
        self.in_flight: set[str] = set()
        self.sent_at: dict[str, float] = {}
        self.answers = Times()
        """From sending (the last time) to any answer."""
        self.intervals: list[tuple[str, float, float]] = []
        """What was under way when: `post` or `resume`, begin and end (monotonic)."""
        self.codes: dict[str, int] = {}
        self.closed_rooms: dict[str, tuple[float, str]] = {}
        self.after_closing: list[Frame] = []
        self.heartbeats = 0
        self.connections = 0
        self.lost = 0
        self.closes: dict[int, int] = {}
        self.synced = asyncio.Event()
        self._socket: ClientConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # --- life --------------------------------------------------------------------------------------------

    async def __aenter__(self) -> "Phone":
        self._task = asyncio.create_task(self._live())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        for task in (self._task, *self._tasks):
            task.cancel()
        await asyncio.gather(self._task, *self._tasks, return_exceptions=True)

    async def _live(self) -> None:
        while True:
            with contextlib.suppress(*GONE):
                async with connect(self._urls(), compression=None, max_size=None, close_timeout=1) as socket:
                    await self._talk(socket)
            self._lost()
            await asyncio.sleep(self._random.uniform(0.02, 0.2))

    def _lost(self) -> None:
        if self._socket is not None:
            self.lost += 1
            code = self._socket.close_code or 1006
            self.closes[code] = self.closes.get(code, 0) + 1
        self._socket = None
        self.in_flight.clear()
        self.synced.clear()

    async def _talk(self, socket: ClientConnection) -> None:
        hello = {"type": "hello", "protocol": 1, "token": self.who.token, "cursors": self.cursors}
        begun = time.monotonic()
        await socket.send(json.dumps(hello))
        async for text in socket:
            self._hear(json.loads(text))
            if self._socket is None and self.synced.is_set():
                self._socket = socket
                self.connections += 1
                self.intervals.append(("resume", begun, time.monotonic()))
                for txn in list(self.waiting):
                    await self._send_post(txn)
            if self._socket is None and time.monotonic() - begun > self._hello_s:
                return

    async def say(self, **frame: Any) -> None:
        """Send a frame if there is a socket."""
        if self._socket is not None:
            with contextlib.suppress(*GONE):
                await self._socket.send(json.dumps(frame))

    def drop(self) -> None:
        """The net is gone: no close frame."""
        if self._socket is not None:
            self._socket.transport.abort()

    # --- frames ------------------------------------------------------------------------------------------

    def _hear(self, frame: Frame) -> None:
        room = frame.get("room") or frame.get("event", {}).get("room")
        if room in self.closed_rooms and frame["type"] not in ("room.closed", "posted"):
            self.after_closing.append(frame)
        match frame["type"]:
            case "welcome":
                for one, head in frame["rooms"].items():
                    self.cursors.setdefault(one, head)
            case "synced":
                self.synced.set()
            case "event":
                self._event(frame["event"])
            case "posted":
                self._answered(frame["txn_id"], frame["seq"])
            case "error":
                self._error(frame)
            case "heartbeat":
                self.heartbeats += 1
            case "room.closed":
                self.closed_rooms.setdefault(frame["room"], (time.time(), frame["reason"]))
            case "room.opened":
                self.closed_rooms.pop(frame["room"], None)
            case "limited":
                self.ledger.fault(f"{self.who.user} was limited")

    def _event(self, event: Frame) -> None:
        room, seq = event["room"], event["seq"]
        if seq != self.cursors.get(room, seq - 1) + 1:
            self.ledger.fault(f"{self.who.user} got seq {seq} of {room} after {self.cursors[room]}")
        self.cursors[room] = seq
        self.heard_at[(room, seq)] = time.time()
        if event["type"] == "message":
            self.bodies[(room, seq)] = event["content"]["body"]
        if self._socket is not None and self._random.random() < 0.3:
            self._later(self._socket.send(json.dumps({"type": "delivered", "room": room, "seq": seq})))

    def _later(self, work: Any) -> None:
        async def safely() -> None:
            with contextlib.suppress(*GONE):
                await work

        task = asyncio.create_task(safely())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _error(self, frame: Frame) -> None:
        code, ref = frame["code"], frame["ref"]
        self.codes[code] = self.codes.get(code, 0) + 1
        if ref not in self.waiting:
            if ref is None or code != "not_found":
                self.ledger.fault(f"an error frame about nothing: {code}")
        elif code in AGAIN:
            self._note_answer(ref)
            self._later(self._again(ref))
        else:
            self.ledger.refuse(ref, code)
            self._settle(ref, code)

    async def _again(self, txn: str) -> None:
        await asyncio.sleep(self._random.uniform(0.1, 0.3))
        await self._send_post(txn)

    def _answered(self, txn: str, seq: int) -> None:
        if txn not in self.ledger.sent:
            self.ledger.fault(f"{txn} was acknowledged to somebody else")
            return
        self.ledger.acknowledge(txn, seq)
        self._settle(txn, seq)

    def _note_answer(self, txn: str) -> None:
        self.in_flight.discard(txn)
        if (at := self.sent_at.pop(txn, None)) is not None:
            self.answers.add(time.monotonic() - at)
            self.intervals.append(("post", at, time.monotonic()))

    def _settle(self, txn: str, outcome: int | str) -> None:
        self._note_answer(txn)
        future = self.waiting.pop(txn, None)
        if future is not None and not future.done():
            future.set_result(outcome)

    # --- posting -----------------------------------------------------------------------------------------

    async def post(self, room: str) -> int | str:
        """Write one message and keep at it until it is answered for good: its seq, or the code of its refusal."""
        txn = self.ledger.write(room, self.who.user)
        future = asyncio.get_running_loop().create_future()
        self.waiting[txn] = future
        with contextlib.suppress(*GONE):
            await self._send_post(txn)
        return await future

    async def _send_post(self, txn: str) -> None:
        if self._socket is None or txn not in self.waiting or txn in self.in_flight:
            return
        sent = self.ledger.sent[txn]
        self.in_flight.add(txn)
        self.sent_at[txn] = time.monotonic()
        await self._socket.send(json.dumps({"type": "post", "room": sent.room, "txn_id": txn, "body": sent.body}))


class Writer:
    """REST: posts, and tries again as long as the answer is «not now», «later» or none at all."""

    def __init__(self, who: Somebody, bases: Callable[[], str], ledger: Ledger, *, limit_s: float = 30.0) -> None:
        self.who, self.ledger = who, ledger
        self._bases = bases
        self.client = httpx.AsyncClient(timeout=limit_s, headers=who.headers, verify=False)
        self.in_flight: set[str] = set()
        self.answers = Times()
        self.unavailable = Times()
        self.statuses: dict[int, int] = {}
        self.errors: dict[str, int] = {}

    async def __aenter__(self) -> "Writer":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()

    async def post(self, room: str, *, pause_s: float = 0.1) -> int | str:
        """Write one message until it is answered for good: its seq, or the code of its refusal."""
        txn = self.ledger.write(room, self.who.user)
        while True:
            self.in_flight.add(txn)
            try:
                outcome = await self._attempt(room, txn)
            finally:
                self.in_flight.discard(txn)
            if outcome is not None:
                return outcome
            await asyncio.sleep(pause_s)

    async def _attempt(self, room: str, txn: str) -> int | str | None:
        begun = time.monotonic()
        body = {"txn_id": txn, "body": self.ledger.sent[txn].body}
        try:
            answer = await self.client.post(f"{self._bases()}/api/v1/rooms/{room}/messages", json=body)
        except httpx.TransportError as error:
            name = type(error).__name__
            self.errors[name] = self.errors.get(name, 0) + 1
            return None
        took = time.monotonic() - begun
        self.statuses[answer.status_code] = self.statuses.get(answer.status_code, 0) + 1
        if answer.status_code in (200, 201):
            self.answers.add(took)
            seq = int(answer.json()["seq"])
            self.ledger.acknowledge(txn, seq)
            return seq
        code = check_problem(answer, self.ledger)
        if answer.status_code == 503:
            self.unavailable.add(took)
            return None
        if answer.status_code == 429:
            await asyncio.sleep(float(answer.headers["Retry-After"]))
            return None
        self.answers.add(took)
        self.ledger.refuse(txn, code)
        return code


def check_problem(answer: httpx.Response, ledger: Ledger) -> str:
    """A failure is problem+json with a code; 503 says when to come back; never a 500."""
    if answer.headers.get("content-type") != "application/problem+json":
        ledger.fault(f"{answer.status_code} is no problem document: {answer.headers.get('content-type')}")
        return ""
    if answer.status_code == 503 and not answer.headers.get("retry-after", "").isdigit():
        ledger.fault("503 without Retry-After")
    if answer.status_code == 500:
        ledger.fault("500")
    return str(answer.json()["code"])


async def until(done: Callable[[], bool], patience_s: float, what: str) -> float:
    """Wait until `done`; how long it took, in seconds. Raises AssertionError with `what` when it does not come."""
    begun = time.monotonic()
    while not done():
        assert time.monotonic() - begun < patience_s, f"not within {patience_s:g} s: {what}"
        await asyncio.sleep(0.02)
    return time.monotonic() - begun


async def keep_posting(who: Phone | Writer, rooms: Sequence[str], stop: asyncio.Event, pause_s: float = 0.0) -> int:
    """Write to the rooms in turn until told to stop; what was begun is finished. How many."""
    count = 0
    while not stop.is_set():
        await who.post(rooms[count % len(rooms)])
        count += 1
        if pause_s:
            await asyncio.sleep(pause_s)
    return count


def caught_up(phones: Sequence[Phone], ledger: Ledger) -> Callable[[], bool]:
    """Whether every phone has everything that was acknowledged in its rooms."""

    def done() -> bool:
        last: dict[str, int] = {}
        for txn, seq in ledger.acknowledged.items():
            room = ledger.sent[txn].room
            last[room] = max(last.get(room, 0), seq)
        return all(phone.cursors.get(room, 0) >= last.get(room, 0) for phone in phones for room in phone.cursors)

    return done


def compare_bodies(phones: Sequence[Phone], ledger: Ledger) -> int:
    """What came over sockets against what was acknowledged; how many were compared."""
    expected, count = ledger.expected(), 0
    for phone in phones:
        for key, body in phone.bodies.items():
            if key in expected:
                count += 1
                if expected[key] != body:
                    ledger.fault(f"{key} has another body on a socket")
    return count
