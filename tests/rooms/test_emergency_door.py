"""Who may use emergency access, and what everybody else learns from being refused: nothing (L3)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from server.common.clock import now
from server.consent.models import Consent, Version
from server.people.models import Engagement, Relation, Session
from server.rooms import emergency_door
from server.rooms.decide import closed_because, over_because, until
from server.rooms.models import EmergencyAccess
from server.rooms.ports import OPEN_ALERTS
from tests.base import Opened
from tests.rooms.night import NOWHERE, NightTestCase
from tests.support.database import unguarded
from tests.support.served import sqlite_only

pytestmark = sqlite_only


class DoorTestCase(NightTestCase):
    nowhere = Opened(NOWHERE, NOWHERE)

    def refused(self, answer: Any, status: int, code: str) -> None:
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.content
        assert not EmergencyAccess.objects.exists()

    def find(self, by: str = "nils", patient: Any = None) -> Any:
        return self.person(by).get(f"patients/{patient or self.patient_id('trine')}/rooms")

    def reasons(self, type_: str = "emergency_access.begun") -> list[str]:
        return [one.reason for one in self.audit(type=type_, outcome="refused")]

    def nothing(self) -> bytes:
        """What is said of a room that is not."""
        answer = self.begin(room=self.nowhere)
        assert answer.status_code == 404
        found: bytes = answer.content
        return found


class Who(DoorTestCase):
    def test_staff_only(self) -> None:
        """Red without `require_staff`."""
        for name in ("trine", "are", "ola", "admin"):
            self.refused(self.begin(name), 403, "staff_only")
            self.refused(self.find(name), 403, "staff_only")

    def test_health_personnel_only(self) -> None:
        """Also with a relation. Red when `health_personnel` is not asked."""
        self.relate("vera", "trine")
        self.refused(self.begin("vera"), 403, "health_personnel_only")
        self.refused(self.find("vera"), 403, "health_personnel_only")
        assert self.reasons() == ["not_health_personnel"]

    def test_a_sign_in_under_five_minutes_old(self) -> None:
        """By the database's time. Red when no fresh proof is asked for, or STEP_UP_MINUTES is longer."""
        nils = self.person("nils")
        sessions = Session.objects.filter(user_id=nils.user_id)
        sessions.update(strong_at=F("strong_at") - timedelta(minutes=5))
        self.refused(self.begin(), 403, "step_up_needed")
        self.refused(self.find(), 403, "step_up_needed")
        assert self.begin(room=self.nowhere).json()["code"] == "step_up_needed", "before any room is looked up"
        sessions.update(strong_at=F("strong_at") + timedelta(seconds=20))
        assert self.find().status_code == 200
        assert self.begin().status_code == 201

    def test_a_session_that_was_never_proved(self) -> None:
        """Red when a session's age is taken for a proof."""
        nils = self.person("nils")
        Session.objects.filter(user_id=nils.user_id).update(sign_in="in_person", strong_at=None, strong_by="")
        self.refused(self.begin(), 403, "step_up_needed")
        self.refused(self.find(), 403, "step_up_needed")

    def test_it_asks_the_patient_s_log_nothing_before_the_room(self) -> None:
        """A refusal that looked up no room stands in no patient's log."""
        Session.objects.filter(user_id=self.person("nils").user_id).update(
            strong_at=F("strong_at") - timedelta(hours=1)
        )
        self.begin()
        assert [one.subject_id for one in self.audit(type="emergency_access.begun")] == [None]


