"""Whole ways in: a patient, somebody at work, and those who are let in nowhere."""

from urllib.parse import urlsplit

from django.conf import settings
from django.test import override_settings

from server.audit.entry import SYSTEM
from server.common.clock import now
from server.common.ids import new_id
from server.people import actions
from server.people.actions.identities import record_identity
from server.people.actions.sessions import sign_in_lasting
from server.people.models import HandOver, Identity, InPersonCode, OidcAttempt, Patient, Session, Unit, User
from tests.sign_in.base import SignInTestCase
from tests.sign_in.front import PAR, TOKEN
from tests.sign_in.stage import ARE, CITIZENS, EMPLOYER, KARI, STAFF, App, Browser


class Citizens(SignInTestCase):
    def test_a_patient_signs_in(self) -> None:
        said = self.app.sign_in("are")
        me = self.app.client.ok("get", "me")
        assert (me["kind"], me["user"], me["session"]["sign_in"]) == (
            "patient",
            str(self.user_id("are")),
            "citizen_oidc",
        )
        assert said["engagements"] == []
        session = Session.objects.get(sid=me["session"]["id"])
        assert (session.level, session.as_patient, session.strong_by) == (4, True, "citizen_oidc")
        assert session.strong_at is not None
        refreshed = self.app.client.post("sign-in/refresh", {"refresh": said["refresh"]})
        assert refreshed.status_code == 200
        [begun] = self.audit(type="session.started", actor_id=said["user"])
        assert (begun.sign_in, begun.role) == ("citizen_oidc", "patient")

    def test_a_phone_that_staff_let_in_proves_whose_it_is(self) -> None:
        """Red when a proof at the provider lifts no limits, or leaves another phone in that nobody confirmed."""
        user = User.objects.get(username="are")
        for number in range(2):
            begun = sign_in_lasting(user=user, method="in_person", level=2, device="other", as_patient=True)
            InPersonCode.objects.create(
                id=new_id(),
                code_digest=str(number),
                patient=user.patient,
                made_by=self.engagement_of("kari"),
                how="passport",
                expires_at=now(),
                used_at=now(),
                session=begun.session,
            )
        self.app.client.credentials(HTTP_AUTHORIZATION=f"Bearer {begun.token}")
        limited = "rooms.write"
        with override_settings(ENV=settings.ENV.model_copy(update={"in_person_may": []})):
            assert limited not in self.app.client.ok("get", "me")["capabilities"]
            code = self.app.code("are", path="me/step-up/provider/{}")
            self.app.client.ok("post", "me/step-up/provider", {"code": code, "verifier": self.app.verifier})
            me = self.app.client.ok("get", "me")
            assert limited in me["capabilities"]
        assert me["session"]["level"] == 4
        ended = Session.objects.exclude(sid=begun.session.sid).get(sign_in="in_person")
        assert ended.end_reason == "not_confirmed"

    def test_what_is_asked(self) -> None:
        """Pushed, with our proof, PKCE, and the highest level; nothing of it stands in the address."""
        url = self.app.begin()
        query = urlsplit(url).query
        assert {one.split("=")[0] for one in query.split("&")} == {"client_id", "request_uri"}
        [asked] = self.front.asks(PAR)
        assert asked.form["acr_values"] == "idporten-loa-high"
        assert (asked.form["code_challenge_method"], asked.form["prompt"], asked.form["max_age"]) == (
            "S256",
            "login",
            "0",
        )
        assert asked.form["client_assertion_type"].endswith("jwt-bearer")
        assert "client_secret" not in asked.form

    def test_the_first_time_the_account_is_opened(self) -> None:
        Patient.objects.filter(user__username="are").update(user=None)
        said = self.app.sign_in("are")
        patient = Patient.objects.get(id=self.patient_of(said["user"]))
        [opened] = self.audit(type="patient.account_opened", object_id=said["user"])
        assert opened.subject_id == patient.id
        again = App().sign_in("are")
        assert again["user"] == said["user"]

    def patient_of(self, user: str) -> object:
        return Patient.objects.values_list("id", flat=True).get(user_id=user)

    def test_whom_no_service_has_registered(self) -> None:
        users = User.objects.count()
        for language, word in (("nb", "registrert"), ("nn", "registrert"), ("en", "registered")):
            app = App()
            page = app.come_back(app.visit(app.begin(), "stranger"), HTTP_ACCEPT_LANGUAGE=language)
            assert app.told(page) == "not_registered"
            text = page.content.decode()
            assert f'<html lang="{language}">' in text
            assert word in text
            assert f"{settings.ENV.app_link}?error=not_registered" in text
        assert User.objects.count() == users
        assert not HandOver.objects.exists()
        refused = self.audit(type="sign_in.refused")
        assert [one.reason for one in refused] == ["not_registered"] * 3

    def test_whoever_goes_away(self) -> None:
        assert self.app.refusal("nobody") == "sign_in_cancelled"

    def test_a_level_that_is_not_enough(self) -> None:
        assert self.app.refusal("are-low") == "sign_in_level"
        assert App().refusal("are-substantial") == "sign_in_level"
        with self.stage.used(patient_level=3):
            assert App().sign_in("are-substantial")["user"] == str(self.user_id("are"))
            assert App().refusal("are-low") == "sign_in_level"

    def test_a_number_that_is_none(self) -> None:
        assert self.app.refusal("numberless") == "sign_in_refused"

    def test_nobody_is_named_anywhere(self) -> None:
        self.app.sign_in("are")
        App().refusal("stranger")
        for model in (OidcAttempt, HandOver, Session):
            for row in model.objects.values():
                assert ARE not in str(row)

    def test_a_closed_account(self) -> None:
        actions.deactivate_user(user_id=self.user_id("are"), actor=SYSTEM, reason="test")
        assert self.app.refusal("are") == "account_deactivated"

    def test_a_nurse_who_is_a_patient_acts_as_a_patient(self) -> None:
        """The way in decides: through the citizens' provider nobody is at work."""
        unit = Unit.objects.get(name="Ytre DPS")
        user = User.objects.get(username="are")
        actions.engage(user=user, unit=unit, role="nurse", health_personnel=True, actor=SYSTEM)
        self.app.sign_in("are")
        assert self.app.client.ok("get", "me")["kind"] == "patient"


