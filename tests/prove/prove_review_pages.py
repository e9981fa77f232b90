"""A million events: whatever an officer looks for, a page costs a few pages of the database, and no table is read."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.served import ROOT, environment
from tools.services import own_database

EVENTS = 1_000_000
TIMES = 3
MOST_PAGES = 500
LOOKS = 100
"""At least: seven filters, with common, rare and nobody's values, alone and in periods, first pages and deep ones."""
pytestmark = [
    pytest.mark.prove,
    pytest.mark.skipif("DATABASE_URL" not in os.environ, reason="EXPLAIN (ANALYZE, BUFFERS) is PostgreSQL's"),
]


def test_every_look_into_a_million_events(tmp_path: Path) -> None:
    with own_database(os.environ["DATABASE_URL"]) as url:
        command = [sys.executable, "-m", "bench.review", str(EVENTS), str(TIMES)]
        env = environment(tmp_path, MODE="demo", DATABASE_URL=url, DB_TIMEOUT_S="60", LOG_LEVEL="WARNING", THROTTLE="0")
        done = subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=True)
    told = json.loads(done.stdout)
    print(f"\n  {told['lines']} lines of {told['events']} events, {told['project']}")
    print(f"  {'look':40} {'rows':>5} {'pages':>6} {'blind':>6} {'sql ms':>7} {'REST ms':>8}  nodes")
    for name, one in told["looks"].items():
        nodes = " < ".join(node for node in one["nodes"] if node != "Limit")
        pages = f"{one['pages']:6} {one['blind_pages']:6}"
        print(f"  {name:40} {one['rows']:5} {pages} {one['sql_ms']:7} {one['ms']:8}  {nodes}")
    assert told["lines"] > EVENTS
    assert len(told["looks"]) >= LOOKS
    faults = {
        name: one
        for name, one in told["looks"].items()
        if max(one["pages"], one["blind_pages"]) > MOST_PAGES or "Seq Scan" in one["nodes"]
    }
    assert not faults
