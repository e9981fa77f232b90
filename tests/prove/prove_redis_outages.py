"""The real Redis frozen and killed: REST and posting work on, sockets of two processes heal by heartbeat."""

import asyncio
import time

import pytest

from tests.faults.clients import Phone, Times, Writer, until
from tests.faults.ledger import Ledger
from tests.faults.outages import Outage, play_outages
from tests.faults.stage import Stage, stage

pytestmark = pytest.mark.prove
HEARTBEAT_S = 1.0
SLACK_S = 1.5


async def across(here: Stage, ledger: Ledger, count: int) -> Times:
    """How long a message written in one process takes to a socket of the other, in seconds."""
    times, place = Times(), here.rooms[0]
    first, second = here.servers
    reader = Phone(place.staff[0], lambda: second.socket_url, ledger)
    writer = Writer(place.staff[1], lambda: first.base, ledger)
    async with reader, writer:
        await until(reader.synced.is_set, 30, "the hello of the reader")
        for _ in range(count):
            seq = await writer.post(place.id)
            acknowledged = time.time()
            assert isinstance(seq, int)
            await until(lambda seq=seq: reader.cursors[place.id] >= seq, 30, "the message in the other process")
            times.add(max(reader.heard_at[(place.id, seq)] - acknowledged, 0))
    return times


async def silent_process(here: Stage, ledger: Ledger) -> float:
    """The slowest REST post in a process that has no socket at all, while Redis is frozen."""
    assert here.redis is not None
    place, server = here.rooms[1], here.servers[0]
    async with Writer(place.staff[1], lambda: server.base, ledger) as writer:
        await writer.post(place.id)
        await asyncio.to_thread(here.redis.pause)
        try:
            for _ in range(5):
                await writer.post(place.id)
        finally:
            await asyncio.to_thread(here.redis.resume)
        assert not writer.errors, writer.errors
        return writer.answers.at(1)


def test_redis_frozen_and_killed() -> None:
    ledger = Ledger()
    outages = [Outage("frozen", 6), Outage("killed", 5), Outage("frozen", 15)]
    with stage(rooms=4, members=4, processes=2, heartbeat_s=HEARTBEAT_S) as here:
        assert here.redis is not None
        alone = asyncio.run(silent_process(here, ledger))
        print(f"\n  slowest post without sockets, Redis frozen: {alone:.2f} s")
        before = asyncio.run(across(here, ledger, 20))
        reports = asyncio.run(play_outages(here, ledger, here.redis, outages))
        for report in reports:
            print(f"  {report}")
        asyncio.run(asyncio.sleep(3))
        after = asyncio.run(across(here, ledger, 20))
        here.redis.pause()
        meanwhile = asyncio.run(across(here, ledger, 8))
        here.redis.resume()
        print(f"  from process to process: {before}\n  by heartbeat only: {meanwhile}\n  healed: {after}")
        print(f"  {ledger.check(here.database)}; warnings: {[server.warnings() for server in here.servers]}")
        assert not ledger.faults, ledger.faults[:10]
        assert not here.faults_of_ours(), here.faults_of_ours()[:3]
    assert alone < 2 + SLACK_S
    for report in reports:
        assert not any(" 503" in name or "unavailable" in name for name in report.statuses), report.statuses
        assert max(report.posts.at(1), report.looks.at(1), report.frames.at(1)) < 2 + SLACK_S
        assert report.lost_sockets == 0
    assert meanwhile.at(1) < HEARTBEAT_S + SLACK_S, "by the next heartbeat"
    assert after.at(0.5) < HEARTBEAT_S / 4, "hints work again"
