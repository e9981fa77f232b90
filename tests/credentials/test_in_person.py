"""Staff let a patient's phone in: once, on record on both sides, told to the patient and to who leads, and never alone
where there is something to see."""

from typing import Any
from unittest import mock
from uuid import UUID

from django.conf import settings
from django.db.models import F

from server.audit.entry import SYSTEM
from server.duties.models import Duty
from server.people import actions
from server.people.crowd import unused_numbers
from server.people.models import InPersonCode, Patient, Relation, Session
from tests.base import Client, TownTestCase, TownTransactionTestCase
from tests.credentials.base import JSON, Proving
from tests.support.limits import limited
from tests.support.served import sqlite_only
from tests.support.threads import at_once

HOW = {"how": "identity_card"}


class LettingIn(Proving):
    def new_patient(self, by: str = "kari") -> UUID:
        """Registered, and never signed in."""
        body = {
            "name": "Test Testesen",
            "national_identity_number": unused_numbers(1)[0],
            "relation": {"kind": "treatment", "reason": "Henvist hit"},
        }
        return UUID(self.person(by).ok("post", "patients", body)["id"])

    def make(self, patient: UUID, by: str = "kari", how: JSON = HOW) -> JSON:
        made: JSON = self.person(by).ok("post", f"patients/{patient}/sign-in-codes", how)
        return made

    def use(self, code: str, **more: Any) -> Any:
        return Client().post("sign-in/in-person", {"code": code}, **more)

    def confirm(self, patient: UUID, made: JSON, by: str = "frida") -> Any:
        return self.person(by).post(f"patients/{patient}/sign-in-codes/{made['id']}/confirm")

    def states(self, patient: UUID, by: str = "kari") -> list[str]:
        found = self.person(by).ok("get", f"patients/{patient}/sign-in-codes")["results"]
        return [one["state"] for one in found]

    def phone(self, answer: Any) -> Client:
        said = answer.json()
        client = Client()
        client.token, client.user_id = said["token"], UUID(said["user"])
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {client.token}")
        return client


