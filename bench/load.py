"""The load generator: a process of its own, told what to do in JSON lines on its standard input, one answer to each.

`python -m bench.load` is started by the benchmark; everything it does is a method of `Generator`.
"""

import asyncio
import gc
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx

from bench.peer import PATIENCE_S, Peer
from bench.tally import Message, Seat, Tally

CONNECTING_AT_ONCE = 20
DRAIN_S = 15.0


class Device:
    """A signed-in socket that answers every event with `delivered`, as a real client does."""

    def __init__(self, generator: "Generator", seat: Seat, place: int) -> None:
        self.generator, self.seat, self.place = generator, seat, place
        self.seq = 0
        self.events = 0
        self.said_hello = self.synced_at = self.closed_at = 0.0
        self.peer: Peer | None = None
        self._synced: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._delivered = f'{{"type":"delivered","room":"{seat.room}","seq":'.encode()

    async def connect(self, after: int | None = None) -> None:
        """Connect, say hello (with `after` as cursor) and wait for `synced`. Raises Refused, OSError, TimeoutError."""
        peer = self.peer = await Peer.connect(self.seat.url)
        peer.on_frame, peer.on_close = self._frame, self._closed
        cursors = {} if after is None else {self.seat.room: after}
        if after is not None:
            self.seq = after
        self.said_hello = time.perf_counter()
        peer.say(type="hello", protocol=1, token=self.seat.token, cursors=cursors)
        async with asyncio.timeout(PATIENCE_S):
            await self._synced

    def post(self, due: float) -> Message:
        assert self.peer is not None
        tally = self.generator.tally
        self.peer.send(tally.begin(self.seat, due, time.perf_counter(), self.generator.sockets_in(self.seat.room)))
        return tally.messages[-1]

    def close(self) -> None:
        if self.peer is not None:
            self.peer.on_close = lambda code: None
            self.peer.close()

    def _frame(self, payload: bytes, at: float) -> None:
        # The common frames are told apart by how they begin; whatever looks different is parsed.
        if payload.startswith(b'{"type":"event",'):
            self._event(payload, at)
        elif payload.startswith(b'{"type":"posted",'):
            self._posted(payload, at)
        elif payload.startswith(b'{"type":"receipt",'):
            self.generator.tally.frames["receipt"] += 1
        else:
            self._other(payload, at)

    def _event(self, payload: bytes, at: float) -> None:
        self.events += 1
        tally = self.generator.tally
        tally.frames["event"] += 1
        seq = tally.arrived(self.place, self.seat.room, payload, at)
        if seq != self.seq + 1:
            tally.faults["out of order"] += 1
        self.seq = seq
        if self.peer is not None:
            self.peer.send(b"%b%d}" % (self._delivered, seq))

    def _posted(self, payload: bytes, at: float) -> None:
        message = self.generator.tally.posted(payload, at)
        if message is not None:
            self.generator.on_posted(message)

    def _other(self, payload: bytes, at: float) -> None:
        told = json.loads(payload)
        kind = told["type"]
        if kind == "event":
            self._event(payload, at)
        elif kind == "posted":
            self._posted(payload, at)
        else:
            self.generator.tally.frames[kind] += 1
        if kind == "welcome" and not self.seq:
            self.seq = told["rooms"].get(self.seat.room, 0)
        elif kind == "synced" and not self._synced.done():
            self.synced_at = at
            self._synced.set_result(None)
        elif kind == "room.closed":
            self.closed_at = at
        elif kind == "error":
            message = self.generator.tally.refused(str(told.get("ref") or ""), told["code"])
            if message is not None:
                self.generator.on_posted(message)

    def _closed(self, code: int | None) -> None:
        self.generator.tally.faults[f"closed {code}"] += 1
        if not self._synced.done():
            self._synced.set_exception(ConnectionError(f"closed with {code} before synced"))


