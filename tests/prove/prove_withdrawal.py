"""Law 5 between two server processes, with hints lost, doubled and late: nothing reaches the excluded afterwards.

Posts, resumes, history and marks are under way while the patient withdraws. When the withdrawal was committed is asked
of PostgreSQL itself (`track_commit_timestamp`); a case counts only for what was in flight across that moment.
"""

import asyncio
import random
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx
import psycopg
import pytest

from tests.faults.clients import Phone, Times, check_problem, until
from tests.faults.ledger import Ledger
from tests.faults.stage import Place, Somebody, Stage, stage
from tests.prove.lossy_redis import LossyRedis

pytestmark = pytest.mark.prove
HEARTBEAT_S = 1.0
SLACK_S = 1.5
ROOMS = 60
AT_A_TIME = 3
ENDS = """
    SELECT room_id::text, seq, extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8
    FROM rooms_roomevent WHERE type = 'consent' AND facts ->> 'act' = 'withdrawn'"""
LATE = """
    SELECT count(*) FROM rooms_roomevent e
    JOIN rooms_roomevent w ON w.room_id = e.room_id AND w.type = 'consent' AND w.facts ->> 'act' = 'withdrawn'
    JOIN rooms_member m ON m.room_id = e.room_id AND m.user_id = e.sender_id AND m.engagement_id IS NOT NULL
    WHERE e.seq > w.seq AND e.type IN ('message', 'edit', 'retraction')"""


@dataclass
class Case:
    """One room; times by the wall clock, which PostgreSQL shares."""

    place: Place
    by: int
    phones: list[tuple[Phone, int]] = field(default_factory=list)
    """With the number of the server process."""
    asked: list[tuple[str, float, float, int, int]] = field(default_factory=list)
    """REST of the excluded: what, begin, end, status, highest seq in the answer."""


class Asker:
    """One of the excluded, over REST: reads, marks and writes without pause."""

    def __init__(self, case: Case, who: Somebody, bases: list[str], ledger: Ledger) -> None:
        self._case, self._who, self._bases, self._ledger = case, who, bases, ledger

    async def work(self, stop: asyncio.Event) -> None:
        async with httpx.AsyncClient(timeout=30, headers=self._who.headers) as client:
            await asyncio.gather(
                *(
                    self._repeat(client, base, what, stop)
                    for base in self._bases
                    for what in ("history", "mark", "post")
                )
            )

    async def _repeat(self, client: httpx.AsyncClient, base: str, what: str, stop: asyncio.Event) -> None:
        address = f"{base}/api/v1/rooms/{self._case.place.id}"
        while not stop.is_set():
            begun, highest = time.time(), 0
            if what == "history":
                answer = await client.get(f"{address}/events?limit=50")
            elif what == "mark":
                answer = await client.put(f"{address}/read", json={"seq": 5})
            else:
                txn = self._ledger.write(self._case.place.id, self._who.user)
                body = {"txn_id": txn, "body": self._ledger.sent[txn].body}
                answer = await client.post(f"{address}/messages", json=body)
                if answer.status_code < 300:
                    highest = int(answer.json()["seq"])
                    self._ledger.acknowledge(txn, highest)
                else:
                    self._ledger.refuse(txn, check_problem(answer, self._ledger))
            if answer.status_code >= 400:
                check_problem(answer, self._ledger)
            elif what == "history":
                highest = max((event["seq"] for event in answer.json()["results"]), default=0)
            self._case.asked.append((what, begun, time.time(), answer.status_code, highest))
            await asyncio.sleep(0.02)


async def play(case: Case, here: Stage, ledger: Ledger, dice: random.Random) -> None:
    place, (first, second) = case.place, here.servers
    a, b, c, d = place.staff
    phones = [Phone(a, lambda: first.socket_url, ledger), Phone(b, lambda: second.socket_url, ledger)]
    restless = Phone(c, lambda: dice.choice((first, second)).socket_url, ledger)
    case.phones = [(phones[0], 0), (phones[1], 1), (restless, -1)]
    async with phones[0], phones[1], restless:
        await until(
            lambda: all(phone.synced.is_set() for phone, _ in case.phones), 60, "the first hello of every phone"
        )
        stop = asyncio.Event()

        async def writes(phone: Phone) -> None:
            while not stop.is_set():
                await phone.post(place.id)
                await phone.say(type="read", room=place.id, seq=phone.cursors[place.id])
                await phone.say(type="typing", room=place.id)
                await asyncio.sleep(0.02)

        async def comes_and_goes() -> None:
            while not stop.is_set():
                await asyncio.sleep(dice.uniform(0.05, 0.2))
                restless.drop()

        asker = Asker(case, d, [first.base, second.base], ledger)
        work = [asyncio.create_task(one) for one in (*map(writes, phones), comes_and_goes(), asker.work(stop))]
        await asyncio.sleep(dice.uniform(0.3, 0.8))
        async with httpx.AsyncClient(timeout=30, headers=place.patient.headers) as client:
            address = f"{here.servers[case.by].base}/api/v1/consents/{place.consent}/withdraw"
            (await client.post(address, json={})).raise_for_status()
        await asyncio.sleep(HEARTBEAT_S + 1)
        stop.set()
        await asyncio.wait_for(asyncio.gather(*work), 60)
        closed = [phone for phone, _ in case.phones]
        await until(lambda: all(place.id in phone.closed_rooms for phone in closed), 10, "room.closed for everybody")


