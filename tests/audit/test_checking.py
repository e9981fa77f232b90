"""`audit verify` on what is missing rather than wrong: details without an erasure, checkpoints without leaves, trees
that do not meet."""

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from django.db import transaction

from server.audit import checking, reading
from server.audit.actions import record
from server.audit.adoption import adopt
from server.audit.entry import SYSTEM, Entry
from server.audit.models import AuditEvent, Checkpoint, Head, Leaf, Tree, position
from server.audit.note import sign_note
from server.audit.verify import Checkpoint as Said
from server.common.ids import new_id
from server.people.models import Patient
from server.review.custody import KeyCustody
from server.vault import actions as vault
from tests.audit.sealing import ORIGIN, Log, act
from tests.base import TownTestCase
from tests.support.database import unguarded


class Checked(TownTestCase):
    log: Log

    @classmethod
    def setUpTestData(cls) -> None:
        super().setUpTestData()
        cls.log = Log()
        cls.addClassCleanup(cls.log.close)
        act(20)
        cls.log.seal()

    def setUp(self) -> None:
        super().setUp()
        self.log.remember()
        self.addCleanup(vault.forget_keys)

    def said(self) -> list[str]:
        keys = [self.log.signer.named(origin).verifier for origin in Tree.objects.values_list("origin", flat=True)]
        return [f"{fault.kind}: {fault.text}" for fault in checking.check(keys, lambda done, total: None)]

    def change(self, change: Callable[[], object]) -> list[str]:
        """What is found after it; then it is undone."""
        before = transaction.savepoint()
        with unguarded():
            change()
        found = self.said()
        transaction.savepoint_rollback(before)
        return found

    # --- details ---
    def about_are(self) -> Any:
        event = record(Entry("x.done", SYSTEM, subject_id=self.patient_id(), detail={"n": 1}))
        self.log.seal()
        return AuditEvent.objects.get(id=event)

    def erase(self) -> None:
        with patch.object(KeyCustody, "may_destroy", lambda *_: None):
            vault.destroy_key(Patient.objects.get(id=self.patient_id()).key, reason="erasure", actor=None)
        vault.forget_keys()

    def test_details_that_were_taken_away(self) -> None:
        """Mutation: count every row without details as erased."""
        ours, hers = AuditEvent.objects.filter(type="x.done").first(), self.about_are()
        assert ours is not None
        for event in (ours, hers):
            [said] = self.change(lambda: AuditEvent.objects.filter(id=event.id).update(detail_sealed=None))  # noqa: B023
            assert said.startswith("altered: tree 1, entry ")
            assert f"(event {event.id}): the details are missing, and their key was not destroyed" in said

    def test_details_that_were_erased(self) -> None:
        """Those of before, and those of what happened to the patient afterwards. One more that went with them, of
        somebody whose key is there, is no erasure."""
        self.about_are()
        self.erase()
        later = self.about_are()
        assert later.detail_sealed is None
        assert self.said() == []
        hers = AuditEvent.objects.filter(subject_id=self.patient_id()).exclude(detail_sealed=None).first()
        ours = AuditEvent.objects.filter(subject_id=None, type="x.done").first()
        assert hers is not None
        assert ours is not None
        [said] = self.change(
            lambda: AuditEvent.objects.filter(id=ours.id).update(detail_sealed=hers.detail_sealed),
        )
        assert f"(event {ours.id}): the details are missing" in said

    # --- checkpoints ---
    def forge(self, size: int, tree: int = 1) -> None:
        Checkpoint.objects.create(position=position(tree, size), root=b"r" * 32, note="x")

    def test_a_checkpoint_of_more_than_there_is(self) -> None:
        """It is named, and served to nobody. Mutation: walk checkpoints up to the head only."""
        published, size = reading.latest(), Head.objects.get().size
        assert published is not None
        said = self.change(lambda: self.forge(size + 30))
        assert f"altered: tree 1: a checkpoint of size {size + 30}, beyond its {size} entries" in said
        with unguarded():
            self.forge(size + 30)
        assert reading.latest() == reading.latest(1) == published

    def test_what_is_of_no_tree(self) -> None:
        for change in (
            lambda: self.forge(3, tree=9),
            lambda: Leaf.objects.create(position=position(9, 0), event_id=new_id(), hash=b"x" * 32),
            lambda: self.forge(3, tree=0),
        ):
            assert any("there are leaves or checkpoints of no tree" in one for one in self.change(change))

    # --- trees ---
    def adopt(self) -> None:
        adopt(store=self.log.store, signers=[self.log.signer], reason="restored")
        act(2)
        self.log.sequencer.step()

    def test_trees_that_meet(self) -> None:
        self.adopt()
        assert self.said() == []
        self.adopt()
        assert self.said() == []
        before = reading.latest(1)
        assert before is not None
        said = self.change(lambda: self.forge(before.size + 1))
        assert f"altered: tree 1: a checkpoint of size {before.size + 1}, beyond its {before.size} entries" in said

    def test_trees_that_do_not(self) -> None:
        """Tree 1 is cut, or its end signed anew, or another log is put before tree 2."""
        old = reading.latest(1)
        assert old is not None
        self.adopt()
        signer = self.log.signer
        other = sign_note(Said(ORIGIN, old.size, b"z" * 32).text, [signer])
        row = "altered: tree 2: its row says that it follows something else than its first entry does"
        assert self.change(lambda: Tree.objects.filter(number=2).update(follows=other)) == [row]
        renamed = self.change(lambda: Tree.objects.filter(number=1).update(origin="log.other"))
        assert "altered: tree 2: it does not follow tree 1, as that one's row has it" in renamed

        def named(size: int, root: bytes) -> list[str]:
            """Tree 2's first entry, with all that is made of it, says something else."""

            def change() -> None:
                note = sign_note(Said(ORIGIN, size, root).text, [signer])
                Tree.objects.filter(number=2).update(follows=note)
                first = Leaf.objects.get(position=position(2, 0)).event_id
                event = AuditEvent.objects.get(id=first)
                text = event.leaf.replace(_quoted(old.note), _quoted(note))
                assert text != event.leaf
                AuditEvent.objects.filter(id=first).update(leaf=text)

            return self.change(change)

        said = named(old.size, b"z" * 32)
        assert f"altered: tree 2: it follows a tree 1 of {old.size} entries with another root than they have" in said
        said = named(old.size - 1, b"z" * 32)
        assert f"altered: tree 2: it says that tree 1 ended with {old.size - 1} entries; {old.size} were signed" in said

    def test_what_a_restore_lost_is_known(self) -> None:
        """The store remembers more of tree 1 than the database that was put back."""
        before = transaction.savepoint()
        size = Head.objects.get().size
        act(5)
        self.log.seal()
        kept = self.log.store.read().current
        transaction.savepoint_rollback(before)
        self.log.sequencer = type(self.log.sequencer)(self.log.store, [self.log.signer])
        self.adopt()
        assert kept is not None
        assert Tree.objects.get(number=2).follows == kept
        assert self.said() == [f"known: tree 2 follows tree 1 of {size + 5} entries, and {size} of them are here"]


def _quoted(note: str) -> str:
    return note.replace("\n", "\\n")
