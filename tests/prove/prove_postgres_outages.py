"""The real PostgreSQL frozen and killed, under load: 503 within the limit, recovery without a restart, nothing lost."""

import asyncio

import pytest

from tests.faults.ledger import Ledger
from tests.faults.outages import Outage, play_outages
from tests.faults.stage import stage

pytestmark = pytest.mark.prove
DB_TIMEOUT_S = 2.0
SLACK_S = 2.0


def test_postgres_frozen_and_killed() -> None:
    ledger = Ledger()
    outages = [
        Outage("frozen", 1),
        Outage("frozen", 7),
        Outage("killed", 3),
        Outage("killed", 20),
        Outage("frozen", 20),
    ]
    with stage(rooms=4, members=4, db_timeout_s=DB_TIMEOUT_S) as here:
        assert here.postgres is not None
        reports = asyncio.run(play_outages(here, ledger, here.postgres, outages))
        figures = ledger.check(here.database)
        for report in reports:
            print(f"\n  {report}")
        print(f"  {figures}; the server's warnings: {here.servers[0].warnings()}")
        assert not ledger.faults, ledger.faults[:10]
        assert not here.faults_of_ours(), here.faults_of_ours()[:3]
    for report in reports:
        # One limit for the statement that freezes, half of one for the connection that is not to be had.
        assert max(report.looks.at(1), report.posts.at(1)) < 1.5 * DB_TIMEOUT_S + SLACK_S
        assert report.frames.at(1) < 2 * DB_TIMEOUT_S + SLACK_S
        assert report.healthy_after_s < 5, "long outages too: nothing waits longer and longer"
        assert report.lost_sockets == 0
        if report.outage.seconds > 2 * DB_TIMEOUT_S or report.outage.how == "killed":
            assert report.statuses["ready 503"] > 0
            assert report.statuses["post 503"] > 0
            assert report.statuses["frame unavailable"] > 0
