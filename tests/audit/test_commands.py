"""`manage.py audit …`: every row that was touched is found and named; exports are what `verify.py`, alone, can read."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from server.audit import checking, exporting, keys, verify, worker
from server.audit.models import AuditEvent, Checkpoint, Head, Leaf, Node, Pending, Tree, VerifierKey, position
from server.audit.note import Signer, sign_note
from server.common.clock import now
from server.common.ids import new_id
from server.operate.management.commands import audit
from server.people.models import Controller
from server.review import lines
from server.review.models import Line
from tests.audit.sealing import ORIGIN, Log, act
from tests.base import TownTestCase
from tests.support.database import unguarded

FILE = Path(verify.__file__)


def run(*words: str, **options: Any) -> str:
    out = StringIO()
    call_command("audit", *words, stdout=out, **options)
    return out.getvalue()


def refused(*words: str) -> tuple[int, str]:
    with pytest.raises(CommandError) as ended:
        run(*words)
    return ended.value.returncode, str(ended.value)


class Sealed(TownTestCase):
    log: Log
    events: list[UUID]

    @classmethod
    def setUpTestData(cls) -> None:
        super().setUpTestData()
        cls.log = Log()
        cls.addClassCleanup(cls.log.close)
        cls.log.seal()
        cls.events = act(500)
        cls.log.seal()
        while lines.follow():
            pass

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "export"

    def setUp(self) -> None:
        super().setUp()
        self.log.remember()
        self.keys = self.folder.with_name("signing.key")
        keys.write(self.keys, self.log.signer)
        self.enterContext(patch.object(keys, "file", lambda: self.keys))
        self.enterContext(patch.object(worker, "store", lambda: self.log.store))

    def at(self, event: UUID) -> int:
        return Leaf.objects.get(event_id=event).position - position(1, 0)


class Verify(Sealed):
    def found(self, change: Callable[[], object], *words: str) -> tuple[int, str]:
        """What is said after somebody has been in the database, as its owner can be."""
        with unguarded():
            change()
        return refused("verify", "--quiet", *words)

    def test_a_log_that_is_whole(self) -> None:
        assert f"{Head.objects.get().size} entries: every event" in run("verify")

    def test_an_event_that_was_rewritten(self) -> None:
        event, at = self.events[7], self.at(self.events[7])
        leaf = AuditEvent.objects.get(id=event).leaf
        forged = leaf.replace('"outcome":"success"', '"outcome":"refused"')
        code, said = self.found(lambda: AuditEvent.objects.filter(id=event).update(leaf=forged, outcome="refused"))
        assert (code, said) == (
            audit.ALTERED,
            f"1 faults:\naltered: tree 1, entry {at} (event {event}): "
            "the event is not what was sealed, or its hash was changed",
        )

    def test_its_columns_alone(self) -> None:
        event = self.events[8]
        code, said = self.found(lambda: AuditEvent.objects.filter(id=event).update(actor_id=new_id(), type="x.other"))
        assert code == audit.ALTERED
        assert f"entry {self.at(event)} (event {event}): columns say something else" in said
        assert ": actor.id, type\n" in said

    def test_its_details(self) -> None:
        """Swapped with another event's, they do not open; opened, they are compared. Left closed, nothing is said."""
        one, other = self.events[3], self.events[4]
        sealed = AuditEvent.objects.get(id=other).detail_sealed
        code, said = self.found(lambda: AuditEvent.objects.filter(id=one).update(detail_sealed=sealed))
        assert (code, f"(event {one}): the details do not open (authentication)" in said) == (audit.ALTERED, True)
        assert "every event" in run("verify", "--no-details")

    def test_leaves_that_were_removed_or_swapped(self) -> None:
        event, at = self.events[9], self.at(self.events[9])
        code, said = self.found(lambda: Leaf.objects.filter(event_id=event).delete())
        assert code == audit.ALTERED
        assert f"tree 1, entry {at}: the leaf is missing" in said
        assert f"unaccounted: event {event}: neither sealed nor waiting to be" in said

    def test_two_that_were_swapped_are_both_named(self) -> None:
        one, other = self.events[20], self.events[21]
        first, second = self.at(one), self.at(other)

        def swap() -> None:
            rows = {row.event_id: bytes(row.hash) for row in Leaf.objects.filter(event_id__in=[one, other])}
            Leaf.objects.filter(event_id__in=[one, other]).delete()
            for event, index in ((one, second), (other, first)):
                Leaf.objects.create(position=position(1, index), event_id=event, hash=rows[event])

        code, said = self.found(swap)
        assert code == audit.ALTERED
        assert "another root than its entries have" in said
        assert f"to {Head.objects.get().size - 1} changed" in said
        assert "kept hash 0 of level 1 (entries 0 to 255) was changed" in said

    def test_an_event_that_was_removed(self) -> None:
        event, at = self.events[30], self.at(self.events[30])
        assert (
            f"entry {at} (event {event}): the event is missing"
            in self.found(lambda: AuditEvent.objects.filter(id=event).delete())[1]
        )

    def test_hashes_and_checkpoints(self) -> None:
        newest = Checkpoint.objects.latest("position")
        forged = Signer.new(ORIGIN)
        text = newest.note.partition("\n\n")[0] + "\n"
        changes: dict[str, Callable[[], object]] = {
            "kept hash 1 of level 1 (entries 256 to 511) was changed": lambda: Node.objects.filter(
                place=(1 << 48) | (1 << 40) | 1
            ).update(hash=b"x" * 32),
            "another root than its entries have": lambda: Checkpoint.objects.filter(position=newest.position).update(
                root=b"x" * 32
            ),
            "has another root than its leaves": lambda: Head.objects.update(root=b"x" * 32),
            "it is not signed": lambda: Checkpoint.objects.filter(position__lt=newest.position).update(note=""),
            "none of the given keys": lambda: Checkpoint.objects.filter(position=newest.position).update(
                note=verify_note(text, forged)
            ),
            "there are leaves beyond": lambda: Leaf.objects.create(
                position=newest.position + 5, event_id=new_id(), hash=b"x" * 32
            ),
        }
        for words, change in changes.items():
            with self.subTest(words):
                code, said = self.undone(change)
                assert code == audit.ALTERED
                assert words in said

    def undone(self, change: Callable[[], object]) -> tuple[int, str]:
        with connection.cursor() as cursor:
            cursor.execute("SAVEPOINT changed")
            found = self.found(change)
            cursor.execute("ROLLBACK TO SAVEPOINT changed")
        return found

    def test_what_is_neither_sealed_nor_waiting(self) -> None:
        event, _ = act(2)
        Pending.objects.filter(event_id=event).delete()
        with patch.object(checking, "SPAN", 100):
            found = refused("verify")
        assert found == (
            audit.UNACCOUNTED,
            f"1 faults:\nunaccounted: event {event}: neither sealed nor waiting to be",
        )

    def test_what_waits_too_long(self) -> None:
        act(2)
        assert "every event" in run("verify")
        Pending.objects.update(since=now() - timedelta(minutes=1))
        code, said = refused("verify")
        assert (code, "2 events wait, the oldest for 60 s" in said) == (audit.LATE, True)

    def test_keys_of_the_database_are_not_believed(self) -> None:
        """Rewritten and signed anew by somebody who put a key of their own beside ours. Red when rows are trusted."""
        newest, forger = Checkpoint.objects.latest("position"), Signer.new(ORIGIN)
        note = verify_note(verify.open_note(newest.note, [self.log.signer.verifier]), forger)

        def forge() -> None:
            VerifierKey.objects.create(line=forger.verifier.line)
            VerifierKey.objects.create(line="nonsense")
            Checkpoint.objects.filter(position=newest.position).update(note=note)

        code, said = self.found(forge)
        assert (code, said.splitlines()[0]) == (audit.ALTERED, "3 faults:")
        assert f"the verifier key '{forger.verifier.line}' in the database is none of those" in said
        assert f"checkpoint of size {Head.objects.get().size}: none of the given keys has signed it" in said
        self.keys.unlink()
        code, again = refused("verify", "--quiet", "--key", self.log.signer.verifier.line)
        assert (code, again) == (audit.ALTERED, said)

    def test_whose_keys_it_trusts_is_said(self) -> None:
        assert f"keys: of {self.keys}" in run("verify", "--quiet")
        self.keys.write_text("nonsense")
        assert refused("verify", "--quiet")[0] == audit.UNUSABLE
        self.keys.unlink()
        assert "TAKEN FROM THE DATABASE THAT IS CHECKED" in run("verify", "--quiet")
        assert "keys: those that were given" in run("verify", "--quiet", "--key", self.log.signer.verifier.line)
        with pytest.raises(CommandError, match="not a verifier key"):
            run("verify", "--key", "nonsense")

    def test_lines_that_are_missing(self) -> None:
        line = Line.objects.order_by("position").first()
        assert line is not None
        Line.objects.filter(controller_id=line.controller_id, position=line.position).delete()
        code, said = refused("verify")
        assert code == audit.LINES
        assert f"lines: controller {line.controller_id}, position {line.position}" in said
        assert "review rebuild" in said


