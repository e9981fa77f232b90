"""Law 5 between two server processes, with hints lost, doubled and late: nothing reaches anybody after their access
ended, however it ended.

Posts, pages of history, resumes, marks and exports of own posts are under way while it ends: by a withdrawal, a
narrowing, an exclusion of a person or a unit, a short consent running out, or emergency access ended by hand. When that
was committed is asked of PostgreSQL itself (`track_commit_timestamp`); of a consent that runs out, it is the moment
that the patient chose. A case counts only if a request of somebody who lost access was in flight across that moment.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
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
TICK_S = 1.0
SLACK_S = 1.5
EACH = 10
"""Cases of each ending."""
AT_A_TIME = 3
COMES_AND_GOES = -1
"""In place of a server process: now to one, now to the other."""
IN_FLIGHT = 0.3
"""The least share of cases that must have had a request in flight."""
ENDINGS = ("withdrawn", "narrowed", "person excluded", "unit excluded", "run out", "emergency access ended")
PATHS = ("history", "mark", "post", "own posts")
COUNTED = ("post", "history", "own posts", "socket post", "socket resume")
ENDS = """
    SELECT m.room_id::text, m.user_id::text, e.seq, extract(epoch FROM pg_xact_commit_timestamp(e.xmin))::float8
    FROM rooms_span s JOIN rooms_member m ON m.id = s.member_id
    JOIN rooms_roomevent e ON e.room_id = m.room_id AND e.seq = s.until WHERE m.engagement_id IS NOT NULL
    UNION ALL
    SELECT room_id::text, facts ->> 'user', seq, extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8
    FROM rooms_roomevent WHERE type = 'emergency_access' AND facts ->> 'act' = 'ended'"""
LATE = """
    SELECT count(*) FROM rooms_roomevent e LEFT JOIN rooms_member m ON m.room_id = e.room_id AND m.user_id = e.sender_id
    WHERE e.type IN ('message', 'edit', 'retraction') AND NOT EXISTS (
        SELECT 1 FROM rooms_span s
        WHERE s.member_id = m.id AND s.first <= e.seq AND (s.until IS NULL OR e.seq < s.until))"""
"""Written by somebody outside their intervals, or who never had one."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of somebody who lost access; times by the wall clock, which PostgreSQL shares."""

    what: str
    begun: float
    ended: float
    status: int
    highest: int
    """The highest seq in the answer."""


@dataclass
class Loser:
    """Somebody who loses access, and everything that they have under way meanwhile."""

    who: Somebody
    asked: list[Asked] = field(default_factory=list)
    phones: list[tuple[Phone, int]] = field(default_factory=list)
    """With the number of the server process."""
    asks: bool = False
    """Over REST."""


@dataclass
class Case:
    """One room, and how access to it ends."""

    place: Place
    ending: str
    by: int
    losers: list[Loser]
    stays: list[Somebody]
    run_out_at: float | None = None


class Asker:
    """REST of one loser, on both server processes: each path again and again, without pause."""

    def __init__(self, case: Case, loser: Loser, bases: list[str], ledger: Ledger) -> None:
        self._case, self._loser, self._bases, self._ledger = case, loser, bases, ledger

    async def work(self, stop: asyncio.Event) -> None:
        paths = ("history",) if self._case.ending == "emergency access ended" else PATHS
        async with httpx.AsyncClient(timeout=30, headers=self._loser.who.headers) as client:
            await asyncio.gather(*(self._repeat(client, base, what, stop) for base in self._bases for what in paths))

    async def _repeat(self, client: httpx.AsyncClient, base: str, what: str, stop: asyncio.Event) -> None:
        address = f"{base}/api/v1/rooms/{self._case.place.id}"
        while not stop.is_set():
            begun, highest = time.time(), 0
            if what == "history":
                answer = await client.get(f"{address}/events?limit=50")
            elif what == "own posts":
                answer = await client.get(f"{address}/own-posts?limit=50")
            elif what == "mark":
                answer = await client.put(f"{address}/read", json={"seq": 5})
            else:
                answer, highest = await self._post(client, address)
            if answer.status_code >= 400:
                check_problem(answer, self._ledger)
            elif what in ("history", "own posts"):
                highest = max((event["seq"] for event in answer.json()["results"]), default=0)
            self._loser.asked.append(Asked(what, begun, time.time(), answer.status_code, highest))
            await asyncio.sleep(0.02)

    async def _post(self, client: httpx.AsyncClient, address: str) -> tuple[httpx.Response, int]:
        txn = self._ledger.write(self._case.place.id, self._loser.who.user)
        body = {"txn_id": txn, "body": self._ledger.sent[txn].body}
        answer = await client.post(f"{address}/messages", json=body)
        if answer.status_code >= 300:
            self._ledger.refuse(txn, check_problem(answer, self._ledger))
            return answer, 0
        seq = int(answer.json()["seq"])
        self._ledger.acknowledge(txn, seq)
        return answer, seq


