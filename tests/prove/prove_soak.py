"""Three minutes of mixed work with phones that come and go: memory, threads and connections stay bounded."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import httpx
import psutil
import psycopg
import pytest

from tests.faults.clients import Phone, Writer, caught_up, check_problem, compare_bodies, keep_posting, until
from tests.faults.kills import compare_history, everybody
from tests.faults.ledger import Ledger
from tests.faults.stage import Server, Somebody, Stage, stage

pytestmark = pytest.mark.prove
SOAK_S = 180.0
SETTLED_S = 60.0
"""From then on nothing should grow but by what is kept on purpose."""
GROWTH = 0.15
CEILING = 8 + 16
"""DB_THREADS + DB_POOL: connections of one process, in their defaults."""
DEVICES = 24
MEBI = 2**20


@dataclass(frozen=True, slots=True)
class Sample:
    at_s: float
    rss: tuple[int, ...]
    threads: tuple[int, ...]
    files: tuple[int, ...]
    connections: int

    def __str__(self) -> str:
        mebi = "/".join(f"{each / MEBI:.0f}" for each in self.rss)
        threads, files = "/".join(map(str, self.threads)), "/".join(map(str, self.files))
        return f"{self.at_s:5.0f} s: {mebi} MiB, {threads} threads, {files} files, {self.connections} connections"


async def watch(here: Stage, samples: list[Sample], stop: asyncio.Event) -> None:
    begun, processes = time.monotonic(), [server.process for server in here.servers]
    while not stop.is_set():
        samples.append(await asyncio.to_thread(take, processes, here.database, time.monotonic() - begun))
        await asyncio.sleep(5)


def take(processes: list[psutil.Process], database: str, at_s: float) -> Sample:
    with psycopg.connect(database) as connection:
        row = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'samsnakk'").fetchone()
    return Sample(
        at_s,
        tuple(one.memory_info().rss for one in processes),
        tuple(one.num_threads() for one in processes),
        tuple(one.num_fds() for one in processes),
        int(row[0]) if row else 0,
    )


async def looks_around(
    who: Somebody, server: Server, room: str, ledger: Ledger, stop: asyncio.Event, done: Counter[str]
) -> None:
    """Pages, marks, and things that are refused."""
    paths = ("rooms", f"rooms/{room}", f"rooms/{room}/events?limit=50", f"rooms/{room}/receipts", "me", "me/access-log")
    async with httpx.AsyncClient(timeout=60, headers=who.headers) as client:
        while not stop.is_set():
            for path in (*paths, "rooms/01990000-0000-7000-8000-000000000000/events"):
                answer = await client.get(f"{server.base}/api/v1/{path}")
                done[str(answer.status_code)] += 1
                if answer.status_code >= 400:
                    check_problem(answer, ledger)
                await asyncio.sleep(0.05)


async def comes_and_goes(phone: Phone, dice: random.Random, stop: asyncio.Event) -> None:
    while not stop.is_set():
        await asyncio.sleep(dice.uniform(1, 8))
        phone.drop()


async def soak(here: Stage, ledger: Ledger, seconds: float, samples: list[Sample]) -> tuple[int, Counter[str]]:
    dice, looks = random.Random(3), Counter[str]()
    async with AsyncExitStack() as keep:
        phones: list[Phone] = []
        writers, rooms = [], []
        for number, (place, who) in enumerate(everybody(here.rooms, DEVICES)):
            pick = random.Random(number)
            url: Callable[[], str] = lambda pick=pick: pick.choice(here.servers).socket_url  # type: ignore[misc] # noqa: E731
            base: Callable[[], str] = lambda pick=pick: pick.choice(here.servers).base  # type: ignore[misc] # noqa: E731
            phones.append(await keep.enter_async_context(Phone(who, url, ledger, seed=number)))
            writers.append(await keep.enter_async_context(Writer(who, base, ledger, limit_s=60)))
            rooms.append(place.id)
        await until(lambda: all(phone.synced.is_set() for phone in phones), 60, "the first hello of every phone")
        stop = asyncio.Event()
        work = [asyncio.create_task(watch(here, samples, stop))]
        work += [asyncio.create_task(comes_and_goes(phone, dice, stop)) for phone in phones]
        for pause_s, group in ((0.5, phones), (1.5, writers)):
            work += [
                asyncio.create_task(keep_posting(one, [room], stop, pause_s))  # type: ignore[misc]
                for one, room in zip(group, rooms, strict=True)
            ]
        for number, (place, who) in enumerate(everybody(here.rooms, 4)):
            server = here.servers[number % len(here.servers)]
            work.append(asyncio.create_task(looks_around(who, server, place.id, ledger, stop, looks)))
        await asyncio.sleep(seconds)
        stop.set()
        await asyncio.wait_for(asyncio.gather(*work), 90)
        await until(lambda: all(phone.synced.is_set() for phone in phones), 60, "every phone is back")
        await until(caught_up(phones, ledger), 60, "every phone has everything")
        compare_bodies(phones, ledger)
        await compare_history(here, ledger)
        for name, group_of in (("socket posts", phones), ("REST posts", writers)):
            slowest = max(one.answers.at(1) for one in group_of)  # type: ignore[attr-defined]
            looks[f"{name}, slowest in ms"] = int(slowest * 1000)
        return sum(phone.lost for phone in phones), looks


def test_soak() -> None:
    ledger, samples = Ledger(), list[Sample]()
    with stage(rooms=8, members=4, processes=2, db_timeout_s=8) as here:
        lost, looks = asyncio.run(soak(here, ledger, SOAK_S, samples))
        figures = ledger.check(here.database)
        print(f"\n  {figures}; {lost} disconnects; looks by status {dict(looks)}")
        for sample in samples[:: max(len(samples) // 8, 1)]:
            print(f"    {sample}")
        print(f"  warnings: {[server.warnings() for server in here.servers]}")
        assert not ledger.faults, ledger.faults[:10]
        assert not here.faults_of_ours(), here.faults_of_ours()[:3]
    settled = [sample for sample in samples if sample.at_s >= SETTLED_S]
    for which in range(2):
        then, now = settled[0].rss[which], settled[-1].rss[which]
        assert now < then * (1 + GROWTH), f"memory grew from {then / MEBI:.0f} to {now / MEBI:.0f} MiB"
        assert max(sample.files[which] for sample in settled) < 200
        assert max(sample.threads[which] for sample in settled) < 100
    assert max(sample.connections for sample in samples) <= CEILING * 2