@dataclass
class Verdict:
    """What the cases showed."""

    across: Counter[str] = field(default_factory=Counter)
    """Requests in flight across the commit, by kind."""
    cases: int = 0
    near: Times = field(default_factory=Times)
    far: Times = field(default_factory=Times)
    """From commit to `room.closed`: sockets of the process that withdrew, and of the other."""


def judge(cases: list[Case], ends: dict[str, tuple[int, float]], ledger: Ledger) -> Verdict:
    verdict, offset = Verdict(), time.time() - time.monotonic()
    for case in cases:
        last, at = ends[case.place.id]
        crossing: Counter[str] = Counter()
        for what, begun, ended, status, highest in case.asked:
            crossing[what] += begun < at < ended
            if highest >= last:
                ledger.fault(f"{what} answered with seq {highest}, access ended with {last}")
            if begun > at and status < 400:
                ledger.fault(f"{what} answered {status}, {begun - at:.3f} s after access had ended")
        for phone, where in case.phones:
            for what, begun, ended in phone.intervals:
                crossing[f"socket {what}"] += begun + offset < at < ended + offset
            for room, seq in phone.heard_at:
                if room == case.place.id and seq >= last:
                    ledger.fault(f"a socket got seq {seq}, access ended with {last}")
            for frame in phone.after_closing:
                ledger.fault(f"a frame of a closed room: {frame['type']}")
            if where >= 0:
                (verdict.near if where == case.by else verdict.far).add(phone.closed_rooms[case.place.id][0] - at)
        verdict.across += crossing
        verdict.cases += bool(+crossing)
    return verdict


def test_nothing_reaches_the_excluded() -> None:
    ledger, dice, proxies = Ledger(), random.Random(5), []
    with ExitStack() as keep:

        def through_proxy(number: int, url: str) -> str:
            proxy = keep.enter_context(LossyRedis(int(url.rsplit(":", 1)[1]), seed=number))
            proxies.append(proxy)
            return f"redis://127.0.0.1:{proxy.port}"

        here = keep.enter_context(
            stage(
                processes=2,
                rooms=ROOMS,
                members=5,
                heartbeat_s=HEARTBEAT_S,
                db_timeout_s=8,
                postgres_settings={"track_commit_timestamp": "on"},
                redis_for=through_proxy,
            )
        )
        for proxy in proxies:
            proxy.lossy = True
        cases = [Case(place, by=number % 2) for number, place in enumerate(here.rooms)]
        asyncio.run(play_all(cases, here, ledger, dice))
        with psycopg.connect(here.database) as connection:
            ends: dict[str, Any] = {room: (seq, at) for room, seq, at in connection.execute(ENDS)}
            late = connection.execute(LATE).fetchone()
        verdict = judge(cases, ends, ledger)
        figures = ledger.check(here.database)
        print(f"\n  {verdict.cases} of {len(cases)} withdrawals had requests in flight: {dict(verdict.across)}")
        print(f"  room.closed after the commit, same process: {verdict.near}\n  the other process: {verdict.far}")
        print(f"  hints: {[dict(proxy.counts) for proxy in proxies]}; {figures}")
        print(
            f"  refused: {dict(Counter(ledger.refused.values()))}; warnings {[one.warnings() for one in here.servers]}"
        )
        assert not ledger.faults, (len(ledger.faults), ledger.faults[:10])
        assert late == (0,)
        assert not here.faults_of_ours(), here.faults_of_ours()[:3]
        assert verdict.cases >= ROOMS // 2
        for kind in ("history", "mark", "post", "socket post", "socket resume"):
            assert verdict.across[kind] > 0, f"no {kind} was in flight across a commit"
        assert verdict.near.at(1) < 1 + SLACK_S
        assert verdict.far.at(1) < HEARTBEAT_S + 1 + SLACK_S


async def play_all(cases: list[Case], here: Stage, ledger: Ledger, dice: random.Random) -> None:
    limit = asyncio.Semaphore(AT_A_TIME)

    async def one(case: Case) -> None:
        async with limit:
            await play(case, here, ledger, dice)

    await asyncio.gather(*map(one, cases))
