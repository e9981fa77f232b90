"""Emergency access over REST (L3): found, begun, read, seen by the others, told, reviewed, and ended by hand."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.test.utils import CaptureQueriesContext

from server.audit.entry import SYSTEM
from server.consent import sealing
from server.duties.models import Duty
from server.people import actions as people
from server.people.models import Unit
from server.rooms.models import EmergencyAccess, Member, Room
from server.rooms.sealed_access import believed
from tests.base import JSON
from tests.rooms.night import DELAY, GROUND, REASON, NightTestCase, turn_back
from tests.support.database import unguarded
from tests.support.served import sqlite_only

pytestmark = sqlite_only

BUDGET = 24
"""Statements of one beginning: session; door (4, with open calls for help); room, its members and the patient's records
again; one's own of this day; row; event; log; three duties with a line in the log each."""


class TenPastTwo(NightTestCase):
    """Nils finds the room, reads it, and everybody who should know of it does."""

    def test_the_night(self) -> None:
        """Red when one of `_say`, `_record`, `_owe` is left out of `begin`, or `rooms_of` lists members' rooms only."""
        nils = self.person("nils")
        assert self.status() == 404
        found = nils.ok("get", f"patients/{self.patient_id('trine')}/rooms")
        assert found == {"results": [{"id": str(self.room.id), "purpose": "coordination"}], "next": None}
        said = self.begun()
        assert (said["room"], said["ground"]) == (str(self.room.id), GROUND)
        assert said["told_at"] == said["tell_at"] == said["begun_at"]
        self._he_reads()
        self._the_others_see(said)
        self._it_is_on_record(said)
        assert [(one["object"], one["code"]) for one in self.duties("mona", "emergency_told")] == [(said["id"], GROUND)]
        assert [one["object"] for one in self.duties("trine", "emergency_used")] == [said["id"]]
        assert self.duties("nils") == []
        self._ola_reviews(said)

    def _he_reads(self) -> None:
        nils = self.person("nils")
        events = self.events(self.room, "nils")
        assert events == self.events(self.room, "trine"), "all of it, from the beginning"
        assert "planen for dårlige dager" in str(events)
        card = nils.ok("get", self.room.path)
        assert card in nils.ok("get", "rooms")["results"]
        assert (card["unread"], card["waiting"], card["last_event"]["type"]) == (0, False, "emergency_access")
        assert card["next_attended_at"] == self.person("trine").ok("get", self.room.path)["next_attended_at"]
        assert set(self.members(self.room, "nils")) == {"trine", "kari", "sara"}
        assert nils.ok("get", f"{self.room.path}/receipts")["results"]

    def _the_others_see(self, said: JSON) -> None:
        nils = self.engagement_of("nils")
        mark = {
            "access": said["id"],
            "user": str(nils.user_id),
            "unit": str(nils.unit_id),
            "role": "sykepleier",
            "ground": GROUND,
            "act": "begun",
            "until": said["until"],
        }
        for name in ("kari", "sara", "trine"):
            assert self.marks(name) == [mark], name
            assert set(self.members(self.room, name)) == {"trine", "kari", "sara"}, "it makes no member"

    def _it_is_on_record(self, said: JSON) -> None:
        begun = self.audit(type="emergency_access.begun")[0]
        assert (str(begun.object_id), begun.record_ids, begun.basis) == (said["id"], [said["id"]], "emergency")
        assert (begun.reason, begun.subject_id) == (GROUND, self.patient_id("trine"))
        assert begun.sealed_hash == self.access().hash
        looks = self.audit(actor_id=self.user_id("nils"), room_id=self.room.id, type="events.viewed", outcome="success")
        assert [(one.basis, one.record_ids) for one in looks] == [("emergency", [said["id"]])]
        lines = [(one["type"], one["who"]["name"], one["outcome"]) for one in self.log()]
        for type_ in ("emergency_access.begun", "events.viewed", "members.viewed"):
            assert (type_, "Nils Dahle", "success") in lines
        assert REASON not in str([vars(one) for one in self.audit()]), "law 9"

    def _ola_reviews(self, said: JSON) -> None:
        """It stays open until it is answered in words."""
        duty = self.duties("ola", "emergency_review")[0]
        assert duty["object"] == said["id"]
        assert Duty.objects.get(id=duty["id"]).due_at == self.access().begun_at + timedelta(days=7)
        refused = self.person("ola").post(f"duties/{duty['id']}/done", {})
        assert (refused.status_code, refused.json()["code"]) == (409, "answer_needed")
        assert self.duties("ola", "emergency_review") == [duty]
        self.person("ola").ok("post", f"duties/{duty['id']}/done", {"answer": "Riktig bruk."})
        assert self.duties("ola", "emergency_review") == []

    def test_the_row_is_sealed(self) -> None:
        """Nobody lets themself in by way of the database. Red when `believed` is not asked, or seals too little."""
        self.begun()
        access = self.access()
        assert believed(access)
        assert sealing.holds(access.document, access.hash, bytes(access.signature), access.key, sealing.EMERGENCY)
        later = access.until + timedelta(days=300)
        with unguarded():
            EmergencyAccess.objects.filter(id=access.id).update(until=later)
        assert self.status() == 404
        again = self.begin()
        assert again.status_code == 201, "what is not believed is ended, and a new one begun"
        assert UUID(again.json()["id"]) != access.id
        access.refresh_from_db()
        assert access.end_reason == "unreadable"
        assert self.status() == 200

    def test_only_this_room(self) -> None:
        other = self.open_shared_room("kari", patient="trine", propose=[], purpose="crisis_plan")
        self.begun()
        assert self.person("nils").get(f"{other.path}/events").status_code == 404
        assert [one["id"] for one in self.person("nils").ok("get", "rooms")["results"]] == [str(self.room.id)]

    def test_only_this_person(self) -> None:
        """Red when the access is looked up by unit."""
        self.begun()
        assert self.status("ida") == 404
        assert self.end("ida").status_code == 404
        assert self.begin("ida").status_code == 201, "a colleague answers for their own"

    def test_a_patient_s_own_message_has_no_reader_in_it(self) -> None:
        """Who may be gone in an hour is nobody to write to. Red when emergency access counts among the readers."""
        self.withdraw(self.room, "trine")
        self.begun()
        answer = self.person("trine").post(f"{self.room.path}/messages", {"txn_id": "x", "body": "hei"})
        assert (answer.status_code, answer.json()["code"]) == (409, "nobody_here")
        assert self.status() == 200, "a withdrawal does not end it: it never rested on consent"