@sqlite_only
class FirstTime(LettingIn, TownTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.patient = self.new_patient()

    def test_a_phone_is_let_in_and_an_account_opened(self) -> None:
        made = self.make(self.patient)
        assert made["qr"].startswith("<svg")
        assert made["state"] == "open"
        assert self.states(self.patient) == ["open"]
        answer = self.use(made["code"].lower(), HTTP_USER_AGENT="Samsnakk/1 (iPhone)")
        assert answer.status_code == 200, answer.content
        assert answer.headers["Cache-Control"] == "no-store"
        phone = self.phone(answer)
        me = phone.ok("get", "me")
        assert (me["kind"], me["patient"]) == ("patient", str(self.patient))
        session = self.session_of(phone)
        assert (session.sign_in, session.level, session.as_patient, session.device) == ("in_person", 2, True, "iphone")
        assert session.strong_at is None, "staff's word is no proof of the patient's own"
        (shown,) = self.person("kari").ok("get", f"patients/{self.patient}/sign-in-codes")["results"]
        assert (shown["state"], shown["session"], shown["device"]) == ("used", str(session.sid), "iphone")
        assert "code" not in shown

    def test_a_browser_gets_cookies_and_no_token(self) -> None:
        made = self.make(self.patient)
        answer = Client().post("sign-in/in-person", {"code": made["code"], "cookie": True})
        assert (answer.json()["token"], answer.json()["refresh"]) == (None, None)
        assert answer.cookies, "they carry it"

    def test_a_code_is_good_once(self) -> None:
        made = self.make(self.patient)
        assert self.use(made["code"]).status_code == 200
        self.refused(self.use(made["code"]), 401, "code_unusable")
        self.refused(self.use("0000-0000-0000"), 401, "code_unusable")
        self.refused(self.use("hei"), 401, "code_unusable")
        assert len(self.audit(type="sign_in_code.used", outcome="refused")) == 3

    def test_old_taken_back_and_overtaken_ones_open_nothing(self) -> None:
        first = self.make(self.patient)
        second = self.make(self.patient)
        self.refused(self.use(first["code"]), 401, "code_unusable")
        self.person("kari").ok("delete", f"patients/{self.patient}/sign-in-codes/{second['id']}")
        self.refused(self.use(second["code"]), 401, "code_unusable")
        third = self.make(self.patient)
        InPersonCode.objects.filter(id=third["id"]).update(expires_at=F("made_at"))
        self.refused(self.use(third["code"]), 401, "code_unusable")
        assert self.states(self.patient) == ["expired", "taken_back", "replaced"]
        assert not Session.objects.filter(sign_in="in_person").exists()

    def test_nobody_is_let_in_by_who_has_nothing_to_do_with_the_patient_any_more(self) -> None:
        """Red when the code outlives the relation, or the engagement, of whoever made it."""
        made = self.make(self.patient)
        relation = Relation.objects.filter(patient_id=self.patient)
        relation.update(ended_at=F("valid_from"))
        self.refused(self.use(made["code"]), 401, "code_unusable")
        relation.update(ended_at=None)
        actions.end_engagement(engagement_id=self.engagement_of("kari").id, actor=SYSTEM, reason="left")
        self.refused(self.use(made["code"]), 401, "code_unusable")

    def test_a_colleague_without_a_relation_meets_the_identical_404(self) -> None:
        made = self.make(self.patient)
        vera = self.person("vera")
        path, nowhere = (f"patients/{one}/sign-in-codes" for one in (self.patient, UUID(int=7)))
        for method, tail in (
            ("get", ""),
            ("post", ""),
            ("delete", f"/{made['id']}"),
            ("post", f"/{made['id']}/confirm"),
        ):
            answers = [getattr(vera, method)(f"{one}{tail}", HOW) for one in (path, nowhere)]
            assert [one.status_code for one in answers] == [404, 404]
            first, second = ({**one.json(), "request_id": "", "instance": ""} for one in answers)
            assert first == second
        kari = self.person("kari")
        other = self.new_patient("vera")
        theirs = self.make(other, "vera")
        answer = kari.delete(f"patients/{self.patient}/sign-in-codes/{theirs['id']}")
        assert answer.status_code == 404, "of a patient of others"
        assert self.audit(type="patient.viewed", outcome="refused", subject_id=self.patient)

    def test_patients_and_officers_make_none(self) -> None:
        for who in ("are", "ola", "admin"):
            self.refused(self.person(who).post(f"patients/{self.patient}/sign-in-codes", HOW), 403, "staff_only")

    def test_a_found_telephone_of_staff_makes_none(self) -> None:
        kari = self.person("kari")
        self.grow_stale(kari)
        self.refused(kari.post(f"patients/{self.patient}/sign-in-codes", HOW), 403, "step_up_needed")

    def test_asked_again_the_code_is_not_told_again(self) -> None:
        """Red when answers that are kept for retries hold codes."""
        kari, path = self.person("kari"), f"patients/{self.patient}/sign-in-codes"
        first, again = (kari.post(path, HOW, headers={"Idempotency-Key": "one"}).json() for _ in range(2))
        assert (again["code"], again["qr"], again["id"]) == (None, None, first["id"])

    def test_how_is_one_of_a_list(self) -> None:
        answer = self.person("kari").post(f"patients/{self.patient}/sign-in-codes", {"how": "han virket grei"})
        assert answer.status_code == 400

    def test_the_code_stands_nowhere(self) -> None:
        """Red when it is stored, or reaches the log."""
        code = self.make(self.patient)["code"]
        said = str(list(InPersonCode.objects.values())) + str([one.leaf for one in self.audit()])
        assert code not in said
        assert code.replace("-", "") not in said

    def test_it_is_on_record_on_both_sides(self) -> None:
        """The patient reads who let which phone in; who leads is told."""
        patient = self.new_patient("sara")
        answer = self.use(self.make(patient, "sara")["code"])
        phone = self.phone(answer)
        lines = [one["words"] for one in phone.ok("get", "me/access-log")["results"]]
        assert any("Sara" in one and "slipper en telefon inn" in one for one in lines), lines
        (used,) = self.audit(type="sign_in_code.used")
        assert used.record_ids == [str(self.session_of(phone).sid), str(self.user_id("sara"))]
        assert (used.subject_id, used.reason) == (patient, "identity_card")
        (told,) = Duty.objects.filter(kind="phone_let_in_told")
        assert (told.user_id, told.patient_id, told.code) == (self.user_id("mona"), patient, "identity_card")
        assert self.person("mona").ok("get", "duties")["results"][0]["kind"] == "phone_let_in_told"

    def test_the_phone_that_was_let_in_cannot_say_that_it_was_read(self) -> None:
        """Red when whoever let in their own phone can acknowledge, in the patient's place, that it was let in."""
        phone = self.phone(self.use(self.make(self.patient)["code"]))
        (told,) = Duty.objects.filter(kind="phone_let_in")
        assert phone.ok("get", "duties")["results"] == []
        assert phone.post(f"duties/{told.id}/done").status_code == 404

    def test_makers_and_guessers_are_limited(self) -> None:
        with limited("sign-in=3/60"):
            kari = self.person("kari")
            made = [kari.post(f"patients/{self.patient}/sign-in-codes", HOW).status_code for _ in range(11)]
            tried = [self.use("0000-0000-0000").status_code for _ in range(4)]
        assert made == [201] * 10 + [429]
        assert tried == [401, 401, 401, 429]


@sqlite_only
class AccountInUse(LettingIn, TownTestCase):
    """Are has signed in before: behind the account stands what others have written."""

    def setUp(self) -> None:
        super().setUp()
        self.are = self.person("are")
        self.patient = self.patient_id("are")

    def test_a_colleague_confirms_it_first(self) -> None:
        """Red when whoever made it can confirm it, or it opens before that."""
        made = self.make(self.patient)
        assert made["state"] == "waits"
        self.refused(self.use(made["code"]), 409, "colleague_needed")
        self.refused(self.confirm(self.patient, made, "kari"), 409, "not_your_own")
        assert self.confirm(self.patient, made, "vera").status_code == 404
        self.refused(self.use(made["code"]), 409, "colleague_needed")
        done = self.confirm(self.patient, made)
        assert (done.status_code, done.json()["state"]) == (200, "open")
        assert self.confirm(self.patient, made).status_code == 200, "again is the same"
        assert self.use(made["code"]).status_code == 200
        assert [one.actor_id for one in self.audit(type="sign_in_code.confirmed", outcome="success")] == [
            self.user_id("frida")
        ]

    def test_one_that_is_over_is_not_confirmed(self) -> None:
        made = self.make(self.patient)
        self.make(self.patient)
        self.refused(self.confirm(self.patient, made), 409, "code_over")

    def test_the_patients_other_devices_are_told(self) -> None:
        """When it is made, before anybody is in; and when it is used. Red when the port is not called in either."""
        made = self.make(self.patient)
        assert self.told(self.are.user_id, "phone_let_in") == ["code_made"]
        self.confirm(self.patient, made)
        phone = self.phone(self.use(made["code"]))
        assert self.told(self.are.user_id, "phone_let_in") == ["code_made", "code_used"]
        words = [one["words"] for one in self.are.ok("get", "duties")["results"]]
        assert all("Loggen din viser hvem" in one for one in words)
        assert len(words) == 2
        assert phone.ok("get", "duties")["results"] == [], "but not that phone"

    def test_whom_the_patient_has_excluded_lets_nobody_in(self) -> None:
        """Red when a relation is enough: behind the account is everything that they are kept out of."""
        made = self.make(self.patient)
        self.confirm(self.patient, made)
        self.are.ok("post", "exclusions", {"user": str(self.user_id("frida"))})
        self.refused(self.use(made["code"]), 401, "code_unusable")
        frida = self.person("frida")
        path = f"patients/{self.patient}/sign-in-codes"
        assert [one.status_code for one in (frida.get(path), frida.post(path, HOW))] == [404, 404]
        again = self.make(self.patient)
        assert self.confirm(self.patient, again).status_code == 404
        assert self.audit(type="sign_in_code.confirmed", outcome="refused", reason="excluded")

    def test_nobody_lets_in_themselves(self) -> None:
        """A nurse who is a patient where she works."""
        Patient.objects.filter(id=self.patient).update(user=None)
        Patient.objects.filter(id=self.patient).update(user=self.user_id("kari"))
        answer = self.person("kari").post(f"patients/{self.patient}/sign-in-codes", HOW)
        self.refused(answer, 409, "not_your_own")

    def test_an_installation_decides(self) -> None:
        with mock.patch.object(settings, "ENV", settings.ENV.model_copy(update={"in_person_second": "never"})):
            assert self.make(self.patient)["state"] == "open"
        with mock.patch.object(settings, "ENV", settings.ENV.model_copy(update={"in_person_second": "always"})):
            assert self.make(self.new_patient())["state"] == "waits"

    def test_such_a_session_gets_no_keys_of_its_own(self) -> None:
        """Red when a phone that staff let in can make passkeys or codes, and so a way in that outlives it."""
        made = self.make(self.patient)
        self.confirm(self.patient, made)
        phone = self.phone(self.use(made["code"]))
        for path in ("me/passkeys/options", "me/totp", "me/recovery-codes"):
            self.refused(phone.post(path), 403, "step_up_needed")


class AtOnce(LettingIn, TownTransactionTestCase):
    def test_of_two_phones_one_is_let_in(self) -> None:
        """Red when the code is looked up and then marked, or one maker does not wait for the other."""
        patient = self.new_patient()
        code = self.make(patient)["code"]
        answers = at_once([lambda: self.use(code) for _ in range(4)])
        assert sorted(one.status_code for one in answers) == [200, 401, 401, 401]
        assert Session.objects.filter(sign_in="in_person").count() == 1
        assert Patient.objects.get(id=patient).user_id is not None
        kari = [self.sign_in("kari") for _ in range(3)]
        made = at_once([lambda one=one: one.post(f"patients/{patient}/sign-in-codes", HOW) for one in kari])
        assert [one.status_code for one in made] == [201] * 3
        assert InPersonCode.objects.filter(patient_id=patient, used_at=None, taken_back_at=None).count() == 1