class Staff(SignInTestCase):
    def given(self) -> None:
        record_identity(username="kari", number=KARI, actor=SYSTEM)
        unit = Unit.objects.get(name="Ytre DPS")
        actions.engage(
            user=User.objects.get(username="kari"), unit=unit, role="psykolog", health_personnel=True, actor=SYSTEM
        )

    def test_two_engagements_and_the_one_acted_for_stands_in_the_log(self) -> None:
        said = self.app.sign_in("kari", STAFF)
        first, second = said["engagements"]
        assert (first["acting_for"], second["acting_for"]) == (True, False)
        self.app.client.ok("get", "patients")
        assert {str(one.engagement_id) for one in self.audit(sign_in="staff_oidc")} == {first["id"]}
        self.app.client.ok("post", "me/engagement", {"engagement": second["id"]})
        assert self.app.client.ok("get", "me")["engagements"][1]["acting_for"]
        other = App()
        other.sign_in("kari", STAFF, engagement=second["id"])
        assert other.client.ok("get", "me")["engagements"][1]["acting_for"]

    def test_the_organisation_that_the_provider_names_comes_first(self) -> None:
        said = self.app.sign_in("kari-dps", STAFF)
        assert [one["acting_for"] for one in said["engagements"]] == [False, True]

    def test_somebody_elses_engagement(self) -> None:
        foreign = str(self.engagement_of("sara").id)
        code = self.app.code("kari", STAFF)
        assert self.app.exchange(code, engagement=foreign).status_code == 404
        assert self.app.exchange(code).status_code == 200, "nothing was used up"

    def test_dpop_with_the_providers_nonce(self) -> None:
        self.app.sign_in("kari", STAFF)
        for path in (PAR, TOKEN):
            first, second = self.front.asks(path)
            assert first.headers["dpop"] != second.headers["dpop"], "once more, with the nonce"
            assert first.form["client_assertion"] != second.form["client_assertion"], "each proof is good once"

    def test_nobody_here(self) -> None:
        assert self.app.refusal("stranger", STAFF) == "no_account_here"

    def test_the_level(self) -> None:
        assert self.app.refusal("kari-3", STAFF) == "sign_in_level"
        assert App().refusal("kari-unsure", STAFF) == "sign_in_level"
        with self.stage.used(staff_level=3):
            assert App().sign_in("kari-3", STAFF)["token"]
            User.objects.filter(username="kari").update(is_administrator=True)
            assert App().refusal("kari-3", STAFF) == "sign_in_level", "the highest of all that she may act as"

    def test_an_employers_own_provider_speaks_for_that_employer(self) -> None:
        said = self.app.sign_in("kari", EMPLOYER)
        [only] = said["engagements"]
        assert only["unit"]["name"] == "Ytre DPS"
        both = {str(one.id) for one in User.objects.get(username="kari").engagements.all()}
        [elsewhere] = both - {only["id"]}
        assert self.app.client.post("me/engagement", {"engagement": elsewhere}).status_code == 404
        other = App()
        assert other.exchange(other.code("kari", EMPLOYER), engagement=elsewhere).status_code == 404

    def test_who_works_elsewhere_is_not_let_in_by_it(self) -> None:
        Identity.objects.filter(user__username="kari").update(user=User.objects.get(username="frida"))
        code = self.app.code("kari", EMPLOYER)
        assert self.app.exchange(code).json()["code"] == "no_engagement"

    def test_a_leaver_gets_no_further(self) -> None:
        for engagement in User.objects.get(username="kari").engagements.all():
            actions.end_engagement(engagement_id=engagement.id, actor=SYSTEM, reason="left")
        assert self.app.exchange(self.app.code("kari", STAFF)).json()["code"] == "no_engagement"