class Again(NightTestCase):
    """A nurse whose answer was lost presses again."""

    def test_the_same_while_it_is_open(self) -> None:
        """Red when `begin` does not look for one that is open."""
        first = self.begun()
        second = self.begin(ground="serious_harm", reason="igjen")
        assert (second.status_code, second.json()) == (200, first)
        assert len(self.marks("kari")) == 1
        assert len(self.duties("mona")) == 1
        assert len(self.audit(type="emergency_access.begun")) == 1

    def test_the_same_answer_to_the_same_key(self) -> None:
        first, second = self.begin(key="k"), self.begin(key="k")
        assert (first.status_code, second.status_code) == (201, 201)
        assert second.json() == first.json()
        assert second.headers["Idempotent-Replay"] == "true"
        other = self.begin(key="k", reason="noe annet")
        assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")

    def test_but_not_when_it_is_over(self) -> None:
        """Law 5. Red without `recheck`."""
        assert self.begin(key="k").status_code == 201
        assert self.end().status_code == 204
        assert self.begin(key="k").status_code == 404
        assert self.begin().status_code == 201, "that takes a new one, with its own reason"


class Inside(NightTestCase):
    def test_a_member_is_told_that_they_are_in(self) -> None:
        """Red when `_not_inside` is left out."""
        answer = self.begin("sara")
        assert (answer.status_code, answer.json()["code"]) == (409, "already_inside")
        assert not EmergencyAccess.objects.exists()

    def test_a_member_for_another_place_of_work(self) -> None:
        sara = self.engagement_of("sara")
        other = people.engage(
            user=sara.user, unit=self.engagement_of("nils").unit, role="vakt", health_personnel=True, actor=SYSTEM
        )
        self.person("sara").ok("post", "me/engagement", {"engagement": str(other.id)})
        answer = self.begin("sara")
        assert (answer.status_code, answer.json()["code"]) == (409, "other_engagement")

    def test_acting_for_another_place_of_work_it_is_not_there(self) -> None:
        """L6. Red when lists and permits do not look at the engagement acted for."""
        self.begun()
        nils = self.engagement_of("nils")
        dps = Unit.objects.get(name="Ytre DPS")
        other = people.engage(user=nils.user, unit=dps, role="vakt", health_personnel=True, actor=SYSTEM)
        client = self.person("nils")
        client.ok("post", "me/engagement", {"engagement": str(other.id)})
        assert client.ok("get", "rooms")["results"] == []
        assert self.status() == 404
        assert self.end().status_code == 404
        again = self.begin()
        assert (again.status_code, again.json()["code"]) == (409, "other_engagement")
        client.ok("post", "me/engagement", {"engagement": str(nils.id)})
        assert self.status() == 200

    def test_a_former_member_may_in_an_emergency(self) -> None:
        """Their unread count and marks are those of a reader who is no member: none."""
        self.withdraw(self.room, "trine")
        assert self.status("sara") in (403, 404)
        assert self.begin("sara").status_code == 201
        assert self.person("sara").ok("get", self.room.path)["unread"] == 0
        assert Member.objects.get(room_id=self.room.id, user__username="sara").state == "ended"

    def test_who_is_let_in_by_consent_meanwhile_takes_part(self) -> None:
        """Rules 2 and 4 side by side: membership decides what they see and lets them write."""
        self.begun()
        self.propose(self.room, "kari", "nils")
        self.change(self.room, "trine")
        self.post(self.room, "nils", "jeg er her")
        self.end()
        assert self.status() == 200


