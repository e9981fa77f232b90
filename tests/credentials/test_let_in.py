"""A phone that staff let in: an answer that was lost is answered again, to that phone alone; and what the patient's own
sign-in makes of one that nobody confirmed."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import F

from server.common.ids import new_id
from server.people.models import InPersonCode, Patient, Relation, Session
from tests.base import Client, TownTestCase, TownTransactionTestCase
from tests.credentials.test_in_person import HOW, LettingIn
from tests.sessions.base import Devices, env
from tests.support.limits import limited
from tests.support.served import sqlite_only
from tests.support.threads import at_once

MINE, OTHER = "m" * 43, "o" * 43


@sqlite_only
class AnswerLost(LettingIn, TownTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.patient = self.new_patient()
        self.code = self.make(self.patient)["code"]

    def sent(self, secret: str | None, code: str | None = None, **more: Any) -> Any:
        return Client().post("sign-in/in-person", {"code": code or self.code, "secret": secret, **more})

    def test_the_same_phone_is_answered_again(self) -> None:
        """Red when a bad line on a visit at home leaves the patient with a code that is used, and no session."""
        first, again = self.sent(MINE), self.sent(MINE, self.code.lower())
        assert (first.status_code, again.status_code) == (200, 200), again.content
        assert first.json() == again.json()
        assert Session.objects.filter(sign_in="in_person").count() == 1
        assert len(self.audit(type="sign_in_code.used", outcome="success")) == 1
        assert self.phone(again).ok("get", "me")["patient"] == str(self.patient)

    def test_a_browser_is_answered_again(self) -> None:
        self.sent(MINE, cookie=True)
        again = self.sent(MINE, cookie=True)
        assert (again.status_code, again.json()["token"]) == (200, None)
        assert again.cookies

    def test_no_other_phone_is(self) -> None:
        self.sent(MINE)
        self.refused(self.sent(OTHER), 401, "code_unusable")
        self.refused(self.sent(None), 401, "code_unusable")
        self.refused(self.use(self.code), 401, "code_unusable")

    def test_nor_without_a_secret(self) -> None:
        self.use(self.code)
        self.refused(self.sent(MINE), 401, "code_unusable")

    def test_not_once_it_was_used(self) -> None:
        """Red when whoever learns code and secret later gets a session that somebody else has."""
        self.phone(self.sent(MINE)).ok("get", "me")
        self.refused(self.sent(MINE), 401, "code_unusable")

    def test_not_once_it_was_refreshed(self) -> None:
        Client().ok("post", "sign-in/refresh", {"refresh": self.sent(MINE).json()["refresh"]})
        self.refused(self.sent(MINE), 401, "code_unusable")

    def test_not_for_long(self) -> None:
        self.sent(MINE)
        InPersonCode.objects.update(used_at=F("used_at") - timedelta(minutes=11))
        self.refused(self.sent(MINE), 401, "code_unusable")

    def test_not_when_the_session_was_ended(self) -> None:
        self.sent(MINE)
        self.person("kari").ok("delete", f"patients/{self.patient}/sessions")
        self.refused(self.sent(MINE), 401, "code_unusable")

    def test_a_secret_is_long(self) -> None:
        assert self.sent("kort").status_code == 400

    def test_a_lost_session_asks_for_no_colleague_and_ends(self) -> None:
        """Red when the lone visit is stuck; or when an unused session lives on beside the one that is used."""
        lost = self.sent(None).json()
        made = self.make(self.patient)
        assert made["state"] == "open", "nobody has used what the first one began"
        phone = self.phone(self.sent(None, made["code"]))
        phone.ok("get", "me")
        answer = Client().post("sign-in/refresh", {"refresh": lost["refresh"]})
        assert (answer.status_code, answer.json()["code"]) == (401, "session_ended")
        assert self.make(self.patient)["state"] == "waits"

    def test_one_that_was_refreshed_was_used(self) -> None:
        Client().ok("post", "sign-in/refresh", {"refresh": self.sent(None).json()["refresh"]})
        assert self.make(self.patient)["state"] == "waits"

    def test_nothing_of_the_secret_is_kept(self) -> None:
        said = self.sent(MINE).json()
        kept = str(list(InPersonCode.objects.values())) + str(list(Session.objects.values()))
        assert not any(one in kept for one in (MINE, said["token"], said["refresh"]))


class AnswerLostAtOnce(LettingIn, TownTransactionTestCase):
    def test_one_phone_that_sends_it_twice_at_once(self) -> None:
        patient = self.new_patient()
        said = {"code": self.make(patient)["code"], "secret": MINE}
        answers = at_once([lambda: Client().post("sign-in/in-person", said) for _ in range(4)])
        assert {one.status_code for one in answers} == {200}
        assert len({one.json()["token"] for one in answers}) == 1
        assert Session.objects.filter(sign_in="in_person").count() == 1


class Related(LettingIn, Devices):
    """A patient who has never signed in, of two units that have to do with them."""

    patient: UUID

    def setUp(self) -> None:
        super().setUp()
        self.patient = self.new_patient()
        (relation,) = Relation.objects.filter(patient_id=self.patient)
        relation.id, relation.unit = new_id(), self.engagement_of("frida").unit
        relation.save(force_insert=True)


@sqlite_only
class OwnersSignIn(Related, TownTestCase):
    def owner(self, **more: Any) -> Client:
        user = Patient.objects.get(id=self.patient).user
        assert user is not None, "a phone was let in before"
        return self.device(user.username, method="citizen_oidc", as_patient=True, **more).client

    def test_it_ends_a_phone_that_nobody_confirmed(self) -> None:
        """Red when a phone that one insider let in early reads everything that comes later."""
        early = self.phone(self.use(self.make(self.patient)["code"]))
        early.ok("get", "me")
        owner = self.owner()
        self.refused(early.get("me"), 401, "session_ended")
        told = owner.ok("get", "duties")["results"]
        assert "phone_signed_out" in {one["code"] for one in told if one["kind"] == "way_in_changed"}
        assert Session.objects.get(sign_in="in_person").end_reason == "not_confirmed"

    def test_it_leaves_one_that_a_colleague_confirmed(self) -> None:
        with env(in_person_second="always"):
            made = self.make(self.patient)
            self.confirm(self.patient, made)
            phone = self.phone(self.use(made["code"]))
        owner = self.owner()
        phone.ok("get", "me")
        assert "phone_signed_out" not in {one["code"] for one in owner.ok("get", "duties")["results"]}

    def test_one_below_the_level_ends_nothing(self) -> None:
        early = self.phone(self.use(self.make(self.patient)["code"]))
        self.owner(level=2)
        early.ok("get", "me")

    def test_a_code_that_waited_while_the_owner_signed_in_needs_a_colleague(self) -> None:
        self.use(self.make(self.patient)["code"])  # the account is there; nobody uses the session
        made = self.make(self.patient)
        assert made["state"] == "open"
        self.owner()
        self.refused(self.use(made["code"]), 409, "colleague_needed")
        assert self.states(self.patient)[0] == "waits"
        self.confirm(self.patient, made)
        assert self.use(made["code"]).status_code == 200


@sqlite_only
class Found(LettingIn, TownTestCase):
    """Whoever let in a phone has found the printed codes, too."""

    def setUp(self) -> None:
        super().setUp()
        are, patient = self.person("are"), self.patient_id("are")
        self.codes = are.ok("post", "me/recovery-codes")["codes"]
        made = self.make(patient)
        self.confirm(patient, made)
        self.let_in = self.phone(self.use(made["code"]))

    def test_a_printed_code_lifts_no_limit(self) -> None:
        """Red when any proof makes a phone that staff let in the owner's."""
        self.let_in.ok("post", "me/step-up/recovery", {"code": self.codes[0]})
        with env(in_person_may=[]):
            for method, path in (("delete", "me/sessions"), ("get", "rooms")):
                self.refused(getattr(self.let_in, method)(path, {}), 403, "in_person_only")
            for path in ("me/passkeys/options", "me/totp", "me/recovery-codes"):
                self.refused(self.let_in.post(path), 403, "step_up_needed")

    def test_nor_does_it_say_yes(self) -> None:
        room = self.open_room()
        self.let_in.ok("post", "me/step-up/recovery", {"code": self.codes[0]})
        with env(in_person_may=["read", "write"]):
            self.refused(self.let_in.post(f"{room.asks}/give", {}), 403, "in_person_only")


