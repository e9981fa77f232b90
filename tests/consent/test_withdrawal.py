"""Withdrawal stops sharing, never care (M4): who gets the task to offer a call, and what each screen says stops and
does not."""

from datetime import timedelta

from server.audit.entry import SYSTEM
from server.common.clock import now
from server.consent.actions import expire
from server.people import actions as people
from server.people.actors import acting_for
from server.people.models import ContactPoint, Patient
from tests.base import TownTestCase
from tests.consent.base import SCAN, Consenting, ago, ahead
from tests.support.served import sqlite_only

pytestmark = sqlite_only


class OfferOfACall(Consenting, TownTestCase):
    def offered(self, **conditions: object) -> list[str]:
        found = self.duties(kind="offer_call", **conditions)
        return [one.user.username for one in found if one.user]

    def relate(self, who: str, kind: str, patient: str = "are") -> None:
        people.record_relation(
            acting=acting_for(self.engagement_of(who), sign_in="demo", at=now()),
            patient=Patient.objects.get(id=self.patient_id(patient)),
            kind=kind,
            reason="henvist",
        )

    def test_what_the_task_says(self) -> None:
        """Law 9: not why, and nothing that was written. Red when it is owed without a time, or to a controller."""
        room = self.open_shared_room()
        self.says(room, "withdraw", remark="jeg stoler ikke på dere")
        [duty] = self.duties(kind="offer_call")
        assert (duty.patient_id, duty.room_id, duty.object_id) == (self.patient_id(), room.id, room.consent)
        assert abs(duty.due_at - now() - timedelta(hours=24)) < timedelta(minutes=1)
        [told] = self.person("frida").ok("get", "duties")["results"]
        assert "stoler" not in str(told)
        assert "Are" not in str(told)
        done = self.person("frida").ok("post", f"duties/{duty.id}/done", {"answer": "Ringte, han vil snakke i morgen."})
        assert done["answered"]

    def test_who_took_part_goes_before_who_treats(self) -> None:
        """Red when the order of the key is another."""
        self.withdraw(self.open_shared_room(propose=[]))
        assert self.offered() == ["kari"]

    def test_then_the_kind_of_relation(self) -> None:
        self.withdraw(self.open_shared_room())
        assert self.offered() == ["frida"], "treatment before follow-up"

    def test_of_two_relations_the_nearer_counts(self) -> None:
        """Red when a unit is ranked by whichever of its relations comes last."""
        for kind in ("acute", "referral"):
            self.relate("frida", kind)
        self.withdraw(self.open_shared_room())
        assert self.offered() == ["frida"]

    def test_then_who_has_worked_there_longest(self) -> None:
        self.relate("nils", "acute", "are")
        for name, days in (("nils", 10), ("ida", 20)):
            engagement = self.engagement_of(name)
            engagement.valid_from = now() - timedelta(days=days)
            engagement.save()
        room = self.open_shared_room("kari", propose=["nils", "ida"])
        self.change(room, to=["nils", "ida"])
        self.withdraw(room)
        assert self.offered() == ["ida"]

    def test_never_somebody_who_is_no_health_personnel(self) -> None:
        self.relate("vera", "treatment")
        room = self.open_shared_room()
        self.change(room, to=["vera"])
        self.withdraw(room)
        assert self.offered() == ["frida"]

    def test_never_somebody_whom_the_patient_has_excluded(self) -> None:
        """Red when `_clinician` does not ask for exclusions: among those at work, and at contact points."""
        room = self.open_shared_room()
        self.exclude("frida")
        self.withdraw(room)
        assert self.offered() == ["kari"]
        self.give(room)
        self.exclude("kari")
        assert self.inside(room, "kari") == set()
        self.withdraw(room)
        assert self.offered() == ["kari"], "she tends her unit's contact point too; there is nobody left"

    def test_without_health_personnel_whoever_tends_a_contact_point(self) -> None:
        for name in ("frida", "kari"):
            engagement = self.engagement_of(name)
            engagement.health_personnel = False
            engagement.save()
        room = self.open_shared_room()
        self.withdraw(room)
        assert self.offered() == ["kari"]
        ContactPoint.objects.update(user=None)
        self.give(room)
        self.withdraw(room)
        assert self.offered() == ["kari"], "nobody, and the withdrawal is as good"

    def test_once_for_each_withdrawal_of_what_was_shared(self) -> None:
        """Red when a second press, or a no to a mere question, gives the task too."""
        room = self.open_room()
        self.withdraw(room)
        self.give(room)
        for _ in range(2):
            self.withdraw(room)
        assert self.offered() == ["frida"]

    def test_taking_out_the_last_one_is_a_withdrawal(self) -> None:
        room = self.open_shared_room(propose=[])
        kari = self.members(room)["kari"]["id"]
        assert self.person("are").delete(f"{room.path}/members/{kari}").status_code == 204
        assert self.shown(room)["state"] == "withdrawn"
        assert len(self.offered()) == 1

    def test_one_on_paper_too_and_none_when_time_runs_out(self) -> None:
        room = self.open_shared_room()
        self.says(room, "change", until=ahead(seconds=1).isoformat())
        while not expire(consent=self.consent(room)):
            pass
        assert self.offered() == []
        self.give(room)
        paper = {"answer": "withdraw", "method": "paper", "scan_sha256": SCAN, "given_at": ago(hours=1)}
        self.person("kari").ok("post", f"{room.asks}/record", paper)
        assert self.offered() == ["frida"]

    def test_an_account_that_is_closed_gets_none(self) -> None:
        room = self.open_shared_room()
        people.deactivate_user(user_id=self.user_id("frida"), actor=SYSTEM, reason="left")
        self.withdraw(room)
        assert self.offered() == ["kari"]


