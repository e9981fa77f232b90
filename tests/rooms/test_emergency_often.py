"""Emergency access that is ended and begun anew (L3): no longer by it, told once to the patient, looked at by more."""

from datetime import timedelta

from server.audit.entry import SYSTEM
from server.duties.models import Duty
from server.people import actions as people
from server.rooms.models import EmergencyAccess
from tests.rooms.night import DELAY, GROUND, NightTestCase, turn_back
from tests.support.served import sqlite_only

pytestmark = sqlite_only

HOUR = timedelta(hours=1)


class AtMostFourHours(NightTestCase):
    def test_the_first_one_s_end_stands(self) -> None:
        """Red when `until` is counted from each press."""
        first = self.begun()
        self.end()
        turn_back(3 * HOUR)
        kept = EmergencyAccess.objects.get(id=first["id"]).until
        for _ in range(3):
            self.begun()
            assert self.access().until == kept
            self.end()

    def test_when_it_has_passed_a_new_one_has_its_own(self) -> None:
        """Nobody at a bedside is refused. Red when what is over is counted."""
        self.begun()
        self.end()
        turn_back(5 * HOUR)
        self.begun()
        access = self.access()
        assert access.until - access.begun_at == 4 * HOUR

    def test_of_another_person_or_room_it_is_not(self) -> None:
        """Red when accesses are looked up by room, or by person, alone."""
        self.begun()
        turn_back(3 * HOUR)
        self.begun("ida")
        assert self.access().until - self.access().begun_at == 4 * HOUR
        other = self.open_shared_room("kari", patient="trine", propose=[], purpose="crisis_plan")
        assert self.begin(room=other).status_code == 201
        assert self.access().until - self.access().begun_at == 4 * HOUR


class OneReview(NightTestCase):
    def test_one_for_the_day(self) -> None:
        """The timeline and the log still have each. Red when every press owes the officers and the patient anew."""
        ids = []
        for _ in range(3):
            ids.append(self.begun()["id"])
            self.end()
        assert [one["object"] for one in self.duties("ola", "emergency_review")] == ids[:1]
        assert [one["object"] for one in self.duties("trine", "emergency_used")] == ids[:1]
        assert [one["object"] for one in self.duties("mona", "emergency_told")] == ids
        assert [one["act"] for one in self.marks("trine")] == ["begun", "ended"] * 3
        assert len(self.audit(type="emergency_access.begun")) == 3
        self._all_of_it_is_read(ids)

    def _all_of_it_is_read(self, ids: list[str]) -> None:
        """Red when the reviewer sees the first alone."""
        ola = self.person("ola")
        assert ola.ok("get", f"emergency-access/{ids[0]}")["again"] == ids[1:]
        assert ola.ok("get", f"emergency-access/{ids[2]}")["again"] == []
        assert self.person("mona").get(f"emergency-access/{ids[2]}").status_code == 404

    def test_not_of_a_colleague(self) -> None:
        first, hers = self.begun(), self.begun("ida")
        assert self.person("ola").ok("get", f"emergency-access/{first['id']}")["again"] == []
        assert len(self.duties("ola", "emergency_review")) == 2
        assert [one["object"] for one in self.duties("trine", "emergency_used")] == [first["id"], hers["id"]]

    def test_another_once_it_was_answered_or_a_day_has_gone(self) -> None:
        """Red when an answered review, or last week's, still counts."""
        self.begun()
        self.end()
        duty = self.duties("ola", "emergency_review")[0]
        self.person("ola").ok("post", f"duties/{duty['id']}/done", {"answer": "Riktig."})
        second = self.begun()
        self.end()
        assert [one["object"] for one in self.duties("ola", "emergency_review")] == [second["id"]]
        turn_back(timedelta(hours=25))
        third = self.begun()
        assert [one["object"] for one in self.duties("ola", "emergency_review")] == [second["id"], third["id"]]
        assert len(self.duties("trine", "emergency_used")) == 3
        assert self.person("ola").ok("get", f"emergency-access/{second['id']}")["again"] == []

    def test_the_patient_is_told_in_time_of_one_that_is_not_hidden(self) -> None:
        """Red when the telling of a hidden one, which is to come, serves for it."""
        self.begun(hide=DELAY)
        self.end()
        assert self.duties("trine") == []
        second = self.begun()
        assert [one["object"] for one in self.duties("trine", "emergency_used")] == [second["id"]]

    def test_a_telling_that_has_been_is_none_of_what_is_hidden_after_it(self) -> None:
        self.begun()
        self.end()
        self.begun(hide=DELAY)
        self.end()
        self.begun(hide=DELAY)
        assert Duty.objects.filter(kind="emergency_used").count() == 2, "one of now, one for both that are hidden"


class Often(NightTestCase):
    def test_beyond_the_third_everybody_who_leads_is_told(self) -> None:
        """And nobody is kept out. Red when it is refused, when the fourth is like the third, or when only the leader of
        the unit is told."""
        unit, leader = self.engagement_of("nils").unit, self.engagement_of("ida").user
        people.engage(user=leader, unit=unit, role="leder", leads=True, health_personnel=False, actor=SYSTEM)
        for _ in range(3):
            self.begun()
            self.end()
        told = Duty.objects.filter(kind="emergency_told")
        assert set(told.values_list("user_id", "code")) == {(leader.id, GROUND)}
        fourth = self.begun()
        new = told.filter(object_id=fourth["id"])
        assert set(new.values_list("code", flat=True)) == {"repeated"}
        employer = self.engagement_of("nils").unit.controller_id
        owners = set(new.values_list("user_id", "controller_id"))
        assert owners == {(self.user_id("mona"), None), (leader.id, None), (None, employer)}
        assert [one["object"] for one in self.duties("ola", "emergency_told")] == [fourth["id"]]
        assert self.duties("mona", "emergency_told")[-1]["code"] == "repeated"

    def test_a_day_later_it_is_as_before(self) -> None:
        for _ in range(4):
            self.begun()
            self.end()
        turn_back(timedelta(hours=25))
        told = self.begun()
        assert [one.code for one in Duty.objects.filter(kind="emergency_told", object_id=told["id"])] == [GROUND]
