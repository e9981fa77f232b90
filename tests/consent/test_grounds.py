"""Statutory grounds (rule 5): off unless the installation turns one on, recorded as what they are, and never shown as a
consent."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from server.common.clock import now
from server.consent import worker
from server.consent.models import StatutoryGround
from tests.base import JSON, TownTestCase
from tests.consent.base import Consenting, ahead
from tests.support.database import unguarded
from tests.support.served import sqlite_only

pytestmark = sqlite_only

GROUND, REASON = "cooperating_staff", "Må avtale medisiner i natt, han sier ikke imot"


class Grounds(Consenting, TownTestCase):
    """Kari has opened a room and proposed Frida; Are has not answered."""

    def given(self) -> None:
        self.room = self.open_room(propose=["frida"])
        self.path = f"{self.room.path}/statutory-grounds"

    @contextmanager
    def turned_on(self, *codes: str) -> Iterator[None]:
        with self.environment(statutory_grounds=list(codes or (GROUND,))):
            yield

    def said(self, **more: Any) -> JSON:
        return {"ground": GROUND, "reason": REASON, "until": ahead(days=1).isoformat()} | more

    def record(self, by: str = "frida", **more: Any) -> Any:
        return self.person(by).post(self.path, self.said(**more))

    def recorded(self, by: str = "frida", **more: Any) -> str:
        answer = self.record(by, **more)
        assert answer.status_code == 201, answer.content
        return str(answer.json()["id"])

    def end(self, by: str, ground_id: str | UUID) -> Any:
        return self.person(by).delete(f"{self.path}/{ground_id}")

    def test_off_unless_it_is_turned_on(self) -> None:
        """Red when a kind that this installation has not turned on is recorded."""
        self.refuses(self.record(), 403, "ground_off")
        with self.turned_on("record_sharing"):
            self.refuses(self.record(), 403, "ground_off")
        [*_, refused] = self.audit(type="ground.recorded", outcome="refused")
        assert (refused.reason, refused.room_id) == ("ground_off", self.room.id)
        assert not StatutoryGround.objects.exists()

    def test_it_lets_in_who_is_proposed_and_says_that_it_is_no_consent(self) -> None:
        """L1, law 1. Red when it is written as a consent, or the log says «consent»."""
        with self.turned_on():
            ground = self.recorded()
            assert self.inside(self.room, "kari", "frida") == {"frida"}
            self.post(self.room, "frida", "til den som har vakt")
            [joined] = self.audit(type="member.joined", object_id=self.user_id("frida"))
            assert (joined.basis, joined.record_ids) == ("statute", [ground])
            [posted] = self.audit(type="message.posted")
            assert (posted.basis, posted.record_ids) == ("statute", [ground])
            shown = self.shown(self.room)
            assert (shown["state"], shown["grantees"], shown["since"]) == ("requested", [], None)
            assert [one["act"] for one in self.history(self.room.consent)["results"]] == ["requested"]
            assert self.person("kari").ok("get", self.room.asks)["state"] == "requested"

    def test_the_patient_reads_it_in_their_log_and_not_why_in_words(self) -> None:
        """L2, law 9. Red when the reason stands outside its seal."""
        with self.turned_on():
            ground = self.recorded()
        lines = self.person("are").ok("get", "me/access-log")["results"]
        [line] = [one for one in lines if one["type"] == "ground.recorded"]
        assert (line["basis"], line["reason"], line["who"]["name"]) == ("statute", GROUND, "Frida Moe")
        assert "medisiner" not in str(lines)
        row = StatutoryGround.objects.get(id=ground)
        assert "medisiner" not in row.document
        assert b"medisiner" not in bytes(row.remark_sealed)
        assert "helsepersonelloven § 25" in row.document

    def test_without_membership_it_opens_nothing(self) -> None:
        """Red when a permit is made of a ground alone."""
        with self.turned_on():
            self.room = self.open_shared_room("sara", patient="trine", propose=["kari"])
            self.path = f"{self.room.path}/statutory-grounds"
            self.recorded("nils")
            assert self.inside(self.room, "nils", "sara") == {"sara"}
            assert self.propose(self.room, "sara", "nils")["state"] == "joined"
            assert self.inside(self.room, "nils", "ida") == {"nils"}

    def test_it_is_for_one_person_one_role_one_unit(self) -> None:
        """Red when a colleague is let in by it."""
        with self.turned_on():
            self.recorded()
            engagement = self.engagement_of("frida")
            engagement.role = "sekretær"
            engagement.save()
            assert self.inside(self.room, "frida") == set()

    def test_turned_off_again_it_permits_nothing(self) -> None:
        """Red when `enabled` is remembered from when it was recorded."""
        with self.turned_on():
            self.recorded()
        assert self.inside(self.room, "frida") == set()
        with self.turned_on("record_sharing"):
            assert self.inside(self.room, "frida") == set()

    def test_not_beyond_its_end(self) -> None:
        """Nobody needs to look, and the worker writes it down. Red when `valid_to` is not asked, or the interval stays
        open."""
        with self.turned_on():
            ground = self.recorded(until=ahead(seconds=1.5).isoformat())
            assert self.inside(self.room, "frida") == {"frida"}
            ends_at = StatutoryGround.objects.get(id=ground).ends_at
            while now() < ends_at:
                time.sleep(0.05)
            assert self.inside(self.room, "frida") == set()
            assert worker.tick() >= 1
            [ended] = self.audit(type="ground.ended")
            assert (ended.actor_id, ended.subject_id, str(ended.object_id)) == (None, self.patient_id(), ground)
            [left] = [one["content"] for one in self.events(self.room) if one["type"] == "member_left"]
            assert (left["user"], left["reason"]) == (str(self.user_id("frida")), "statute")
            worker.tick()
            assert len(self.audit(type="ground.ended")) == 1

    def test_ended_by_hand_by_its_own_unit(self) -> None:
        """Law 5. Red when anybody may end it, or nobody leaves by it."""
        with self.turned_on():
            ground = self.recorded()
            for name in ("kari", "sara", "vera"):
                self.refuses(self.end(name, ground), 404, "not_found")
            self.refuses(self.end("are", ground), 403, "staff_only")
            other = self.open_room(purpose="transition")
            self.refuses(self.person("frida").delete(f"{other.path}/statutory-grounds/{ground}"), 404, "not_found")
            self.refuses(self.person("frida").delete(f"rooms/{uuid4()}/statutory-grounds/{ground}"), 404, "not_found")
            self.refuses(self.end("frida", uuid4()), 404, "not_found")
            for _ in range(2):
                assert self.end("frida", ground).status_code == 204
            assert self.inside(self.room, "frida") == set()
            assert len(self.audit(type="ground.ended", outcome="success")) == 1

    def test_a_consent_beside_it_goes_before_it(self) -> None:
        """What the patient has said yes to is what the log says. Red when rule 5 comes before rule 4."""
        with self.turned_on():
            self.recorded()
            self.give(self.room)
            self.post(self.room, "frida")
            assert [one.basis for one in self.audit(type="message.posted")] == ["consent"]
            self.withdraw(self.room)
            assert self.inside(self.room, "frida", "kari") == {"frida"}, "and it still stands when that ends"

    def test_an_excluded_unit_stays_out(self) -> None:
        """Red when rule 5 comes before rule 3."""
        unit = str(self.engagement_of("frida").unit_id)
        self.says(self.room, "give", grantees=[str(self.user_id("kari"))], excluded_units=[unit])
        with self.turned_on():
            self.record()
            assert self.inside(self.room, "frida", "kari") == {"kari"}

    def test_an_excluded_person_stays_out(self) -> None:
        with self.turned_on():
            self.recorded()
            self.exclude("frida")
            assert self.inside(self.room, "frida") == set()
            assert self.record().status_code == 404, "and learns nothing of it"

    def test_a_row_that_was_altered_permits_nothing(self) -> None:
        """Red when `_believed` leaves out a comparison; one sound ground beside it is believed."""
        other = self.open_room(purpose="transition", propose=["frida"])
        far = {"until": ahead(days=80).isoformat()}
        with self.turned_on():
            ground = self.recorded()
            elsewhere = self.person("frida").ok("post", f"{other.path}/statutory-grounds", self.said(**far))["id"]
            theirs = StatutoryGround.objects.get(id=elsewhere)
            sound = StatutoryGround.objects.get(id=ground)
            for change in (
                {"document": sound.document.replace("fastlege", "vaktmester")},
                {"document": "{}"},
                {"document": ""},
                {"signature": bytes(64)},
                {"signature": b""},
                {"hash": "0" * 64},
                {"key": sound.patient.key},
                {"document": theirs.document, "hash": theirs.hash, "signature": theirs.signature},
                {"room_id": uuid4()},
            ):
                with unguarded():
                    StatutoryGround.objects.filter(id=ground).update(**change)
                assert self.inside(self.room, "frida") == set(), change
                self.refuses(self.end("frida", ground), 404, "not_found")
                assert self.inside(other, "frida") == {"frida"}
                with unguarded():
                    restored = {
                        name: getattr(sound, name) for name in ("document", "hash", "signature", "key", "room_id")
                    }
                    StatutoryGround.objects.filter(id=ground).update(**restored)
                assert self.inside(self.room, "frida") == {"frida"}
            with unguarded():  # the end on the row is the worker's; the sealed one is what counts
                StatutoryGround.objects.filter(id=ground).update(ends_at=now() + timedelta(days=900))
            assert self.inside(self.room, "frida") == {"frida"}

    def test_who_may_record_one(self) -> None:
        """Health personnel with a relation. Red when a check of `record_ground` is left out."""
        with self.turned_on():
            for name in ("sara", "nils", "vera", "ola", "trine", "admin", "are"):
                self.refuses(self.record(name), 404, "not_found")
            answer = self.person("frida").post(f"rooms/{uuid4()}/statutory-grounds", self.said())
            self.refuses(answer, 404, "not_found")
            engagement = self.engagement_of("frida")
            engagement.health_personnel = False
            engagement.save()
            self.refuses(self.record(), 403, "health_personnel_only")

    def test_words_that_are_none(self) -> None:
        with self.turned_on():
            self.field(self.record(ground="nabokjerring"), "ground", "invalid_choice")
            for until in (now() - timedelta(seconds=1), now() + timedelta(days=90, minutes=1)):
                self.field(self.record(until=until.isoformat()), "until", "out_of_range")
            for more in (
                {"reason": ""},
                {"reason": "x" * 2001},
                {"reason": None},
                {"ground": ""},
                {"ground": "x" * 41},
                {"ground": None},
                {"until": "9999-12-31T23:59:59Z"},
                {"until": "i morgen"},
                {"until": None},
            ):
                self.refuses(self.record(**more), 400, "invalid")
        assert not StatutoryGround.objects.exists()

    def test_a_retry_is_the_same_act(self) -> None:
        with self.turned_on():
            said = self.said()
            one, other = (
                self.person("frida").post(self.path, said, headers={"Idempotency-Key": "k"}) for _ in range(2)
            )
        assert (one.status_code, one.content) == (other.status_code, other.content)
        assert StatutoryGround.objects.count() == 1
        told = one.json()
        assert datetime.fromisoformat(told["until"]) == datetime.fromisoformat(said["until"])
