"""Every look of an officer into a long log: each filter, common and rare, alone and with a period, and how deep."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from psycopg import sql

from bench.log import APART_S, BEGUN, Log
from server.common.ids import new_id
from server.common.sql import uuid_out
from server.review.events import COLUMNS, Place, Wanted, question

LONGEST_PAGE = 201
"""Rows that a page of the largest size asks for: one more, to know whether there is a next."""


@dataclass(frozen=True, slots=True)
class Look:
    """`after` None is the first page."""

    name: str
    wanted: Wanted
    after: Place | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What PostgreSQL did: pages read in the whole plan, from memory or not, its nodes, rows, and milliseconds."""

    pages: int
    planning_pages: int
    nodes: frozenset[str]
    rows: int
    ms: float


def looks(log: Log) -> Iterator[Look]:
    """The first page of each, and one half-way down."""
    end = BEGUN + timedelta(seconds=APART_S * log.events)
    month = timedelta(days=30)
    periods: dict[str, dict[str, Any]] = {
        "alone": {},
        "in a month": {"since": BEGUN + (end - BEGUN) / 2, "until": BEGUN + (end - BEGUN) / 2 + month},
        "until half-way": {"until": BEGUN + (end - BEGUN) / 2},
    }
    chosen: list[tuple[str, dict[str, Any]]] = [("nothing", {})]
    for name, column in COLUMNS.items():
        common, rare = _ends(log.controller, column)
        chosen += [(f"{name}, common", {name: common}), (f"{name}, rare", {name: rare})]
        if name != "outcome":
            nobodys = {"type": "nothing.such", "basis": "nothing"}.get(name, new_id())
            chosen.append((f"{name}, nobody's", {name: nobodys}))
    for what, same in chosen:
        for when, period in periods.items():
            wanted = Wanted(same=same, **period)
            yield Look(f"{what}, {when}, first", wanted, None)
            middle = _middle(log.controller, wanted)
            if middle is not None:
                yield Look(f"{what}, {when}, deep", wanted, middle)


def explain(controller: UUID, look: Look, limit: int = LONGEST_PAGE) -> Plan:
    """EXPLAIN (ANALYZE, BUFFERS) of exactly the statement that a page is."""
    asked = question(controller, look.wanted, look.after, limit)
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {asked.sql}", asked.values)
        said = cursor.fetchone()[0]
    return _plan(said)


def explain_prepared(controller: UUID, look: Look, limit: int = LONGEST_PAGE) -> Plan:
    """The same with a plan made without knowing what is looked for, which PostgreSQL may choose for a statement that is
    asked often."""
    asked = question(controller, look.wanted, look.after, limit)
    numbers = iter(range(1, len(asked.values) + 1))
    text = "".join(f"{part}${next(numbers)}" if part else "" for part in asked.sql.split("%s")[:-1])
    with connection.cursor() as cursor:
        raw: Any = cursor.connection
        given = sql.SQL(", ").join(map(sql.Literal, asked.values)).as_string(raw)
        cursor.execute("SET plan_cache_mode = force_generic_plan")
        cursor.execute(f"PREPARE look AS {text}")
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE look({given})")
        said = cursor.fetchone()[0]
        cursor.execute("DEALLOCATE look")
        cursor.execute("RESET plan_cache_mode")
    return _plan(said)


def _plan(said: Any) -> Plan:
    (told,) = json.loads(said) if isinstance(said, str) else said
    top = told["Plan"]
    return Plan(
        pages=_pages(top),
        planning_pages=_pages(told.get("Planning", {})),
        nodes=frozenset(_nodes(top)),
        rows=top["Actual Rows"],
        ms=told["Execution Time"],
    )


def _pages(part: dict[str, Any]) -> int:
    """Each node counts those below it."""
    kinds = ("Shared", "Local", "Temp")
    return sum(part.get(f"{kind} {what} Blocks", 0) for kind in kinds for what in ("Hit", "Read"))


def _nodes(node: dict[str, Any]) -> Iterator[str]:
    yield node["Node Type"]
    for below in node.get("Plans", ()):
        yield from _nodes(below)


def _ends(controller: UUID, column: str) -> tuple[Any, Any]:
    """The value that most lines of the controller have, and one that fewest have."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {column} FROM review_line WHERE controller_id = %s AND {column} IS NOT NULL "  # noqa: S608 - ours
            f"GROUP BY {column} ORDER BY count(*) DESC, {column}",
            [controller],
        )
        found = [value for (value,) in cursor.fetchall()]
    ends = found[0], found[-1]
    return ends if column in ("type", "basis", "outcome") else (uuid_out(ends[0]), uuid_out(ends[1]))


def _middle(controller: UUID, wanted: Wanted) -> Place | None:
    """The line with as many before it as after it; None when there are not two."""
    counted = question(controller, wanted, None, 2**40)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM ({counted.sql}) AS lines", counted.values)  # noqa: S608 - ours
        half = cursor.fetchone()[0] // 2
        if not half:
            return None
        cursor.execute(f"SELECT at, position FROM ({counted.sql}) AS lines OFFSET {half} LIMIT 1", counted.values)  # noqa: S608
        at, position = cursor.fetchone()
    return Place(at, position)
