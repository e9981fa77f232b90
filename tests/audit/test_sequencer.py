"""Sealing: consecutive places, a signed checkpoint per batch, and nothing lost or doubled wherever it is killed."""

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.db import IntegrityError, connection, transaction

from server.audit import reading, sequencer, worker
from server.audit.actions import record
from server.audit.adoption import NothingToAdopt, adopt
from server.audit.entry import SYSTEM, Entry
from server.audit.models import AuditEvent, Checkpoint, Head, Leaf, Pending, Tree
from server.audit.note import Signer
from server.audit.sequencer import Sequencer, Stopped
from server.audit.store import FileStore, PostgresStore, State, Store, StoreFault, StoreMoved
from server.audit.verify import leaf_hash, open_checkpoint, root_of, verify_consistency, verify_inclusion
from tests.base import TownTransactionTestCase
from tests.support import database
from tools.services import own_database

POINTS = ("next_written", "inserted", "committed", "signed", "remembered", "published")


class Killed(BaseException):
    """The process ends here: nothing after it runs, no `except Exception` sees it."""


class Sealing(TownTransactionTestCase):
    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.monkeypatch = tmp_path, monkeypatch

    def setUp(self) -> None:
        super().setUp()
        self.signer = Signer.new("log.example")
        self.store: Store = FileStore(self.folder / "store", "one")
        self.sequencer = self.fresh()
        while self.sequencer.step():
            pass

    def fresh(self, **options: Any) -> Sequencer:
        """As after a restart."""
        return Sequencer(self.store, [self.signer], **options)

    def act(self, count: int = 1) -> list[UUID]:
        with transaction.atomic():
            return [record(Entry(type="x.done", actor=SYSTEM, detail={"n": number})) for number in range(count)]

    def head(self) -> tuple[str, int, bytes]:
        head = Head.objects.select_related("tree").get()
        return head.tree.origin, head.size, bytes(head.root)

    def holds(self) -> None:
        """Every event has one place, without holes; the published checkpoint is ours and says the naive root."""
        leaves = list(Leaf.objects.order_by("position").values_list("position", "event_id", "hash"))
        assert [reading.index_of(at) for at, _, _ in leaves] == list(range(len(leaves)))
        said = dict(AuditEvent.objects.values_list("id", "leaf"))
        assert sorted(said) == sorted(event for _, event, _ in leaves)
        assert all(bytes(hash_) == leaf_hash(said[event].encode()) for _, event, hash_ in leaves)
        assert not Pending.objects.exists()
        published = reading.latest()
        assert published is not None
        told = open_checkpoint(published.note, [self.signer.verifier])
        assert told.size == published.size == len(leaves)
        assert told.root == published.root == root_of(bytes(hash_) for _, _, hash_ in leaves)
        assert self.store.read() == State(current=published.note)
        assert self.head() == (told.origin, told.size, told.root)

    def test_what_was_written_is_sealed(self) -> None:
        self.holds()
        events = self.act(300)
        assert self.sequencer.step() == 300
        self.holds()
        size = Leaf.objects.count()
        for event in (events[0], events[150], events[-1]):
            at = reading.position_of(event)
            assert at is not None
            leaf = leaf_hash(AuditEvent.objects.get(id=event).leaf.encode())
            proof = reading.inclusion_proof(at, size)
            published = reading.latest()
            assert published
            assert verify_inclusion(reading.index_of(at), size, leaf, proof, published.root)
        older = Checkpoint.objects.order_by("position")[0]
        proof = reading.consistency_proof(1, reading.index_of(older.position), size)
        assert verify_consistency(reading.index_of(older.position), size, bytes(older.root), published.root, proof)

    def test_batches_and_a_restart_give_the_same_tree(self) -> None:
        """The range that is read again from kept hashes grows as the one in memory does."""
        self.act(700)
        for _ in range(3):
            assert self.fresh(batch=100).step() == 100
        while self.fresh(batch=77).step():
            pass
        self.holds()

    def test_killed_at_every_point(self) -> None:
        """Mutations: write `next` after the commit; sign before it; publish before remembering; drop `next` unread."""
        for point in POINTS:
            self.act(3)
            before = self.head()

            def die(here: str, point: str = point) -> None:
                if here == point:
                    raise Killed

            with self.monkeypatch.context() as patch:
                patch.setattr(sequencer, "reached", die)
                doomed = self.fresh()
                with pytest.raises(Killed):
                    doomed.step()
            published = reading.latest()
            assert published
            if point in ("next_written", "inserted"):
                assert self.head() == before
            if point != "published":
                assert published.root == before[2], f"{point}: nothing is shown before the store knows it"
            again = self.fresh()
            again.settle()
            settled = reading.latest()
            assert settled
            assert (settled.size, settled.root) == self.head()[1:]
            again.step()
            self.holds()

    def test_two_at_once(self) -> None:
        events = self.act(400)
        sealed = []

        def work() -> None:
            try:
                mine = self.fresh(batch=20)
                sealed.extend(mine.step() for _ in range(60))
            finally:
                connection.close()

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        while self.fresh().step():
            pass
        assert Leaf.objects.filter(event_id__in=events).count() == 400
        self.holds()

    def test_a_transaction_that_commits_late_is_sealed_too(self) -> None:
        """Its ids are older than what is sealed already. Mutation: take events with an id above the last one."""
        if connection.vendor == "sqlite":
            return  # one writer at a time: nobody commits late
        entered, leave = threading.Event(), threading.Event()
        late: list[UUID] = []

        def slow() -> None:
            try:
                with transaction.atomic():
                    late.append(record(Entry(type="x.late", actor=SYSTEM)))
                    entered.set()
                    leave.wait(10)
            finally:
                connection.close()

        thread = threading.Thread(target=slow)
        thread.start()
        entered.wait(10)
        self.act(5)
        assert self.sequencer.step() == 5
        leave.set()
        thread.join()
        assert self.sequencer.step() == 1
        assert reading.position_of(late[0]) is not None
        self.holds()

    def test_a_database_put_back_is_refused_until_it_is_adopted(self) -> None:
        self.act(2)
        self.sequencer.step()
        backup = database.back_up()
        gone = self.act(2)
        self.sequencer.step()
        newest = self.store.read().current
        database.put_back(backup)
        self.act()
        with pytest.raises(Stopped, match="put back"):
            self.fresh().step()
        assert Pending.objects.count() == 1, "acts go on, and wait"
        adopted = adopt(store=self.store, signers=[self.signer], reason="restored on purpose")
        first = AuditEvent.objects.get(id=adopted.events[0])
        assert f'"follows":"{newest}"'.replace("\n", "\\n") in first.leaf
        tree = Tree.objects.get(number=2)
        assert (tree.origin, tree.follows) == ("log.example/2", newest)
        self.fresh().step()
        published = reading.latest()
        assert published
        told = open_checkpoint(published.note, [self.signer.named("log.example/2").verifier])
        assert (told.origin, told.size) == ("log.example/2", 2)
        assert reading.position_of(gone[0]) is None

    def test_a_store_that_remembers_nothing_is_refused(self) -> None:
        self.store = FileStore(self.folder / "other", "one")
        self.act()
        with pytest.raises(Stopped, match="remembers none"):
            self.fresh().step()

    def test_a_forged_memory_is_refused(self) -> None:
        """Whoever rewrites the database and the store's text still lacks the key."""
        other = Signer.new("log.example")
        note = self.store.read().current
        assert note
        forged = sequencer.sign_note(note.partition("\n\n")[0] + "\n", [other])
        self.store.swap(self.store.read(), State(current=forged))
        self.act()
        with pytest.raises(Stopped, match="not signed by a key"):
            self.fresh().step()

    def test_a_forged_next_gets_no_signature(self) -> None:
        """Whoever can write database and store has no key, and must not get the sequencer to use it. Mutation: finish
        what equals `next` without holding it against `current`."""
        self.act(3)
        self.sequencer.step()
        state, head = self.store.read(), Head.objects.get()
        with database.unguarded():
            victim = AuditEvent.objects.latest("id")
            victim.leaf = victim.leaf.replace("x.done", "x.none")
            victim.save(update_fields=["leaf"])
            Leaf.objects.filter(event_id=victim.id).update(hash=leaf_hash(victim.leaf.encode()))
            root = root_of(bytes(one) for one in Leaf.objects.order_by("position").values_list("hash", flat=True))
            Head.objects.update(root=root)
            Checkpoint.objects.filter(position=reading.position(1, head.size)).update(root=root, note="")
        forged = sequencer.Next(1, sequencer.Said("log.example", head.size, root), []).text()
        self.store.swap(state, state._replace(next=forged))
        with pytest.raises(Stopped):
            self.fresh().settle()
        assert self.store.read().current == state.current

    def test_a_next_that_is_none_is_dropped_or_refused(self) -> None:
        for text in ("", "{", "[]", '{"size": 1}', '{"origin": 1, "size": 1, "root": "x", "events": []}'):
            state = self.store.read()
            self.store.swap(state, state._replace(next=text))
            self.fresh().settle()  # the database is as `current` says: what was to follow does not matter
            assert self.store.read() == state
            with pytest.raises(Stopped, match="not signed"):
                sequencer._of(text)

    def test_what_somebody_put_among_the_waiting_holds_nobody_up(self) -> None:
        """Rows without an event, of events that are sealed, and leaves that are not ours, before all others."""
        sealed = Leaf.objects.values_list("event_id", flat=True)[0]
        with database.unguarded():
            Pending.objects.bulk_create(Pending(event_id=UUID(int=number)) for number in range(1, 8))
            Pending.objects.create(event_id=sealed)
        for number, leaf in enumerate(('{"v":1}', "no json", '{"v":1,"v":1}', "x" * 70_000), start=100):
            with suppress(IntegrityError), transaction.atomic():  # the database refuses what is too long
                AuditEvent.objects.create(id=UUID(int=number), type="x.forged", outcome="success", leaf=leaf)
        events = self.act(9)
        mine = self.fresh(batch=3)
        assert [mine.step() for _ in range(4)] == [3, 3, 3, 0]
        assert all(reading.position_of(event) is not None for event in events)
        assert mine.strange >= 11
        assert Pending.objects.count() == mine.strange

    def test_a_leaf_of_another_time_is_not_sealed(self) -> None:
        with transaction.atomic():
            event = record(Entry(type="x.done", actor=SYSTEM))
            leaf = AuditEvent.objects.get(id=event).leaf
        with database.unguarded():
            AuditEvent.objects.filter(id=event).update(leaf=leaf.replace('"time":"20', '"time":"19'))
        assert self.sequencer.step() == 0
        assert self.sequencer.strange == 1

    def test_adopting_finishes_first_what_was_committed(self) -> None:
        """Else those events would be sealed under no signature, for ever."""
        self.act(3)

        def die(here: str) -> None:
            if here == "committed":
                raise Killed

        with self.monkeypatch.context() as patch:
            patch.setattr(sequencer, "reached", die)
            doomed = self.fresh()
            with pytest.raises(Killed):
                doomed.step()
        size = Leaf.objects.count()
        adopted = adopt(store=self.store, signers=[self.signer], reason="moved")
        old = reading.latest(1)
        assert old is not None
        assert old.size == size
        assert Tree.objects.get(number=adopted.tree).follows == old.note

    def test_a_memory_that_nobody_signed_is_not_adopted(self) -> None:
        known = self.store.read().current
        assert known
        for text in ("garbage", "log.example/41\n3\nAAAA\n\n— log.example/41 AAAA\n"):
            self.store.swap(self.store.read(), State(current=text))
            adopted = adopt(store=self.store, signers=[self.signer], reason="lost")
            assert Tree.objects.get(number=adopted.tree).follows == known
            assert adopted.tree == Tree.objects.count()
            published = reading.latest()
            assert published
            known = published.note

    def test_what_was_signed_and_not_published_is(self) -> None:
        """The loop sees it without a further act. Mutation: settle only once per process."""
        self.act()
        self.monkeypatch.setattr(worker, "store", lambda: self.store)
        self.monkeypatch.setattr(worker, "sequencer", lambda: self.sequencer)
        self.monkeypatch.setattr(worker, "standing", worker._Standing())
        with self.monkeypatch.context() as patch:
            patch.setattr(sequencer, "publish", lambda *_: None)
            worker.tick()
        self.sequencer._shown = ""
        assert worker.tick() == 0
        self.holds()

    def test_it_is_the_outermost_transaction(self) -> None:
        """A step that could be rolled back from outside would leave the store ahead for good."""
        mine = self.fresh()
        with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
            mine.step()

    def test_adopting_needs_something_to_adopt(self) -> None:
        database.restore()
        with pytest.raises(NothingToAdopt):
            adopt(store=FileStore(self.folder / "new", "one"), signers=[self.signer], reason="none")


def test_a_folder_belongs_to_one_host(tmp_path: Path) -> None:
    FileStore(tmp_path, "one").swap(State(), State(next="n"))
    with pytest.raises(StoreFault, match="belongs to the host one"):
        FileStore(tmp_path, "two").read()


def stores(tmp_path: Path, url: str) -> list[Store]:
    return [FileStore(tmp_path / "store", "one"), *([PostgresStore(url)] if url else [])]


def test_a_store_changes_only_from_what_was_read(tmp_path: Path, servers_url: str) -> None:
    for store in stores(tmp_path, servers_url):
        assert store.read() == State()
        store.swap(State(), State(next="one"))
        with pytest.raises(StoreMoved):
            store.swap(State(), State(next="two"))
        assert store.read() == State(next="one")
        store.swap(State(next="one"), State(current="signed"))
        with pytest.raises(StoreMoved):
            store.swap(State(next="one"), State(current="other"))
        assert store.read() == State(current="signed")


@pytest.fixture
def servers_url() -> Iterator[str]:
    """A database of its own where PostgreSQL is at hand, else nothing."""
    url = os.environ.get("DATABASE_URL")
    if not url:
        yield ""
        return
    with own_database(url) as fresh:
        yield fresh