def give_phones(case: Case, urls: Sequence[str], ledger: Ledger, dice: random.Random) -> None:
    """Of four who lose access, two write on one server process each, one comes and goes, and one asks over REST; of one
    or two, each does it all."""
    alone = len(case.losers) < 3
    for number, loser in enumerate(case.losers):
        if alone or number < 2:
            at = (case.by + number + 1) % 2
            loser.phones.append((Phone(loser.who, lambda at=at: urls[at], ledger), at))
        if alone or number == 2:
            loser.phones.append((Phone(loser.who, lambda: dice.choice(urls), ledger), COMES_AND_GOES))
        loser.asks = alone or number == 3


async def play(case: Case, here: Stage, ledger: Ledger, dice: random.Random) -> None:
    """Everything of one case: who will lose access works from all sides, and in the middle of it access ends."""
    room, bases = case.place.id, [server.base for server in here.servers]
    urls = [server.socket_url for server in here.servers]
    give_phones(case, urls, ledger, dice)
    phones = [one for loser in case.losers for one in loser.phones]
    told = [phone for phone, _ in phones]
    witnesses = [Phone(who, lambda: dice.choice(urls), ledger) for who in case.stays[:1]]
    stop = asyncio.Event()

    async def writes(phone: Phone) -> None:
        while not stop.is_set():
            if case.ending != "emergency access ended":
                await phone.post(room)
            await phone.say(type="read", room=room, seq=phone.cursors[room])
            await phone.say(type="typing", room=room)
            await asyncio.sleep(0.02)

    async def comes_and_goes(phone: Phone) -> None:
        while not stop.is_set():
            await asyncio.sleep(dice.uniform(0.05, 0.2))
            phone.drop()

    async with AsyncExitStack() as keep:
        for phone in (*told, *witnesses):
            await keep.enter_async_context(phone)
        await until(
            lambda: all(phone.synced.is_set() for phone in (*told, *witnesses)), 60, "every phone's first hello"
        )
        if case.ending == "run out":
            await shorten(case, bases[case.by], dice)
        works = [comes_and_goes(phone) if at == COMES_AND_GOES else writes(phone) for phone, at in phones]
        works += [Asker(case, loser, bases, ledger).work(stop) for loser in case.losers if loser.asks]
        work = [asyncio.create_task(one) for one in works]
        await end(case, bases[case.by], dice)
        await asyncio.sleep(HEARTBEAT_S + 1)
        stop.set()
        await asyncio.wait_for(asyncio.gather(*work), 60)
        await until(lambda: all(room in phone.closed_rooms for phone in told), 10, f"room.closed: {case.ending}")
        if any(room in phone.closed_rooms for phone in witnesses):
            ledger.fault(f"{case.ending}: closed to somebody who stays")


