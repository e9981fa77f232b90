"""`python -m bench alerts`: what a call for help costs and how soon somebody's phone has it. Prints a table, writes
JSON, and ends with 1 when a call was lost.

One person's phone is called. It lies in this process, behind a push service that decrypts what comes; its owner accepts
at once. Servers, PostgreSQL with durability on and Redis are processes of their own, and their CPU time is counted.
"""

import argparse
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import redis

from bench.measures import Meter
from bench.stack import ROOT, Fault, Stack, stack
from bench.tally import percentiles
from server.operate.town.push_service import Message, PushService
from tools.services import ServiceFault

OUT = ROOT / "bench" / "out"
OWNER = "nils"
WARM_UP = 10
PATIENCE_S = 60.0
CALLERS = 32
"""Threads of an open loop: more than can be under way."""
ROWS = """
    SELECT a.id::text, extract(epoch FROM min(least(d.accepted_at, d.received_at)))::float8,
    extract(epoch FROM a.accepted_at)::float8 FROM alerts_alert a
    LEFT JOIN notify_delivery d ON d.about = a.id AND d.kind = 'page' WHERE NOT a.synthetic
    GROUP BY a.id, a.accepted_at
"""
Said = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Call:
    """`begun`: when it was due, seconds since 1970; `took_s` until the answer came, from then on."""

    alert: str
    begun: float
    took_s: float
    status: int


class Phone:
    """A browser with a service worker: says that it has a page, and its owner accepts."""

    def __init__(self, push: PushService) -> None:
        self.device = push.subscribe(on_message=self._shown)
        self.base = ("127.0.0.1", 0)
        self.refused: Counter[str] = Counter()
        """What it was told instead of 200: status and path."""

    def _shown(self, message: Message) -> None:
        if message["kind"] == "page":
            connection = HTTPConnection(*self.base, timeout=30)
            for verb in ("receipt", "accept"):
                status = ask(connection, "POST", f"/api/v1/pages/{message['token']}/{verb}")
                if status != 200:
                    self.refused[f"{verb} {status}"] += 1
            connection.close()


