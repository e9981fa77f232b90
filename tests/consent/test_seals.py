"""What is on record is sealed: anybody can verify it, and whoever changes it lets nobody in by that (law 8, S3).

An administrator of the database can do everything that is done here; what they cannot do is sign.
"""

import hashlib
import itertools
import json
from collections.abc import Callable

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.db import transaction

from server.audit.models import AuditEvent
from server.common.clock import now
from server.consent import records, worker
from server.consent.actions import expire
from server.consent.models import Act, Consent, Version
from server.vault import actions as vault
from tests.base import JSON, Opened, TownTestCase
from tests.consent.base import SCAN, Consenting, ago, ahead, faults, newest
from tests.support.database import unguarded
from tests.support.leaks import captured

STAFF = ("sara", "kari", "nils")
REMARK = "bare om neste time"


class Seals(Consenting, TownTestCase):
    """Anybody's check, from what the patient can fetch alone."""

    def every_act(self) -> Opened:
        room = self.open_room()
        self.answer(room, "decline")
        self.person("kari").ok("post", "consents", {"room": str(room.id)})
        self.says(room, "give", remark=REMARK)
        self.change(room, to=["kari", "frida"])
        self.says(room, "renew")
        self.withdraw(room)
        self.open_room()
        text = self.shown(room)["text"]["sha256"]
        paper = {"method": "paper", "scan_sha256": SCAN, "given_at": ago(seconds=0)}
        self.person("kari").ok("post", f"{room.asks}/record", {"answer": "give", "text_sha256": text} | paper)
        self.person("kari").ok("post", f"{room.asks}/correct", {"why": "feil dato"} | paper)
        self.says(room, "change", until=ahead(seconds=1).isoformat())
        while not expire(consent=self.consent(room)):
            pass
        return room

    def check(self, told: JSON) -> None:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(told["seal_key"]))
        before = None
        for number, one in enumerate(told["results"], start=1):
            text, document = one["document"].encode(), json.loads(one["document"])
            key.verify(bytes.fromhex(one["signature"]), text)
            assert hashlib.sha256(text).hexdigest() == one["hash"]
            assert rfc8785.dumps(document) == text, "the canonical form, byte for byte"
            assert (document["number"], document["previous"]) == (number, before)
            assert document["text"]["sha256"] == hashlib.sha256(one["text"].encode()).hexdigest()
            before = one["hash"]

    def test_every_act_is_a_version_that_a_stranger_can_verify(self) -> None:
        """Red when `draft` leaves `previous` out, or signs anything but the stored text."""
        room = self.every_act()
        told = self.history(room.consent)
        assert {one["act"] for one in told["results"]} == set(Act.values)
        self.check(told)
        assert told["sound"]
        assert faults(self.consent(room)) == set()
        row = self.consent(room)
        assert (row.newest_hash, row.version) == (told["results"][-1]["hash"], len(told["results"]))
        logged = self.audit(object_id=row.id, sealed_hash__isnull=False)
        assert [one.sealed_hash for one in logged] == [one["hash"] for one in told["results"]]
        assert [one.detail["version"] for one in logged] == [one["number"] for one in told["results"]]

    def test_a_changed_byte_is_seen_by_a_stranger(self) -> None:
        """The check above does tell."""
        room = self.open_shared_room()
        told = self.history(room.consent)
        told["results"][1]["document"] = told["results"][1]["document"].replace('"active"', '"Active"')
        try:
            self.check(told)
        except InvalidSignature:
            return
        raise AssertionError

    def test_what_was_written_is_not_in_it_and_not_to_be_guessed(self) -> None:
        """Law 9. Red when a remark stands in the document, or as a plain digest that a guess can be tried on."""
        room = self.every_act()
        for version in Version.objects.filter(consent_id=room.consent):
            assert REMARK not in version.document
            assert hashlib.sha256(REMARK.encode()).hexdigest() not in version.document
            assert "Lunde" not in version.document

    def test_the_same_bytes_have_the_same_seal(self) -> None:
        room = self.open_shared_room()
        version = newest(self.consent(room))
        for _ in range(2):
            assert vault.sign(version.key, "consent.version", version.document.encode()) == bytes(version.signature)
        assert vault.sign(version.key, "consent.ground", version.document.encode()) != bytes(version.signature)


Tamper = Callable[["Tampering"], None]


