"""A million events: whatever an officer looks for, a page costs a few pages of the database, and no table is read."""

import os
import time

import pytest
from django.db import connection

from bench.log import make
from bench.pages import explain, explain_prepared, looks
from server.review import lines

EVENTS = 1_000_000
MOST_PAGES = 500
pytestmark = [
    pytest.mark.prove,
    pytest.mark.skipif("DATABASE_URL" not in os.environ, reason="EXPLAIN (ANALYZE, BUFFERS) is PostgreSQL's"),
]


@pytest.mark.django_db(transaction=True)
def test_every_look_into_a_million_events() -> None:
    log = make(EVENTS, say=lambda text: print(f"  {text}"))
    begun = time.monotonic()
    while lines.follow():
        pass
    took = time.monotonic() - begun
    standing = lines.standing()
    assert standing.waiting == 0
    assert standing.lines > EVENTS
    print(f"\n  {standing.lines} lines of {EVENTS} events in {took:.0f} s: {EVENTS / took:.0f} events/s")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE) review_line")
    faults = []
    print(f"  {'look':42} {'rows':>5} {'pages':>6} {'plan':>6} {'ms':>7}  {'generic':>8} {'ms':>7}  nodes")
    for look in looks(log):
        plan, blind = explain(log.controller, look), explain_prepared(log.controller, look)
        nodes = " < ".join(sorted((plan.nodes | blind.nodes) - {"Limit"}))
        print(
            f"  {look.name:42} {plan.rows:5} {plan.pages:6} {plan.planning_pages:6} {plan.ms:7.2f}"
            f"  {blind.pages:8} {blind.ms:7.2f}  {nodes}"
        )
        if max(plan.pages, blind.pages) > MOST_PAGES or "Seq Scan" in nodes:
            faults.append((look.name, plan, blind))
    assert not faults, faults