class ReadsOnly(NightTestCase):
    """He reads; nothing that he does shows in the room but the mark."""

    def test_nothing_is_written(self) -> None:
        """Red when `check_reader` or `_not_open` does not look at the basis."""
        self.begun()
        head = Room.objects.get(id=self.room.id).head
        nils, path = self.person("nils"), self.room.path
        members = self.members(self.room, "kari")
        own = {"participation": "away"}
        refused: list[tuple[Any, int, str]] = [
            (nils.post(f"{path}/messages", {"txn_id": "a", "body": "hei"}), 403, "read_only"),
            (nils.post(f"{path}/events/1/edit", {"body": "hei"}), 404, "not_found"),
            (nils.post(f"{path}/events/1/retract"), 404, "not_found"),
            (nils.post(f"{path}/members", {"user": str(self.user_id("ida"))}), 404, "not_found"),
            (nils.delete(f"{path}/members/{members['kari']['id']}"), 404, "not_found"),
            (nils.patch(f"{path}/members/{members['trine']['id']}", own), 404, "not_found"),
            (nils.post("consents", {"room": str(self.room.id)}), 404, "not_found"),
            (nils.get(self.room.asks), 404, "not_found"),
        ]
        for answer, status, code in refused:
            assert (answer.status_code, answer.json()["code"]) == (status, code), answer.content
        assert Room.objects.get(id=self.room.id).head == head

    def test_his_own_words_of_before_stay_as_they_are(self) -> None:
        """Red when `_amend` lets a former member take back under emergency access what they wrote."""
        seq = self.post(self.room, "sara", "fra meg")["seq"]
        self.withdraw(self.room, "trine")
        self.begun("sara")
        for verb, body in (("edit", {"body": "nytt"}), ("retract", None)):
            answer = self.person("sara").post(f"{self.room.path}/events/{seq}/{verb}", body)
            assert (answer.status_code, answer.json()["code"]) == (403, "read_only")

    def test_a_read_mark_is_answered_and_not_kept(self) -> None:
        """Red when `PUT read` looks for a receipt that is not there."""
        self.begun()
        before = self.person("trine").ok("get", f"{self.room.path}/receipts")
        nils = self.person("nils")
        said = nils.ok("put", f"{self.room.path}/read", {"seq": 3})
        assert said == {"user": str(nils.user_id), "delivered": 0, "read": 0}
        ahead = nils.put(f"{self.room.path}/read", {"seq": 10**6})
        assert (ahead.status_code, ahead.json()["code"]) == (400, "cursor_ahead")
        assert self.person("trine").ok("get", f"{self.room.path}/receipts") == before


