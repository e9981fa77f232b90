"""kill -9 of the sequencer between any two of its writes and at any moment; several at once; databases put back.

Afterwards `verify.py`, run alone, must find the log whole, and whatever anybody was shown must still be so.
"""

import random
import signal
import time
from typing import Any

import psycopg
import pytest

from server.audit.verify import NEW_LOG, REWRITTEN, VerifierKey
from tests.faults.doomed import REFUSED
from tests.faults.sequencing import KILLED, Child, House, Watcher, house

pytestmark = pytest.mark.prove
POINTS = ("next_written", "inserted", "committed", "signed", "remembered", "published")
FILE_CALLS = 8
"""What the file store asks of the disk for one batch: three for `next`, three for `current`, two to drop `next`."""
MADE = [("postgresql", False), ("postgresql", True), ("sqlite", False)]
"""Engine, and whether the store is a PostgreSQL database and not files."""
RANDOM_KILLS = 40


def dooms(shared_store: bool) -> list[list[dict[str, Any]]]:
    """Who is killed where, one after the other, before somebody may finish: the second dies while it mends."""
    found: list[list[dict[str, Any]]] = [[{"at": point}] for point in POINTS]
    found += [[{"at": first}, {"at": then}] for first in POINTS[2:4] for then in POINTS[3:5]]
    if not shared_store:
        found += [[{"at": "file", "nth": nth}] for nth in range(1, FILE_CALLS + 1)]
        found += [[{"at": "file", "nth": nth, "torn": True}] for nth in (1, 4)]
        found += [[{"at": "committed"}, {"at": "file", "nth": nth}] for nth in range(1, 6)]
    return found


