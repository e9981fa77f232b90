"""`python -m bench`: measure, print a table, write JSON, and check the rows afterwards."""

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg
import redis

from bench import alerts, measures, report, rows
from bench.measures import Plan
from bench.sealing import sealing
from bench.stack import ROOT, Driver, Fault, Stack, stack
from tools.services import ServiceFault

OUT = ROOT / "bench" / "out"
PACKAGES = ("django", "channels", "channels-redis", "daphne", "psycopg", "redis", "cryptography", "websockets")
WARM_UP_RATE = 50.0


def say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


def plan_of(arguments: list[str]) -> tuple[Plan, Path]:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.epilog = "`python -m bench alerts` measures calls for help: see its --help."
    parser.add_argument("--only", default="A,B,C,D,E,F", help="which of A,B,C,D,E,F (default all)")
    parser.add_argument("--rate", default="20,100,300,500,800", help="A: messages per second, separated by commas")
    parser.add_argument(
        "--seconds", type=float, default=20.0, help="for each rate of A; B (60 for the record); each run of F"
    )
    parser.add_argument("--processes", type=int, default=1, help="server processes")
    parser.add_argument("--rooms", type=int, default=50)
    parser.add_argument("--members", type=int, default=6)
    parser.add_argument("--idle", type=int, default=1_000, help="D: how many sockets")
    parser.add_argument("--missed", type=int, default=1_000, help="C: how many events")
    parser.add_argument("--turns", type=int, default=5, help="F: runs with sealing, and as many without")
    parser.add_argument("--serve", default="", help="another command that serves at HOST and PORT")
    parser.add_argument("--smoke", action="store_true", help="a few messages only: does the benchmark itself work?")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for the JSON")
    given = parser.parse_args(arguments)
    only = frozenset(given.only.upper().replace(",", ""))
    if not only or not only <= frozenset("ABCDEF") or min(given.processes, given.turns) < 1:
        parser.error("--only takes A,B,C,D,E,F; --processes and --turns at least 1")
    command = tuple(given.serve.split()) or (sys.executable, "manage.py", "serve")
    shared: dict[str, Any] = {"only": only, "processes": given.processes, "command": command}
    if given.smoke:
        plan = Plan(
            rates=(40,),
            seconds=1,
            warm_up_s=0.2,
            rooms=2,
            members=3,
            senders=2,
            missed=40,
            catch_ups=2,
            idle=10,
            idle_seconds=1,
            decisions=4,
            withdrawals=1,
            turns=1,
            turn_rate=40,
            turn_seconds=1,
            **shared,
        )
    else:
        plan = Plan(
            rates=tuple(float(rate) for rate in given.rate.split(",")),
            seconds=given.seconds,
            rooms=given.rooms,
            members=given.members,
            idle=given.idle,
            missed=given.missed,
            turns=given.turns,
            turn_seconds=given.seconds,
            **shared,
        )
    return plan, given.out


def run(plan: Plan) -> dict[str, Any]:
    """Everything `plan` names; raises Fault when it cannot be had."""
    found: dict[str, Any] = {"about": about(plan)}
    with stack() as servers:
        found["about"] |= {"postgresql": servers.postgres_settings(), "redis": servers.redis_version()}
        if plan.only & set("ABC"):
            with_load(servers, plan, found)
        for letter, measure in (("D", measures.idle), ("E", measures.consent)):
            if letter in plan.only:
                found[letter] = in_fresh_servers(servers, plan, measure)
        if "F" in plan.only:
            found["F"] = sealing(servers, plan, say)
    return found


def with_load(servers: Stack, plan: Plan, found: dict[str, Any]) -> None:
    servers.start(plan.processes, plan.command)
    say(f"{plan.processes} server process(es) ready; {plan.rooms} rooms of {plan.members}")
    driver = Driver()
    try:
        driver.do("connect", seats=measures.seats(servers, rooms=plan.rooms, members=plan.members))
        driver.do("open_loop", rate=WARM_UP_RATE, seconds=plan.warm_up_s)
        if "A" in plan.only:
            found["A"] = measures.open_loop(servers, driver, plan, say)
        if "B" in plan.only:
            found["B"] = measures.closed_loop(servers, driver, plan, say)
        if "C" in plan.only:
            found["C"] = measures.catch_up(driver, plan, say)
        told = servers.folder / "acknowledged.json"
        found["generator"] = driver.do("results", out=str(told))
        say("comparing with the rows")
        found["rows"] = rows.check(servers.environment["DATABASE_URL"], driver.run, json.loads(told.read_text()))
        driver.do("disconnect")
    finally:
        driver.close()
    found["exit_statuses"] = servers.stop()


def in_fresh_servers(servers: Stack, plan: Plan, measure: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    servers.start(plan.processes, plan.command)
    driver = Driver()
    try:
        return measure(servers, driver, plan, say)
    finally:
        driver.close()
        servers.stop()


def about(plan: Plan) -> dict[str, Any]:
    """What a reader must know to compare: machine, versions, process counts."""
    revision = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    dirty = subprocess.run(["git", "status", "--porcelain", "server"], cwd=ROOT, capture_output=True, text=True)
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "revision": revision.stdout.strip() + ("+" if dirty.stdout.strip() else ""),
        "machine": measures.machine(ROOT),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "server_processes": plan.processes,
        "serve": " ".join(Path(word).name if word == sys.executable else word for word in plan.command),
        "rooms": plan.rooms,
        "members": plan.members,
        "encryption": True,
        "audit": True,
        "sealing": True,
        "compression": False,
        "heartbeat_s": "default",
    }


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["alerts"]:
        return alerts.main(arguments[1:], say)
    plan, out = plan_of(arguments)
    try:
        found = run(plan)
    except (Fault, ServiceFault, psycopg.Error, redis.RedisError, OSError) as fault:
        say(" ".join(str(fault).split()) or type(fault).__name__)
        return 1
    out.mkdir(parents=True, exist_ok=True)
    written = out / f"{found['about']['at'].replace(':', '')}-{plan.processes}p.json"
    written.write_text(json.dumps(found, indent=1) + "\n")
    print(report.table(found))
    print(f"\nJSON: {written}")
    wrong = report.faults(found)
    for line in wrong:
        print(f"WRONG: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
