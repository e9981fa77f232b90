"""The measurements A to E, each a function that puts a load on the stack and returns its figures; F: `sealing.py`."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench.stack import ROOT, Driver, Fault, Stack
from bench.tally import percentiles

SETTLE_S = 1.5
"""Marks and receipts follow within a second; their cost belongs to the messages."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run. `rates` in messages/s, `seconds` for each rate and for B, `idle_seconds` before D's second look;
    `decisions` of each kind a turn in E, and `withdrawals`, each in a room of 21; F runs each variant `turns` times."""

    only: frozenset[str] = frozenset("ABCDEF")
    rates: tuple[float, ...] = (20, 100, 300, 500, 800)
    seconds: float = 20.0
    warm_up_s: float = 3.0
    processes: int = 1
    rooms: int = 50
    members: int = 6
    senders: int = 16
    missed: int = 1_000
    catch_ups: int = 20
    idle: int = 1_000
    idle_seconds: float = 20.0
    decisions: int = 100
    withdrawals: int = 10
    turns: int = 5
    turn_rate: float = 300.0
    turn_seconds: float = 20.0
    command: tuple[str, ...] = ()


Said = Callable[[str], None]


def crowd(stack: Stack, *, rooms: int, members: int) -> list[dict[str, Any]]:
    """A new crowd, as `manage.py demo crowd` tells it."""
    out = stack.folder / f"crowd-{time.monotonic_ns()}.json"
    stack.manage("demo", "crowd", "--rooms", str(rooms), "--members", str(members), "--out", str(out))
    found: list[dict[str, Any]] = json.loads(out.read_text())["rooms"]
    return found


def seats(stack: Stack, *, rooms: int, members: int) -> list[dict[str, str]]:
    """A new crowd, one seat per member. The members of a room are spread over all server processes."""
    return [seat for room in crowd(stack, rooms=rooms, members=members) for seat in seats_of(stack, room)]


def seats_of(stack: Stack, room: dict[str, Any]) -> list[dict[str, str]]:
    made = []
    for place, person in enumerate((room["patient"], *room["staff"])):
        url = stack.urls[place % len(stack.urls)]
        made.append({"url": url, "token": person["token"], "user": person["user"], "room": room["id"]})
    return made


class Meter:
    """CPU time of all parts, and of everything else on the machine, from `start` to `stop`."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._before = stack.cpu_s()
        self._machine = busy_s()
        self._at = time.monotonic()

    def stop(self, messages: int, generator_s: float) -> dict[str, Any]:
        """Seconds per part; per 1,000 messages; `others_s` is what neither we nor the generator used: noise."""
        used = {part: round(now - self._before[part], 2) for part, now in self._stack.cpu_s().items()}
        total = sum(used.values())
        return {
            "cpu_s": used | {"total": round(total, 2)},
            "cpu_s_per_1000": round(1000 * total / messages, 3) if messages else None,
            "generator_cpu_s": generator_s,
            "others_s": round(busy_s() - self._machine - total - generator_s, 2),
            "wall_s": round(time.monotonic() - self._at, 2),
        }


