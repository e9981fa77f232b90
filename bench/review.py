"""What an officer waits for in a long log: `python -m tools.services run -- python -m bench.review EVENTS TIMES`.

Needs MODE, VAR_DIR, DB_TIMEOUT_S=60 and a PostgreSQL database of its own, which it migrates and fills; JSON goes to
standard output, and a table to standard error. `ms` is one REST request for 50 events without a server around it:
session, page, the look in the log, JSON. `sql_ms` is the statement alone for the longest page there is, by EXPLAIN
(ANALYZE, BUFFERS); `pages` is what it read, from memory or not, and `blind_pages` the same with a plan made without
knowing what is looked for. `tests/prove/prove_review_pages.py` says what must hold.
"""

import json
import os
import statistics
import sys
import time
from typing import Any
from urllib.parse import urlencode

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "server.settings")
django.setup()

from django.core.management import call_command  # noqa: E402 - Django first
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from rest_framework.pagination import Cursor  # noqa: E402

from bench.log import Log, make  # noqa: E402
from bench.pages import Look, explain, explain_prepared, looks  # noqa: E402
from server.people import actions as people  # noqa: E402
from server.review import lines  # noqa: E402
from server.review.paging import LogPages  # noqa: E402

SIZE = 50
ADDRESS = "/api/v1/review/events"


def say(text: str) -> None:
    print(f"bench.review: {text}", file=sys.stderr, flush=True)


def project() -> dict[str, float]:
    """Every line of the log, made as the worker makes them, without its pauses."""
    begun, longest, leaves = time.monotonic(), 0.0, 0
    while True:
        since = time.monotonic()
        count = lines.follow()
        if not count:
            break
        leaves, longest = leaves + count, max(longest, time.monotonic() - since)
    took = time.monotonic() - begun
    return {"events_per_s": round(leaves / took), "longest_batch_ms": round(1e3 * longest, 1)}


def address(look: Look) -> str:
    period = {"from": look.wanted.since, "to": look.wanted.until}
    asked = {name: value.isoformat() for name, value in period.items() if value is not None}
    pages = LogPages()
    pages.base_url = f"{ADDRESS}?{urlencode({**look.wanted.same, **asked, 'limit': SIZE})}"
    if look.after is None:
        return pages.base_url
    place = f"{look.after.at.isoformat()}/{look.after.position}"
    return str(pages.encode_cursor(Cursor(0, False, place)))  # type: ignore[arg-type]


def measure(log: Log, times: int) -> dict[str, Any]:
    """Each look, so many times."""
    _, token = people.sign_in(user=log.officer.user, method="demo")
    client = Client(HTTP_HOST="127.0.0.1", HTTP_AUTHORIZATION=f"Bearer {token}")
    found = {}
    for look in looks(log):
        plan, blind, samples = explain(log.controller, look), explain_prepared(log.controller, look), []
        for _ in range(times + 1):  # the first meets statements that are not prepared yet
            begun = time.perf_counter()
            answer = client.get(address(look))
            samples.append(time.perf_counter() - begun)
            assert answer.status_code == 200, answer.content
        told = sorted(samples[1:])
        found[look.name] = {
            "ms": round(1e3 * statistics.median(told), 2),
            "p95_ms": round(1e3 * told[int(len(told) * 0.95)], 2),
            "sql_ms": round(plan.ms, 2),
            "rows": plan.rows,
            "pages": plan.pages,
            "blind_pages": blind.pages,
            "nodes": sorted(plan.nodes | blind.nodes),
        }
        say(f"{look.name:40} " + " ".join(str(one) for one in found[look.name].values()))
    return found


def main(events: int, times: int) -> None:
    call_command("migrate", verbosity=0)
    log = make(events, say)
    told: dict[str, Any] = {"events": events, "project": project()}
    say(f"lines made: {told['project']}")
    told["lines"] = lines.standing().lines
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE) review_line")
    print(json.dumps(told | {"looks": measure(log, times)}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
