"""Curious colleagues: whatever it is that keeps them out of a patient's matters, they meet the same 404 (L2, L3)."""

from typing import Any

from server.alerts.models import Admission, AlertKey, Enrolment
from server.consent.models import Version
from server.people.models import Unit
from tests.alerts.base import NOWHERE, NightTestCase
from tests.support.database import unguarded

PLAN = {"danger": "a", "helps": "b", "bring_in": "c", "made_with_patient": True}


class Insiders(NightTestCase):
    def given(self) -> None:
        super().given()
        self.trine_key()
        self.ward = str(Unit.objects.get(name="Akuttmottaket").id)
        path = f"patients/{self.patient_id('trine')}/admissions"
        self.person("nils").ok("post", path, {"ward": self.ward, "admitted_on": "2026-02-01"})

    def answers(self, who: str, patient: Any) -> dict[str, tuple[int, Any]]:
        """What every address of a patient's answers them; whatever differs from request to request is left out."""
        client = self.person(who)
        admission = Admission.objects.values_list("id", flat=True).get()
        key = AlertKey.objects.values_list("id", flat=True).get()
        at, team = f"patients/{patient}", f"programmes/{self.programme.id}"
        said = {
            "plan": client.get(f"{at}/plan"),
            "new plan": client.post(f"{at}/plan", PLAN),
            "history": client.get(f"{at}/plan/history"),
            "admissions": client.get(f"{at}/admissions"),
            "admission": client.post(f"{at}/admissions", {"ward": self.ward, "admitted_on": "2026-03-01"}),
            "taken back": client.post(f"{at}/admissions/{admission}/take-back"),
            "keys": client.get(f"{at}/alert-keys"),
            "revoked": client.delete(f"{at}/alert-keys/{key}"),
            "enrolled": client.post(f"{team}/enrolments", {"patient": str(patient)}),
        }
        return {
            name: (answer.status_code, {k: v for k, v in answer.json().items() if k != "request_id"})
            for name, answer in said.items()
        }

    def kept_out(self, who: str) -> None:
        """They are answered as if there were no such patient, and every try stands in the log."""
        before = len(self.audit(outcome="refused", actor_id=self.user_id(who)))
        missing = self.answers(who, NOWHERE)
        found = self.answers(who, self.patient_id("trine"))
        assert found == missing, who
        assert {status for status, _ in found.values()} == {404}, found
        refused = self.audit(outcome="refused", actor_id=self.user_id(who))[before:]
        assert len(refused) == 2 * len(found)
        assert sum(one.subject_id == self.patient_id("trine") for one in refused) >= len(found) - 1

    def test_a_colleague_in_another_unit(self) -> None:
        """Kari's unit helps Trine, and she is not in the team; Frida's does not even do that."""
        self.kept_out("kari")
        self.kept_out("frida")

    def test_a_former_member_of_the_team(self) -> None:
        (row,) = [
            one
            for one in self.person("mona").ok("get", f"programmes/{self.programme.id}/team")["results"]
            if one["user"] == str(self.user_id("ida"))
        ]
        self.person("mona").delete(f"programmes/{self.programme.id}/team/{row['id']}")
        self.kept_out("ida")

    def test_a_member_whom_she_has_excluded(self) -> None:
        self.exclude("nils")
        self.kept_out("nils")

    def test_a_leader_whom_she_has_excluded(self) -> None:
        self.exclude("mona")
        self.kept_out("mona")
        assert self.person("mona").ok("get", f"programmes/{self.programme.id}/enrolments")["results"] == []

    def test_exclusions_that_cannot_be_verified_keep_everybody_out(self) -> None:
        """Red when a record that was tampered with opens a door that it might have shut."""
        self.exclude("frida")
        with unguarded():
            Version.objects.filter(consent__form="exclusions").update(signature=b"\0" * 64)
        self.kept_out("nils")

    def test_when_the_enrolment_is_over(self) -> None:
        Enrolment.objects.filter(patient_id=self.patient_id("trine")).update(ended_at="2026-01-01T00:00:00Z")
        found = self.answers("sara", self.patient_id("trine"))
        assert {found[name][0] for name in ("plan", "keys", "history", "new plan")} == {404}
        assert found["admissions"][0] == 200, "before somebody is enrolled again, admissions are counted"