class Tampering(Consenting, TownTestCase):
    """Each row of the table: who changed what, and what `verify.faults` calls it."""

    def given(self) -> None:
        self.room = self.open_room("sara", patient="trine", propose=["kari", "nils"])
        self.says(self.room, "give", "trine", remark=REMARK)
        self.says(self.room, "renew", "trine")
        self.other = self.open_shared_room()
        self.post(self.room, "sara", "hei, Trine")
        for name in ("ola", *STAFF):
            self.person(name)

    # --- what can be done ---
    def row(self) -> Consent:
        return self.consent(self.room)

    def version(self, number: int = 3) -> "Version":
        return Version.objects.get(consent_id=self.room.consent, number=number)

    def put(self, at: int = 3, /, **values: object) -> None:
        Version.objects.filter(consent_id=self.room.consent, number=at).update(**values)

    def point(self, **values: object) -> None:
        Consent.objects.filter(id=self.room.consent).update(**values)

    def logged(self, number: int) -> AuditEvent:
        return AuditEvent.objects.get(object_id=self.room.consent, sealed_hash=self.version(number).hash)

    def rewritten(self, number: int = 3) -> str:
        """A document that lets the same people in for good, whose hash stands wherever it must stand."""
        old = self.version(number)
        text = rfc8785.dumps(json.loads(old.document) | {"act": "corrected"}).decode()
        hash_ = hashlib.sha256(text.encode()).hexdigest()
        AuditEvent.objects.filter(id=self.logged(number).id).update(sealed_hash=hash_)
        self.put(number, document=text, hash=hash_)
        if number == self.row().version:
            self.point(newest_hash=hash_)
        return text

    def moved_from_another(self) -> None:
        """The other patient's newest, all of it, with everything that points to it."""
        theirs = newest(self.other.consent)
        AuditEvent.objects.filter(id=self.logged(3).id).update(sealed_hash=theirs.hash)
        self.put(document=theirs.document, hash=theirs.hash, signature=theirs.signature, key=theirs.key)
        self.point(newest_hash=theirs.hash)

    def removed(self, number: int = 3) -> None:
        Version.objects.filter(consent_id=self.room.consent, number=number).delete()

    def turned_back(self) -> None:
        self.removed()
        self.point(version=2, newest_hash=self.version(2).hash)

    def swapped(self, one: int, other: int) -> None:
        self.put(one, number=99)
        self.put(other, number=one)
        self.put(99, number=other)

    def oldest_again(self) -> None:
        """The first version, in the newest's place, with everything that points to it."""
        self.swapped(1, 3)
        self.point(newest_hash=self.version(3).hash)

    def flipped(self, number: int = 3) -> None:
        signature = bytes(self.version(number).signature)
        self.put(number, signature=bytes([signature[0] ^ 1]) + signature[1:])

    NEWEST: dict[str, tuple[Tamper, str]] = {
        "its words": (lambda t: t.put(document=t.version().document.replace('"renewed"', '"changed"')), "seal"),
        "its words, and every hash of them": (lambda t: t.rewritten() and None, "seal"),
        "words that are none": (lambda t: t.put(document="{}"), "seal"),
        "no words": (lambda t: t.put(document=""), "seal"),
        "its signature": (lambda t: t.flipped(), "seal"),
        "no signature": (lambda t: t.put(signature=b""), "seal"),
        "its hash": (lambda t: t.put(hash="0" * 64), "seal"),
        "its key": (lambda t: t.put(key=t.row().patient.key), "seal"),
        "a key that is nobody's": (lambda t: t.put(key=t.room.id), "seal"),
        "another patient's": (lambda t: t.moved_from_another(), "misplaced"),
        "its number": (lambda t: t.put(number=4), "missing"),
        "taken away": (lambda t: t.removed(), "missing"),
        "taken away, and the row turned back": (lambda t: t.turned_back(), "log_differs"),
        "put in another's place": (lambda t: t.swapped(2, 3), "misplaced"),
        "the oldest in its place": (lambda t: t.oldest_again(), "misplaced"),
        "the row's hash": (lambda t: t.point(newest_hash="0" * 64), "not_the_newest"),
        "no hash on the row": (lambda t: t.point(newest_hash=""), "not_the_newest"),
        "the row's hash of the one before": (lambda t: t.point(newest_hash=t.version(2).hash), "not_the_newest"),
        "the row's number": (lambda t: t.point(version=2), "not_the_newest"),
        "the row's number, ahead": (lambda t: t.point(version=4), "missing"),
        "the row's form": (lambda t: t.point(form="muli", room_id=None) and None, "misplaced"),
        "the row's purpose": (lambda t: t.point(purpose="transition"), "row_differs"),
        "the row's state": (lambda t: t.point(state="withdrawn"), "row_differs"),
        "its event in the log": (lambda t: t.logged(3).delete() and None, "log_differs"),
        "an older event in the log": (lambda t: t.logged(1).delete() and None, "log_differs"),
        "an event in the log that never was": (
            lambda t: AuditEvent(
                type="x", outcome="success", object_id=t.room.consent, sealed_hash="0" * 64, leaf="{}"
            ).save(),
            "log_differs",
        ),
    }
    """Everything that says what holds now: each denies at the very next load."""

    OLDER: dict[str, tuple[Tamper, str]] = {
        "its words": (lambda t: t.put(2, document=t.version(2).document.replace('"given"', '"changed"')), "seal"),
        "its words, and every hash of them": (lambda t: t.rewritten(2) and None, "chain"),
        "its signature": (lambda t: t.flipped(1), "seal"),
        "taken away": (lambda t: t.removed(2), "missing"),
        "put in another's place": (lambda t: t.swapped(1, 2), "misplaced"),
        "its exact text": (lambda t: t.put(1, text_sealed=t.version(2).text_sealed), "words"),
        "its remark": (lambda t: t.put(2, remark_sealed=None), "words"),
        "a remark that nobody made": (lambda t: t.put(1, remark_sealed=t.version(2).remark_sealed), "words"),
    }
    """What was, and does not say what holds now: history is not sound, and the officers find out why."""

    def each(self, table: dict[str, tuple[Tamper, str]], look: Callable[[str], None]) -> None:
        for what, (tamper, code) in table.items():
            with self.subTest(what), transaction.atomic():
                with unguarded():
                    tamper(self)
                found = faults(self.room.consent)
                assert code in found, (what, found)
                look(what)
                transaction.set_rollback(True)

    # --- what comes of it ---
    def test_a_newest_version_that_is_not_believed_denies_everybody_but_the_patient(self) -> None:
        """Red when `_fault` skips any one of its comparisons."""

        turns = itertools.cycle(STAFF)

        def look(what: str) -> None:
            kept_out(self, next(turns), self.room)
            assert self.inside(self.room, *STAFF) == set()
            assert len(self.events(self.room, "trine")) > 3, "the patient's own room"
            assert self.person("are").ok("get", self.other.asks)["readable"], "and nobody else's"

        def kept_out(case: Tampering, name: str, room: Opened) -> None:
            person = case.person(name)
            for path in ("", "/events", "/members", "/receipts"):
                case.refuses(person.get(f"{room.path}{path}"), 404, "not_found")
            case.refuses(person.post(f"{room.path}/messages", {"txn_id": "a", "body": "hei"}), 404, "not_found")
            assert str(room.id) not in {one["id"] for one in person.ok("get", "rooms")["results"]}

        self.each(self.NEWEST, look)
        assert self.inside(self.room, *STAFF) == set(STAFF), "each was put right again"

    def test_the_patient_is_told_that_it_cannot_be_read_and_nothing_else(self) -> None:
        def look(what: str) -> None:
            told = self.shown(self.room, "trine")
            assert told["readable"] is False, what
            assert not {"grantees", "sentence", "text", "until"} & set(told), told
            listed = self.person("trine").ok("get", "consents")["results"]
            assert [one["readable"] for one in listed if one["id"] == str(self.room.consent)] == [False], what
            assert self.history(self.room.consent, "trine")["sound"] is False, what
            for verb in ("give", "change", "decline", "withdraw", "renew"):
                self.refuses(self.person("trine").post(f"{self.room.asks}/{verb}", {}), 409, "record_unreadable")
            for page in ("receipt", "renewal"):
                self.refuses(self.person("trine").get(f"{self.room.asks}/{page}"), 409, "record_unreadable")

        self.each({key: value for key, value in self.NEWEST.items() if key != "the row's form"}, look)

    def test_an_older_version_is_missed_in_history_and_by_the_worker(self) -> None:
        """Red when `faults` looks at the newest alone, at the chain alone, or at no word of the patient's."""

        def look(what: str) -> None:
            told = self.history(self.room.consent, "trine")
            assert told["sound"] is False, what
            assert self.inside(self.room, *STAFF) == set(STAFF), "what holds now is verified"
            assert self.shown(self.room, "trine")["readable"]
            assert worker.tick() >= 1
            assert {one.code for one in self.duties(kind="record_unreadable")} <= faults(self.room.consent)
            assert self.duties(kind="record_unreadable")

        self.each(self.OLDER, look)

    def test_each_officer_has_one_task_and_the_log_an_alarm_without_content(self) -> None:
        """M4, L6: whoever is officer where the patient is known. Red when `alarm` forgets whom it told."""
        records._alarm.cache_clear()
        with unguarded():
            self.flipped()
        with captured() as log:
            for _ in range(3):
                worker.tick()
                Consent.objects.update(verified_at=None)
            self.person("sara").get(self.room.path)
        duties = self.duties(kind="record_unreadable")
        assert sorted(one.controller.name for one in duties if one.controller) == ["Fjordvik kommune", "Helse Fjord"]
        for one in duties:
            assert (one.object_id, one.room_id, one.patient_id) == (
                self.room.consent,
                self.room.id,
                self.patient_id("trine"),
            )
            assert one.code == "seal"
        [mine] = self.person("ola").ok("get", "duties")["results"]
        assert (mine["kind"], mine["object"]) == ("record_unreadable", str(self.room.consent))
        lines = [json.loads(line) for line in log.getvalue().splitlines() if "consent_unreadable" in line]
        assert len(lines) >= 4, "the worker's three rounds, and the load"
        assert {one["level"] for one in lines} == {"critical"}
        for secret in ("Trine", "Holmåsen", "Sara", REMARK, self.version(2).document[:40]):
            assert secret not in log.getvalue()

    def test_put_right_again_it_is_a_record_again(self) -> None:
        with unguarded():
            self.put(number=9)
        self.refuses(self.person("sara").get(self.room.path), 404, "not_found")
        with unguarded():
            self.put(9, number=3)
        assert self.inside(self.room, *STAFF) == set(STAFF)
        assert self.history(self.room.consent, "trine")["sound"]

    def test_what_happens_at_its_end_needs_no_record_that_can_be_read(self) -> None:
        """A worker that meets one goes on with the others. Red when `_attempt` lets a failure out."""
        self.says(self.other, "change", until=ahead(seconds=1).isoformat())
        Consent.objects.filter(id=self.room.consent).update(ends_at=now())
        with unguarded():
            self.flipped()
        while self.consent(self.other).state == "active":
            worker.tick()
        assert self.consent(self.other).state == "expired"
        assert self.row().state == "active"