def assert_well(here: House, seen: Watcher, kept: str) -> None:
    assert not (faults := here.faults(seen)), faults[:10]
    folder, notes = here.export(), list(seen.notes.values())
    for older in {kept, notes[len(notes) // 2], notes[-1]}:
        status, told = here.verify(folder, older=older)
        assert (status, "It continues your older checkpoint" in told) == (0, True), told


@pytest.mark.parametrize(("engine", "shared_store"), MADE)
def test_killed_between_any_two_writes(engine: str, shared_store: bool) -> None:
    dice = random.Random(4)
    with house(engine, shared_store=shared_store) as here, Watcher(here.database) as seen:
        kept, rounds = here.newest(), dooms(shared_store)
        for dooms_of_one in rounds:
            assert here.act(count=dice.choice((1, 7, 300)), seed=dice.randrange(1000)).wait() == 0
            for doom in dooms_of_one:
                assert here.seal(doom=doom).wait() == KILLED, f"{doom} was never reached"
            here.settle()
        assert_well(here, seen, kept)
        print(f"\n  {engine}: {len(rounds)} places to be killed at; {len(seen.notes)} checkpoints seen, all kept to")


@pytest.mark.parametrize(("engine", "shared_store"), MADE)
def test_killed_at_any_moment(engine: str, shared_store: bool) -> None:
    """While two processes write, and transactions commit in another order than they took their ids."""
    dice = random.Random(5)
    with house(engine, shared_store=shared_store) as here, Watcher(here.database) as seen:
        kept = here.newest()
        writers = [here.act(seconds=RANDOM_KILLS * 0.65, seed=seed, slow=engine == "postgresql") for seed in (1, 2)]
        for _ in range(RANDOM_KILLS):
            child = here.seal(every_s=0.001, batch=dice.choice((5, 5_000)))
            time.sleep(dice.uniform(0.1, 1.2))
            child.kill()
        assert [writer.wait() for writer in writers] == [0, 0]
        here.settle()
        assert_well(here, seen, kept)
        print(f"\n  {engine}: {RANDOM_KILLS} kills, {len(here.leaves())} events, {len(seen.notes)} checkpoints seen")


@pytest.mark.parametrize(("engine", "shared_store"), MADE)
@pytest.mark.parametrize("count", [2, 3])
def test_several_at_once(engine: str, shared_store: bool, count: int) -> None:
    """They are killed, stand still for a while and come back, and neither double nor lose anything."""
    dice = random.Random(6)
    with house(engine, shared_store=shared_store) as here, Watcher(here.database) as seen:
        kept = here.newest()
        writers = [here.act(seconds=8, seed=seed) for seed in (1, 2)]

        def one() -> Child:
            return here.seal(every_s=0.001, batch=20)

        sealing = [one() for _ in range(count)]
        while any(writer.status is None for writer in writers):
            which = dice.randrange(count)
            time.sleep(dice.uniform(0.02, 0.2))
            if dice.random() < 0.5:
                sealing[which].kill()
                sealing[which] = one()
            else:
                sealing[which].signal(signal.SIGSTOP)
                time.sleep(dice.uniform(0.02, 0.2))
                sealing[which].signal(signal.SIGCONT)
        for child in sealing:
            child.kill()
        here.settle()
        assert_well(here, seen, kept)
        assert not any("rolled_back" in child.said() for child in here.nursery.born), "a false alarm"
        print(f"\n  {engine}: {count} at once, {len(here.leaves())} events, {len(seen.notes)} checkpoints seen")


@pytest.mark.parametrize("point", ["committed", "signed", "remembered"])
def test_who_wakes_late_has_lost(point: str) -> None:
    """One stands still after its commit; another finishes for it and goes on; then the first wakes."""
    with house("postgresql", shared_store=True) as here, Watcher(here.database) as seen:
        kept = here.newest()
        here.act(count=10).wait()
        late = here.seal(doom={"at": point, "how": "stop"})
        late.wait_until_stopped()
        for _ in range(3):
            here.act(count=10).wait()
            here.settle()
        late.signal(signal.SIGCONT)
        here.act(count=10).wait()
        here.settle()
        late.kill()
        assert_well(here, seen, kept)
        assert late.said() == ""


@pytest.mark.parametrize("at", ["claimed", "next_written"])
def test_whose_connection_is_gone_has_lost(at: str) -> None:
    """One stands still within its transaction, and loses its connection and so the lock; it must spoil nothing for the
    other, who is about to finish."""
    with house("postgresql", shared_store=True) as here, Watcher(here.database) as seen:
        kept = here.newest()
        here.act(count=10).wait()
        # Its second batch: it has the tree at hand by then, and goes to the store without a statement before.
        late = here.seal(batch=5, doom={"at": at, "nth": 2, "how": "stop"})
        late.wait_until_stopped()
        with psycopg.connect(here.database, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND state = 'idle in transaction'"
            )
        other = here.seal(doom={"at": "committed", "how": "stop"})
        other.wait_until_stopped()
        late.signal(signal.SIGCONT)
        time.sleep(1)
        other.signal(signal.SIGCONT)
        here.act(count=10).wait()
        here.settle()
        for child in (late, other):
            child.kill()
            assert "rolled_back" not in child.said(), "a false alarm"
        assert_well(here, seen, kept)


@pytest.mark.parametrize(("engine", "shared_store"), MADE)
@pytest.mark.parametrize("killed_at", [None, "committed", "remembered"])
def test_a_database_put_back_is_refused_until_it_is_adopted(
    engine: str, shared_store: bool, killed_at: str | None
) -> None:
    with house(engine, shared_store=shared_store) as here:
        here.act(count=300).wait()
        here.settle()
        backup = here.back_up()
        here.act(count=40).wait()
        here.settle()
        newest = here.newest()
        if killed_at:
            here.act(count=40).wait()
            assert here.seal(doom={"at": killed_at}).wait() == KILLED
        here.put_back(backup)
        here.writers.clear()
        for _ in range(2):
            here.act(count=100).wait()
            refused = here.seal(dry=True)
            assert (refused.wait(), refused.said().split()[-1]) == (REFUSED, "rolled_back")
        status, told = here.verify(here.export(), older=newest)
        assert status == REWRITTEN, told
        adopted = here.nursery.start("adopt", reason="restored on purpose")
        assert adopted.wait() == 0, adopted.said()
        here.settle()
        anew = VerifierKey(f"{here.key.name}/2", here.key.public)
        status, told = here.verify(here.export(2), older=newest, key=anew)
        assert status == NEW_LOG, told
        assert "begun on purpose" in told
        waited = {event for writer in here.writers for event in writer.acknowledged()}
        assert waited <= {event for _, event, _, _ in here.leaves(2)}, "what was written before adopting is sealed too"
        here.act(count=10).wait()
        here.settle()
        print(f"\n  {engine}: {told.strip().splitlines()[-1]}")