class Export(Sealed):
    def check(self, *words: str) -> tuple[int, str]:
        command = [sys.executable, "-I", str(FILE), *words, "--key", self.log.signer.verifier.line]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
        return ended.returncode, ended.stdout

    def export(self, *words: str) -> str:
        return run("export", str(self.folder), *words)

    def test_an_export_is_checked_by_the_file_that_goes_out_alone(self) -> None:
        said = self.export("--disclose", str(self.events[0]), str(self.events[5]))
        assert "personal" in said
        code, told = self.check(str(self.folder))
        assert code == 0, told
        assert "Details given out: 2" in told
        modes = {stat.S_IMODE(path.stat().st_mode) for path in self.folder.rglob("*") if path.is_file()}
        assert modes == {0o600}
        assert stat.S_IMODE(self.folder.stat().st_mode) == 0o700
        [event] = self.audit(type="audit.exported")
        assert event.detail == {"tree": 1, "size": Head.objects.get().size, "entries": True, "details": 2}

    def test_details_that_go_out_stand_in_the_log_of_whom_they_are_about(self) -> None:
        """And of the controller that they were done for. Red when an operator can give them out unseen."""
        of_trine = AuditEvent.objects.filter(subject_id=self.patient_id("trine"), controller_id__isnull=False).first()
        assert of_trine is not None
        with patch.object(exporting, "export", side_effect=OSError(28, "No space left on device")):
            refused("export", str(self.folder), "--disclose", *[str(of_trine.id)] * 2, str(self.events[0]))
        hers, nobodys = self.audit(type="audit.disclosed")
        assert (hers.subject_id, hers.object_id) == (of_trine.subject_id, of_trine.id), (
            "before the first byte, and once"
        )
        told = self.person("trine").ok("get", "me/access-log")["results"][1]
        words = "Systemet ga ut detaljene i en hendelse som gjelder deg, sammen med en kopi av loggen."
        assert (told["type"], told["words"]) == ("audit.disclosed", words)
        self.log.seal()
        while lines.follow():
            pass
        ours = set(Line.objects.filter(event_id=hers.id).values_list("controller_id", flat=True))
        assert of_trine.controller_id in ours
        everybody = Line.objects.filter(event_id__in=[nobodys.id, self.audit(type="audit.exported")[0].id])
        assert everybody.count() == 2 * Controller.objects.count(), "what is about nobody in particular"

    def test_broken_off_it_goes_on_and_later_it_grows(self) -> None:
        with patch("server.audit.exporting.hashes", side_effect=OSError(28, "No space left on device")):
            code, said = refused("export", str(self.folder))
        assert (code, "Run it again to go on" in said) == (audit.UNUSABLE, True)
        assert not (self.folder / "checkpoint").exists()
        kept = self.folder / "tile" / "entries" / "000"
        before = kept.stat().st_mtime_ns
        self.export()
        assert kept.stat().st_mtime_ns == before
        older = self.folder.with_name("older")
        older.write_bytes((self.folder / "checkpoint").read_bytes())
        act(300)
        self.log.seal()
        self.export()
        code, told = self.check(str(self.folder), "--older", str(older))
        assert (code, "continues your older checkpoint" in told) == (0, True), told
        assert not list(self.folder.rglob("*.new"))

    def test_hashes_alone(self) -> None:
        assert "personal" not in self.export("--no-entries")
        assert not (self.folder / "tile" / "entries").exists()
        code, told = self.check(str(self.folder))
        assert (code, "NOT CHECKED" in told) == (verify.TREE_ONLY, True)

    def test_a_folder_of_something_else(self) -> None:
        self.folder.mkdir()
        (self.folder / "thesis.odt").touch()
        assert refused("export", str(self.folder))[0] == audit.REFUSED
        assert os.listdir(self.folder) == ["thesis.odt"]  # noqa: PTH208 - names
        assert refused("export", str(self.folder / "x"), "--disclose", str(new_id()))[0] == audit.REFUSED
        assert refused("export", str(self.folder / "x"), "--tree", "2")[0] == audit.REFUSED

    def test_details_of_too_many_at_once(self) -> None:
        many = [str(new_id()) for _ in range(audit.MOST_DISCLOSED + 1)]
        code, said = refused("export", str(self.folder), "--disclose", *many)
        assert (code, "at most" in said) == (audit.REFUSED, True)


