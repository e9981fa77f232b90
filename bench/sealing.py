"""F: what sealing the log costs: the same load with the sequencer and without, in turn, in fresh server processes."""

import statistics
import time
from typing import Any

import psycopg

from bench import measures
from bench.measures import Meter, Plan, Said
from bench.stack import Driver, Fault, Stack

VARIANTS = {"sealed": "true", "unsealed": "false"}
"""And what SEQUENCER is then."""
WARM_UP_RATE = 50.0
PATIENCE_S = 120.0
BEHIND = (
    "SELECT EXISTS (SELECT 1 FROM audit_pending) OR (SELECT max(position) FROM audit_leaf) > "
    "coalesce((SELECT max(position) FROM review_progress), 0)"
)


def sealing(stack: Stack, plan: Plan, say: Said) -> dict[str, Any]:
    """CPU seconds per 1,000 messages of every run, the medians, and what sealing adds to them."""
    crowd = measures.crowd(stack, rooms=plan.rooms, members=plan.members)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in VARIANTS}
    for turn in range(plan.turns):
        for name in sorted(VARIANTS, reverse=bool(turn % 2)):  # neither is always the second
            told = one(stack, plan, crowd, VARIANTS[name])
            runs[name].append(told)
            say(f"F {name}: {told['cpu_s_per_1000']} CPU s per 1,000, {told['server_cpu_s_per_1000']} of the server's")
    found: dict[str, Any] = {"rate": plan.turn_rate, "runs": runs}
    for figure in ("cpu_s_per_1000", "server_cpu_s_per_1000"):
        middle = {name: statistics.median(told[figure] for told in runs[name]) for name in VARIANTS}
        found[figure] = middle | {"ratio": round(middle["sealed"] / middle["unsealed"], 3)}
    return found


def one(stack: Stack, plan: Plan, crowd: list[dict[str, Any]], sequencer: str) -> dict[str, Any]:
    stack.start(plan.processes, plan.command, SEQUENCER=sequencer)
    driver = Driver()
    try:
        driver.do("connect", seats=[seat for room in crowd for seat in measures.seats_of(stack, room)])
        driver.do("open_loop", rate=WARM_UP_RATE, seconds=plan.warm_up_s)
        if sequencer == "true":
            wait_until_sealed(stack)  # what the run before has left is not ours to pay
        meter = Meter(stack)
        told = driver.do("open_loop", rate=plan.turn_rate, seconds=plan.turn_seconds)
        time.sleep(measures.SETTLE_S)
        told |= meter.stop(told["sent"], told["generator_cpu_s"])
        driver.do("disconnect")
    finally:
        driver.close()
        stack.stop()
    return told | {"server_cpu_s_per_1000": round(1000 * told["cpu_s"]["server"] / told["sent"], 3)}


def wait_until_sealed(stack: Stack) -> None:
    """Until nothing waits, officers' lines have followed, and the dead rows are gone. Raises Fault."""
    deadline = time.monotonic() + PATIENCE_S
    with psycopg.connect(stack.environment["DATABASE_URL"], autocommit=True) as connection:
        while (connection.execute(BEHIND).fetchone() or [True])[0]:
            if time.monotonic() > deadline:
                raise Fault("the log is not being sealed")
            time.sleep(0.1)
        connection.execute("VACUUM (ANALYZE) audit_pending")
