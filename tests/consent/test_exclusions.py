"""Named people whom a patient has excluded: for every room at once, until the patient lifts it, and told to nobody else
(L3)."""

from datetime import timedelta
from uuid import uuid4

from server.consent.actions import expire
from server.consent.models import Consent
from server.people.models import Patient, User
from server.rooms.models import Member
from tests.base import JSON, TownTestCase
from tests.consent.base import Consenting, ahead, faults
from tests.support.served import sqlite_only

pytestmark = sqlite_only


class Exclusions(Consenting, TownTestCase):
    def given(self) -> None:
        self.room = self.open_shared_room()
        self.second = self.open_shared_room(purpose="transition")
        self.post(self.room, "frida", "fra Frida")

    def names(self, told: JSON) -> list[str]:
        return [one["name"] for one in told["results"]]

    def test_all_rooms_at_once(self) -> None:
        """Law 5. Red when `excluded` looks at one room, or leaves intervals open."""
        told = self.exclude("frida")
        assert self.names(told) == ["Frida Moe"]
        assert "Frida Moe" in told["sentence"]
        for room in (self.room, self.second):
            assert self.inside(room, "kari", "frida", "vera") == {"kari", "vera"}
            left = [one["content"] for one in self.events(room, "are") if one["type"] == "member_left"]
            assert [(one["user"], one["reason"]) for one in left] == [(str(self.user_id("frida")), "removed")]
        assert self.person("frida").ok("get", "rooms")["results"] == []

    def test_it_survives_whatever_becomes_of_the_consents(self) -> None:
        """L3: no withdrawal, expiry, renewal or new yes ends it. Red when exclusions stand in a room's own consent."""
        self.exclude("frida")
        self.says(self.room, "renew")
        self.says(self.room, "change")
        self.withdraw(self.room)
        self.open_room()
        self.says(self.room, "give")
        self.says(self.second, "change", until=ahead(seconds=1).isoformat())
        while not expire(consent=self.consent(self.second)):
            pass
        self.says(self.second, "give")
        for room in (self.room, self.second):
            assert "kari" in self.inside(room, "kari", "frida")
            assert "frida" not in self.inside(room, "frida")
        assert self.names(self.person("are").ok("get", "exclusions")) == ["Frida Moe"]
        assert self.exclusions_of().state == "active"

    def test_a_consent_that_still_names_them_lets_nobody_in(self) -> None:
        """The patient's own act of excluding is what counts. Red when rule 1 comes after rule 4, or looks at the
        room's own record alone."""
        assert "Frida Moe" in str(self.shown(self.room)["grantees"])
        self.exclude("frida")
        Member.objects.filter(room_id=self.room.id, user__username="frida").update(state="joined")
        assert self.inside(self.room, "frida") == set()

    def test_nobody_excluded_is_told(self) -> None:
        """They meet what somebody meets who was taken out. Red when an answer, a list or a word differs."""
        vera = self.members(self.room)["vera"]["id"]
        assert self.person("are").delete(f"{self.room.path}/members/{vera}").status_code == 204
        vera = self.members(self.second)["vera"]["id"]
        assert self.person("are").delete(f"{self.second.path}/members/{vera}").status_code == 204
        self.exclude("frida")
        for path in ("", "/events", "/members", "/receipts", "/own-posts?after=99"):
            one, other = (self.person(name).get(self.room.path + path) for name in ("frida", "vera"))
            if path.startswith("/own-posts"):
                continue  # its own tests: the one may, the other may not, and an answer tells it from «never was in»
            assert (one.status_code, one.content) == (other.status_code, other.content), path
        for path in (self.room.asks, f"{self.room.asks}/history"):
            one, other = (self.person(name).get(path) for name in ("frida", "vera"))
            assert (one.status_code, one.content) == (404, other.content)
        told = str(
            [self.person(name).ok("get", path) for name in ("kari", "frida") for path in ("me", "rooms", "duties")]
        )
        assert "exclu" not in told.lower()

    def test_those_who_remain_see_a_colleague_leave(self) -> None:
        """As when the patient takes somebody out. Red when `reason` says which it was."""
        before = self.events(self.room, "kari")[-1]["seq"]
        self.exclude("frida")
        [left] = self.events(self.room, "kari", after=before)
        assert left["content"] | {"user": "", "unit": ""} == {
            "user": "",
            "unit": "",
            "role": "fastlege",
            "reason": "removed",
            "state": "removed",
        }

    def test_a_new_proposal_waits_in_vain(self) -> None:
        """The patient is not asked about them, and whoever proposes learns nothing. Red when `ask` takes everybody."""
        self.exclude("sara")
        version = self.shown(self.room)["version"]
        told = self.propose(self.room, "kari", "sara")
        assert told["state"] == "proposed"
        shown = self.shown(self.room)
        assert (shown["asked"], shown["version"]) == ([], version)
        self.refuses(
            self.person("are").post(f"{self.room.asks}/change", {"grantees": [str(self.user_id("sara"))]}),
            400,
            "invalid",
        )
        assert self.inside(self.room, "sara") == set()
        fresh = self.open_room(patient="are", purpose="crisis_plan", propose=["sara", "vera"])
        asked = self.shown(fresh)
        assert sorted(one["name"] for one in asked["asked"]) == ["Kari Lunde", "Vera Haugen"]
        assert "Sara" not in asked["text"]["first"]
        self.give(fresh)
        assert self.inside(fresh, "kari", "vera", "sara") == {"kari", "vera"}

    def test_their_own_request_waits_in_vain(self) -> None:
        """Frida asks for a room herself: she gets what everybody gets who asks, and the patient hears nothing. Red when
        an answer of `POST rooms` tells that she is excluded."""
        self.exclude("frida")
        before = Consent.objects.get(id=self.room.consent).version
        body = {"patient": str(self.patient_id()), "propose": []}
        card = self.person("frida").ok("post", "rooms", body)
        assert card["waiting"] is True
        assert card["consent"]["state"] == "requested"
        assert Consent.objects.get(id=self.room.consent).version == before
        self.refuses(self.person("frida").get(f"{self.room.path}/events"), 403, "consent_missing")
        fresh = self.person("frida").ok("post", "rooms", body | {"purpose": "crisis_plan"})
        assert (fresh["waiting"], fresh["consent"]["state"]) == (True, "requested")
        asked = self.person("are").ok("get", f"consents/{fresh['consent']['id']}")
        assert (asked["asked"], "Frida" in str(asked)) == ([], False)
        self.refuses(self.person("are").post(f"consents/{fresh['consent']['id']}/give", {}), 409, "nobody_asked")

    def test_lifting_opens_nothing_by_itself(self) -> None:
        """Red when `lift` settles rooms, or a member who was excluded is only asleep."""
        self.exclude("frida")
        told = self.lift("frida")
        assert (told["results"], told["sentence"]) == ([], "")
        assert self.inside(self.room, "frida") == set()
        self.propose(self.room, "kari", "frida")
        self.says(self.room, "change")
        assert self.inside(self.room, "frida") == {"frida"}

    def test_excluding_twice_is_excluding_once(self) -> None:
        for _ in range(2):
            self.exclude("frida")
        assert self.exclusions_of().version == 1
        self.exclude("vera")
        assert self.names(self.person("are").ok("get", "exclusions")) == ["Frida Moe", "Vera Haugen"]
        for _ in range(2):
            answer = self.person("are").delete(f"exclusions/{self.user_id('frida')}")
        self.refuses(answer, 404, "not_found")
        assert faults(self.exclusions_of()) == set()

    def test_a_retry_is_the_same_act(self) -> None:
        body = {"user": str(self.user_id("frida"))}
        one, other = (self.person("are").post("exclusions", body, headers={"Idempotency-Key": "k"}) for _ in range(2))
        assert (one.status_code, one.content) == (other.status_code, other.content)

    def test_who_is_nobody_here(self) -> None:
        """Red when a patient, or somebody who never worked here, can be named: an answer would tell who is what."""
        answers = []
        for user in (uuid4(), self.user_id("are"), self.user_id("trine"), self.user_id("ola"), self.user_id("admin")):
            answer = self.person("are").post("exclusions", {"user": str(user)})
            self.field(answer, "user", "unknown_person")
            answers.append(answer.json() | {"request_id": ""})
        assert all(one == answers[0] for one in answers)
        for body in ({}, {"user": None}, {"user": "x"}, {"user": []}, [], {"user": {"id": 1}}):
            self.refuses(self.person("are").post("exclusions", body), 400, "invalid")
        assert not Consent.objects.filter(form="exclusions").exists()

    def test_somebody_who_has_left_can_be_excluded_before_they_come_back(self) -> None:
        engagement = self.engagement_of("ida")
        engagement.ended_at = engagement.valid_from + timedelta(days=1)
        engagement.save()
        assert self.names(self.exclude("ida")) == ["Ida Solheim"]

    def test_only_the_patient_and_only_their_own(self) -> None:
        """Red when `own` takes the patient of anybody who asks, or the record is open like a room's."""
        self.exclude("frida")
        record = self.person("are").ok("get", "exclusions")["record"]
        for name in ("kari", "frida", "ola", "admin"):
            person = self.person(name)
            self.refuses(person.get("exclusions"), 403, "patient_only")
            self.refuses(person.post("exclusions", {"user": str(self.user_id("vera"))}), 403, "patient_only")
            self.refuses(person.delete(f"exclusions/{self.user_id('frida')}"), 403, "patient_only")
            for path in ("", "/history", "/receipt"):
                self.refuses(person.get(f"consents/{record}{path}"), 404, "not_found")
            self.refuses(person.post(f"consents/{record}/record", RECORDED), 404, "not_found")
        trine = self.person("trine")
        assert trine.ok("get", "exclusions") == {"results": [], "next": None, "sentence": "", "record": None}
        self.refuses(trine.get(f"consents/{record}"), 404, "not_found")
        self.refuses(trine.delete(f"exclusions/{self.user_id('frida')}"), 404, "not_found")
        self.exclude("frida", by="trine")
        assert self.names(self.lift("frida")) == []
        assert self.names(trine.ok("get", "exclusions")) == ["Frida Moe"]

    def test_no_verb_of_a_consent_touches_it(self) -> None:
        """Red when `withdraw` ends exclusions, all at once."""
        self.exclude("frida")
        asks = f"consents/{self.exclusions_of().id}"
        for verb, code in (
            ("withdraw", "nothing_to_withdraw"),
            ("renew", "not_active"),
            ("change", "nobody_left"),
        ):
            self.refuses(self.person("are").post(f"{asks}/{verb}", {}), 409, code)
        for verb in ("give", "decline"):
            self.person("are").ok("post", f"{asks}/{verb}", {})
        self.refuses(self.person("are").get(f"{asks}/renewal"), 409, "not_active")
        assert self.exclusions_of().version == 1
        assert self.inside(self.room, "frida") == set()

    def test_it_is_in_the_patients_overview_history_and_log(self) -> None:
        self.exclude("frida")
        self.lift("frida")
        self.exclude("vera")
        listed = self.person("are").ok("get", "consents")["results"]
        [mine] = [one for one in listed if one["form"] == "exclusions"]
        assert "Vera Haugen" in mine["sentence"]
        told = self.history(mine["id"])
        assert told["sound"]
        assert [one["act"] for one in told["results"]] == ["given", "changed", "changed"]
        assert "Frida Moe" in told["results"][0]["text"]
        events = self.audit(object_id=mine["id"], sealed_hash__isnull=False)
        assert [one.detail["excluded_people"] for one in events] == [
            [str(self.user_id("frida"))],
            [],
            [str(self.user_id("vera"))],
        ]
        assert {(one.basis, one.subject_id) for one in events} == {("self", self.patient_id())}

    def test_in_the_patients_language(self) -> None:
        Patient.objects.filter(user__username="are").update(language="en")
        User.objects.filter(username="are").update(language="en")
        assert self.exclude("frida")["sentence"].startswith("You keep Frida Moe out")


RECORDED = {"method": "paper", "scan_sha256": "a" * 64, "given_at": "2026-01-01T00:00:00Z", "answer": "withdraw"}