def ask(connection: HTTPConnection, method: str, path: str, **headers: str) -> int:
    """The status; 0 without an answer."""
    try:
        connection.request(method, path, body=b"{}", headers={"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except OSError:
        connection.close()
        return 0


class Callers:
    """Patients' phones: each call has an alert key of its own, and a connection of its thread's."""

    def __init__(self, servers: Stack, keys: Sequence[str]) -> None:
        self._ports = [server.port for server in servers.servers]
        self._keys, self._lock, self._mine = list(keys), threading.Lock(), threading.local()

    def call(self, due: float) -> Call:
        with self._lock:
            number, key = len(self._keys), self._keys.pop()
        if not hasattr(self._mine, "connection"):
            port = self._ports[number % len(self._ports)]
            self._mine.connection = HTTPConnection("127.0.0.1", port, timeout=30)
        time.sleep(max(0.0, due - time.time()))
        alert = str(uuid4())
        status = ask(self._mine.connection, "PUT", f"/api/v1/alerts/{alert}", Authorization=f"Alert-Key {key}")
        return Call(alert, due, time.time() - due, status)

    def open_loop(self, rate: float, seconds: float) -> list[Call]:
        """Each at its own moment, whatever became of those before it."""
        begun = time.time() + 0.1
        with ThreadPoolExecutor(CALLERS) as pool:
            return list(pool.map(self.call, [begun + number / rate for number in range(int(rate * seconds))]))

    def closed_loop(self, callers: int, calls: int) -> list[Call]:
        """So many at a time, the next as soon as one is answered."""
        with ThreadPoolExecutor(callers) as pool:
            return list(pool.map(lambda _: self.call(time.time()), range(calls)))


def measured(servers: Stack, load: Callable[[], list[Call]]) -> dict[str, Any]:
    """Put the load on, wait until everybody is answered, and tell how it went."""
    meter, cpu, begun = Meter(servers), time.process_time(), time.time()
    calls = load()
    answered_s = time.time() - begun
    rows, deadline = found(servers), time.monotonic() + PATIENCE_S
    while any(rows.get(call.alert, (None, None))[1] is None for call in calls) and time.monotonic() < deadline:
        time.sleep(0.2)
        rows = found(servers)
    told = meter.stop(len(calls), round(time.process_time() - cpu, 2))
    pages = [(call, rows[call.alert]) for call in calls if rows.get(call.alert, (None, None))[0] is not None]
    return told | {
        "calls": len(calls),
        "refused": sum(call.status != 201 for call in calls),
        "lost": sum(call.alert not in rows for call in calls),
        "never_paged": len(calls) - len(pages),
        "never_accepted": sum(rows.get(call.alert, (None, None))[1] is None for call in calls),
        "put_ms": percentiles([call.took_s for call in calls]),
        "page_ms": percentiles([first - call.begun for call, (first, _) in pages]),
        "accept_ms": percentiles([last - call.begun for call, (_, last) in pages if last is not None]),
        "calls_per_s": round(len(calls) / answered_s, 1),
        "accepted_per_s": round(len(pages) / (max(last or 0.0 for _, (_, last) in pages) - begun), 1) if pages else 0,
        "cpu_ms_each": told["cpu_s_per_1000"],
    }


def found(servers: Stack) -> dict[str, tuple[float | None, float | None]]:
    """Of each call: when a provider first had a page of it, and when somebody accepted it."""
    with psycopg.connect(servers.environment["DATABASE_URL"]) as connection:
        return {alert: (first, last) for alert, first, last in connection.execute(ROWS)}


def module(servers: Stack, name: str, *words: str, given: str = "") -> str:
    """What a module of ours prints that has the servers' environment. Raises Fault."""
    command = [sys.executable, "-m", name, *words]
    done = subprocess.run(command, cwd=ROOT, env=servers.environment, input=given, capture_output=True, text=True)
    if done.returncode:
        raise Fault(f"{name}: {(done.stderr.strip().splitlines() or ['it said nothing'])[-1]}")
    return done.stdout


def run(plan: argparse.Namespace, say: Said) -> dict[str, Any]:
    """Raises Fault."""
    rates = [float(rate) for rate in plan.rate.split(",")]
    needed = WARM_UP + sum(int(rate * plan.seconds) for rate in rates) + plan.calls + 1
    told: dict[str, Any] = {"open": []}
    with stack() as servers, PushService() as push:
        servers.environment |= {"PUSH_HOSTS_ALLOWED": "127.0.0.1", "ALERT_CALLING_S": "600"}
        servers.start(plan.processes, (sys.executable, "manage.py", "serve"))
        phone = Phone(push)
        phone.base = ("127.0.0.1", servers.servers[0].port)
        keys = module(servers, "bench.night", str(needed), given=json.dumps({OWNER: [phone.device]})).split()
        say(f"{plan.processes} server process(es) ready; {len(keys)} patients")
        callers = Callers(servers, keys[1:])
        measured(servers, lambda: callers.closed_loop(1, WARM_UP))
        for rate in rates:
            step = measured(servers, lambda: callers.open_loop(rate, plan.seconds))  # noqa: B023 - called at once
            told["open"].append(step | {"rate": rate})
            say(f"{rate:g}/s: page {step['page_ms'].get('p50')} ms, {step['cpu_ms_each']} CPU ms each")
        told["closed"] = measured(servers, lambda: callers.closed_loop(plan.callers, plan.calls))
        told["closed"]["callers"] = plan.callers
        told["phone_refused"] = dict(phone.refused)
        told["exit_statuses"] = servers.stop()
        told["statements"] = json.loads(module(servers, "bench.costs", given=keys[0]))
    return told


def table(told: dict[str, Any]) -> str:
    head = (
        f"{'G  calls for help':<18}{'calls':>6}{'/s':>7}{'PUT p50/p99 ms':>18}{'PUT to page p50/p99 ms':>25}"
        f"{'to accept p50/p99 ms':>23}{'lost':>6}{'CPU ms each':>13}"
    )
    lines = [head]
    for name, step in [
        *((f"{step['rate']:g}/s", step) for step in told["open"]),
        (f"{told['closed']['callers']} callers", told["closed"]),
    ]:
        lines.append(
            f"  {name:<16}{step['calls']:>6}{step['calls_per_s']:>7}{_spread(step['put_ms']):>18}"
            f"{_spread(step['page_ms']):>25}{_spread(step['accept_ms']):>23}{step['lost']:>6}{step['cpu_ms_each']:>13}"
        )
        cpu = ", ".join(f"{part} {seconds}" for part, seconds in step["cpu_s"].items())
        lines.append(f"  {'':<16}CPU s: {cpu}; phones {step['generator_cpu_s']}, others {step['others_s']}")
    said = ", ".join(f"{name} {count}" for name, count in told["statements"].items())
    return "\n".join([*lines, "", f"   statements: {said}"])


def _spread(figures: dict[str, float]) -> str:
    return f"{figures['p50']:g} / {figures['p99']:g}" if figures else "-"


def faults(told: dict[str, Any]) -> list[str]:
    """What must never be, whatever the machine."""
    steps = [*told["open"], told["closed"]]
    kinds = ("refused", "lost", "never_paged", "never_accepted")
    return [f"{step['calls']} calls: {step[kind]} {kind}" for step in steps for kind in kinds if step[kind]]


def main(arguments: list[str], say: Said) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench alerts", description=__doc__)
    parser.add_argument("--rate", default="1,4", help="open loop: calls per second, separated by commas")
    parser.add_argument("--seconds", type=float, default=30.0, help="for each rate")
    parser.add_argument("--callers", type=int, default=4, help="closed loop: so many at a time …")
    parser.add_argument("--calls", type=int, default=200, help="… until there were so many")
    parser.add_argument("--processes", type=int, default=1, help="server processes")
    parser.add_argument("--smoke", action="store_true", help="a few calls only: does the benchmark itself work?")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for the JSON")
    plan = parser.parse_args(arguments)
    if plan.smoke:
        plan.rate, plan.seconds, plan.calls = "4", 2.0, 8
    try:
        told = run(plan, say)
    except (Fault, ServiceFault, psycopg.Error, redis.RedisError, OSError) as fault:
        say(" ".join(str(fault).split()) or type(fault).__name__)
        return 1
    plan.out.mkdir(parents=True, exist_ok=True)
    written = plan.out / f"{time.strftime('%Y-%m-%dT%H%M%SZ', time.gmtime())}-alerts.json"
    written.write_text(json.dumps(told, indent=1) + "\n")
    print(table(told))
    print(f"\nJSON: {written}")
    for line in (wrong := faults(told)):
        print(f"WRONG: {line}")
    return 1 if wrong else 0
