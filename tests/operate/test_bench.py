"""The benchmark itself: it must see what goes wrong, or its figures mean nothing."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from bench import report
from bench.load import Generator
from bench.tally import SIZE, Seat, Tally, body_of, percentiles

ROOT = Path(__file__).resolve().parents[2]
ROOM = "01a20050-b599-70e8-84ab-e2a02c1338f8"
HEAD = 7


class Town:
    """A server of three sockets in one room that keeps the contract, but for what `mischief` does to one message."""

    def __init__(self, mischief: str = "") -> None:
        self.mischief = mischief
        self.head = HEAD
        self.sockets: dict[str, ServerConnection] = {}
        self.delivered: dict[str, int] = {}
        self.log: list[str] = []

    async def __call__(self, socket: ServerConnection) -> None:
        hello = json.loads(await socket.recv())
        user, after = hello["token"], hello["cursors"].get(ROOM)
        self.sockets.setdefault(user, socket)
        await self.say(socket, type="welcome", user=user, protocol=1, heartbeat_s=15, rooms={ROOM: self.head})
        for frame in self.log[after - HEAD :] if after is not None else ():
            await socket.send(frame)
        await self.say(socket, type="synced")
        async for text in socket:
            frame = json.loads(text)
            if frame["type"] == "post":
                await self.post(socket, user, frame)
            elif frame["type"] == "delivered":
                self.delivered[user] = max(self.delivered.get(user, 0), frame["seq"])

    async def post(self, socket: ServerConnection, user: str, frame: dict[str, Any]) -> None:
        third = self.mischief if frame["txn_id"].endswith("-3") else ""
        if third == "refuse":
            await self.say(socket, type="error", code="unavailable", ref=frame["txn_id"])
            return
        self.head += 1
        content = {"kind": "text", "body": frame["body"], "reply_to": None}
        event = {"room": ROOM, "seq": self.head, "type": "message", "sender": user}
        event |= {"created_at": "2026-01-01T00:00:00Z", "content": content}
        if third == "garble":
            content["body"] = content["body"].replace("tirsdag", "onsdag!")
        told = json.dumps({"type": "event", "event": event}, separators=(",", ":"))
        self.log.append(told)
        await self.say(socket, type="posted", room=ROOM, txn_id=frame["txn_id"], seq=self.head)
        for name, other in self.sockets.items():
            if third == "lose" and name == "b":
                continue
            for _ in range(2 if third == "double" and name == "b" else 1):
                await other.send(told)

    async def say(self, socket: ServerConnection, **words: Any) -> None:
        await socket.send(json.dumps(words, separators=(",", ":")))


def driven(town: Town, load: Callable[[Generator], Awaitable[dict[str, Any]]]) -> tuple[dict[str, Any], Generator]:
    """What the generator tells of a load that it puts on `town`."""

    async def run() -> tuple[dict[str, Any], Generator]:
        async with serve(town, "127.0.0.1", 0, compression=None) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            generator = Generator("b1")
            url = f"ws://127.0.0.1:{port}/ws/v1"
            await generator.connect([{"url": url, "token": who, "user": who, "room": ROOM} for who in "abc"])
            told = await load(generator)
            await generator.disconnect()
            return told, generator

    return asyncio.run(run())


def few(generator: Generator) -> Awaitable[dict[str, Any]]:
    return generator.open_loop(rate=100, seconds=0.2)


def test_an_honest_server_has_no_faults() -> None:
    town = Town()
    told, generator = driven(town, few)
    assert told["faults"] == {}
    assert told["sent"] == told["acknowledged"] == told["delivered_to_all"] == 20
    assert told["lost"] == 0
    assert 0 < told["to_all_ms"]["p50"] <= told["to_all_ms"]["p99"]
    assert town.delivered == dict.fromkeys("abc", HEAD + 20), "every event was answered with delivered"
    acknowledged = generator.tally.acknowledged()
    assert [row[3] for row in acknowledged] == list(range(HEAD + 1, HEAD + 21))
    assert acknowledged[0] == [ROOM, "a", "b1-0", HEAD + 1]


@pytest.mark.parametrize(
    ("mischief", "fault"),
    [
        ("lose", {"not drained": 1, "out of order": 1}),
        ("double", {"duplicated": 1, "out of order": 1}),
        ("refuse", {"error unavailable": 1}),
    ],
)
def test_a_fault_of_the_server_is_seen(mischief: str, fault: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.load.DRAIN_S", 0.3)
    told, _ = driven(Town(mischief), few)
    assert told["faults"] == fault
    assert told["lost"] == (mischief == "lose")
    assert told["refused"] == (mischief == "refuse")
    assert report.faults({"A": [told | {"rate": 100}]}) != []


def test_a_changed_body_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.tally.CHECKED_IN_FULL", 1)
    told, _ = driven(Town("garble"), few)
    assert told["faults"] == {"garbled": 3}


def test_latency_counts_from_when_a_message_was_due() -> None:
    """A server that stands still makes the messages behind late too: no coordinated omission."""

    class Slow(Town):
        async def post(self, socket: ServerConnection, user: str, frame: dict[str, Any]) -> None:
            if frame["txn_id"].endswith("-2"):
                await asyncio.sleep(0.3)
            await super().post(socket, user, frame)

    told, _ = driven(Slow(), lambda generator: generator.open_loop(rate=50, seconds=0.4))
    # Number 2 and those that the same sender wrote meanwhile.
    assert told["acknowledged_ms"]["max"] >= 300
    assert told["acknowledged_ms"]["p95"] >= 200
    assert told["acknowledged_ms"]["p50"] < 200


def test_closed_loop_and_catch_up() -> None:
    told, _ = driven(Town(), lambda generator: generator.closed_loop(senders=2, seconds=0.2))
    assert told["sent"] == told["acknowledged"] == told["delivered_to_all"] > 2
    told, _ = driven(Town(), lambda generator: generator.catch_up(events=30, times=3))
    assert told["incomplete"] == 0
    assert len(told["hello_to_synced_s"]) == 3


def test_a_catch_up_that_lacks_an_event_is_incomplete() -> None:
    class Forgetful(Town):
        async def say(self, socket: ServerConnection, **words: Any) -> None:
            if words["type"] == "welcome" and len(self.log) == 30:
                self.log.pop(11)
            await super().say(socket, **words)

    told, _ = driven(Forgetful(), lambda generator: generator.catch_up(events=30, times=1))
    assert told["incomplete"] == 1


def test_bodies_have_the_size_that_is_told() -> None:
    assert {len(body_of(number).encode()) for number in (0, 9, 12_345, 9_999_999)} == {SIZE}


@pytest.mark.parametrize(
    ("milliseconds", "p50", "p99"), [([5], 5, 5), ([1, 2], 1, 2), (range(1, 101), 50, 99), (range(1, 1001), 500, 990)]
)
def test_percentiles_are_nearest_rank(milliseconds: list[int], p50: int, p99: int) -> None:
    found = percentiles([one / 1000 for one in milliseconds])
    assert (found["p50"], found["p99"]) == (p50, p99)
    assert percentiles([]) == {}


def test_an_acknowledgement_of_another_run_is_not_ours() -> None:
    tally = Tally("b1")
    tally.begin(Seat("ws://x", "t", "u", ROOM), 0.0, 0.0, 2)
    assert tally.posted(b'{"type":"posted","room":"r","txn_id":"b2-0","seq":8}', 1.0) is None
    assert tally.posted(b'{"type":"posted","room":"r","txn_id":"b1-0","seq":8}', 1.0) is not None


def test_rows_that_do_not_match_are_told() -> None:
    clean = {"acknowledged": 5, "stored": 5, "stored_twice": 0, "rooms_with_holes": 0}
    assert report.faults({"rows": clean}) == []
    assert report.faults({"rows": clean | {"stored_twice": 1}}) == ["rows: stored_twice 1"]
    assert report.faults({"rows": clean | {"stored": 4}}) == ["rows: 4 stored of 5 acknowledged"]


@pytest.mark.prove
@pytest.mark.skipif(
    not os.environ.get("DATABASE_URL"), reason="runs with the real servers, in the other half of the tests"
)
def test_the_whole_benchmark_in_small(tmp_path: Path) -> None:
    """Real PostgreSQL, Redis, server process and sockets, and the row check."""
    command = [sys.executable, "-m", "bench", "--smoke", "--only", "A,B,C", "--processes", "2", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(next(tmp_path.glob("*.json")).read_text())
    assert told["rows"]["stored"] == told["rows"]["acknowledged"] > 40
    assert told["A"][0]["delivered_to_all"] == told["A"][0]["sent"]
    assert told["exit_statuses"] == [0, 0]
    assert "lost" in done.stdout


@pytest.mark.prove
@pytest.mark.skipif(
    not os.environ.get("DATABASE_URL"), reason="runs with the real servers, in the other half of the tests"
)
def test_the_benchmark_of_calls_for_help_in_small(tmp_path: Path) -> None:
    """As `test_the_whole_benchmark_in_small`, with a push service."""
    command = [sys.executable, "-m", "bench", "alerts", "--smoke", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(next(tmp_path.glob("*.json")).read_text())
    assert told["closed"]["calls"] == 8
    assert told["phone_refused"] == {}
    assert told["statements"]["put"] > 10
    assert (
        0 < told["open"][0]["put_ms"]["p50"] < told["open"][0]["page_ms"]["p50"] < told["open"][0]["accept_ms"]["p50"]
    )
