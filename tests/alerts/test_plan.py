"""The plan for bad days: read in seconds by who may, logged every time, and unreadable to the database (M2, L2)."""

from typing import Any

from server.alerts.models import Alert, Plan
from server.common.clock import now
from server.consent.models import Version
from server.people.models import Relation
from server.vault import actions as vault
from server.vault.models import DataKey
from tests.alerts.base import NightTestCase
from tests.base import JSON
from tests.support.database import unguarded
from tests.support.served import sqlite_only

pytestmark = sqlite_only

WORDS = {"danger": "Høye broer.", "helps": "Kald luft.", "bring_in": "Naboen Olaf.", "made_with_patient": True}


class Plans(NightTestCase):
    @property
    def path(self) -> str:
        return f"patients/{self.patient_id('trine')}/plan"

    def read(self, by: str = "nils") -> JSON:
        told: JSON = self.person(by).ok("get", self.path)
        return told

    def called_by_trine(self, responder: str) -> None:
        """Trine's call for help, which `responder` has taken."""
        Alert.objects.create(
            id=self.programme.id,
            patient_id=self.patient_id("trine"),
            programme=self.programme,
            state="accepted",
            duty="responder",
            responder_id=self.user_id(responder),
            step_at=now(),
            due_at=now(),
            raised_at=now(),
            raised_from="key",
        )

    def test_whom_to_call_three_lines_then_the_rest(self) -> None:
        for who in ("mona", "nils", "ida", "sara"):
            answer = self.person(who).get(self.path)
            shown = answer.json()
            assert answer.headers["Cache-Control"] == "no-store"
            assert (shown["person"]["name"], shown["person"]["phone"]) == ("Trine Holmåsen", "+4740000002")
            assert shown["plan"]["danger"].startswith("Alene om natta")
            assert shown["plan"]["contacts"][0]["name"] == "Marit"
            assert (shown["made"]["version"], shown["made"]["made_with_patient"], shown["shared"]) == (1, True, True)
            (event,) = self.audit(type="plan.viewed", actor_id=self.user_id(who))
            assert (event.subject_id, event.basis, event.reason) == (self.patient_id("trine"), "consent", "")
            assert event.record_ids, "which consent it rested on"

    def test_versions(self) -> None:
        sara = self.person("sara")
        made = sara.ok("post", self.path, WORDS | {"based_on": 1})
        assert made["version"] == 2
        late = sara.post(self.path, WORDS | {"based_on": 1})
        assert (late.status_code, late.json()["code"]) == (409, "plan_changed")
        assert self.read()["plan"]["danger"] == "Høye broer."
        old = self.person("nils").ok("get", f"{self.path}?version=1")
        assert old["plan"]["danger"].startswith("Alene")
        assert self.person("nils").get(f"{self.path}?version=9").status_code == 404
        history = self.person("ida").ok("get", f"{self.path}/history")["results"]
        assert [one["version"] for one in history] == [2, 1]
        assert self.audit(type="plan.history_viewed", actor_id=self.user_id("ida"))
        assert not any("Høye" in str(value) for row in Plan.objects.values() for value in row.values())
        assert not any("Høye" in str(vars(one)) for one in self.audit())

    def test_lines_are_lines(self) -> None:
        for wrong, field in (
            ({"danger": ""}, "danger"),
            ({"helps": "to\nlinjer"}, "helps"),
            ({"bring_in": "x" * 301}, "bring_in"),
            ({"rest": "x" * 4001}, "rest"),
            ({"contacts": [{"name": "M", "number": "+4740000009"}] * 6}, "contacts"),
        ):
            refused = self.person("sara").post(self.path, WORDS | wrong)
            assert refused.status_code == 400, wrong
            assert refused.json()["errors"][0]["field"] == field, refused.json()
        missing = {name: value for name, value in WORDS.items() if name != "made_with_patient"}
        assert self.person("sara").post(self.path, missing).status_code == 400

    def test_the_patients_own(self) -> None:
        own = self.person("trine").ok("get", "me/plan")
        assert own["plan"]["helps"].startswith("Å snakke")
        assert self.person("are").ok("get", "me/plan") == {"made": None, "plan": None}
        assert self.person("nils").get("me/plan").json()["code"] == "patient_only"
        (event,) = self.audit(type="plan.viewed", actor_id=self.user_id("trine"))
        assert event.basis == "self"

    # --- what consent does ---
    def test_withdrawal_stops_sharing(self) -> None:
        """Red when the plan is read on anything but a consent in force. Units that help Trine still know her (M4)."""
        self.withdraw_muli()
        shown = self.read()
        assert (shown["plan"], shown["shared"], shown["person"]["name"]) == (None, False, "Trine Holmåsen")
        event = self.audit(type="plan.viewed", actor_id=self.user_id("nils"))[-1]
        assert (event.basis, event.reason) == ("relation", "not_shared")

    def test_without_relation_or_consent_there_is_no_such_patient(self) -> None:
        """Kari joins the team; her unit was asked for by nobody, and its relation to Trine ends."""
        self.person("mona").ok("post", f"programmes/{self.programme.id}/team", {"user": str(self.user_id("kari"))})
        shown = self.read("kari")
        assert (shown["plan"], shown["shared"]) == (None, False)
        self.end_relations("kari")
        assert self.person("kari").get(self.path).status_code == 404
        assert self.person("kari").post(self.path, WORDS).status_code == 404

    def end_relations(self, who: str) -> None:
        with unguarded():
            Relation.objects.filter(unit=self.engagement_of(who).unit, patient_id=self.patient_id("trine")).update(
                ended_at=now()
            )

    def test_who_answers_her_call_sees_whom_to_call(self) -> None:
        """Red when care waits for a consent (L7): neither relation nor consent, but the call is theirs."""
        self.withdraw_muli()
        self.end_relations("nils")
        assert self.person("nils").get(self.path).status_code == 404
        self.called_by_trine("nils")
        shown = self.read()
        assert (shown["person"]["phone"], shown["plan"], shown["shared"]) == ("+4740000002", None, False)
        assert self.audit(type="plan.viewed", actor_id=self.user_id("nils"))[-1].basis == "alert"
        assert self.person("ida").get(self.path).status_code == 404, "the call is not hers"

    def test_a_consent_that_cannot_be_verified_opens_nothing(self) -> None:
        with unguarded():
            Version.objects.filter(consent__form="muli").update(signature=b"\0" * 64)
        assert self.read()["plan"] is None

    def test_a_key_that_is_gone(self) -> None:
        with unguarded():
            DataKey.objects.filter(owner=self.patient_id("trine")).update(wrapped=None, destroyed_at=now())
        vault.forget_keys()
        shown: Any = self.read()
        assert (shown["plan"], shown["made"]["version"], shown["person"]["name"]) == (None, 1, "(slettet)")