class Generator:
    """The sockets of a run and the loads that can be put on them."""

    def __init__(self, run: str) -> None:
        self.tally = Tally(run)
        self.devices: list[Device] = []
        self._per_room: dict[str, int] = {}
        self.on_posted: Callable[[Message], None] = lambda message: None

    def sockets_in(self, room: str) -> int:
        return self._per_room[room]

    async def connect(self, seats: list[dict[str, str]]) -> dict[str, Any]:
        """Sign in every seat and wait until all are synced."""
        gate = asyncio.Semaphore(CONNECTING_AT_ONCE)
        begun = time.perf_counter()

        async def one(device: Device) -> float:
            async with gate:
                await device.connect()
            return device.synced_at - device.said_hello

        fresh = []
        for seat in (Seat(**each) for each in seats):
            place = self._per_room.get(seat.room, 0)
            self._per_room[seat.room] = place + 1
            fresh.append(Device(self, seat, place))
        await asyncio.gather(*(one(device) for device in fresh))
        self.devices += fresh
        gc.collect()
        gc.freeze()
        return {"sockets": len(self.devices), "seconds": round(time.perf_counter() - begun, 2)}

    async def disconnect(self) -> dict[str, Any]:
        for device in self.devices:
            device.close()
        self.devices, self._per_room = [], {}
        await asyncio.sleep(0.5)
        return {"messages": len(self.tally.messages), "faults": dict(self.tally.faults)}

    async def rest(self, seconds: float) -> dict[str, Any]:
        """Sockets are open and nobody says anything."""
        before = self.tally.frames.copy()
        await asyncio.sleep(seconds)
        return {"frames": dict(self.tally.frames - before)}

    async def open_loop(self, rate: float, seconds: float) -> dict[str, Any]:
        """Message number i is due at i / rate, whatever became of those before it."""
        devices = self._in_turn()
        frames, faults = self.tally.frames.copy(), self.tally.faults.copy()
        begun, cpu = len(self.tally.messages), time.process_time()
        started = time.perf_counter() + 0.2
        for number in range(round(rate * seconds)):
            due = started + number / rate
            wait = due - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            elif number % 50 == 0:
                await asyncio.sleep(0)  # late: read now and then all the same
            devices[number % len(devices)].post(due)
        await self._drain()
        return self._told(begun, started, cpu, frames, faults) | {"rate": rate, "seconds": seconds}

    async def closed_loop(self, senders: int, seconds: float) -> dict[str, Any]:
        """Each of `senders`, in a room of its own, writes again as soon as the last is acknowledged."""
        frames, faults = self.tally.frames.copy(), self.tally.faults.copy()
        begun, cpu = len(self.tally.messages), time.process_time()
        by_user = {device.seat.user: device for device in self._in_turn()[:senders]}
        started = time.perf_counter()
        until = started + seconds

        def next_one(message: Message) -> None:
            now = time.perf_counter()
            if now < until and message.seat.user in by_user:
                by_user[message.seat.user].post(now)

        self.on_posted = next_one
        for device in by_user.values():
            device.post(time.perf_counter())
        await asyncio.sleep(seconds)
        await self._drain()
        self.on_posted = lambda message: None
        return self._told(begun, started, cpu, frames, faults) | {"senders": len(by_user)}

    async def catch_up(self, events: int, times: int) -> dict[str, Any]:
        """Somebody was away while `events` messages passed in their room: from hello to synced, `times` over."""
        room = self.devices[0].seat.room
        members = [device for device in self.devices if device.seat.room == room]
        head = members[0].seq
        window = 8 * len(members)
        for number in range(events):
            members[number % len(members)].post(time.perf_counter())
            await self._until_open(window - 1, DRAIN_S, every_s=0.002)
        await self._drain()
        took, connected, wrong = [], [], 0
        for number in range(times):
            # A device of its own: nothing of what it gets is counted as received by the room.
            device = Device(Generator(self.tally.run), members[number % len(members)].seat, 0)
            begun = time.perf_counter()
            await device.connect(after=head)
            took.append(device.synced_at - device.said_hello)
            connected.append(device.synced_at - begun)
            wrong += device.events != events or device.seq != head + events or bool(device.generator.tally.faults)
            device.close()
            await asyncio.sleep(0.3)
        return {"events": events, "times": times, "incomplete": wrong, "hello_to_synced_s": took, "all_s": connected}

    async def withdraw(self, rooms: list[dict[str, str]]) -> dict[str, Any]:
        """In one room after the other the patient withdraws: when it was asked for, and when each socket of the staff
        was told (`room.closed`), by the wall clock, which PostgreSQL shares."""
        told, silent = {}, 0
        for room in rooms:
            devices = [one for one in self.devices if one.seat.room == room["id"] and one.seat.user != room["patient"]]
            offset, asked = time.time() - time.perf_counter(), time.time()
            async with httpx.AsyncClient(headers={"Authorization": f"Bearer {room['token']}"}) as client:
                answer = await client.post(f"{room['base']}/api/v1/consents/{room['consent']}/withdraw", json={})
            if answer.status_code != 200:
                raise RuntimeError(f"a withdrawal was answered {answer.status_code}")
            until = time.perf_counter() + DRAIN_S
            while not all(one.closed_at for one in devices) and time.perf_counter() < until:  # noqa: ASYNC110 - as below
                await asyncio.sleep(0.01)
            closed = [one.closed_at + offset for one in devices if one.closed_at]
            silent += len(devices) - len(closed)
            told[room["id"]] = {"asked": asked, "closed": closed}
        return {"rooms": told, "silent": silent}

    async def results(self, out: str) -> dict[str, Any]:
        """Write every acknowledged message to the file `out`, for the row check."""
        await asyncio.to_thread(Path(out).write_text, json.dumps(self.tally.acknowledged()))
        return {"messages": len(self.tally.messages), "faults": dict(self.tally.faults)}

    def _in_turn(self) -> list[Device]:
        """All devices, a different room each time, so that the load is even over rooms and members."""
        return sorted(self.devices, key=lambda device: device.place)

    async def _drain(self) -> None:
        """Wait until every message is acknowledged and with everybody; those that are not by then are lost."""
        await self._until_open(0, DRAIN_S, every_s=0.01)
        if self.tally.open:
            self.tally.faults["not drained"] += self.tally.open
            self.tally.open = 0

    async def _until_open(self, most: int, patience_s: float, *, every_s: float) -> None:
        until = time.perf_counter() + patience_s
        # Looked at now and then: an event set for every message would be work on the path that is measured.
        while self.tally.open > most and time.perf_counter() < until:  # noqa: ASYNC110
            await asyncio.sleep(every_s)

    def _told(
        self, begun: int, started: float, cpu: float, frames: dict[str, int], faults: dict[str, int]
    ) -> dict[str, Any]:
        return self.tally.summary(begun, started) | {
            "generator_cpu_s": round(time.process_time() - cpu, 2),
            "frames": {kind: count - frames.get(kind, 0) for kind, count in self.tally.frames.items()},
            "faults": {
                kind: count - faults.get(kind, 0)
                for kind, count in self.tally.faults.items()
                if count > faults.get(kind, 0)
            },
        }


async def serve(run: str) -> None:
    """Answer commands until standard input ends: `{"do": …, …}` → `{"ok": …}` or `{"fault": …}`."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=64 * 1024 * 1024)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    generator = Generator(run)
    while line := await reader.readline():
        words = json.loads(line)
        call: Callable[..., Awaitable[dict[str, Any]]] = getattr(generator, words.pop("do"))
        try:
            answer: dict[str, Any] = {"ok": await call(**words)}
        except (OSError, TimeoutError, RuntimeError) as fault:
            answer = {"fault": f"{type(fault).__name__}: {fault}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
