"""A night of a thousand calls for help, while routers are killed, connections cut and tables held; judged from outside,
by SQL and by what the phones were told. All times are the database's."""

import contextlib
import json
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from tests.faults.routers import IN_A_SERVER, POINTS
from tests.faults.sequencing import KILLED, PATIENCE_S, Child, Nursery
from tests.faults.stage import QUIET, ROOT, environment
from tools.processes import Reaper
from tools.servers import PrivatePostgres

OWNERS = ("nils", "ida")
HELD_S = 1.5
"""For so long a table is held: longer than a statement may take."""
SETTLE_S = 60.0
UUID_ = re.compile(r"[0-9a-f-]{36}")
FIRST = """
    SELECT a.id, a.raised_at, min(least(d.accepted_at, d.received_at)) FROM alerts_alert a
    LEFT JOIN notify_delivery d ON d.about = a.id AND d.kind = 'page' GROUP BY a.id, a.raised_at
"""


@dataclass
class Report:
    """Seconds, sorted; `recovered_s` of each kill, until everybody who had called before it was being paged."""

    calls: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    cuts: int = 0
    holds: int = 0
    first_page_s: list[float] = field(default_factory=list)
    recovered_s: list[tuple[float, str]] = field(default_factory=list)
    accepted_s: list[float] = field(default_factory=list)
    again: int = 0
    slow: list[tuple[float, list[str]]] = field(default_factory=list)
    """First pages that took longest, and what had happened shortly before."""
    faults: list[str] = field(default_factory=list)

    def rank(self, share: float) -> float:
        return self.first_page_s[max(0, -(-int(share * 1000) * len(self.first_page_s) // 1000) - 1)]

    def __str__(self) -> str:
        kills = ", ".join(f"{point} {count}" for point, count in sorted(self.kills.items()))
        slowest, where = max(self.recovered_s, default=(0.0, ""))
        return (
            f"{self.calls} calls, {sum(self.kills.values())} kills ({kills}), {self.cuts} connections cut, tables held "
            f"{self.holds} times; first page p50 {self.rank(0.5):.2f} s, p90 {self.rank(0.9):.2f} s, p99 "
            f"{self.rank(0.99):.2f} s, at most {self.first_page_s[-1]:.2f} s; recovered within {slowest:.2f} s "
            f"({where}); accepted p50 {self.accepted_s[len(self.accepted_s) // 2]:.2f} s, at most "
            f"{self.accepted_s[-1]:.2f} s; {self.again} pages sent again"
        )


class Night:
    """The installation, and the trouble that it has."""

    def __init__(self, nursery: Nursery, postgres: PrivatePostgres, folder: Path, seed: int) -> None:
        self.nursery, self.folder, self.dice = nursery, folder, random.Random(seed)
        self._url = postgres.url
        self.report = Report()
        self.killed: list[tuple[datetime, str]] = []
        self.troubles: list[tuple[datetime, str]] = []
        self.phones: Child
        self.keys: list[str] = []

    def ask(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self._url, autocommit=True, application_name="outside") as connection:
            return connection.execute(sql.encode(), values or None).fetchall()

    def now(self) -> datetime:
        at: datetime = self.ask("SELECT clock_timestamp()")[0][0]
        return at

    # --- who is there -----------------------------------------------------------------------------------
    def arrive(self, patients: int) -> None:
        devices, keys = self.folder / "devices.json", self.folder / "keys.json"
        self.phones = self.nursery.start("phones", names=OWNERS, out=str(devices), seed=self.dice.randrange(1000))
        until(devices.exists, "the phones")
        built = self.nursery.start("build", patients=patients, devices=str(devices), out=str(keys))
        assert built.wait(300) == 0, built.said()[-3000:]
        self.keys = json.loads(keys.read_text())

    def router(self, at: str | None = None) -> Child:
        """A worker that dies at this point, early or a little later."""
        return self.nursery.start("route", doom={"at": at, "nth": self.dice.randint(1, 8)} if at else None)

    # --- trouble ------------------------------------------------------------------------------------------
    def cut(self) -> None:
        """End some connections, whatever they are doing."""
        found = self.ask(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'samsnakk' "
            "AND datname = current_database() AND random() < 0.3"
        )
        self.report.cuts += len(found)
        self._troubled("cut")

    def hold(self) -> None:
        """Nobody can write a table for longer than a statement may take."""
        table = self.dice.choice(("notify_delivery", "alerts_alert"))
        with psycopg.connect(self._url, application_name="outside") as connection:
            connection.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE".encode())
            time.sleep(HELD_S)
        self.report.holds += 1
        self._troubled(f"held {table}")

    def _troubled(self, how: str) -> None:
        self.troubles.append((self.now(), how))

    def trouble(self, over: threading.Event) -> None:
        while not over.wait(self.dice.uniform(5, 12)):
            with contextlib.suppress(psycopg.Error):
                self.dice.choice((self.cut, self.cut, self.hold))()

    # --- the night -----------------------------------------------------------------------------------------
    def play(self, *, rate: float, kill_every_s: float) -> None:
        """Everybody calls. Of three workers one dies at one point after the other, and is started again, as a
        supervisor does; at times another one dies anywhere, or the server that takes the calls: then phones call
        again."""
        points = [point for _ in range(50) for point in self.dice.sample([*POINTS], len(POINTS))]
        over = threading.Event()
        troubles = threading.Thread(target=self.trouble, args=(over,), daemon=True)
        troubles.start()
        steady = [self.router() for _ in range(2)]
        point, doomed, due = "", None, 0.0
        server, left = self._server(self.keys, rate), list(self.keys)
        while left:
            if doomed is not None and doomed.status is not None:
                self._dead(doomed, point)
                doomed, due = None, time.monotonic() + self.dice.uniform(0.5, 1.5) * kill_every_s
                if self.dice.random() < 0.2:
                    steady[0].kill()
                    self._dead(steady[0], "anywhere")
                    steady = [steady[1], self.router()]
            if doomed is None and time.monotonic() >= due:
                point = points.pop()
                doomed = self.router(point)
            if server.status is not None:
                answered = self._answered()
                left = [key for key in left if key not in answered]
                if server.status == KILLED:
                    self._dead(server, "server")
                    server = self._server(left, rate)
                else:
                    assert server.status == 0, server.said()[-3000:]
                    assert not left, "it ended before everybody was answered"
            time.sleep(0.02)
        over.set()
        troubles.join(PATIENCE_S)
        try:
            until(self.settled, "everybody is answered", SETTLE_S)
        finally:
            for child in steady:
                assert child.status is None, child.said()[-3000:]

    def _server(self, keys: Sequence[str], rate: float) -> Child:
        doom = {"at": self.dice.choice(IN_A_SERVER), "nth": self.dice.randint(40, 200)}
        seed = self.dice.randrange(1000)
        return self.nursery.start("press", keys=list(keys), rate=rate, inline=0.5, seed=seed, doom=doom)

    def _dead(self, child: Child, point: str) -> None:
        assert child.status == KILLED, f"{point}: {child.status} {child.said()[-3000:]}"
        self._note(point)

    def _note(self, point: str) -> None:
        self.killed.append((self.now(), point))
        self.report.kills[point] += 1

    def settled(self) -> bool:
        found = self.ask(
            "SELECT (SELECT count(*) FROM alerts_alert WHERE state <> 'accepted'), "
            "(SELECT count(*) FROM notify_delivery WHERE kind = 'page' AND state IN ('waiting', 'leased'))"
        )
        return found == [(0, 0)]

    # --- judging -------------------------------------------------------------------------------------------
    def judge(self) -> Report:
        """What must be true in the morning."""
        report, answered = self.report, self._answered()
        raised = {row[0] for row in self.ask("SELECT id FROM alerts_alert")}
        report.calls = len(answered)
        report.faults += [f"{alert}: answered with 201, and not there" for alert in set(answered.values()) - raised]
        if len(set(answered.values())) != len(self.keys) or len(raised) != len(self.keys):
            report.faults.append(f"{len(raised)} alerts of {len(self.keys)} calls")
        self._judge_accepts(raised)
        self._judge_logs()
        self._judge_times()
        return report

    def _answered(self) -> dict[str, UUID]:
        lines = [
            line.split()
            for child in self.nursery.born
            if child.log.name.startswith("press-")
            for line in child.said().splitlines()
        ]
        return {line[0]: UUID(line[1]) for line in lines if len(line) == 2}

    def _judge_accepts(self, raised: set[UUID]) -> None:
        lines = [line.split() for line in self.phones.said().splitlines()]
        told = [line for line in lines if len(line) == 3 and UUID_.fullmatch(line[1])]  # the rest are broken pipes
        words = Counter(line[0] for line in told)
        report = self.report
        if strange := set(words) - {"received", "accepted", "lost:already_accepted", "lost:old_page"}:
            report.faults.append(f"phones were told {sorted(strange)}")
        won: dict[UUID, set[UUID]] = {}
        for _, alert, page in (line for line in told if line[0] == "accepted"):
            won.setdefault(UUID(alert), set()).add(UUID(page))
        for alert in raised:
            if len(won.get(alert, ())) != 1:
                report.faults.append(f"{alert}: {len(won.get(alert, ()))} pages were told that they had it")
        owners = dict(self.ask("SELECT id, responder_id FROM alerts_alert"))
        pages = dict(self.ask("SELECT id, user_id FROM notify_delivery WHERE answered = 'accept'"))
        for alert, winners in won.items():
            for page in winners:
                if pages.get(page) != owners.get(alert):
                    report.faults.append(f"{alert}: another has it than was told so")
        report.again = self.ask("SELECT coalesce(sum(attempts - 1), 0) FROM notify_delivery WHERE attempts > 1")[0][0]

    def _judge_logs(self) -> None:
        for what, sql in {
            "not accepted": "SELECT id FROM alerts_alert WHERE state <> 'accepted' OR responder_id IS NULL",
            "not accepted exactly once": "SELECT a.id FROM alerts_alert a WHERE 1 <> (SELECT count(*) FROM "
            "alerts_alertevent e WHERE e.alert_id = a.id AND e.type = 'accepted')",
            "accepted in the log another number of times": "SELECT a.id FROM alerts_alert a WHERE 1 <> (SELECT "
            "count(*) FROM audit_auditevent e WHERE e.object_id = a.id AND e.type = 'alert.accepted' "
            "AND e.outcome = 'success')",
            "raised in the log another number of times": "SELECT a.id FROM alerts_alert a WHERE 1 <> (SELECT "
            "count(*) FROM audit_auditevent e WHERE e.object_id = a.id AND e.type = 'alert.raised' "
            "AND e.outcome = 'success')",
            "events with holes": "SELECT a.id FROM alerts_alert a JOIN alerts_alertevent e ON e.alert_id = a.id "
            "GROUP BY a.id, a.events HAVING count(*) <> a.events OR max(e.n) <> a.events",
            "a page and its event apart": "SELECT d.id FROM notify_delivery d WHERE d.kind = 'page' AND 1 <> (SELECT "
            "count(*) FROM alerts_alertevent e WHERE e.alert_id = d.about AND e.type = 'page' AND e.page = d.id)",
            "pages left over": "SELECT id FROM notify_delivery WHERE kind = 'page' AND state IN ('waiting', 'leased')",
            "called anew": "SELECT id FROM alerts_alert WHERE generation <> 0",
        }.items():
            if found := self.ask(sql):
                self.report.faults.append(f"{what}: {len(found)}, {found[0][0]}")

    def _judge_times(self) -> None:
        report, rows = self.report, self.ask(FIRST)
        report.faults += [f"{alert}: never paged" for alert, _, first in rows if first is None]
        times = [(raised, first) for _, raised, first in rows if first is not None]
        report.first_page_s = sorted((first - raised).total_seconds() for raised, first in times)
        for raised, first in sorted(times, key=lambda pair: pair[0] - pair[1])[:10]:
            why = [how for at, how in self.killed + self.troubles if raised - timedelta(seconds=3) <= at <= first]
            report.slow.append(((first - raised).total_seconds(), why))
        taken = self.ask("SELECT extract(epoch FROM accepted_at - raised_at)::float8 FROM alerts_alert")
        report.accepted_s = sorted(row[0] for row in taken if row[0] is not None)
        for at, point in self.killed:
            waiting = [first - at for raised, first in times if raised <= at < first]
            report.recovered_s.append((max(waiting, default=timedelta()).total_seconds(), point))


def until(done: Any, what: str, patience_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + patience_s
    while not done():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


@contextlib.contextmanager
def night(*, seed: int) -> Iterator[Night]:
    with contextlib.ExitStack() as keep:
        folder = Path(tempfile.mkdtemp(prefix="samsnakk-night-"))
        reaper = Reaper(folder)
        keep.callback(reaper.release)
        postgres = keep.enter_context(PrivatePostgres(durable=True, settings=QUIET))
        shared = environment(
            folder,
            DATABASE_URL=postgres.url,
            DB_TIMEOUT_S="1.2",
            PUSH_HOSTS_ALLOWED="127.0.0.1",
            ALERT_CALLING_S="600",
            LOG_LEVEL="ERROR",
        )
        words = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
        subprocess.run(words, cwd=ROOT, env={**shared, "DB_TIMEOUT_S": "60"}, check=True)
        nursery = Nursery(shared, folder, reaper, "tests.faults.routers")
        keep.callback(nursery.end)
        yield Night(nursery, postgres, folder, seed)