class Nothing(DoorTestCase):
    """One and the same answer, whichever it is that keeps somebody out."""

    def all_of_them(self) -> list[tuple[str, Callable[[], Any]]]:
        are = self.open_shared_room("kari", patient="are", propose=[])
        self.exclude("ida")
        return [
            ("missing", lambda: self.begin(room=self.nowhere)),
            ("no_relation", lambda: self.begin(room=are)),
            ("excluded", lambda: self.begin("ida")),
        ]

    def test_the_same_answer(self) -> None:
        """Red when one of them is answered with a code, or a header, of its own."""
        answers = []
        for reason, act in self.all_of_them():
            answer = act()
            answers.append((answer.status_code, answer.content, set(answer.headers)))
            assert self.reasons()[-1] == reason
        assert answers[0][0] == 404
        assert answers == [answers[0]] * 3

    def test_the_same_work(self) -> None:
        """Roughly: the same statements. Red when one of the questions is asked only where another was answered yes."""
        work = []
        for _, act in self.all_of_them():
            act()
            with CaptureQueriesContext(connection) as seen:
                act()
            work.append([" ".join(one["sql"].split()[:3]) for one in seen.captured_queries if "SAVE" not in one["sql"]])
        assert work[0] == work[1] == work[2]

    def test_what_is_wrong_with_the_words_is_said_first(self) -> None:
        """Of a room that is not there as of one that is. Red when the room is looked up first."""
        faults: list[dict[str, Any]] = [
            {"ground": "curiosity"},
            {"ground": ""},
            {"reason": " \n\t "},
            {"reason": "x" * 2001},
            {"hide": {"hours": 0, "reason": "x"}},
            {"hide": {"hours": 73, "reason": "x"}},
            {"hide": {"hours": 5, "reason": " "}},
            {"hide": {"hours": 5}},
        ]
        for fault in faults:
            answers = [self.begin(room=room, **fault) for room in (self.room, self.nowhere)]
            assert [one.status_code for one in answers] == [400, 400], fault
            assert answers[0].json()["errors"] == answers[1].json()["errors"] != []
            assert not EmergencyAccess.objects.exists()
        assert self.begin(reason="x" * 2000).status_code == 201

    def test_a_relation_that_has_ended(self) -> None:
        """Red when `current` is left out."""
        unit = self.engagement_of("nils").unit_id
        Relation.objects.filter(unit_id=unit, patient_id=self.patient_id("trine")).update(ended_at=now())
        assert self.begin().content == self.nothing()
        assert self.find().status_code == 404

    def test_an_open_call_for_help_is_enough(self) -> None:
        """Red when OPEN_ALERTS is not asked, or answers for every patient."""
        room = self.open_shared_room("kari", patient="are", propose=[])
        asked = []

        class Alerts:
            def has_open(self, patient_id: Any, engagement: Engagement) -> bool:
                asked.append(patient_id)
                return patient_id == are

        are = self.patient_id("are")
        assert self.begin(room=room).status_code == 404
        with patch.object(OPEN_ALERTS, "_bound", Alerts()):
            assert self.begin(room=room).status_code == 201
            found = self.find(patient=are)
            assert [one["id"] for one in found.json()["results"]] == [str(room.id)]
            assert self.begin(room=self.nowhere).status_code == 404
        assert set(asked) == {are, emergency_door.NOBODY}
        looked = self.audit(type="emergency_access.rooms_viewed", subject_id=are)
        assert [one.basis for one in looked] == ["alert"]


class Excluded(DoorTestCase):
    """A named person whom the patient has excluded stays excluded, even then (L3)."""

    def test_never(self) -> None:
        """Red when rule 1 is not asked at the door."""
        self.exclude("nils")
        assert self.begin().content == self.nothing()
        assert self.find().content == self.find(patient=NOWHERE).content
        assert self.find().status_code == 404
        assert self.reasons() == ["excluded", "missing"]
        assert "excluded" in self.reasons("emergency_access.rooms_viewed")
        assert self.begin("ida").status_code == 201, "and nobody else"

    def test_a_list_that_cannot_be_verified_excludes_everybody(self) -> None:
        """A broken deny never disappears. Red when only `excluded_people` is asked."""
        self.exclude("ida")
        Consent.objects.filter(form="exclusions").update(newest_hash="0" * 64)
        for name in ("nils", "ida"):
            assert self.begin(name).content == self.nothing(), name
            assert self.find(name).status_code == 404

    def test_a_list_that_was_taken_away_excludes_everybody(self) -> None:
        """Whoever can delete rows lifts no exclusion. Red when finding the room does not ask the room's own records."""
        self.exclude("ida")
        with unguarded():
            Version.objects.filter(consent__form="exclusions").delete()
            Consent.objects.filter(form="exclusions").delete()
        for name in ("nils", "ida"):
            assert self.begin(name).content == self.nothing(), name
            assert self.find(name).status_code == 404

    def test_a_consent_that_cannot_be_verified_does_not(self) -> None:
        """It could have excluded units, and emergency access goes before those (rules 2 and 3)."""
        Consent.objects.filter(room_id=self.room.id).update(newest_hash="0" * 64)
        assert self.begin().status_code == 201
        assert self.status() == 200

    def test_while_he_is_at_the_door(self) -> None:
        """Excluded after he was looked up and before the room was locked. Red without `still_open`."""
        open_door = emergency_door.open_door

        def slowly(*args: Any) -> None:
            open_door(*args)
            self.exclude("nils")

        with patch.object(emergency_door, "open_door", slowly):
            answer = self.begin()
        assert answer.status_code == 404
        assert not EmergencyAccess.objects.exists()

    def test_lifting_lets_him_ask_again(self) -> None:
        self.exclude("nils")
        assert self.begin().status_code == 404
        self.person("trine").ok("delete", f"exclusions/{self.user_id('nils')}")
        assert self.begin().status_code == 201