class Browsers(SignInTestCase):
    def test_cookies_carry_it(self) -> None:
        code = self.come_back_in_browser()
        said = self.app.exchange(code, cookie=True)
        assert (said.json()["token"], said.json()["refresh"]) == (None, None)
        assert self.app.client.ok("get", "me")["kind"] == "patient"

    def come_back_in_browser(self) -> str:
        answer = self.app.come_back(self.app.visit(self.app.begin(way="browser"), "are"))
        assert answer.status_code == 303
        where, code = answer.headers["Location"].split("#sign-in=")
        assert where == "/"
        return str(code)

    def test_what_another_browser_began(self) -> None:
        """Nobody is signed in as somebody else by a link that they open."""
        url = self.app.visit(self.app.begin(way="browser"), "are")
        victim = App()
        assert victim.told(victim.come_back(url)) == "sign_in_expired"
        [name] = [one for one in self.app.client.cookies if one.startswith("samsnakk_sign_in_")]
        victim.client.cookies[name] = "guessed"
        assert victim.told(victim.come_back(url)) == "sign_in_expired"
        assert self.app.come_back(url).status_code == 303, "whoever began it may go on"

    def test_the_cookie(self) -> None:
        self.app.begin(way="browser")
        [cookie] = [one for one in self.app.client.cookies.values() if one.key.startswith("samsnakk_sign_in_")]
        assert (cookie["samesite"], cookie["httponly"], cookie["path"], cookie["max-age"]) == ("Lax", True, "/", 600)


class Lists(SignInTestCase):
    def test_ways_in(self) -> None:
        found = self.app.client.ok("get", "sign-in/providers")["results"]
        assert [(one["id"], one["kind"]) for one in found] == [
            (CITIZENS, "citizen"),
            (STAFF, "staff"),
            (EMPLOYER, "employer"),
        ]
        with self.stage.used(sign_in_file=None):
            assert self.app.client.ok("get", "sign-in/providers") == {"results": []}

    def test_one_that_there_is_not(self) -> None:
        answer = self.app.client.post("sign-in/elsewhere", {"challenge": self.app.challenge})
        assert answer.status_code == 404
        page = Browser(self.app.client).get("sign-in/callback/elsewhere")
        assert self.app.told(page) == "not_found"

    def test_challenges_and_verifiers(self) -> None:
        for challenge in ("x" * 42, "x" * 44, "é" + "x" * 43, "x" * 43 + ".", "x" * 5000, "", None, 7, ["x"]):
            with self.subTest(challenge=str(challenge)[:5]):
                assert self.app.client.post(f"sign-in/{CITIZENS}", {"challenge": challenge}).status_code == 400
                exchanged = self.app.client.post("sign-in/exchange", {"code": "x", "verifier": str(challenge)[:42]})
                assert exchanged.json()["code"] == "invalid"
        answer = self.app.client.post(f"sign-in/{CITIZENS}", {"challenge": self.app.challenge, "return": "elsewhere"})
        assert answer.status_code == 400

    def test_looking_ahead_uses_nothing_up(self) -> None:
        url = self.app.visit(self.app.begin(), "are")
        parts = urlsplit(url)
        assert Browser(self.app.client).head(f"{parts.path}?{parts.query}").status_code == 405
        assert self.app.come_back(url).status_code == 303

    def test_a_file_that_cannot_be_used(self) -> None:
        broken = self.stage.folder / "broken.json"
        broken.write_text('{"providers": [{"id": "x"}]}')
        with self.stage.used(sign_in_file=broken):
            assert self.app.client.ok("get", "sign-in/providers") == {"results": []}
            answer = self.app.client.post("sign-in/id-porten", {"challenge": self.app.challenge})
            assert (answer.status_code, answer.json()["code"]) == (503, "sign_in_unavailable")
