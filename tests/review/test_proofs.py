"""Proofs, entries and details: for whom they are, that they hold, and that nobody else learns anything."""

from datetime import date
from io import BytesIO
from typing import Any
from uuid import UUID

from server.audit import verify
from server.audit.actions import record
from server.audit.detail import committed
from server.audit.entry import Entry
from server.audit.models import AuditEvent
from server.common.ids import new_id
from server.people.actors import acting_in, actor_for
from server.people.models import Officer, Session
from server.review import lines, shields
from tests.audit.sealing import Log
from tests.base import Client, Opened, Town, TownTestCase
from tests.rooms.night import DELAY, Night

KINDS = ("proof", "entry", "disclosure")


def act(town: Town, by: str, patient: str = "are") -> UUID:
    """Something that somebody at work does about a patient, with details."""
    actor = actor_for(town.engagement_of(by), sign_in="demo")
    return record(Entry("room.viewed", actor, subject_id=town.patient_id(patient), detail={"from": 1, "to": 7}))


def seal(log: Log) -> None:
    """And make the officers' lines."""
    log.seal()
    while lines.follow():
        pass


class Proofs(TownTestCase):
    log: Log
    room: Opened
    event: UUID

    @classmethod
    def setUpTestData(cls) -> None:
        super().setUpTestData()
        cls.log = Log()
        cls.addClassCleanup(cls.log.close)
        town = Town()
        town._arrive()
        cls.room = town.open_shared_room()
        cls.event = act(town, "sara")
        seal(cls.log)

    def act(self, by: str, patient: str = "are") -> UUID:
        return act(self, by, patient)

    def seal(self) -> None:
        seal(self.log)

    def get(self, by: str, event: UUID, kind: str = "proof") -> Any:
        return self.person(by).get(f"audit/events/{event}/{kind}")

    def reveal(self, by: str, event: UUID) -> None:
        self.person(by).ok("post", f"review/events/{event}/reveal", {"reason": "Pasienten ber om innsyn"})

    def test_the_file_proves_the_entry_and_the_entry_the_details(self) -> None:
        """For the patient, and for an officer who has said why; checked with what goes out alone."""
        self.reveal("ola", self.event)
        for who in ("are", "ola"):
            proof, entry, told = (self.get(who, self.event, kind) for kind in KINDS)
            assert proof.headers["Cache-Control"] == entry.headers["Cache-Control"] == "no-store"
            assert proof.headers["Content-Disposition"] == f'attachment; filename="{self.event}.tlog-proof"'
            verify.check_proof(proof.content, [self.log.signer.verifier], entry.content, {})
            event, commitment = verify.commitment(entry.content)
            assert event == told.json()["id"] == str(self.event)
            assert told.headers["Cache-Control"] == "no-store"
            assert committed(bytes.fromhex(told.json()["salt"]), told.json()["detail"].encode()) == commitment
            assert told.json()["detail"] == '{"from":1,"to":7}'
            details = verify.disclosed(BytesIO(told.content), "disclosure")
            verify.check_proof(proof.content, [self.log.signer.verifier], entry.content, details)

    def test_everybody_else_learns_nothing(self) -> None:
        """Colleagues, members, another controller's officer, another patient: as of an event that does not exist."""
        for who in ("sara", "kari", "vera", "trine", "admin"):
            for kind in KINDS:
                theirs, nothing = self.get(who, self.event, kind), self.get(who, new_id(), kind)
                assert (theirs.status_code, theirs.content) == (404, nothing.content), (who, kind)
        assert Client().get(f"audit/events/{self.event}/proof").status_code == 401
        refused = AuditEvent.objects.filter(type="access_log.proof_read", outcome="refused")
        assert set(refused.values_list("reason", flat=True)) == {"foreign", "missing"}
        assert set(refused.values_list("subject_id", flat=True)) == {None}

    def test_an_officer_and_what_others_did_about_their_patients(self) -> None:
        """Trine is a patient of Helse Fjord, Are is not: Vera works for another controller."""
        of_trine, of_are = self.act("vera", "trine"), self.act("vera")
        self.seal()
        assert self.get("ola", of_trine).status_code == 200
        assert self.get("ola", of_are).status_code == 404

    def test_details_are_for_officers_who_have_said_why(self) -> None:
        self.reveal("officer2", self.event)
        answer = self.get("ola", self.event, "disclosure")
        assert (answer.status_code, answer.json()["code"]) == (403, "reveal_first")
        assert "salt" not in answer.json()
        assert self.get("officer2", self.event, "disclosure").json()["salt"]

    def test_not_sealed_yet(self) -> None:
        event = self.act("sara")
        for who in ("ola", "are"):
            answer = self.get(who, event)
            assert (answer.status_code, answer.json()["code"]) == (409, "not_sealed_yet")
            assert answer.headers["Retry-After"] == "1"
        assert self.get("kari", event).status_code == 404, "nor is it told that it waits"
        self.seal()
        assert self.get("are", event).status_code == 200

    def test_looks_are_on_record(self) -> None:
        self.get("ola", self.event)
        self.get("are", self.event)
        [officers] = self.audit(type="review.proof_read")
        assert (officers.object_id, officers.subject_id, officers.basis) == (
            self.event,
            self.patient_id(),
            "officer",
        )
        [own] = self.audit(type="access_log.proof_read")
        assert (own.object_id, own.subject_id, own.basis) == (self.event, self.patient_id(), "self")

    def test_a_shielded_employee(self) -> None:
        """Entries and details that say who they are, whoever acted, are closed to the patient and open to the officer.
        The proof says nothing of it. Red when only who acted is looked at."""
        ola = acting_in(Session.objects.in_full().get(sid=self.person("ola").ok("get", "me")["session"]["id"]))
        shields.decide(
            acting=ola, user_id=self.user_id("sara"), reason="trusler", decided_on=date(2026, 1, 2), valid_from=None
        )
        for kind in ("entry", "disclosure"):
            assert self.get("are", self.event, kind).json()["code"] == "shielded"
        assert self.get("are", self.event).status_code == self.get("ola", self.event, "entry").status_code == 200
        kari, sara = actor_for(self.engagement_of("kari"), sign_in="demo"), self.engagement_of("sara")
        met = {"subject_id": self.patient_id()}
        others = {
            record(Entry("member.proposed", kari, record_ids=(sara.user_id,), detail={"n": 1}, **met)): (403, 403),
            record(Entry("member.proposed", kari, object_id=sara.id, **met)): (403, 403),
            record(Entry("member.proposed", kari, detail={"users": [str(sara.user_id)]}, **met)): (200, 403),
            record(Entry("member.proposed", kari, detail={"users": [str(kari.user_id)]}, **met)): (200, 200),
        }
        for event, expected in others.items():
            given = [self.get("are", event, kind) for kind in ("entry", "disclosure")]
            assert tuple(one.status_code for one in given) == expected
            assert not [one for one in given if str(sara.user_id) in one.content.decode()]

    # --- log verifiers ---
    def test_entries_are_for_log_verifiers_alone(self) -> None:
        for who in ("officer2", "are", "sara", "admin"):
            answer = self.person(who).get("audit/tile/entries/000.p/3")
            assert (answer.status_code, answer.json()["code"]) == (403, "log_verifier_only"), who
        assert Client().get("audit/tile/entries/000.p/3").status_code == 401
        assert not self.audit(type="audit.entries_read", outcome="success")
        assert len(self.audit(type="audit.entries_read", outcome="refused")) == 4

    def test_entries_are_what_was_sealed_and_each_look_is_on_record_first(self) -> None:
        hashes = Client().get("audit/tile/0/000.p/9").content
        for path, tree in (("audit/tile/entries/000.p/9", 1), ("audit/trees/1/tile/entries/000.p/9", 1)):
            answer = self.person("ola").get(path)
            assert answer.headers["Cache-Control"] == "no-store"
            found = b"".join(verify.leaf_hash(entry) for entry in verify.split_bundle(answer.content))
            assert found == hashes
            look = self.audit(type="audit.entries_read")[-1]
            assert (look.detail, look.basis, look.actor_id) == (
                {"tree": tree, "first": 0, "count": 9},
                "officer",
                self.user_id("ola"),
            )
        looks = len(self.audit(type="audit.entries_read"))
        for path in ("audit/tile/entries/001", "audit/tile/entries/0", "audit/trees/2/tile/entries/000.p/1"):
            assert self.person("ola").get(path).status_code == 404, path
        assert len(self.audit(type="audit.entries_read")) == looks

    def test_the_appointment_ends_and_with_it_the_entries(self) -> None:
        Officer.objects.filter(user_id=self.user_id("ola")).update(verifies_log=False)
        assert self.person("ola").get("audit/tile/entries/000.p/9").status_code == 403


class Hidden(Night, TownTestCase):
    """Emergency access that the patient is told of later: nothing of it is proved to her before."""

    def test_hidden_access_stays_hidden(self) -> None:
        log = Log()
        self.addCleanup(log.close)
        self.open_the_room()
        trine, nothing = self.person("trine"), f"audit/events/{new_id()}/proof"
        self.begun(hide=DELAY)
        seal(log)
        hidden = AuditEvent.objects.get(type="emergency_access.begun", subject_id=self.patient_id("trine"))
        before = AuditEvent.objects.filter(type="room.opened", subject_id=self.patient_id("trine")).latest("id")
        for kind in KINDS:
            assert trine.get(f"audit/events/{hidden.id}/{kind}").content == trine.get(nothing).content, kind
        assert self.person("ola").get(f"audit/events/{hidden.id}/proof").status_code == 200, "he reviews it"
        assert trine.get(f"audit/events/{before.id}/proof").status_code == 200
        types = {one["type"] for one in trine.ok("get", "me/access-log?limit=200")["results"]}
        assert "review.proof_read" not in types, "nor that an officer looks into it"
        assert "access_log.proof_read" in types