class Rooms(DoorTestCase):
    """Finding the room."""

    def test_all_of_them_and_nothing_but_their_purposes(self) -> None:
        """One look, in the patient's log. Red when nothing is recorded, or other patients' rooms are shown."""
        self.open_shared_room("kari", patient="are", propose=[])
        other = self.open_room("sara", patient="trine", propose=[], purpose="crisis_plan")
        found = self.find().json()
        assert found == {
            "results": [
                {"id": str(self.room.id), "purpose": "coordination"},
                {"id": str(other.id), "purpose": "crisis_plan"},
            ],
            "next": None,
        }
        looks = self.audit(type="emergency_access.rooms_viewed", outcome="success")
        assert [(one.subject_id, one.basis) for one in looks] == [(self.patient_id("trine"), "relation")]

    def test_a_patient_without_rooms(self) -> None:
        self.relate("nils", "are")
        assert self.find(patient=self.patient_id("are")).json() == {"results": [], "next": None}

    def test_foreign_and_missing_alike(self) -> None:
        """Red when they are told apart."""
        foreign, missing = self.find(patient=self.patient_id("are")), self.find(patient=NOWHERE)
        assert (foreign.status_code, foreign.content) == (404, missing.content)


class Rules(DoorTestCase):
    """The pure rules, each branch."""

    def test_closed(self) -> None:
        """Red when one of them is left out, or their order turned."""
        good = {"found": True, "permitted": True, "related": True, "alert": False}
        assert closed_because(**good) == ""
        assert closed_because(**good | {"related": False, "alert": True}) == ""
        assert closed_because(**good | {"related": False}) == "no_relation"
        assert closed_because(**good | {"permitted": False}) == "excluded"
        assert closed_because(**good | {"permitted": False, "related": False}) == "excluded"
        assert closed_because(found=False, permitted=True, related=True, alert=True) == "missing"

    def test_how_long(self) -> None:
        """Never beyond the engagement. Red when either bound is left out."""
        at = now()
        assert until(at, 4, None) == at + timedelta(hours=4)
        assert until(at, 4, at + timedelta(hours=9)) == at + timedelta(hours=4)
        assert until(at, 4, at + timedelta(hours=1)) == at + timedelta(hours=1)

    def test_over(self) -> None:
        """Half-open: over at its very end."""
        at = now()
        second = timedelta(seconds=1)
        going = {
            "at": at,
            "until": at + second,
            "engagement_ends": None,
            "active": True,
            "related": True,
            "alert": False,
        }
        cases: list[tuple[dict[str, Any], str]] = [
            ({}, ""),
            ({"until": at}, "expired"),
            ({"engagement_ends": at + second}, ""),
            ({"engagement_ends": at}, "engagement"),
            ({"active": False}, "engagement"),
            ({"related": False}, "relation"),
            ({"related": False, "alert": True}, ""),
        ]
        for change, reason in cases:
            assert over_because(**going | change) == reason, change  # type: ignore[arg-type]
