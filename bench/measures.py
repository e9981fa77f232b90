"""The measurements A to D, each a function that puts a load on the stack and returns its figures."""

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench.stack import Driver, Stack
from bench.tally import percentiles

SETTLE_S = 1.5
"""Marks and receipts follow within a second; their cost belongs to the messages."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run. `rates` in messages/s, `seconds` for each rate and for B, `idle_seconds` before D's second look."""

    only: frozenset[str] = frozenset("ABCD")
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
    command: tuple[str, ...] = ()


Said = Callable[[str], None]


def seats(stack: Stack, *, rooms: int, members: int) -> list[dict[str, str]]:
    """A new crowd, one seat per member. The members of a room are spread over all server processes."""
    out = stack.folder / f"crowd-{time.monotonic_ns()}.json"
    stack.manage("demo", "crowd", "--rooms", str(rooms), "--members", str(members), "--out", str(out))
    made = []
    for room in json.loads(out.read_text())["rooms"]:
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