@sqlite_only
class SeveralColleagues(Related, TownTestCase):
    def test_the_maker_sees_who_made_another(self) -> None:
        """Red when a code that a colleague has overtaken looks as if its maker had taken it back."""
        mine = self.make(self.patient)
        theirs = self.make(self.patient, "frida")
        newest, oldest = self.person("kari").ok("get", f"patients/{self.patient}/sign-in-codes")["results"]
        assert (oldest["id"], oldest["state"]) == (mine["id"], "replaced")
        assert oldest["replaced_by"] == str(self.user_id("frida"))
        assert oldest["replaced_by_name"].startswith("Frida")
        assert oldest["replaced_at"] is not None
        assert (newest["state"], newest["replaced_by"], newest["replaced_at"]) == ("open", None, None)
        self.person("frida").ok("delete", f"patients/{self.patient}/sign-in-codes/{theirs['id']}")
        assert self.states(self.patient) == ["taken_back", "replaced"]

    def test_they_are_limited_together(self) -> None:
        with limited("patient=3/60"):
            path = f"patients/{self.patient}/sign-in-codes"
            asked = [self.person(who).post(path, HOW).status_code for who in ("kari", "frida", "kari", "frida")]
            assert asked == [201, 201, 201, 429]
            self.make(self.new_patient())

    def test_signing_the_patient_out_is_limited_by_patient(self) -> None:
        """What ends nothing is not counted: whoever asks twice takes nothing from who needs it."""
        self.use(self.make(self.patient)["code"])
        path, ended = f"patients/{self.patient}/sessions", []
        with limited("patient=2/60"):
            for who in ("kari", "kari", "frida", "kari"):
                session = self.begun()
                ended.append(self.person(who).delete(path).status_code)
                if ended[-1] == 204:
                    assert self.person(who).delete(path).status_code == 204
        assert ended == [204, 204, 429, 429]
        assert Session.objects.get(sid=session).ended_at is None, "refused, so not done"

    def begun(self) -> UUID:
        user = Patient.objects.get(id=self.patient).user
        assert user is not None
        return self.device(user.username, method="citizen_oidc", as_patient=True).session.sid