async def end(case: Case, base: str, dice: random.Random) -> None:
    """Let access end, as the patient, as whoever has it in an emergency, or by waiting for it."""
    if case.run_out_at is not None:
        await asyncio.sleep(max(case.run_out_at - time.time(), 0) + TICK_S)
        return
    await asyncio.sleep(dice.uniform(0.3, 0.8))
    room, consent = f"{base}/api/v1/rooms/{case.place.id}", f"{base}/api/v1/consents/{case.place.consent}"
    users = [loser.who.user for loser in case.losers]
    acting = case.losers[0].who if case.ending == "emergency access ended" else case.place.patient
    async with httpx.AsyncClient(timeout=30, headers=acting.headers) as client:
        if case.ending == "withdrawn":
            answer = await client.post(f"{consent}/withdraw", json={})
        elif case.ending == "narrowed":
            answer = await client.post(f"{consent}/change", json={"grantees": [one.user for one in case.stays]})
        elif case.ending == "person excluded":
            answer = await client.post(f"{base}/api/v1/exclusions", json={"user": users[0]})
        elif case.ending == "unit excluded":
            members = (await client.get(f"{room}/members")).json()["results"]
            unit = next(one["unit"] for one in members if one["user"] == users[0])
            answer = await client.post(f"{consent}/change", json={"excluded_units": [unit]})
        else:
            answer = await client.delete(f"{room}/emergency-access")
        assert answer.status_code < 300, (case.ending, answer.text)


async def shorten(case: Case, base: str, dice: random.Random) -> None:
    """The patient chooses an end that comes soon, before anything is under way."""
    async with httpx.AsyncClient(timeout=30, headers=case.place.patient.headers) as client:
        for longest_s in (2.5, 8.0, 25.0):  # on a loaded machine it is over before it is heard
            at = datetime.now(UTC) + timedelta(seconds=dice.uniform(0.8, 1.0) * longest_s)
            address = f"{base}/api/v1/consents/{case.place.consent}/change"
            answer = await client.post(address, json={"until": at.isoformat()})
            if answer.status_code == 200:
                break
        answer.raise_for_status()
    case.run_out_at = at.timestamp()


@dataclass
class Verdict:
    """What the cases showed."""

    leaks: list[str] = field(default_factory=list)
    across: Counter[str] = field(default_factory=Counter)
    """Requests in flight across the moment, by path."""
    counted: Counter[str] = field(default_factory=Counter)
    """Cases with one, by ending."""
    near: Times = field(default_factory=Times)
    far: Times = field(default_factory=Times)
    timed: Times = field(default_factory=Times)
    """From the moment to `room.closed`: sockets of the process that ended it, of the other, and where time ended it."""


def judge(cases: Sequence[Case], ends: dict[tuple[str, str], tuple[int, float]]) -> Verdict:
    verdict, offset = Verdict(), time.time() - time.monotonic()
    for case in cases:
        crossing: Counter[str] = Counter()
        for loser in case.losers:
            last, committed = ends[case.place.id, loser.who.user]
            at = case.run_out_at if case.run_out_at is not None else committed
            crossing += judge_asked(case, loser, last, at, verdict)
            for phone, where in loser.phones:
                for what, begun, ended in phone.intervals:
                    crossing[f"socket {what}"] += begun + offset < at < ended + offset
                for room, seq in phone.heard_at:
                    if room == case.place.id and seq >= last:
                        verdict.leaks.append(f"{case.ending}: a socket got seq {seq}, access ended with {last}")
                for frame in phone.after_closing:
                    verdict.leaks.append(f"{case.ending}: a frame of a closed room: {frame['type']}")
                if where != COMES_AND_GOES:
                    near = verdict.near if where == case.by else verdict.far
                    times = near if case.run_out_at is None else verdict.timed
                    times.add(phone.closed_rooms[case.place.id][0] - at)
        verdict.across += crossing
        verdict.counted[case.ending] += any(crossing[path] for path in COUNTED)
    return verdict


def judge_asked(case: Case, loser: Loser, last: int, at: float, verdict: Verdict) -> Counter[str]:
    """How many requests of each path were in flight; what was told in spite of the end is a leak. Own posts stay one's
    own for days, unless it was the person who was excluded."""
    crossing: Counter[str] = Counter()
    for one in loser.asked:
        crossing[one.what] += one.begun < at < one.ended
        if one.highest >= last:
            verdict.leaks.append(f"{case.ending}: {one.what} answered with seq {one.highest}, access ended with {last}")
        still_theirs = one.what == "own posts" and case.ending != "person excluded"
        if one.begun > at and one.status < 400 and not still_theirs:
            verdict.leaks.append(f"{case.ending}: {one.what} answered {one.status}, {one.begun - at:.3f} s afterwards")
    return crossing


