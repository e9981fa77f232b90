"""What somebody learns, or gets in by, who is not in the room: found by reading the code as a stranger would."""

from typing import Any

from server.audit.entry import SYSTEM
from server.common.clock import now
from server.people import actions as people
from server.people.actors import acting_for
from server.people.models import Patient
from tests.base import Opened, TownTestCase


class Waiting(TownTestCase):
    """Mona's unit gets a relation to Are, and she opens the room that Kari opened: she waits (S1, S3)."""

    def given(self) -> None:
        self.room = self.open_shared_room()
        mona = self.engagement_of("mona")
        people.record_relation(
            acting=acting_for(mona, sign_in="demo", at=now()),
            patient=Patient.objects.get(id=self.patient_id()),
            kind="treatment",
            reason="henvist",
        )
        self.card = self.person("mona").ok("post", "rooms", {"patient": str(self.patient_id()), "propose": []})

    def test_proposals_do_not_tell_who_is_in(self) -> None:
        """Red when `propose` answers with the member as it is."""
        assert self.card["waiting"]
        told = {
            name: self.person("mona").ok("post", f"{self.room.path}/members", {"user": str(self.user_id(name))})
            for name in ("frida", "ida")
        }
        shapes = {name: {key: said[key] for key in ("kind", "state", "participation")} for name, said in told.items()}
        assert shapes["frida"] == shapes["ida"] == {"kind": "staff", "state": "proposed", "participation": None}
        assert len(self.audit(type="member.proposed", actor_id=self.user_id("mona"), outcome="success")) >= 3

    def test_an_old_answer_is_not_given_again_after_a_withdrawal(self) -> None:
        """Law 5. Red when `recheck` of `POST rooms` looks at the relation only."""
        said: dict[str, Any] = {"patient": str(self.patient_id()), "propose": []}
        kari = self.person("kari")
        first = kari.post("rooms", said, headers={"Idempotency-Key": "k1"})
        assert (first.status_code, first.json()["waiting"]) == (201, False)
        self.withdraw(self.room)
        assert kari.post("rooms", said, headers={"Idempotency-Key": "k1"}).status_code == 404


class Answers(TownTestCase):
    def test_a_yes_after_a_withdrawal_names_whom_it_means(self) -> None:
        """Red when `give` falls back on people whom the text does not name."""
        room = self.open_shared_room()
        self.withdraw(room)
        shown = self.person("are").ok("get", room.asks)
        names = {one["name"] for one in shown["asked"]}
        assert names == {"Kari Lunde", "Frida Moe", "Vera Haugen"}
        assert all(name in shown["text"]["first"] for name in names)
        self.person("are").ok("post", f"{room.asks}/give", {"text_sha256": shown["text"]["sha256"]})
        assert self.history(room)[-1]["text_sha256"] == shown["text"]["sha256"]

    def test_whom_the_patient_took_out_is_not_let_in_by_a_later_yes(self) -> None:
        room = self.open_shared_room(propose=[])
        kari = self.members(room)["kari"]["id"]
        assert self.person("are").delete(f"{room.path}/members/{kari}").status_code == 204
        answer = self.person("are").post(f"{room.asks}/give", {})
        assert (answer.status_code, answer.json()["code"]) == (409, "nobody_asked")

    def history(self, room: Opened) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.person("are").ok("get", f"{room.asks}/history")["results"]
        return found

    def test_another_place_of_work_is_told_so(self) -> None:
        """Red when `POST rooms` takes the first card of none."""
        self.open_shared_room()
        kari = self.engagement_of("kari")
        other = people.engage(user=kari.user, unit=kari.unit, role="teamleder", health_personnel=True, actor=SYSTEM)
        client = self.person("kari")
        client.ok("post", "me/engagement", {"engagement": str(other.id)})
        answer = client.post("rooms", {"patient": str(self.patient_id()), "propose": []})
        assert (answer.status_code, answer.json()["code"]) == (409, "other_engagement")

    def test_a_retry_with_a_key_after_the_end_says_that_it_was_received(self) -> None:
        """Law 3. Red when `recheck` of a message answers that nothing was sent."""
        room = self.open_shared_room()
        said = {"txn_id": "t1", "body": "hei"}
        kari = self.person("kari")
        assert kari.post(f"{room.path}/messages", said, headers={"Idempotency-Key": "k"}).status_code == 201
        self.change(room, to=["frida"])
        for headers in ({"Idempotency-Key": "k"}, {}):
            answer = kari.post(f"{room.path}/messages", said, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (409, "ended"), headers

    def test_a_correction_needs_a_reader_too(self) -> None:
        """Red when an edit is not asked whether anybody else can read it."""
        room = self.open_shared_room()
        seq = self.post(room, "are")["seq"]
        self.withdraw(room)
        answer = self.person("are").post(f"{room.path}/events/{seq}/edit", {"body": "annerledes"})
        assert (answer.status_code, answer.json()["code"]) == (409, "nobody_here")

    def test_a_correction_of_what_was_written_before_one_joined_is_not_shown(self) -> None:
        """Law 5. Red when only the correction's own number is looked at."""
        room = self.open_shared_room()
        seq = self.post(room, "kari", "hemmelig før Sara")["seq"]
        self.propose(room, "kari", "sara")
        self.change(room)
        self.person("kari").ok("post", f"{room.path}/events/{seq}/edit", {"body": "hemmelig, rettet"})
        assert "hemmelig" not in str(self.events(room, "sara"))
        assert "hemmelig, rettet" in str(self.events(room, "frida"))

    def test_a_closed_account_reads_nothing(self) -> None:
        """Red when `judge` does not look at the account."""
        room = self.open_shared_room(propose=[])
        people.deactivate_user(user_id=self.user_id("kari"), actor=SYSTEM, reason="left")
        answer = self.person("are").post(f"{room.path}/messages", {"txn_id": "x", "body": "hei"})
        assert (answer.status_code, answer.json()["code"]) == (409, "nobody_here")
