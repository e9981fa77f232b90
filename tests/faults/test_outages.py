"""Quick: PostgreSQL and Redis frozen for a moment. The embedded engine has neither."""

import asyncio
import os

import pytest

from tests.faults.ledger import Ledger
from tests.faults.outages import Outage, play_outages
from tests.faults.stage import stage

pytestmark = pytest.mark.skipif(not os.environ.get("DATABASE_URL"), reason="SQLite has no server that could freeze")
DB_TIMEOUT_S = 1.0
SLACK_S = 1.5
"""What a busy machine may add."""


@pytest.mark.prove
def test_frozen_servers_are_survived() -> None:
    """Redis: nobody notices but by the heartbeat. PostgreSQL: 503 within the limit, then all goes on."""
    ledger = Ledger()
    with stage(rooms=3, members=4, processes=2, db_timeout_s=DB_TIMEOUT_S) as here:
        assert here.postgres is not None
        assert here.redis is not None
        [without_redis], [without_postgres] = (
            asyncio.run(play_outages(here, ledger, broken, [Outage("frozen", 2.5)], devices=6, pause_s=0.25))
            for broken in (here.redis, here.postgres)
        )
        print(f"\nRedis {without_redis}\nPostgreSQL {without_postgres}\n{ledger.check(here.database)}")
        assert not ledger.faults, ledger.faults[:10]
        assert not here.faults_of_ours(), here.faults_of_ours()[:3]
    assert not any(" 503" in name or "unavailable" in name for name in without_redis.statuses)
    assert without_redis.posts.at(1) < 2 + SLACK_S
    assert without_postgres.statuses["ready 503"] > 0
    assert without_postgres.statuses["frame unavailable"] + without_postgres.statuses["post 503"] > 0
    assert without_postgres.looks.at(1) < 1.5 * DB_TIMEOUT_S + SLACK_S
    assert without_postgres.lost_sockets == 0