def drawn(here: Stage, dice: random.Random) -> list[Case]:
    """A room for each case. Who has emergency access comes from a room that is nobody's case."""
    endings = list(ENDINGS) * EACH
    dice.shuffle(endings)
    *rooms, spare = here.rooms
    outsiders, found = iter(spare.staff * EACH), []
    for number, (place, ending) in enumerate(zip(rooms, endings, strict=True)):
        match ending:
            case "withdrawn" | "run out":
                losers, stays = list(place.staff), []
            case "narrowed" | "person excluded":
                lost = dice.randrange(4)
                losers, stays = [place.staff[lost]], [one for n, one in enumerate(place.staff) if n != lost]
            case "unit excluded":  # staff of two units in turn
                which = dice.randrange(2)
                losers, stays = list(place.staff[which::2]), list(place.staff[1 - which :: 2])
            case _:
                losers, stays = [next(outsiders)], list(place.staff)
        found.append(Case(place, ending, number % 2, [Loser(one) for one in losers], stays))
    return found


def call_in(cases: Sequence[Case], here: Stage) -> None:
    """Begin every emergency access while the sign-ins are fresh."""
    for case in cases:
        if case.ending == "emergency access ended":
            answer = httpx.post(
                f"{here.servers[case.by].base}/api/v1/rooms/{case.place.id}/emergency-access",
                json={"ground": "life_danger", "reason": "Bevisstløs. Må vite hva som er avtalt."},
                headers=case.losers[0].who.headers,
                timeout=30,
            )
            assert answer.status_code == 201, answer.text


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
                rooms=len(ENDINGS) * EACH + 1,
                members=5,
                heartbeat_s=HEARTBEAT_S,
                db_timeout_s=8,
                postgres_settings={"track_commit_timestamp": "on"},
                redis_for=through_proxy,
            )
        )
        cases = drawn(here, dice)
        call_in(cases, here)
        for proxy in proxies:
            proxy.lossy = True
        asyncio.run(play_all(cases, here, ledger, dice))
        with psycopg.connect(here.database) as connection:
            ends: dict[Any, Any] = {(room, user): (seq, at) for room, user, seq, at in connection.execute(ENDS)}
            late = connection.execute(LATE).fetchone()
        verdict = judge(cases, ends)
        figures = ledger.check(here.database)
        share = verdict.counted.total() / len(cases)
        print(f"\n  cases {len(cases)}, with a request in flight {verdict.counted.total()} ({share:.0%}):")
        print(f"  {dict(verdict.counted)}\n  requests in flight: {dict(verdict.across)}")
        print(f"  leaks {len(verdict.leaks)}; written late {late}; {figures}")
        print(f"  room.closed after the commit, same process: {verdict.near}\n  the other process: {verdict.far}")
        print(f"  room.closed after a consent had run out: {verdict.timed}")
        print(f"  hints: {[dict(proxy.counts) for proxy in proxies]}")
        print(
            f"  refused: {dict(Counter(ledger.refused.values()))}; warnings {[one.warnings() for one in here.servers]}"
        )
        assert verdict.leaks == [], (len(verdict.leaks), verdict.leaks[:10])
        assert not ledger.faults, (len(ledger.faults), ledger.faults[:10])
        assert late == (0,)
        assert not here.faults_of_ours(), here.faults_of_ours()[:3]
        assert share >= IN_FLIGHT, "too few cases to prove anything"
        for kind in (*COUNTED, "mark"):
            assert verdict.across[kind] > 0, f"no {kind} was in flight across an end"
        assert set(+verdict.counted) == set(ENDINGS), "an ending had nothing in flight"
        assert verdict.near.at(1) < 1 + SLACK_S
        assert verdict.far.at(1) < HEARTBEAT_S + 1 + SLACK_S
        assert verdict.timed.at(1) < TICK_S + HEARTBEAT_S + 1 + SLACK_S


async def play_all(cases: list[Case], here: Stage, ledger: Ledger, dice: random.Random) -> None:
    limit = asyncio.Semaphore(AT_A_TIME)

    async def one(case: Case) -> None:
        async with limit:
            await play(case, here, ledger, dice)

    await asyncio.gather(*map(one, cases))
