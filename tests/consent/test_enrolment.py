"""Enrolment in the MULI service: a consent that is about no room, asked for units (M1, M4)."""

from uuid import uuid4

from server.people.models import Patient
from tests.base import JSON, TownTestCase
from tests.consent.base import Consenting, faults
from tests.support.served import sqlite_only

pytestmark = sqlite_only


class Enrolment(Consenting, TownTestCase):
    def body(self, *units: str, patient: str = "trine", **more: object) -> JSON:
        named = [{"unit": str(self.unit(one).id)} for one in units or ("Akuttmottaket",)]
        return {"patient": str(self.patient_id(patient)), "form": "muli", "grantees": named} | more

    def ask(self, by: str = "sara", *units: str) -> JSON:
        told: JSON = self.person(by).ok("post", "consents", self.body(*units))
        return told

    def test_asked_and_given(self) -> None:
        """Red when a form that is about no room is written as a room's."""
        asked = self.ask("sara", "Akuttmottaket", "Ytre DPS")
        assert (asked["room"], asked["form"], asked["purpose"], asked["state"]) == (None, "muli", "muli", "requested")
        shown = self.person("trine").ok("get", f"consents/{asked['id']}")
        assert {one["unit_name"] for one in shown["asked"]} == {"Akuttmottaket", "Ytre DPS"}
        assert set(shown["categories"]) == {"alerts", "plan", "contact"}
        assert (shown["text"]["yes"], shown["text"]["no"]) == ("Ja", "Nei")
        assert "Akuttmottaket (Helse Fjord)" in shown["text"]["first"]
        given = self.person("trine").ok(
            "post", f"consents/{asked['id']}/give", {"text_sha256": shown["text"]["sha256"]}
        )
        assert given["state"] == "active"
        listed = self.person("trine").ok("get", "consents")["results"]
        assert [(one["id"], one["form"]) for one in listed] == [(asked["id"], "muli")]
        assert faults(self.muli()) == set()
        [event] = self.audit(object_id=asked["id"], type="consent.given")
        assert (event.room_id, event.purpose, event.basis) == (None, "muli", "self")

    def muli(self) -> object:
        return Patient.objects.get(user__username="trine").consents.get(form="muli").id

    def test_one_of_a_form(self) -> None:
        """Red when each question makes a consent of its own."""
        first, again = self.ask(), self.ask()
        other = self.ask("kari", "Ytre DPS")
        assert first["id"] == again["id"] == other["id"]
        shown = self.person("trine").ok("get", f"consents/{first['id']}")
        assert {one["unit_name"] for one in shown["asked"]} == {"Akuttmottaket", "Ytre DPS"}
        assert shown["version"] == 2, "asking again in the same words is asking once"

    def test_narrowed_and_extended(self) -> None:
        id_ = self.ask("sara", "Akuttmottaket", "Ytre DPS")["id"]
        trine = self.person("trine")
        trine.ok("post", f"consents/{id_}/give", {})
        only = [{"unit": str(self.unit("Akuttmottaket").id), "role": "sykepleier"}]
        told = trine.ok("post", f"consents/{id_}/change", {"grantees": only})
        assert [(one["unit_name"], one["role"]) for one in told["grantees"]] == [("Akuttmottaket", "sykepleier")]
        self.ask("sara", "Ytre DPS")
        told = trine.ok("post", f"consents/{id_}/change", {})
        assert {one["unit_name"] for one in told["grantees"]} == {"Akuttmottaket", "Ytre DPS"}

    def test_whoever_is_excluded_is_not_asked_for(self) -> None:
        self.exclude("ida", "trine")
        unit, ida = str(self.unit("Akuttmottaket").id), str(self.user_id("ida"))
        body = self.body() | {
            "grantees": [{"unit": unit, "user": ida}, {"unit": unit, "user": str(self.user_id("nils"))}]
        }
        id_ = self.person("sara").ok("post", "consents", body)["id"]
        asked = self.person("trine").ok("get", f"consents/{id_}")["asked"]
        assert [one["name"] for one in asked] == ["Nils Dahle"]

    def test_only_staff_with_a_relation_ask(self) -> None:
        """Red when `ask_enrolment` opens no patient."""
        for name in ("vera", "frida"):
            self.refuses(self.person(name).post("consents", self.body()), 404, "not_found")
        for name in ("trine", "are", "ola", "admin"):
            self.refuses(self.person(name).post("consents", self.body()), 403, "staff_only")
        body = self.body() | {"patient": str(uuid4())}
        self.refuses(self.person("sara").post("consents", body), 404, "not_found")
        assert not Patient.objects.get(user__username="trine").consents.exists()

    def test_staff_are_told_the_state_and_others_nothing(self) -> None:
        """Those of a unit that it names and that has a relation. Red when `_concerns` asks for one of the two."""
        id_ = self.ask("sara", "Akuttmottaket", "NAV Fjordvik oppfølging")["id"]
        for name in ("nils", "ida"):
            told = self.person(name).ok("get", f"consents/{id_}")
            assert set(told) == {"id", "room", "patient", "form", "purpose", "state", "duties"}
            self.refuses(self.person(name).post(f"consents/{id_}/give", {}), 403, "patient_only")
        for name in ("kari", "vera", "frida", "are", "ola"):  # not named; no relation; neither; another; none
            self.refuses(self.person(name).get(f"consents/{id_}"), 404, "not_found")
            self.refuses(self.person(name).post(f"consents/{id_}/give", {}), 404, "not_found")

    def test_somebody_without_an_account_cannot_be_asked(self) -> None:
        Patient.objects.filter(user__username="are").update(user=None)
        body = self.body() | {"patient": str(Patient.objects.get(user=None).id)}
        self.refuses(self.person("kari").post("consents", body), 409, "patient_without_account")

    def test_words_that_are_none(self) -> None:
        sara, whole = self.person("sara"), self.body()
        answer = sara.post("consents", whole | {"grantees": [{"unit": str(uuid4())}]})
        self.field(answer, "grantees.0", "unknown_unit")
        room = self.open_room("sara", patient="trine", propose=[])
        for body in (
            {},
            {"patient": whole["patient"]},
            {"patient": whole["patient"], "form": "muli"},
            whole | {"grantees": []},
            whole | {"form": "room"},
            whole | {"form": "exclusions"},
            whole | {"form": None},
            whole | {"room": str(room.id)},
            whole | {"patient": None},
            whole | {"grantees": [{"user": str(self.user_id("nils"))}]},
            [],
            "muli",
        ):
            self.refuses(sara.post("consents", body), 400, "invalid")

    def test_a_retry_is_the_same_act(self) -> None:
        one, other = (
            self.person("sara").post("consents", self.body(), headers={"Idempotency-Key": "k"}) for _ in range(2)
        )
        assert (one.status_code, one.content) == (other.status_code, other.content) == (201, one.content)