class Ended(NightTestCase):
    def test_by_hand(self) -> None:
        """Red when `end_own` ends nothing, or the epoch does not rise."""
        said = self.begun()
        epoch = Room.objects.get(id=self.room.id).access_epoch
        assert self.end().status_code == 204
        assert Room.objects.get(id=self.room.id).access_epoch == epoch + 1
        for path in ("", "/events", "/members", "/receipts"):
            assert self.status(path=path) == 404
        assert self.person("nils").ok("get", "rooms")["results"] == []
        mark = self.marks("trine")[-1]
        assert (mark["access"], mark["act"], mark["reason"]) == (said["id"], "ended", "by_hand")
        assert [one.reason for one in self.audit(type="emergency_access.ended")] == ["by_hand"]
        assert self.duties("ola", "emergency_review"), "an end answers nothing"

    def test_where_there_is_none(self) -> None:
        """The same answer as for a room that is not. Red when a member, or who ended it before, is told more."""
        nowhere = self.person("nils").delete("rooms/01890a5d-ac96-774b-bcce-b302099a8057/emergency-access")
        assert nowhere.status_code == 404
        for name in ("nils", "kari", "vera", "trine", "ola"):
            assert self.end(name).content == nowhere.content, name
        self.begun()
        self.end()
        assert self.end().content == nowhere.content


class Review(NightTestCase):
    def test_what_was_written_is_read_by_whoever_reviews_it(self) -> None:
        """Red when `look` asks for less than the duty, or leaves no trace."""
        said = self.begun(hide=DELAY)
        self.end()
        read = self.person("ola").ok("get", f"emergency-access/{said['id']}")
        assert (read["reason"], read["delay_reason"]) == (REASON, DELAY["reason"])
        assert (read["user"], read["end_reason"]) == (str(self.user_id("nils")), "by_hand")
        assert [one.basis for one in self.audit(type="emergency_access.viewed", outcome="success")] == ["duty"]
        nothing = self.person("nils").get("emergency-access/01890a5d-ac96-774b-bcce-b302099a8057")
        for name in ("nils", "mona", "kari", "trine", "admin"):
            refused = self.person(name).get(f"emergency-access/{said['id']}")
            assert (refused.status_code, refused.content) == (404, nothing.content), name

    def test_it_is_the_actor_s_controller_s(self) -> None:
        """L6. Red when the review goes to the room's home controller."""
        self.begun()
        other = self.begin("kari", room=self.open_room("sara", patient="trine", propose=[], purpose="crisis_plan"))
        assert other.status_code == 201
        assert len(self.duties("ola", "emergency_review")) == 1
        assert self.person("ola").get(f"emergency-access/{other.json()['id']}").status_code == 404

    def test_a_leader_whom_the_patient_has_excluded_is_not_told(self) -> None:
        """Red when `_owe` does not ask whom the patient has excluded."""
        self.exclude("mona")
        self.begun()
        assert self.duties("mona") == []
        assert self.duties("ola", "emergency_review")


class Cost(NightTestCase):
    def test_what_it_costs(self) -> None:
        """Fixed, whatever the number of rooms, members and messages."""
        costs = []
        for purposes in ((), ("transition", "crisis_plan")):
            for purpose in purposes:
                other = self.open_shared_room("kari", patient="trine", propose=["sara"], purpose=purpose)
                self.post(other, "kari")
                self.post(self.room, "kari")
            self.begun()
            self.end()  # keys and content types are warm
            turn_back(timedelta(days=2))
            with CaptureQueriesContext(connection) as seen:
                self.begun()
            costs.append(len([one for one in seen.captured_queries if "SAVEPOINT" not in one["sql"]]))
            self.end()
            turn_back(timedelta(days=2))
        assert costs[0] == costs[1] <= BUDGET, costs