class Looking(Sealed):
    def test_status(self) -> None:
        act(2)
        said = run("status")
        assert f"log: {ORIGIN} (tree 1)" in said
        assert "waiting to be sealed: 2" in said
        assert f"key: {self.log.signer.verifier.line}" in said
        assert "remembers: the published checkpoint" in said
        assert self.log.signer.line not in said, "never the secret"

    def test_adopting_asks_and_says_what_to_hand_out(self) -> None:
        with patch("sys.stdin", StringIO("yes\n")):
            assert refused("adopt", "--reason", "restored") == (audit.REFUSED, "nothing was changed")
        assert refused("adopt", "--reason", "x" * 61)[0] == audit.REFUSED
        assert Tree.objects.count() == 1
        with patch("sys.stdin", StringIO(f"{ORIGIN}\n")):
            said = run("adopt", "--reason", "restored on purpose")
        assert self.log.signer.named(f"{ORIGIN}/2").verifier.line in said
        assert Tree.objects.get(number=2).origin == f"{ORIGIN}/2"
        assert "every event" in run("verify")


def verify_note(text: str, signer: Signer) -> str:
    return sign_note(text, [signer])


def test_a_key_is_made_once_and_rotated_knowingly(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "signing.key"
    said = run("keygen", "--name", ORIGIN, "--out", str(path))
    [signer] = keys.read(path)
    assert signer.verifier.line in said
    assert signer.line not in said
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert refused("keygen", "--out", str(path))[0] == audit.REFUSED
    assert refused("keygen", "--out", str(path), "--name", "other", "--rotate")[0] == audit.REFUSED
    assert keys.read(path) == [signer]
    assert "2 keys now" in run("keygen", "--out", str(path), "--rotate")
    first, second = keys.read(path)
    assert (first, second.name) == (signer, ORIGIN)
    assert refused("keygen", "--out", str(tmp_path / "none"))[0] == audit.REFUSED
    assert refused("keygen", "--out", str(tmp_path / "none"), "--name", "a b")[0] == audit.REFUSED
