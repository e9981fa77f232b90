"""Quick: one kill of the server, on the engine under test; twenty are in `make prove`."""

import asyncio
import os

import pytest

from tests.faults.kills import play_kills
from tests.faults.ledger import Ledger
from tests.faults.stage import stage

SQLITE = not os.environ.get("DATABASE_URL")


@pytest.mark.skipif(SQLITE, reason="SQLite is killed by `make prove`")
def test_every_acknowledged_message_survives_a_kill() -> None:
    ledger = Ledger()
    with stage(sqlite=SQLITE, rooms=5, members=4) as here:
        report = asyncio.run(play_kills(here, ledger, rounds=1, seed=1, devices=10))
        print(f"\n{report}")
        assert not ledger.faults, ledger.faults[:10]
        assert not here.faults_of_ours(), here.faults_of_ours()[:3]
