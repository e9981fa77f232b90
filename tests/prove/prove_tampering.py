"""Whoever owns the database may rewrite, remove and swap what they like: it is found, and it is named.

Once by the product's own check of its rows, and once by `verify.py`, run alone on an export.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from server.audit.verify import MISMATCH, REWRITTEN, SIGNATURE
from tests.faults.sequencing import NODE_BITS, TREE_BITS, House, house

pytestmark = pytest.mark.prove
SIZE, BATCH = 700, 100
INDEX = 300
"""Of the entry that is tampered with; the next one is what it is swapped with."""
AT, NEXT = (1 << TREE_BITS) + INDEX, (1 << TREE_BITS) + INDEX + 1
NODE = 1 << NODE_BITS | 1 << TREE_BITS | INDEX // 256
EVENT = f"(SELECT event_id FROM audit_leaf WHERE position = {AT})"
LAST = "(SELECT max(position) FROM audit_checkpoint)"
SWAP = (
    f"CREATE TEMP TABLE kept AS SELECT * FROM audit_leaf WHERE position IN ({AT}, {NEXT})",
    f"DELETE FROM audit_leaf WHERE position IN ({AT}, {NEXT})",
)
BACK = (
    "INSERT INTO audit_leaf (position, event_id, hash) SELECT one.position, other.event_id, {}.hash FROM kept one "
    "JOIN kept other ON other.position <> one.position"
)


@dataclass(frozen=True, slots=True)
class Deed:
    """`found`: what the product's check says, of event {event} and its neighbour {other}; `told`: what `verify.py`
    says, with which `status`."""

    name: str
    statements: tuple[str, ...]
    found: tuple[str, ...]
    status: int = MISMATCH
    told: tuple[str, ...] = ()


DEEDS = [
    Deed(
        "a rewritten row",
        (f"UPDATE audit_auditevent SET leaf = replace(leaf, 'x.done', 'x.gone') WHERE id = {EVENT}",),
        (f"entry {INDEX} (event {{event}}): the event is not what was sealed",),
        told=(f"Entry {INDEX} ",),
    ),
    Deed(
        "a rewritten column",
        (f"UPDATE audit_auditevent SET reason = 'other' WHERE id = {EVENT}",),
        (f"entry {INDEX} (event {{event}}): columns say something else than what was sealed: reason",),
        status=0,  # an export is made of what was sealed, which is whole
    ),
    Deed(
        "details of another event",
        (
            "UPDATE audit_auditevent SET detail_sealed = (SELECT detail_sealed FROM audit_auditevent WHERE id = "
            f"(SELECT event_id FROM audit_leaf WHERE position = {NEXT})) WHERE id = {EVENT}",
        ),
        (f"entry {INDEX} (event {{event}}): the details do not open",),
        status=0,
    ),
    Deed(
        "a removed row",
        (f"DELETE FROM audit_auditevent WHERE id = {EVENT}",),
        (f"entry {INDEX} (event {{event}}): the event is missing",),
        told=(f"Entry {INDEX} ",),
    ),
    Deed(
        "a removed row and its leaf",
        (f"DELETE FROM audit_auditevent WHERE id = {EVENT}", f"DELETE FROM audit_leaf WHERE position = {AT}"),
        (f"entry {INDEX}: the leaf is missing",),
    ),
    Deed(
        "swapped rows",
        (*SWAP, BACK.format("one")),
        (f"entry {INDEX} (event {{other}})", f"entry {INDEX + 1} (event {{event}})"),
        told=(f"Entries {INDEX}, {INDEX + 1} ",),
    ),
    Deed(
        "swapped rows with their hashes",
        (*SWAP, BACK.format("other")),
        ("kept hash 1 of level 1 (entries 256 to 511) was changed", "another root than its entries have"),
        told=("256 to 511",),
    ),
    Deed(
        "a rewritten tile",
        (f"UPDATE audit_leaf SET hash = (SELECT hash FROM audit_leaf WHERE position = {NEXT}) WHERE position = {AT}",),
        (f"entry {INDEX} (event {{event}}): the event is not what was sealed, or its hash was changed",),
        told=(f"Entry {INDEX} ",),
    ),
    Deed(
        "a rewritten node",
        (f"UPDATE audit_node SET hash = (SELECT hash FROM audit_leaf WHERE position = {AT}) WHERE place = {NODE}",),
        ("kept hash 1 of level 1 (entries 256 to 511) was changed",),
        told=("tile/1/000", "256 to 511"),
    ),
    Deed(
        "a rewritten root",
        (
            f"UPDATE audit_checkpoint SET root = (SELECT hash FROM audit_leaf WHERE position = {AT}) "
            f"WHERE position = {LAST}",
        ),
        (f"checkpoint of size {SIZE}",),
        status=0,  # what was signed is whole
    ),
    Deed(
        "a rewritten checkpoint",
        (f"UPDATE audit_checkpoint SET note = replace(note, '{SIZE}', '{SIZE - 1}') WHERE position = {LAST}",),
        (f"checkpoint of size {SIZE}: the signature",),
        status=SIGNATURE,
    ),
    Deed(
        "an event that is in no tree",
        ("DELETE FROM audit_pending",),
        ("event {unsealed}: neither sealed nor waiting to be",),
        status=0,
    ),
]


@pytest.fixture(scope="module", params=["postgresql", "sqlite"])
def here(request: pytest.FixtureRequest) -> Iterator[House]:
    with house(request.param) as made:
        made.act(count=SIZE - len(made.leaves()), exact=True).wait()
        sealing = made.seal(batch=BATCH, dry=True)
        assert sealing.wait() == 0, sealing.said()
        assert len(made.leaves()) == SIZE
        yield made


@pytest.mark.parametrize("deed", DEEDS, ids=lambda deed: deed.name)
def test_it_is_found_and_named(here: House, deed: Deed) -> None:
    leaves, backup = here.leaves(), here.back_up()
    [unsealed] = here.act(count=1, exact=True).acknowledged_at_end()
    try:
        assert checked(here) == []
        done = here.nursery.start("tamper", statements=deed.statements)
        assert done.wait() == 0, done.said()
        said = checked(here)
        for wanted in deed.found:
            text = wanted.format(event=leaves[INDEX][1], other=leaves[INDEX + 1][1], unsealed=unsealed)
            assert any(text in one for one in said), said
        status, told = here.verify(here.export())
        assert status == deed.status, told
        assert all(text in told for text in deed.told), told
        print(f"\n  {deed.name}: {said[0]}\n    {told.splitlines()[0]}")
    finally:
        here.put_back(backup)
        here.writers.clear()


def test_a_log_that_is_sealed_anew_with_the_key_is_another_log(here: House) -> None:
    """Nobody inside can see it: only a checkpoint that was kept elsewhere does."""
    kept, backup, store = here.newest(), here.back_up(), (here.store / "current").read_text()
    try:
        emptied = [f"DELETE FROM audit_{name}" for name in ("leaf", "node", "checkpoint", "head", "tree")]
        rewritten = DEEDS[0].statements[0]
        again = "INSERT INTO audit_pending (event_id) SELECT id FROM audit_auditevent"
        done = here.nursery.start("tamper", statements=[rewritten, *emptied, again], forget=True)
        assert done.wait() == 0, done.said()
        here.settle()
        assert here.verify(here.export())[0] == 0
        status, told = here.verify(here.export(), older=kept)
        assert status == REWRITTEN, told
        print(f"\n  sealed anew: {told.splitlines()[0]}")
    finally:
        here.put_back(backup)
        (here.store / "current").write_text(store)


def checked(here: House) -> list[str]:
    child = here.nursery.start("check")
    assert child.wait() == 0, child.said()
    return child.said().splitlines()
