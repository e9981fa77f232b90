"""How far the log has come is for officers: all others read of it in steps of ten minutes, which tell of no act."""

from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID

from django.conf import settings
from django.test import override_settings

from server.audit import access, reading, verify
from server.audit.actions import record
from server.audit.entry import Entry
from server.audit.models import AuditEvent, index_of
from server.audit.reading import Published
from server.common.clock import now
from server.people.actors import actor_for
from server.review import lines
from tests.audit.sealing import Log, act
from tests.base import Client, TownTestCase

PUBLIC = ("audit/checkpoint", "audit/trees/1/checkpoint")
EVERY_S = 600


class Newest(TownTestCase):
    log: Log
    earlier: Published
    old: UUID

    @classmethod
    def setUpTestData(cls) -> None:
        super().setUpTestData()
        cls.log = Log()
        cls.addClassCleanup(cls.log.close)
        [cls.old] = act()
        cls.earlier = cls.log.seal()
        cls.between = now()

    def setUp(self) -> None:
        super().setUp()
        public = settings.ENV.model_copy(update={"audit_public_every_s": EVERY_S})
        self.enterContext(override_settings(ENV=public))
        self.event = self.look()
        self.later = self.seal()

    def look(self) -> UUID:
        sara = actor_for(self.engagement_of("sara"), sign_in="demo")
        return record(Entry("room.viewed", sara, subject_id=self.patient_id(), detail={"from": 1}))

    def seal(self) -> Published:
        found = self.log.seal()
        while lines.follow():
            pass
        return found

    def public_up_to(self, at: datetime) -> None:
        self.enterContext(patch.object(access, "public_until", lambda: at))

    def get(self, path: str, **headers: str) -> Any:
        return Client().get(path, headers=headers)

    def read(self, note: bytes) -> verify.Checkpoint:
        return verify.open_checkpoint(note.decode(), [self.log.signer.verifier])

    def test_nobody_sees_from_outside_that_something_is_being_done(self) -> None:
        """Mutation: serve the newest checkpoint, or a tile of what is behind the public one."""
        self.public_up_to(self.between)
        for path in PUBLIC:
            answer = self.get(path)
            assert self.read(answer.content).size == self.earlier.size
            assert answer.headers["Cache-Control"] == "public, max-age=60"
        assert self.get("audit/trees").json()["results"][0]["size"] == self.earlier.size
        for base in ("audit", "audit/trees/1"):
            assert self.get(f"{base}/tile/0/000.p/{self.earlier.size}").status_code == 200
            beyond, nothing = self.get(f"{base}/tile/0/000.p/{self.later.size}"), self.get("audit/nothing")
            assert (beyond.status_code, beyond.content) == (404, nothing.content)

    def test_before_the_first_full_ten_minutes_there_is_nothing(self) -> None:
        self.public_up_to(self.between - timedelta(hours=1))
        assert [self.get(path).status_code for path in PUBLIC] == [404, 404]
        assert self.get("audit/trees").json() == {"results": []}

    def test_steps_are_of_the_databases_clock(self) -> None:
        until = access.public_until()
        assert until is not None
        assert until.timestamp() % EVERY_S == 0
        assert timedelta() <= now() - until < timedelta(seconds=EVERY_S)
        with override_settings(ENV=settings.ENV.model_copy(update={"audit_public_every_s": 0})):
            assert access.public_until() is None
            assert self.read(self.get("audit/checkpoint").content).size == self.later.size

    def test_officers_get_the_newest_and_the_hashes_up_to_it(self) -> None:
        self.public_up_to(self.between)
        for who in ("ola", "officer2"):
            answer = self.person(who).get("audit/newest/checkpoint")
            assert (answer.content.decode(), answer.headers["Cache-Control"]) == (self.later.note, "no-store")
            tile = self.person(who).get(f"audit/newest/tile/0/000.p/{self.later.size}")
            assert (len(tile.content), tile.headers["Cache-Control"]) == (32 * self.later.size, "no-store")
        entries = self.person("ola").get(f"audit/newest/tile/entries/000.p/{self.later.size}")
        hashes = [verify.leaf_hash(one) for one in verify.split_bundle(entries.content)]
        assert b"".join(hashes) == tile.content
        assert verify.root_of(hashes) == self.later.root
        assert self.person("officer2").get("audit/newest/tile/entries/000.p/1").status_code == 403
        assert self.person("ola").get(f"audit/newest/tile/0/000.p/{self.later.size + 1}").status_code == 404

    def test_nobody_else_does(self) -> None:
        for path in ("audit/newest/checkpoint", "audit/newest/tile/0/000.p/1"):
            assert Client().get(path).status_code == 401
            for who in ("sara", "are", "admin"):
                answer = self.person(who).get(path)
                assert (answer.status_code, answer.json()["code"]) == (403, "officer_only"), who
        refused = AuditEvent.objects.filter(type="audit.entries_read", outcome="refused")
        assert set(refused.values_list("reason", flat=True)) == {"not_officer"}
        assert refused.count() == 6

    def test_a_patient_learns_no_more_from_a_proof(self) -> None:
        """What is older than the public checkpoint is proved against that; what is newer, against the first checkpoint
        that covers it. Mutation: against the newest: its size then counts what is done meanwhile."""
        act(5)
        newest = self.seal()
        for until, expected in ((self.between, self.later), (now(), newest)):
            with patch.object(access, "public_until", lambda until=until: until):
                act()
                self.seal()
                proof = self.person("are").get(f"audit/events/{self.event}/proof").content
                index, _, note = verify.parse_proof(proof.decode())
                assert self.read(note.encode()).size == expected.size
                at = reading.position_of(self.event)
                assert at is not None
                assert index == index_of(at)
                leaf = AuditEvent.objects.get(id=self.event).leaf.encode()
                verify.check_proof(proof, [self.log.signer.verifier], leaf, {})
                officers = self.person("ola").get(f"audit/events/{self.event}/proof").content
                assert self.read(verify.parse_proof(officers.decode())[2].encode()).size > expected.size
