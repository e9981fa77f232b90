"""kill -9 of the server, again and again, in the middle of posts; PostgreSQL with durability on, and SQLite."""

import asyncio

import pytest

from tests.faults.kills import play_kills
from tests.faults.ledger import Ledger
from tests.faults.stage import stage

pytestmark = pytest.mark.prove


@pytest.mark.parametrize(("engine", "rounds"), [("postgresql", 22), ("sqlite", 6)])
def test_acknowledged_messages_survive_kills(engine: str, rounds: int) -> None:
    ledger = Ledger()
    with stage(sqlite=engine == "sqlite", rooms=5, members=4) as here:
        report = asyncio.run(play_kills(here, ledger, rounds=rounds, seed=11))
        print(f"\n  {engine}: {report}")
        assert not ledger.faults, ledger.faults[:10]
        assert not here.faults_of_ours(), here.faults_of_ours()[:3]