class Exclusions(Consenting, TownTestCase):
    """The patient's exclusions that cannot be verified deny everybody, whatever else permits: a broken deny never
    disappears."""

    def test_nobody_is_let_in(self) -> None:
        """Red when a broken record that names people is a BrokenRecord like any other."""
        room = self.open_shared_room()
        self.exclude("vera")
        assert self.inside(room, "kari", "frida", "vera") == {"kari", "frida"}
        with unguarded():
            version = newest(self.exclusions_of())
            Version.objects.filter(id=version.id).update(signature=bytes(64))
        assert self.inside(room, "kari", "frida", "vera") == set()
        assert self.events(room, "are")
        told = self.person("are").get("exclusions")
        assert told.status_code == 200
        assert self.history(self.exclusions_of().id)["sound"] is False
        self.refuses(
            self.person("are").post("exclusions", {"user": str(self.user_id("sara"))}), 409, "record_unreadable"
        )
        self.refuses(self.person("are").delete(f"exclusions/{self.user_id('vera')}"), 409, "record_unreadable")
        assert self.shown(room)["readable"], "the room's own is sound"

    def test_taken_away_it_is_missed(self) -> None:
        """The row points to nothing, or is turned back to before."""
        room = self.open_shared_room()
        self.exclude("vera")
        self.exclude("frida")
        consent = self.exclusions_of()
        with unguarded():
            Version.objects.filter(id=newest(consent).id).delete()
            Consent.objects.filter(id=consent.id).update(version=1, newest_hash=newest(consent).hash)
        assert faults(consent) == {"log_differs"}
        assert self.inside(room, "kari", "frida", "vera") == set()

    def test_not_even_under_emergency_access(self) -> None:
        """L3: whom a record that cannot be read might have excluded. A room's own excludes no person by name, and life
        and health come before it. Red when either is judged as the other."""
        room = self.open_shared_room("sara", patient="trine", propose=["kari"])
        self.exclude("ida", "trine")
        begun = {"ground": "life_danger", "reason": "funnet bevisstløs"}
        with unguarded():
            Version.objects.filter(consent_id=room.consent).update(signature=bytes(64))
        self.person("nils").ok("post", f"{room.path}/emergency-access", begun)
        assert self.inside(room, "nils", "sara") == {"nils"}
        with unguarded():
            Version.objects.filter(consent=self.exclusions_of("trine")).update(signature=bytes(64))
        assert self.inside(room, "nils", "sara") == set()
        self.refuses(self.person("nils").post(f"{room.path}/emergency-access", begun), 404, "not_found")
