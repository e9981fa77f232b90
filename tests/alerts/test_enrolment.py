"""Trine, and others, in the programme: asked apart from every room, turned away by nobody (M1, M4, M5, M6)."""

from datetime import timedelta
from typing import Any

from server.alerts.models import Enrolment
from server.audit.entry import SYSTEM
from server.common.clock import now
from server.consent.models import Consent
from server.people import actions as people
from server.people.actors import acting_for
from server.people.hours import OSLO
from server.people.models import Patient, Unit, User
from tests.alerts.base import NOWHERE, NightTestCase
from tests.base import JSON
from tests.support.served import sqlite_only

pytestmark = sqlite_only


class Enrolments(NightTestCase):
    @property
    def path(self) -> str:
        return f"programmes/{self.programme.id}/enrolments"

    def relate(self, who: str, patient: str) -> None:
        people.record_relation(
            acting=acting_for(self.engagement_of(who), sign_in="demo", at=now()),
            patient=Patient.objects.get(user__username=patient),
            kind="treatment",
            reason="henvist",
        )

    def enrolled(self, patient: str = "are", by: str = "sara") -> JSON:
        self.relate(by, patient)
        told: JSON = self.person(by).ok("post", self.path, {"patient": str(self.patient_id(patient))})
        return told

    def listed(self, by: str) -> list[str]:
        return [one["name"] for one in self.person(by).ok("get", self.path)["results"]]

    def test_asked_for_the_teams_units_apart_from_every_room(self) -> None:
        enrolled = self.enrolled()
        asked = self.person("are").ok("get", f"consents/{enrolled['consent']}")
        assert (asked["form"], asked["room"], asked["state"]) == ("muli", None, "requested")
        assert {one["unit_name"] for one in asked["asked"]} == {"Ytre DPS", "Akuttmottaket"}
        again = self.person("sara").post(self.path, {"patient": str(self.patient_id("are"))})
        assert (again.status_code, again.json()["id"]) == (200, enrolled["id"])
        (event,) = self.audit(type="enrolment.made", object_id=enrolled["id"])
        assert (event.subject_id, event.basis) == (self.patient_id("are"), "relation")

    def test_a_unit_that_joins_the_team_is_asked_for_too(self) -> None:
        enrolled = self.enrolled()
        self.person("are").ok("post", f"consents/{enrolled['consent']}/give", {})
        self.person("mona").ok("post", f"programmes/{self.programme.id}/team", {"user": str(self.user_id("kari"))})
        self.person("sara").ok("post", self.path, {"patient": str(self.patient_id("are"))})
        shown = self.person("are").ok("get", f"consents/{enrolled['consent']}")
        assert [one["unit_name"] for one in shown["asked"]] == ["Fjordvik psykisk helse og rus"]
        assert shown["state"] == "active"

    def test_the_criterion_advises(self) -> None:
        """Red when somebody is turned away for too few admissions, or they are counted wrongly."""
        assert self.enrolled()["meets_criterion"] is False
        row = Enrolment.objects.get(patient_id=self.patient_id("are"))
        ended = self.person("mona").ok("post", f"{self.path}/{row.id}/end")
        assert ended["ended_at"]
        ward, today = str(Unit.objects.get(name="Akuttmottaket").id), now().astimezone(OSLO).date()
        for days in (1, 40, 300):
            day = (today - timedelta(days=days)).isoformat()
            path = f"patients/{self.patient_id('are')}/admissions"
            self.person("sara").ok("post", path, {"ward": ward, "admitted_on": day})
        assert self.person("sara").ok("post", self.path, {"patient": str(self.patient_id("are"))})["meets_criterion"]

    def test_whoever_cannot_sign_in_is_enrolled_all_the_same(self) -> None:
        Patient.objects.filter(user__username="are").update(user=None)
        patient = Patient.objects.get(user=None)
        people.record_relation(
            acting=acting_for(self.engagement_of("sara"), sign_in="demo", at=now()),
            patient=patient,
            kind="treatment",
            reason="henvist",
        )
        enrolled = self.person("sara").ok("post", self.path, {"patient": str(patient.id)})
        assert enrolled["consent"] is None
        user = User.objects.create(username="new-account")
        people.open_account(patient=patient, user=user, actor=SYSTEM)
        again = self.person("sara").ok("post", self.path, {"patient": str(patient.id)})
        assert Consent.objects.get(id=again["consent"]).state == "requested"

    def test_in_one_programme_at_a_time(self) -> None:
        unit = str(Unit.objects.get(name="Ytre DPS").id)
        other = self.person("admin").ok("post", "programmes", {"code": "vold", "name": "X", "unit": unit})
        mona = {"user": str(self.user_id("mona")), "leads": True}
        self.person("admin").ok("post", f"programmes/{other['id']}/team", mona)
        refused = self.person("mona").post(
            f"programmes/{other['id']}/enrolments", {"patient": str(self.patient_id("trine"))}
        )
        assert (refused.status_code, refused.json()["code"]) == (409, "enrolled_elsewhere")

    def test_who_is_not_in_the_team_enrols_nobody(self) -> None:
        for who in ("kari", "frida", "admin", "trine"):
            refused = self.person(who).post(self.path, {"patient": str(self.patient_id("are"))})
            assert refused.status_code == 404, who
        unrelated = self.person("nils").post(self.path, {"patient": str(self.patient_id("are"))})
        missing = self.person("nils").post(self.path, {"patient": str(NOWHERE)})
        assert (unrelated.status_code, missing.status_code) == (404, 404)
        assert not Enrolment.objects.filter(patient_id=self.patient_id("are")).exists()

    def test_a_retry_after_leaving_the_team_tells_nothing(self) -> None:
        """Red when an old answer is given again to somebody who has left."""
        self.relate("sara", "are")
        body, head = {"patient": str(self.patient_id("are"))}, {"Idempotency-Key": "k1"}
        assert self.person("sara").post(self.path, body, headers=head).status_code == 201
        assert self.person("sara").post(self.path, body, headers=head).status_code == 201
        (sara,) = [one for one in self.members() if one["user"] == str(self.user_id("sara"))]
        self.person("mona").delete(f"programmes/{self.programme.id}/team/{sara['id']}")
        assert self.person("sara").post(self.path, body, headers=head).status_code == 404

    def members(self) -> list[Any]:
        found: list[Any] = self.person("mona").ok("get", f"programmes/{self.programme.id}/team")["results"]
        return found

    # --- the list ---
    def test_the_list_shows_whom_one_may_know_of(self) -> None:
        """Red when it shows others: Are has not answered, so only the unit that helps him sees him."""
        self.enrolled()
        assert self.listed("mona") == ["Trine Holmåsen", "Are Strandvik"]
        assert self.listed("nils") == ["Trine Holmåsen"]
        (shown, _) = self.person("mona").ok("get", self.path)["results"]
        assert (shown["shares"], shown["consent_state"]) == (True, "active")
        assert len(self.audit(type="enrolment.viewed", subject_id=self.patient_id("trine"))) == 3
        self.exclude("mona")
        assert self.listed("mona") == ["Are Strandvik"]
        page = self.person("sara").ok("get", f"{self.path}?limit=1")
        assert (len(page["results"]), page["next"] is None) == (1, False)

    def test_ending_it(self) -> None:
        row = Enrolment.objects.get(patient_id=self.patient_id("trine"))
        path = f"{self.path}/{row.id}/end"
        self.exclude("ida")
        for who in ("kari", "ida"):
            assert self.person(who).post(path).status_code == 404, who
        ended = self.person("nils").ok("post", path)
        assert self.person("nils").ok("post", path)["ended_at"] == ended["ended_at"]
        assert self.listed("mona") == []
        assert self.person("mona").post(f"{self.path}/{NOWHERE}/end").status_code == 404


