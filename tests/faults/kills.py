"""kill -9 of the server in the middle of many posts, and what must be true afterwards."""

import asyncio
import random
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.faults.clients import Phone, Writer, caught_up, compare_bodies, keep_posting, until
from tests.faults.ledger import Ledger
from tests.faults.stage import Place, Stage

IN_FLIGHT = 16
ROUND_S = 60.0


@dataclass
class KillReport:
    """`in_flight` is how many posts were under way at each kill; only kills with `IN_FLIGHT` or more are counted."""

    rounds: int = 0
    in_flight: list[int] = field(default_factory=list)
    down_s: list[float] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        low, high = min(self.in_flight), max(self.in_flight)
        return (
            f"{self.rounds} kills with {low} to {high} posts in flight, restarts of {max(self.down_s):.1f} s at most; "
            f"{self.figures}"
        )


async def play_kills(stage: Stage, ledger: Ledger, *, rounds: int, seed: int, devices: int = 14) -> KillReport:
    """Kill and restart `rounds` times; half of the posts over sockets, half over REST. Everything is checked."""
    dice, report, server = random.Random(seed), KillReport(), stage.servers[0]
    async with AsyncExitStack() as keep:
        phones = [
            await keep.enter_async_context(Phone(who, lambda: server.socket_url, ledger, seed=seed + number))
            for number, (_, who) in enumerate(everybody(stage.rooms, devices))
        ]
        writers = [
            await keep.enter_async_context(Writer(who, lambda: server.base, ledger))
            for _, who in everybody(stage.rooms, devices)
        ]
        rooms = [place.id for place, _ in everybody(stage.rooms, devices)]
        await until(lambda: all(phone.synced.is_set() for phone in phones), 60, "every phone's first hello")
        stop = asyncio.Event()
        work = [
            asyncio.create_task(keep_posting(one, [room], stop))
            for group in (phones, phones, writers)  # a phone has two on the way at once
            for one, room in zip(group, rooms, strict=True)
        ]
        while report.rounds < rounds:
            await asyncio.sleep(dice.uniform(0.3, 1.2))
            flying = sum(len(one.in_flight) for one in (*phones, *writers))
            if flying < IN_FLIGHT:
                continue
            server.kill()
            begun = time.monotonic()
            report.rounds += 1
            report.in_flight.append(flying)
            await asyncio.to_thread(server.start)
            report.down_s.append(time.monotonic() - begun)
            await until(lambda: all(phone.synced.is_set() for phone in phones), ROUND_S, "every phone is back")
        stop.set()
        await asyncio.wait_for(asyncio.gather(*work), ROUND_S)
        await until(caught_up(phones, ledger), ROUND_S, "every phone has everything")
        compared = compare_bodies(phones, ledger)
        await compare_history(stage, ledger)
    report.figures = ledger.check(stage.database) | {"bodies_compared": compared}
    return report


def everybody(rooms: list[Place], count: int) -> list[tuple[Place, Any]]:
    """`count` members, a room after the other, patients among them."""
    found = [(place, place.people[which]) for which in range(len(rooms[0].people)) for place in rooms]
    assert len(found) >= count, "not enough members for that many devices"
    return found[:count]


async def compare_history(stage: Stage, ledger: Ledger) -> None:
    """What the patient of each room reads over REST is what was acknowledged, once."""
    expected = ledger.expected()
    for place in stage.rooms:
        async with httpx.AsyncClient(timeout=30, headers=place.patient.headers, verify=False) as client:
            address: str | None = f"{stage.servers[0].base}/api/v1/rooms/{place.id}/events?after=0&limit=500"
            seen: dict[int, str] = {}
            while address:
                page = (await client.get(address)).raise_for_status().json()
                for event in page["results"]:
                    if event["type"] == "message":
                        seen[event["seq"]] = event["content"]["body"]
                address = page["next"]
        if seen != {seq: body for (room, seq), body in expected.items() if room == place.id}:
            ledger.fault(f"the history of {place.id} is not what was acknowledged")
