"""Once more at the provider, for a session that there is."""

from datetime import timedelta

from server.audit.entry import SYSTEM
from server.common.clock import now
from server.people import actions
from server.people.actors import acting_in
from server.people.models import HandOver, Session, User
from server.people.step_up import fresh
from tests.sign_in.base import SignInTestCase
from tests.sign_in.front import PAR
from tests.sign_in.stage import CITIZENS, EMPLOYER, STAFF, App

PATH = "me/step-up/provider/{}"


class StepUp(SignInTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.kari_works()
        self.app.sign_in("kari", STAFF)
        self.engagement_id = self.engagement_of("kari").id
        self.sid = self.app.client.ok("get", "me")["session"]["id"]
        Session.objects.filter(sid=self.sid).update(strong_at=now() - timedelta(hours=2), strong_by="staff_oidc")

    def finish(self, code: str, app: App | None = None) -> tuple[int, str]:
        app = app or self.app
        answer = app.client.post("me/step-up/provider", {"code": code, "verifier": app.verifier})
        return answer.status_code, answer.json().get("code", "")

    @property
    def is_fresh(self) -> bool:
        return fresh(acting_in(Session.objects.in_full().get(sid=self.sid)))

    def test_the_session_is_proved(self) -> None:
        assert not self.is_fresh
        code = self.app.code("kari", STAFF, path=PATH)
        asked = self.front.asks(PAR)[-1].form
        assert (asked["prompt"], asked["max_age"]) == ("login", "0"), "even where the provider knows her already"
        assert not self.is_fresh, "not before the app has fetched it"
        assert self.finish(code) == (200, "")
        assert self.is_fresh
        assert Session.objects.get(sid=self.sid).strong_by == "staff_oidc"
        [proved] = self.audit(type="session.proved")
        assert proved.engagement_id == self.engagement_of("kari").id
        assert self.finish(code) == (400, "sign_in_code"), "once"

    def test_by_somebody_else(self) -> None:
        actions.engage(
            user=User.objects.get(username="sara"),
            unit=self.engagement_of("kari").unit,
            role="psykolog",
            health_personnel=True,
            actor=SYSTEM,
        )
        assert self.app.refusal("stranger", STAFF, path=PATH) == "no_account_here"
        actions.record_identity(username="sara", number="05489000042", actor=SYSTEM)
        assert self.app.refusal("stranger", STAFF, path=PATH) == "sign_in_other_person"
        assert str(self.audit(type="sign_in.refused")[-1].object_id) == self.sid
        assert not self.is_fresh

    def test_a_code_is_one_sessions(self) -> None:
        """A code for a session makes no other session, and proves no other; a code for signing in proves none."""
        code = self.app.code("kari", STAFF, path=PATH)
        assert self.app.exchange(code).json()["code"] == "sign_in_code"
        other = App()
        other.sign_in("kari", STAFF)
        other.verifier = self.app.verifier
        assert self.finish(code, other) == (400, "sign_in_code")
        assert self.finish(self.app.code("kari", STAFF)) == (400, "sign_in_code")
        assert self.finish(code) == (200, "")

    def test_the_way_in_must_be_theirs(self) -> None:
        answer = self.app.client.post(PATH.format(CITIZENS), {"challenge": self.app.challenge})
        assert (answer.status_code, answer.json()["code"]) == (403, "other_provider")
        patient = App()
        patient.sign_in("are")
        assert patient.client.post(PATH.format(STAFF), {"challenge": patient.challenge}).status_code == 403
        code = patient.code("are", path=PATH)
        assert self.finish(code, patient) == (200, "")

    def test_an_employers_own_provider_proves_nothing_of_work_elsewhere(self) -> None:
        path = PATH.format(EMPLOYER)
        assert self.app.client.post(path, {"challenge": self.app.challenge}).json()["code"] == "other_provider"
        there = actions.engage(
            user=User.objects.get(username="kari"),
            unit=self.engagement_of("sara").unit,
            role="psykolog",
            health_personnel=True,
            actor=SYSTEM,
        )
        here = str(self.engagement_id)
        self.app.client.ok("post", "me/engagement", {"engagement": str(there.id)})
        code = self.app.code("kari", EMPLOYER, path=PATH)
        self.app.client.ok("post", "me/engagement", {"engagement": here})
        assert self.finish(code) == (403, "other_provider")
        self.app.client.ok("post", "me/engagement", {"engagement": str(there.id)})
        assert self.finish(code) == (200, "")

    def test_without_a_session(self) -> None:
        assert App().client.post(PATH.format(STAFF), {"challenge": self.app.challenge}).status_code == 401
        assert self.finish("x", App()) == (401, "unauthenticated")

    def test_a_session_that_ended_meanwhile(self) -> None:
        code = self.app.code("kari", STAFF, path=PATH)
        self.app.client.ok("post", "me/sign-out")
        assert self.finish(code)[0] == 401
        assert HandOver.objects.filter(used_at=None).exists(), "nor is it used up"