class Admissions(NightTestCase):
    @property
    def path(self) -> str:
        return f"patients/{self.patient_id('trine')}/admissions"

    def body(self, day: str = "2026-03-01", ward: str = "Akuttmottaket") -> JSON:
        return {"ward": str(Unit.objects.get(name=ward).id), "admitted_on": day}

    def test_recorded_and_taken_back(self) -> None:
        nils = self.person("nils")
        first = nils.post(self.path, self.body())
        again = nils.post(self.path, self.body())
        assert (first.status_code, again.status_code) == (201, 200)
        assert first.json()["id"] == again.json()["id"]
        nils.ok("post", self.path, self.body("2026-05-01"))
        assert [one["admitted_on"] for one in nils.ok("get", self.path)["results"]] == ["2026-05-01", "2026-03-01"]
        taken = nils.ok("post", f"{self.path}/{first.json()['id']}/take-back")
        assert nils.ok("post", f"{self.path}/{first.json()['id']}/take-back") == taken
        assert len(nils.ok("get", self.path)["results"]) == 1
        assert nils.post(self.path, self.body()).status_code == 201, "it may be recorded anew"
        types = {one.type for one in self.audit(subject_id=self.patient_id("trine")) if "admission" in one.type}
        assert types == {"admission.recorded", "admission.taken_back", "admission.viewed"}

    def test_what_is_no_admission(self) -> None:
        for said, field in ((self.body("2999-01-01"), "admitted_on"), ({**self.body(), "ward": str(NOWHERE)}, "ward")):
            refused = self.person("nils").post(self.path, said)
            assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, field)
        assert self.person("nils").post(f"{self.path}/{NOWHERE}/take-back").status_code == 404