def busy_s() -> float:
    """CPU seconds that the whole machine has been busy."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))


def open_loop(stack: Stack, driver: Driver, plan: Plan, say: Said) -> list[dict[str, Any]]:
    """A: messages at fixed rates, each due at its own moment, whatever became of those before it."""
    found = []
    for rate in plan.rates:
        meter = Meter(stack)
        told = driver.do("open_loop", rate=rate, seconds=plan.seconds)
        time.sleep(SETTLE_S)
        told |= meter.stop(told["sent"], told["generator_cpu_s"])
        say(f"A {rate:g}/s: {told['delivered_per_s']} delivered/s, {told['cpu_s_per_1000']} CPU s per 1,000")
        found.append(told)
    return found


def closed_loop(stack: Stack, driver: Driver, plan: Plan, say: Said) -> dict[str, Any]:
    """B: every sender writes again as soon as the last is acknowledged."""
    meter = Meter(stack)
    told = driver.do("closed_loop", senders=plan.senders, seconds=plan.seconds)
    time.sleep(SETTLE_S)
    told |= meter.stop(told["sent"], told["generator_cpu_s"])
    say(f"B {plan.senders} senders: {told['delivered_per_s']} delivered/s")
    return told


def catch_up(driver: Driver, plan: Plan, say: Said) -> dict[str, Any]:
    """C: a device returns that has missed many events of a room."""
    told = driver.do("catch_up", events=plan.missed, times=plan.catch_ups)
    told["hello_to_synced_ms"] = percentiles(told.pop("hello_to_synced_s"))
    told["connect_to_synced_ms"] = percentiles(told.pop("all_s"))
    say(f"C {plan.missed} missed: {told['hello_to_synced_ms'].get('p50')} ms")
    return told


def idle(stack: Stack, driver: Driver, plan: Plan, say: Said) -> dict[str, Any]:
    """D: what idle sockets hold of server memory. The server processes are fresh and have served a few before."""
    first = seats(stack, rooms=4, members=plan.members)
    driver.do("connect", seats=first)
    driver.do("rest", seconds=2)
    driver.do("disconnect")
    everybody = seats(stack, rooms=-(-plan.idle // 5), members=5)[: plan.idle]
    time.sleep(1)
    before = stack.server_rss()
    connected = driver.do("connect", seats=everybody)
    driver.do("rest", seconds=2)
    after_connect = stack.server_rss()
    meter = Meter(stack)
    driver.do("rest", seconds=plan.idle_seconds)
    resting = meter.stop(0, 0.0)
    after = stack.server_rss()
    driver.do("disconnect")
    sockets = connected["sockets"]
    told = {
        "sockets": sockets,
        "connected_in_s": connected["seconds"],
        "rss_before_mib": mib(before),
        "rss_after_connect_mib": mib(after_connect),
        "rss_after_rest_mib": mib(after),
        "mib_per_1000": round(mib(max(after, after_connect) - before) * 1000 / sockets, 1),
        "idle_cpu_s_per_s": round(resting["cpu_s"]["total"] / resting["wall_s"], 3),
    }
    say(f"D {sockets} idle sockets: {told['mib_per_1000']} MiB per 1,000")
    return told


def consent(stack: Stack, driver: Driver, plan: Plan, say: Said) -> dict[str, Any]:
    """E: what deciding costs, and how soon a withdrawal is with everybody whom it concerns."""
    folder = stack.folder / "decided.json"
    folder.write_text(json.dumps({"rooms": crowd(stack, rooms=20, members=plan.members)}))
    command = [sys.executable, "-m", "bench.consent", str(folder), str(plan.decisions)]
    done = subprocess.run(command, cwd=ROOT, env=stack.environment, capture_output=True, text=True)
    if done.returncode:
        raise Fault(f"bench.consent: {(done.stderr.strip().splitlines() or ['it said nothing'])[-1]}")
    told: dict[str, Any] = json.loads(done.stdout)
    say(f"E a seal {told['verify']['us']} us, permits.load {told['load']['sealed_us']} us of CPU")
    return told | {"closed": withdrawals(stack, driver, plan)}


def withdrawals(stack: Stack, driver: Driver, plan: Plan) -> dict[str, Any]:
    """From the commit of a withdrawal, as PostgreSQL tells it, to `room.closed` at every socket of the room's staff;
    without `track_commit_timestamp`, from asking for it."""
    rooms = crowd(stack, rooms=plan.withdrawals, members=21)
    driver.do("connect", seats=[seat for room in rooms for seat in seats_of(stack, room)])
    bases = [f"http://127.0.0.1:{server.port}" for server in stack.servers]
    asked = [
        {
            "id": room["id"],
            "consent": room["consent"],
            "patient": room["patient"]["user"],
            "token": room["patient"]["token"],
            "base": bases[number % len(bases)],
        }
        for number, room in enumerate(rooms)
    ]
    told = driver.do("withdraw", rooms=asked)
    driver.do("disconnect")
    commits = stack.withdrawn_at()
    since_commit = [
        at - commits.get(room, found["asked"]) for room, found in told["rooms"].items() for at in found["closed"]
    ]
    since_asked = [at - found["asked"] for found in told["rooms"].values() for at in found["closed"]]
    return {
        "rooms": len(rooms),
        "sockets": len(since_asked),
        "silent": told["silent"],
        "from": "commit" if commits else "request",
        "ms": percentiles(since_commit),
        "from_request_ms": percentiles(since_asked),
    }


def mib(size: int) -> float:
    return round(size / 1024 / 1024, 1)


def machine(root: Path) -> dict[str, Any]:
    """Where it ran; the revision is that of the checked-out tree."""
    model = next(
        (line.split(":", 1)[1].strip() for line in lines_of("/proc/cpuinfo") if line.startswith("model name")), ""
    )
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "model": model,
        "memory_mib": mib(psutil.virtual_memory().total),
        "load_before": os.getloadavg()[0],
        "root_filesystem": next((one.fstype for one in psutil.disk_partitions(all=True) if one.mountpoint == "/"), ""),
        "folder": root.name,
    }


def lines_of(path: str) -> Sequence[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return ()
