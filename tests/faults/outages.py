"""Redis or PostgreSQL frozen or killed while people write; what they see meanwhile, and that all heals by itself."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Literal

import httpx

from tests.faults.clients import Phone, Times, Writer, caught_up, check_problem, compare_bodies, keep_posting, until
from tests.faults.kills import compare_history, everybody
from tests.faults.ledger import Ledger
from tests.faults.stage import Server, Somebody, Stage
from tools.servers import PrivateServer

How = Literal["frozen", "killed"]
PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Outage:
    how: How
    seconds: float


@dataclass
class OutageReport:
    """What one outage was like. Times in seconds."""

    outage: Outage
    statuses: dict[str, int] = field(default_factory=dict)
    looks: Times = field(default_factory=Times)
    posts: Times = field(default_factory=Times)
    frames: Times = field(default_factory=Times)
    lost_sockets: int = 0
    healthy_after_s: float = 0.0
    caught_up_after_s: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.outage.how} for {self.outage.seconds:g} s: {self.statuses}\n    looks {self.looks}\n"
            f"    REST posts {self.posts}\n    socket posts {self.frames}\n    sockets lost {self.lost_sockets}, "
            f"serving again after {self.healthy_after_s:.2f} s, everything with everybody after "
            f"{self.caught_up_after_s:.2f} s"
        )


class Prober:
    """Asks what must be answered in any case, again and again, and keeps every answer's time."""

    PATHS = ("/health/ready", "/health/live", "/api/v1/me", "/api/v1/rooms")

    def __init__(self, server: Server, who: Somebody, ledger: Ledger) -> None:
        self._server, self._who, self._ledger = server, who, ledger
        self.answers: list[tuple[float, str, int, float]] = []
        """When it was asked (monotonic), where, status (0: no answer), seconds."""

    async def ask_for_ever(self) -> None:
        async with httpx.AsyncClient(timeout=40, headers=self._who.headers, verify=False) as client:
            await asyncio.gather(*(self._ask(client, path) for path in self.PATHS))

    async def _ask(self, client: httpx.AsyncClient, path: str) -> None:
        while True:
            begun, status = time.monotonic(), 0
            try:
                answer = await client.get(self._server.base + path)
                status = answer.status_code
                if status >= 400 and path.startswith("/api"):
                    check_problem(answer, self._ledger)
            except httpx.TransportError as error:
                self._ledger.fault(f"{path} had no answer: {type(error).__name__}")
            self.answers.append((begun, path, status, time.monotonic() - begun))
            await asyncio.sleep(0.1)

    def since(self, begun: float) -> list[tuple[str, int, float]]:
        return [(path, status, took) for at, path, status, took in self.answers if at + took >= begun]

    def well(self) -> bool:
        """The newest answer of each path is a good one."""
        newest = {path: status for _, path, status, _ in sorted(self.answers)}
        return all(newest.get(path) == 200 for path in self.PATHS)


async def suffer(server: PrivateServer, outage: Outage) -> None:
    """Freeze or kill it; returns when it lives again."""
    if outage.how == "frozen":
        await asyncio.to_thread(server.pause)
        await asyncio.sleep(outage.seconds)
        await asyncio.to_thread(server.resume)
    else:
        await asyncio.to_thread(server.kill)
        await asyncio.sleep(outage.seconds)
        await asyncio.to_thread(server.start)


async def play_outages(
    stage: Stage,
    ledger: Ledger,
    broken: PrivateServer,
    outages: Sequence[Outage],
    *,
    devices: int = 8,
    pause_s: float = 0.05,
) -> list[OutageReport]:
    """Everybody writes throughout; members alternate between the server processes. Everything is checked at the end."""
    reports = []
    async with AsyncExitStack() as keep:
        phones, writers, rooms = [], [], []
        for number, (place, who) in enumerate(everybody(stage.rooms, devices)):
            server = stage.servers[number // len(stage.rooms) % len(stage.servers)]
            phones.append(Phone(who, lambda server=server: server.socket_url, ledger, seed=number))  # type: ignore[misc]
            writers.append(Writer(who, lambda server=server: server.base, ledger))  # type: ignore[misc]
            rooms.append(place.id)
        for one in (*phones, *writers):
            await keep.enter_async_context(one)
        await until(
            lambda: all(phone.synced.is_set() for phone in phones), PATIENCE_S, "the first hello of every phone"
        )
        stop = asyncio.Event()
        work = [
            asyncio.create_task(keep_posting(one, [room], stop, pause_s))
            for group in (phones, writers)
            for one, room in zip(group, rooms, strict=True)
        ]
        probers = [Prober(server, stage.rooms[0].patient, ledger) for server in stage.servers]
        probes = [asyncio.create_task(prober.ask_for_ever()) for prober in probers]
        await asyncio.sleep(1.5)
        for outage in outages:
            report = OutageReport(outage)
            reports.append(report)
            await play_one(broken, report, phones, writers, probers, ledger)
        stop.set()
        await asyncio.wait_for(asyncio.gather(*work), PATIENCE_S)
        for probe in probes:
            probe.cancel()
        await asyncio.gather(*probes, return_exceptions=True)
        await until(caught_up(phones, ledger), PATIENCE_S, "every phone has everything")
        compare_bodies(phones, ledger)
        await compare_history(stage, ledger)
    return reports


async def play_one(
    broken: PrivateServer,
    report: OutageReport,
    phones: Sequence[Phone],
    writers: Sequence[Writer],
    probers: Sequence[Prober],
    ledger: Ledger,
) -> None:
    for one in (*phones, *writers):
        one.answers = Times()
    for writer in writers:
        writer.unavailable, writer.statuses, writer.errors = Times(), {}, {}
    lost, codes = sum(phone.lost for phone in phones), [dict(phone.codes) for phone in phones]
    begun = time.monotonic()
    await suffer(broken, report.outage)
    back = time.monotonic()
    await until(lambda: all(prober.well() for prober in probers), PATIENCE_S, "every address answers again")
    report.healthy_after_s = time.monotonic() - back
    last = dict(ledger.acknowledged)
    goal = Ledger(sent=ledger.sent, acknowledged=last)
    await until(caught_up(phones, goal), PATIENCE_S, "every phone has what was acknowledged")
    report.caught_up_after_s = time.monotonic() - back
    await asyncio.sleep(1.5)
    for prober in probers:
        for path, status, took in prober.since(begun):
            report.looks.add(took)
            name = f"{path.rsplit('/', 1)[-1]} {status}"
            report.statuses[name] = report.statuses.get(name, 0) + 1
    for writer in writers:
        report.posts.all += writer.answers.all + writer.unavailable.all
        for status, count in writer.statuses.items():
            report.statuses[f"post {status}"] = report.statuses.get(f"post {status}", 0) + count
        for name, count in writer.errors.items():
            ledger.fault(f"a REST post had no answer: {name} x {count}")
    for phone, before in zip(phones, codes, strict=True):
        report.frames.all += phone.answers.all
        for code, count in phone.codes.items():
            if more := count - before.get(code, 0):
                report.statuses[f"frame {code}"] = report.statuses.get(f"frame {code}", 0) + more
    report.lost_sockets = sum(phone.lost for phone in phones) - lost