class EachApart(Consenting, TownTestCase):
    """M4: a room and an enrolment are withdrawn separately, and each says what that stops and what it does not."""

    def given(self) -> None:
        self.room = self.open_shared_room("sara", patient="trine", propose=["nils"])
        unit = {"unit": str(self.unit("Akuttmottaket").id)}
        asked = self.person("sara").ok(
            "post", "consents", {"patient": str(self.patient_id("trine")), "form": "muli", "grantees": [unit]}
        )
        self.muli = f"consents/{asked['id']}"
        self.person("trine").ok("post", f"{self.muli}/give", {})

    def states(self) -> tuple[str, str]:
        trine = self.person("trine")
        return trine.ok("get", self.room.asks)["state"], trine.ok("get", self.muli)["state"]

    def test_the_room(self) -> None:
        """Red when `withdraw` ends everything of the patient's."""
        self.withdraw(self.room, "trine")
        assert self.states() == ("withdrawn", "active")
        assert self.inside(self.room, "sara", "nils") == set()

    def test_the_enrolment(self) -> None:
        self.person("trine").ok("post", f"{self.muli}/withdraw", {})
        assert self.states() == ("active", "withdrawn")
        assert self.inside(self.room, "sara", "nils") == {"sara", "nils"}
        [duty] = self.duties(kind="offer_call")
        assert duty.user is not None
        assert (duty.user.username, duty.code, duty.room_id) == ("sara", "muli", None)

    def test_what_stops_and_what_stays(self) -> None:
        trine = self.person("trine")
        for path in (self.room.asks, self.muli):
            words = trine.ok("get", path)["withdrawal"]
            assert len(words["stops"]) > 40
            assert "113" in words["stays"]
            assert "116 117" in words["stays"]
        room, muli = (trine.ok("get", path)["withdrawal"]["stops"] for path in (self.room.asks, self.muli))
        assert room != muli

    def test_withdrawing_takes_one_press_from_either(self) -> None:
        for path in (self.room.asks, self.muli):
            answer = self.person("trine").post(f"{path}/withdraw")
            assert (answer.status_code, answer.json()["state"]) == (200, "withdrawn")

    def test_the_duties_that_never_rest_on_consent_are_told_to_staff(self) -> None:
        """L7. Red when a withdrawal takes them from the screen."""
        before = self.person("nils").ok("get", self.muli)["duties"]
        assert {"emergency_help"} <= {one["code"] for one in before}
        self.person("trine").ok("post", f"{self.muli}/withdraw", {})
        assert self.person("nils").ok("get", self.muli)["duties"] == before
        assert self.person("sara").ok("get", "consent-forms")["duties"] == before
